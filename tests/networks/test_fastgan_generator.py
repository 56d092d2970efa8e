"""FastGAN's generator against outputs and parameter counts of the authors' code, and formulas."""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.image_shape import smallest_map
from ganvas.networks.fastgan import build_fastgan_generator

CLASSES = 3


def build(shape=(64, 64, 3), latent=6, width=4, classes=0, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_fastgan_generator(shape, latent, width, classes, **options)


def draw_inputs(generator: keras.Model, count: int = 2):
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((count, generator.inputs[0].shape[1]), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]
    return [latents, labels] if len(generator.inputs) == 2 else latents


def find_layers(network: keras.Model, kind: type) -> list[keras.Layer]:
    """Return the layers of a kind in the order of their creation."""
    found = [layer for layer in network.layers if isinstance(layer, kind)]
    return sorted(found, key=lambda x: int("0" + x.name.removeprefix(x.name.rstrip("0123456789"))))


def set_weights_by_formula(network: keras.Model) -> keras.Model:
    """Set the kernels to sines; return the network without spectral norm, which changes them."""
    for number, layer in enumerate(find_layers(network, layers.SpectralNormalization)):
        shape = layer.layer.kernel.shape
        if isinstance(layer.layer, layers.Conv2DTranspose):
            shape = (*shape[:2], shape[3], shape[2])
        i = np.indices(shape)
        angles = 1 + 0.7 * i[0] + 1.3 * i[1] + 2.1 * i[2] + 2.9 * i[3] + 0.5 * number
        kernel = np.sin(angles) * np.sqrt(2 / np.prod(shape[:3]))
        if isinstance(layer.layer, layers.Conv2DTranspose):
            kernel = kernel.transpose(0, 1, 3, 2)
        layer.layer.kernel.assign(kernel)
    for norm in find_layers(network, layers.BatchNormalization):
        norm.gamma.assign(np.ones(norm.gamma.shape))
        norm.beta.assign(np.full(norm.beta.shape, 0.1))
    return keras.models.clone_model(
        network,
        clone_function=lambda x: x.layer if isinstance(x, layers.SpectralNormalization) else x,
    )


def test_images_equal_those_of_the_authors_code():
    generator = set_weights_by_formula(build((256, 256, 3), latent=6, width=8))
    latents = np.sin(1.7 * np.arange(12, dtype=np.float32).reshape(2, 6))
    images = np.asarray(generator(latents, training=True)).transpose(0, 3, 1, 2)
    # Pixels 0, 1/5, 2/5, … of all, the mean and the deviation, before tanh.
    expected = [0.03006374, -0.02310972, -0.45120838, -0.04959867, -0.04531574]
    raw = np.arctanh(images.astype(np.float64))
    np.testing.assert_allclose(raw.ravel()[:: raw.size // 5][:5], expected, atol=2e-5)
    np.testing.assert_allclose([raw.mean(), raw.std()], [-0.02784512, 0.17737588], atol=2e-5)


@pytest.mark.parametrize(
    ("shape", "classes", "first"), [((96, 64, 1), CLASSES, (6, 4)), ((160, 160, 4), 0, (5, 5))]
)
def test_maps_double_from_the_smallest_to_images_in_the_range(shape, classes, first):
    generator = build(shape, classes=classes)
    images = np.asarray(generator(draw_inputs(generator), training=True))
    assert images.shape == (2, *shape) and images.dtype == np.float32
    assert 0.01 < np.abs(images).max() <= 1
    assert smallest_map(*shape[:2]) == first
    norms = [x.output.shape[1:] for x in find_layers(generator, layers.BatchNormalization)]
    sides = list(dict.fromkeys(x[:2] for x in norms))
    assert sides == [(first[0] << n, first[1] << n) for n in range(len(sides))]
    # Twice the channels of the maps, half of which are gates.
    widths = list(dict.fromkeys(norms))
    assert [x[2] // 2 for x in widths] == [64, 32, 16, 8, 8, 4][: len(widths)]


def test_max_width_limits_channels_and_every_block_can_have_two_convolutions():
    norms = find_layers(build(max_width=20, comp_every=1), layers.BatchNormalization)
    assert [x.output.shape[3] // 2 for x in norms] == [20, 20, 20, 16, 16, 8, 8, 8, 8]
    alternating = find_layers(build(), layers.BatchNormalization)
    assert [x.output.shape[1] for x in alternating] == [4, 8, 8, 16, 32, 32, 64]


def test_noise_is_added_in_training_alone_once_its_factor_is_learned():
    generator = build()
    inputs = draw_inputs(generator)
    before = np.asarray(generator(inputs))
    factors = find_layers(generator, layers.Conv2D)
    assert [x.output.shape[1:] for x in factors] == [(side, side, 1) for side in (8, 8, 32, 32)]
    for factor in factors:
        # At first training adds no noise either.
        np.testing.assert_array_equal(factor.kernel, np.zeros((1, 1, 1, 1)))
        factor.kernel.assign(factor.kernel + 0.5)
    np.testing.assert_array_equal(generator(inputs), before)
    noise = keras.Model(generator.inputs, [factor.output for factor in factors])
    first, second = noise(inputs, training=True), noise(inputs, training=True)
    for a, b in zip(first, second, strict=True):
        assert a.shape[-1] == 1 and np.abs(np.asarray(a) - np.asarray(b)).max() > 0.1
        np.testing.assert_allclose(np.std(a), 0.5, atol=0.12)


def test_small_maps_scale_the_channels_of_maps_16_times_as_large():
    generator = build((96, 64, 3))
    # The gates of feature maps are products as well: excitation has inputs of two sizes.
    (excitation,) = [
        x for x in find_layers(generator, layers.Multiply) if x.input[0].shape != x.input[1].shape
    ]
    large, factors = excitation.input
    assert large.shape[1:] == (96, 64, 8) and factors.shape[1:] == (1, 1, 8)
    gates = [x for x in find_layers(generator, layers.Multiply) if x is not excitation]
    source = gates[0].output
    assert source.shape[1:] == (6, 4, 64)
    first, second = find_layers(generator, layers.SpectralNormalization)[-3:-1]
    model = keras.Model(generator.inputs, [source, factors])
    small, computed = map(np.asarray, model(draw_inputs(generator)))
    hidden = np.einsum("nhwc,hwck->nk", small, np.asarray(first.layer.kernel))
    hidden = hidden / (1 + np.exp(-hidden))
    expected = 1 / (1 + np.exp(-hidden @ np.asarray(second.layer.kernel)[0, 0]))
    np.testing.assert_allclose(computed[:, 0, 0], expected, atol=1e-6)


def test_unit_latents_have_the_same_length_whatever_they_were():
    generator = build(unit_latents=True)
    latents = draw_inputs(generator)
    np.testing.assert_allclose(generator(5 * latents), generator(latents), atol=1e-6)
    (scaled,) = find_layers(generator, layers.Rescaling)
    code = keras.Model(generator.inputs, scaled.output)(latents)
    expected = latents / np.sqrt(np.square(latents).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(code, expected, atol=1e-6)


def test_a_saved_generator_depends_on_latent_and_class_and_loads_in_safe_mode(tmp_path):
    generator = build((32, 32, 3), classes=CLASSES, unit_latents=True)
    inputs = latents, labels = draw_inputs(generator)
    for changed in ([latents, labels[[0, 0]]], [latents[[0, 0]], labels]):
        first, second = np.asarray(generator(changed))
        assert np.abs(first - second).max() > 0.1 * np.abs(first).max()
    generator.save(tmp_path / "generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(inputs), generator(inputs))
