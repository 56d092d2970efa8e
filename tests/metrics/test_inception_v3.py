import base64
import zlib

import numpy as np
import pytest

from ganvas.metrics.inception_v3 import build_inception

pytestmark = pytest.mark.slow

# Name and shape of each convolution in the PyTorch port, compressed.
CONVOLUTIONS = """
c-oDXTW*6e5Jk7r6;v?h;qcq<t^t83QY%GC)sM={uU}wn#$%L3LZ0h8cTNm^yq<r6bGyt!i%EbM_Vf1Pmmw}gvc9_Yq083AI
=8x=WTQ>VTy5)}_i1mSP0eoj{ML7z`}KYOU7qU8?y_5qz;4T`z3%6B>LgbOyWdF6bzV08aDB{NhaiFJHrVJy!k`dVVZMZ7{&
~F~mQ~h6r87c5P}O}#rcTVLh#3nG<r!6VMwQHX?t$5iQc~48W4TVuh}4X<LwQE5&WNWOlODqo9VQ`tIc`6e3n_ESIc2UmryP
!Vj6G=MkhIv!qaIC!79=MCCvZPKQUZU=Iv3Kx56XA(lWvX5KB5xFYPt(P{hpcd@&7HsP4QS&igjo>0XTvC#RTe%)w+-l0V~@
jU=5ARKB5vPV6FP}duGC?h!uIPSi_1ntXRW}7qH?5tat${UcibMuwo7CoyU4lvGM}&3EVqtqy%CYjHE-r%617@t3IL<CSa}l
^qfx#>v(wjk`pBYFt7T?wTMsWU0`C=JiLUWpGheGnIs}PWI4VmTvU+FG02)sYu{*`0v0E6vU3loSa*dWJ^VrGI>|NiC&ijrp
&(nilTyp$L~NvZ4)Q!ILkCSKsd_}mDQI-6icV4Jm_|i(>Iyn_1>O09zvcM{_ZaWz
"""
# Outputs of torch-fidelity 0.4.0's network for two images with the weights made below.
FEATURES = [
    [4.6090612, 0.0479102, 0.0, 4.0516948, 3.3662956, 0.01444, 0.2002123, 3.206059],
    [4.3511567, 0.026027, 0.0, 3.9491429, 3.2362804, 0.00654, 0.2296757, 3.0467472],
]
SUMS = [3318.58935, 3238.57129]
PROBABILITIES = [
    [1.5990778e-8, 2.6491589e-8, 9.1014845e-5, 2.8842084e-7, 3.5020125e-8],
    [2.2939482e-8, 3.2066012e-8, 9.9431134e-5, 3.7361175e-7, 3.9848459e-8],
]


def make_weights(name, shape):
    """Draw reproducible weights whose scale keeps the signal of a deep network."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) == 4:
        return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if len(shape) == 2:
        return (rng.standard_normal(shape) * 0.03).astype(np.float32)
    if name.endswith(("bn.weight", "running_var")):
        return rng.uniform(0.7, 1.3, shape).astype(np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)


@pytest.fixture
def weights():
    text = zlib.decompress(base64.b85decode(CONVOLUTIONS.replace("\n", ""))).decode()
    shapes = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for entry in text.split():
        name, _, sides = entry.partition(":")
        shape = tuple(map(int, sides.split("x")))
        parts = ("weight", "bias", "running_mean", "running_var")
        shapes |= {f"{name}.conv.weight": shape} | {
            f"{name}.bn.{part}": shape[:1] for part in parts
        }
    return {name: make_weights(name, shape) for name, shape in shapes.items()}


@pytest.mark.exhaustive
def test_outputs_equal_those_of_the_published_port(weights):
    network, head = build_inception(weights)
    coarse = np.random.default_rng(0).integers(0, 256, (2, 13, 13, 3)).astype(np.uint8)
    images = coarse.repeat(23, 1).repeat(23, 2).astype(np.float32)
    features = network.predict(images, verbose=0)
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features[:, :8], FEATURES, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features.sum(axis=1), SUMS, rtol=1e-5)
    probabilities = head.predict(features, verbose=0)
    np.testing.assert_allclose(probabilities[:, :5], PROBABILITIES, rtol=1e-3)
    assert probabilities.argmax(axis=1).tolist() == [988, 988]
    np.testing.assert_allclose(probabilities.max(axis=1), [0.1467, 0.1335], atol=1e-4)


def test_weights_of_another_network_are_rejected(weights):
    with pytest.raises(ValueError, match=r"no layer for the weights AuxLogits\.fc"):
        build_inception(weights | {"AuxLogits.fc": np.zeros(3)})
    del weights["Mixed_7c.branch_pool.bn.bias"]
    with pytest.raises(ValueError, match=r"lacks the weights 'Mixed_7c\.branch_pool\.bn\.bias'"):
        build_inception(weights)
