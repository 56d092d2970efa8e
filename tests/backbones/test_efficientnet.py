import keras
import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image

from ganvas.backbones.efficientnet import (
    SCALES,
    build_efficientnet,
    build_pyramid,
    load_weights,
)
from ganvas.metrics.feature_extractors import resize

pytestmark = pytest.mark.slow

MILITARY_UNIFORM = 652
# Outputs of efficientnet_lite_pytorch 0.1.0 with torch 2.13 for the image drawn below, normalized
# by (x - 127) / 128: some features, the mean of all, some logits, the class of the highest.
EXPECTED = {
    "lite0": (
        {1219: 4.75600, 899: 1.29298, 329: 0.53336, 564: 0.23762, 93: 0.09639},
        0.198916,
        {1: 0.45204, 500: 0.21951, 998: 2.53625},
        506,
    ),
    # Of an ONNX graph written from the architecture alone, which gives the others' values too.
    "lite1": (
        {737: 4.67471, 43: 1.27079, 912: 0.28466, 182: 0.05375, 696: 0.0},
        0.172486,
        {1: -0.17859, 500: 0.83826, 998: 0.74006},
        417,
    ),
    "lite2": (
        {1098: 3.52042, 1261: 1.25190, 940: 0.69145, 28: 0.39649, 877: 0.19951},
        0.203817,
        {1: 0.21735, 500: -1.13141, 998: 2.19787},
        417,
    ),
}


def draw_pattern(side):
    y, x = np.mgrid[:side, :side]
    channels = [(7 * x + 3 * y) % 256, (x * y) % 256, (x // 9 * 40 + y // 13 * 60) % 256]
    return np.stack(channels, axis=-1).astype(np.float32)


@pytest.fixture(scope="module", params=["lite0", "lite1", "lite2"])
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def network(variant):
    return build_efficientnet(variant, load_weights(variant))


@pytest.fixture(scope="module")
def outputs(variant, network):
    side = SCALES[variant].side
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = resize(np.asarray(Image.open(file).convert("RGB")), side)
    return network.predict_on_batch(np.stack([draw_pattern(side), photograph]))


def test_agrees_with_the_published_implementation(variant, outputs):
    features, mean, logits, highest = EXPECTED[variant]
    assert outputs["features"].shape == (2, 1280) and outputs["logits"].shape == (2, 1000)
    for position, value in features.items():
        assert outputs["features"][0, position] == pytest.approx(value, abs=1e-4)
    assert outputs["features"][0].mean() == pytest.approx(mean, abs=1e-5)
    for position, value in logits.items():
        assert outputs["logits"][0, position] == pytest.approx(value, abs=1e-4)
    assert outputs["logits"][0].argmax() == highest


def test_a_photograph_is_classified(outputs):
    assert outputs["logits"][1].argmax() == MILITARY_UNIFORM


def test_the_network_is_frozen(network):
    assert network.trainable_weights == []
    norms = [item for item in network.layers if isinstance(item, keras.layers.BatchNormalization)]
    before = norms[0].moving_mean.numpy()
    network(np.zeros((1, *network.input.shape[1:]), np.float32), training=True)
    np.testing.assert_array_equal(norms[0].moving_mean.numpy(), before)


def test_the_network_ignores_a_half_precision_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = build_efficientnet("lite0", load_weights("lite0"))
        assert {layer.compute_dtype for layer in network.layers} == {"float32"}
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)


def test_weights_that_do_not_fit_are_rejected():
    weights = load_weights("lite0")
    with pytest.raises(ValueError, match=r"lacks the weights 'bn0\.running_var'"):
        build_efficientnet("lite0", {k: v for k, v in weights.items() if k != "_bn0.running_var"})
    with pytest.raises(ValueError, match=r"no layer for the weights more\.bias"):
        build_efficientnet("lite0", weights | {"_more.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="shape"):
        build_efficientnet("lite0", weights | {"_fc.bias": np.zeros(3, np.float32)})


def test_the_pyramid_has_the_feature_maps_of_the_whole_network(variant, monkeypatch):
    side = 64
    monkeypatch.setitem(SCALES, variant, SCALES[variant]._replace(side=side))
    network = build_efficientnet(variant, load_weights(variant))
    # The last map of each size is the input of the next strided stage, or of the head.
    starts = {"lite0": (3, 5, 11)}.get(variant, (4, 7, 15))
    consumers = [f"blocks.{number}.expand_conv" for number in starts] + ["conv_head"]
    whole = keras.Model(network.input, [network.get_layer(name).input for name in consumers])
    images = np.stack([draw_pattern(side), draw_pattern(side)[::-1]])
    pyramid = build_pyramid(variant, (side, side, 3))
    assert pyramid.trainable_weights == []
    maps = pyramid.predict_on_batch(images / 127.5 - 1)
    assert [x.shape[1] for x in maps] == [16, 8, 4, 2]
    for x, expected in zip(maps, whole.predict_on_batch(images), strict=True):
        np.testing.assert_allclose(x, expected, atol=1e-5 * np.abs(expected).max())
