"""Projected GAN: frozen parts, inputs of the heads, and mixing of feature maps."""

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from ganvas.networks.projected_gan import ProjectedParams, build_projected

pytestmark = pytest.mark.slow

NARROW = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}


def build(side: int = 64, **params):
    keras.utils.set_random_seed(0)
    return build_projected(ProjectedParams(**NARROW | params), (side, side, 3))


def submodels(networks):
    return (networks.discriminator.get_layer(name) for name in ("backbone", "heads"))


@pytest.fixture(scope="module")
def networks():
    return build()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)


def test_each_of_five_heads_has_16_logits(networks, images):
    backbone, heads = submodels(networks)
    maps = backbone(images)
    np.testing.assert_array_equal(maps[0], images)
    assert [x.shape[1:] for x in maps[1:]] == [
        (16, 16, 24),
        (8, 8, 40),
        (4, 4, 112),
        (2, 2, 320),
    ]
    logits = np.asarray(heads(maps))
    assert logits.shape == (2, 80)
    np.testing.assert_allclose(networks.discriminator(images), logits, atol=1e-6)
    # The coarsest head has four logits, which are repeated for each quarter.
    quarters = logits[:, 64:].reshape(2, 2, 2, 2, 2)
    np.testing.assert_array_equal(quarters, quarters[:, :, :1, :, :1] + np.zeros_like(quarters))


@pytest.mark.parametrize("number", range(5))
def test_each_head_depends_on_its_own_map_and_on_coarser_ones(networks, images, number):
    backbone, heads = submodels(networks)
    maps = [np.asarray(x) for x in backbone(images)]
    before = np.asarray(heads(maps)).reshape(2, 5, 16)
    maps[number] = maps[number] + 1
    changed = (np.asarray(heads(maps)).reshape(2, 5, 16) != before).any(axis=(0, 2))
    # The image itself isn't mixed; a map affects the heads of all finer ones.
    expected = [head == 0 if number == 0 else 1 <= head <= number for head in range(5)]
    assert changed.tolist() == expected


def test_only_heads_are_trainable(networks):
    backbone, heads = submodels(networks)
    assert not backbone.trainable_variables
    frozen = {id(v) for v in heads.non_trainable_variables}
    mixing = [layer for layer in heads.layers if isinstance(layer, keras.layers.Conv2D)]
    # Four within maps, four across scales.
    assert len(mixing) == 8 and all(id(layer.kernel) in frozen for layer in mixing)
    trainable = {v.path for v in networks.discriminator.trainable_variables}
    assert trainable == {v.path for v in heads.trainable_variables}
    # The head on the image has five convolutions, the others 4, 3, 2 and 2.
    assert len(trainable) == 2 * (5 + 4 + 3 + 2 + 2)


def test_upscaled_inputs_equal_larger_images(images):
    upscaled, larger = build(input_upscale=2), build(side=128)
    upsampled = np.asarray(keras.layers.UpSampling2D(2, interpolation="bilinear")(images))
    first, second = (next(submodels(networks)) for networks in (upscaled, larger))
    for a, b in zip(first(images)[1:], second(upsampled)[1:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert upscaled.discriminator(images).shape == (2, 80)


def test_max_width_limits_the_generator():
    generator = build(side=128, generator_width=8, max_width=32).generator
    widths = [
        layer.filters
        for layer in generator.layers
        if isinstance(layer, keras.layers.Conv2DTranspose)
    ]
    assert widths == [32, 32, 32, 16, 8, 3]


def test_input_upscale_must_be_a_power_of_two():
    with pytest.raises(ValidationError, match="1, 2, 4 or 8"):
        ProjectedParams(input_upscale=3)
