"""Projected GAN: frozen parts, inputs of the heads, and mixing of feature maps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.training.adversary import Adversary
from ganvas.training.config import TrainParams

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


def test_frozen_weights_of_the_mixing_are_sqrt_6_times_those_of_pytorchs_default():
    _, heads = submodels(build(projection=64))
    mixing = [layer for layer in heads.layers if isinstance(layer, keras.layers.Conv2D)]
    rng = np.random.default_rng(0)
    for layer in mixing:
        kernel = np.asarray(layer.kernel)
        # PyTorch draws both kernels and biases from ± 1 / √fan_in.
        limit = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        assert kernel.std() / rng.uniform(-limit, limit, kernel.shape).std() == pytest.approx(
            np.sqrt(6), rel=0.05
        )
        assert not np.asarray(layer.bias).any()


def test_heads_differ_from_the_authors_in_logits_channels_and_batch_norm(networks):
    _, heads = submodels(networks)
    # The authors' heads halve maps of twice a stride's by convolutions of 4×4 that are padded by 1,
    # as often as 8×8 of 256 pixels need it, and end with one that isn't padded.
    published = {}
    for side in (224, 256):
        sides = [2 * side // stride for stride in (4, 8, 16, 32)]
        for number, halvings in enumerate((4, 3, 2, 1)):
            for _ in range(halvings):
                sides[number] = (sides[number] + 2 - 4) // 2 + 1
        published[side] = [(last - 4 + 1) ** 2 for last in sides]
    assert published == {224: [16] * 4, 256: [25] * 4}
    assert heads.output_shape[-1] == 5 * 16
    kinds = {type(layer) for layer in heads.layers}
    assert keras.layers.BatchNormalization not in kinds
    mixed = [x for x in heads.layers if isinstance(x, keras.layers.Conv2D)]
    assert {layer.filters for layer in mixed} == {NARROW["projection"]}
    assert [layer.kernel_size[0] for layer in mixed].count(3) == 4


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


def test_images_are_averaged_for_the_backbone_alone(images):
    averaged, smaller = build(input_upscale=0.5), build(side=32)
    means = images.reshape(2, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    first, second = (next(submodels(networks)) for networks in (averaged, smaller))
    maps = first(images)
    np.testing.assert_array_equal(maps[0], images)
    for a, b in zip(maps[1:], second(means)[1:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert averaged.discriminator(images).shape == (2, 80)


def test_input_upscale_is_a_power_of_two_and_whole_numbers_stay_whole():
    with pytest.raises(ValidationError, match="1, 2, 4 or 8"):
        ProjectedParams(input_upscale=3)
    assert repr(ProjectedParams(input_upscale=2.0).input_upscale) == "2"


@pytest.fixture(scope="module")
def transparent():
    keras.utils.set_random_seed(0)
    return build_projected(ProjectedParams(**NARROW), (96, 64, 4))


def test_the_backbone_sees_transparent_images_on_random_backgrounds_in_training(transparent):
    adversary = Adversary(transparent.discriminator, TrainParams())
    images = np.random.default_rng(0).uniform(-1, 1, (2, 96, 64, 4)).astype(np.float32)
    weights = transparent.discriminator.get_weights()
    logits = []
    for _ in range(2):
        # Each forward pass updates the vectors of spectral norm.
        transparent.discriminator.set_weights(weights)
        logits.append(np.asarray(adversary.forward(images, None).logits))
    first, second = logits
    # Five heads of 6×4 logits: that on the image itself sees no background.
    assert first.shape == (2, 120)
    np.testing.assert_allclose(first[:, :24], second[:, :24], atol=1e-5)
    assert (np.abs(first - second)[:, 24:] > 1e-4).mean() > 0.9
    # Afterwards it is the same each time.
    backbone, _ = submodels(transparent)
    for a, b in zip(backbone(images), backbone(images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_backbone_has_a_gradient_by_alpha(transparent):
    backbone, _ = submodels(transparent)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 96, 64, 4)).astype(np.float32)
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(backbone(images, training=True)[1] ** 2)
    by_channel = np.abs(tape.gradient(total, images)).mean(axis=(0, 1, 2))
    assert by_channel[3] > 0.1 * by_channel[:3].mean() > 0


def test_the_generator_of_fastgan_has_two_convolutions_at_each_side_and_unit_latents():
    networks = build(generator="fastgan", generator_width=2, max_width=12)
    norms = [x for x in networks.generator.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert [x.output.shape[3] // 2 for x in norms] == [12, 12, 12, 8, 8, 4, 4, 4, 4]
    latents = np.random.default_rng(0).standard_normal((2, 6), dtype=np.float32)
    images = networks.generator(latents)
    assert images.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(networks.generator(3 * latents), images, atol=1e-6)
