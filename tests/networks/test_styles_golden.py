"""Styles against NVlabs/stylegan2-ada-pytorch: images of the same weights, made with its code."""

import keras
import numpy as np
import pytest

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import map_latents, mean_style, repeat_styles, synthesize, truncate

PARAMS = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=8, mapping_layers=2)
LATENTS = np.sin(np.arange(12) ** 2).reshape(2, 6).astype(np.float32)
LABELS = np.float32([[1, 0, 0], [0, 0, 1]])
STYLE = [-0.2531, 0.0071, -0.4025, 2.0533, 1.8539, 2.7907, -0.7123, -0.3917]
# Pixels 3 and 11 of rows 3 and 11, of both images, at ψ, cutoff and noise.
PIXELS = {
    (0.6, None, "const"): [
        [159, 122, 137, 168, 134, 106, 169, 107, 159, 195, 148, 119],
        [136, 108, 162, 133, 99, 173, 178, 118, 146, 164, 122, 140],
    ],
    (-0.5, 3, "const"): [
        [192, 153, 113, 170, 141, 96, 178, 117, 136, 189, 137, 132],
        [190, 153, 108, 179, 150, 72, 177, 118, 138, 187, 143, 108],
    ],
    (1.3, 4, "none"): [
        [152, 115, 146, 179, 144, 111, 176, 137, 117, 246, 207, 101],
        [148, 147, 163, 152, 134, 145, 163, 132, 162, 145, 121, 158],
    ],
}


def compute_weight(name, shape):
    """The weight of a layer, by a formula that the original's weights were set by too."""
    values = np.sin(np.arange(np.prod(shape)) ** 2 + sum(map(ord, name))).reshape(shape)
    if name.endswith("affine_bias"):
        return 1 + values / 2
    if name.endswith(("bias", "noise_strength")):
        return values / 4
    if name.startswith("fc"):
        return 120 * values
    return values / 2 if name.endswith("torgb_weight") else values


@pytest.fixture(scope="module")
def generator():
    generator = build_stylegan2(PARAMS, (16, 16, 3), classes=3).generator
    for model in (generator, generator.get_layer("mapping"), generator.get_layer("synthesis")):
        for layer in model.layers:
            if isinstance(layer, keras.layers.EinsumDense) and layer.name != "truncation":
                layer.kernel.assign(compute_weight(layer.name, layer.kernel.shape))
    return generator


def test_a_class_has_the_styles_of_the_original(generator):
    styles = map_latents(generator, LATENTS, LABELS)
    np.testing.assert_allclose(styles[1], STYLE, atol=1e-4)


@pytest.mark.parametrize("case", PIXELS, ids=str)
def test_truncated_images_are_those_of_the_original(generator, case):
    psi, cutoff, noise = case
    styles = repeat_styles(generator, map_latents(generator, LATENTS, LABELS))
    truncated = truncate(styles, mean_style(generator), psi, cutoff)
    images = synthesize(generator, truncated, noise)[:, 3::8, 3::8].reshape(2, -1)
    # Rounding to levels may differ.
    assert np.abs(images.astype(int) - PIXELS[case]).max() <= 1
