"""Styles: an untrained generator whose weights are a formula's values."""

import keras
import numpy as np
import pytest

from ganvas.networks.batches import to_uint8
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import (
    MEAN_LATENTS,
    class_mean_styles,
    find_class_means,
    group_layers,
    map_latents,
    mean_style,
    mean_styles,
    mix_styles,
    repeat_styles,
    synthesize,
    truncate,
)

CLASSES, WIDTH, LAYERS = 3, 8, 6
PARAMS = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=WIDTH)


def build(classes=0):
    keras.utils.set_random_seed(1)
    generator = build_stylegan2(PARAMS, (16, 24, 3), classes).generator
    rng = np.random.default_rng(0)
    for layer in generator.get_layer("synthesis").layers:
        if layer.name.endswith("noise_strength"):
            layer.kernel.assign(np.full((1, 1), 0.5))
        elif layer.name.endswith("_bias"):
            layer.kernel.assign(layer.kernel + rng.normal(size=layer.kernel.shape) / 2)
    generator.get_layer("style_mean").kernel.assign(rng.normal(size=(1, WIDTH)))
    return generator


@pytest.fixture(scope="module")
def generator():
    return build()


@pytest.fixture(scope="module")
def conditional():
    return build(CLASSES)


def latents_of(generator, count, seed=0):
    return sample_latents(generator, count, seed)


def test_styles_without_change_generate_the_generators_images(conditional):
    latents, labels = latents_of(conditional, 5), one_hot(np.arange(5) % CLASSES, CLASSES)
    images = generate_images(conditional, latents, labels)
    styles = map_latents(conditional, latents, labels)
    assert styles.shape == (5, WIDTH) and styles.dtype == np.float32
    np.testing.assert_array_equal(synthesize(conditional, styles), images)
    assert (images[1:] != images[:-1]).any(axis=(1, 2, 3)).all()


def test_truncation_of_an_image_does_not_depend_on_others(conditional):
    latents, labels = latents_of(conditional, 70), one_hot(np.arange(70) % CLASSES, CLASSES)
    psi = np.resize(np.float32([1, 0.5, 0.7, 2]), 70)
    images = generate_images(conditional, latents, labels, psi)
    for rows in (slice(0, 1), slice(1, 4), slice(68, 70)):
        alone = generate_images(conditional, latents[rows], labels[rows], psi[rows])
        np.testing.assert_array_equal(alone, images[rows])
    whole = generate_images(conditional, latents, labels)
    np.testing.assert_array_equal(images[::4], whole[::4])
    assert (images[1::4] != whole[1::4]).any(axis=(1, 2, 3)).all()


def test_truncation_is_towards_the_mean_style(generator):
    latents = latents_of(generator, 3)
    images = generate_images(generator, latents, truncation=0.7)
    mean = np.asarray(generator.get_layer("style_mean").kernel)
    styles = mean + np.float32(0.7) * (map_latents(generator, latents) - mean)
    close = synthesize(generator, styles)
    assert np.abs(images.astype(int) - close).max() <= 1
    zero = generate_images(generator, latents, truncation=0)
    np.testing.assert_array_equal(zero, np.repeat(synthesize(generator, mean), 3, axis=0))


def test_the_means_of_no_one_and_two_label_columns(generator, conditional):
    assert find_class_means(generator, 0) is None
    np.testing.assert_array_equal(find_class_means(conditional, 1), class_mean_styles(conditional))
    # Of two, the mean of a row is that of its own styles, not of those of its values.
    row = np.zeros((1, CLASSES), np.float32)
    row[0, :2] = 0.5
    mean = find_class_means(conditional, 2)(row)
    sampled = np.random.default_rng([0, 2]).standard_normal(
        (MEAN_LATENTS, conditional.inputs[0].shape[-1]), dtype=np.float32
    )
    styles = map_latents(conditional, sampled, row.repeat(MEAN_LATENTS, axis=0))
    np.testing.assert_allclose(mean[0], styles.mean(axis=0), atol=1e-5)
    assert np.abs(mean - row @ class_mean_styles(conditional)).max() > 1e-3


def test_truncation_is_towards_the_mean_of_the_images_class(conditional):
    means = class_mean_styles(conditional)
    assert means.shape == (CLASSES, WIDTH) and means.dtype == np.float32
    latents, labels = latents_of(conditional, 4000, 9), one_hot(np.full(4000, 1), CLASSES)
    styles = map_latents(conditional, latents, labels)
    deviation = styles.std(axis=0)
    assert (np.abs(styles.mean(axis=0) - means[1]) < 0.2 * deviation).all()
    assert (np.abs(means[0] - means[1]) > deviation).any()
    zero = generate_images(conditional, latents[:2], labels[:2], truncation=0)
    np.testing.assert_array_equal(zero, np.repeat(synthesize(conditional, means[1:2]), 2, axis=0))
    # Means of a choice, such as the global one.
    chosen = np.repeat(mean_style(conditional)[None], CLASSES, axis=0)
    zero = generate_images(conditional, latents[:1], labels[:1], 0, class_means=chosen)
    np.testing.assert_array_equal(zero, synthesize(conditional, chosen[:1]))


def test_a_mixture_of_classes_has_the_mixture_of_their_means(conditional):
    means = class_mean_styles(conditional)
    labels = np.float32([[0.25, 0, 0.75], [0, 1, 0]])
    mixed = mean_styles(conditional, labels, means)
    np.testing.assert_allclose(mixed[0], 0.25 * means[0] + 0.75 * means[2], rtol=1e-5)
    np.testing.assert_array_equal(mixed[1], means[1])


def test_the_stored_truncation_comes_last_and_is_towards_the_generators_mean(generator):
    latents, mean = latents_of(generator, 2), mean_style(generator)
    styles = map_latents(generator, latents)
    stored = generator.get_layer("truncation").kernel
    try:
        stored.assign(np.float32([0.5, 0.5, 1, 1, 1, 1]).reshape(1, LAYERS, 1))
        whole = generate_images(generator, latents)
        np.testing.assert_array_equal(synthesize(generator, styles), whole)
        both = generate_images(generator, latents, truncation=0.5)
    finally:
        stored.assign(np.ones((1, LAYERS, 1)))
    psi = np.float32([0.25, 0.25, 0.5, 0.5, 0.5, 0.5])[:, None]
    expected = synthesize(generator, mean + psi * (repeat_styles(generator, styles) - mean))
    assert np.abs(both.astype(int) - expected).max() <= 1


def test_truncate_agrees_with_its_formula():
    rng = np.random.default_rng(0)
    styles, means = rng.normal(size=(2, 4, WIDTH)).astype(np.float32)
    psi = np.float32([0, 1, 0.3, -1])
    truncated = truncate(styles, means, psi)
    np.testing.assert_array_equal(truncated[:2], [means[0], styles[1]])
    expected = means + psi[:, None] * (styles - means)
    np.testing.assert_allclose(truncated, expected, atol=1e-6)
    by_layer = np.repeat(styles[:, None], LAYERS, axis=1)
    cut = truncate(by_layer, means, psi, cutoff=2)
    assert cut.shape == (4, LAYERS, WIDTH)
    np.testing.assert_array_equal(cut[:, :2], np.repeat(truncated[:, None], 2, axis=1))
    np.testing.assert_array_equal(cut[:, 2:], by_layer[:, 2:])
    with pytest.raises(ValueError, match="N, L, W"):
        truncate(styles, means, psi, cutoff=2)


def test_styles_of_some_layers_are_replaced(generator):
    coarse, fine = np.zeros((2, LAYERS, 1)), np.ones((2, LAYERS, 1))
    assert mix_styles(coarse, fine, [1, 5])[0, :, 0].tolist() == [0, 1, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="0 and 5"):
        mix_styles(coarse, fine, range(4, 7))
    a, b = repeat_styles(generator, map_latents(generator, latents_of(generator, 2)))[:, None]
    images = synthesize(generator, np.concatenate([a, b, mix_styles(a, b, range(LAYERS))]))
    np.testing.assert_array_equal(images[1], images[2])


def test_groups_of_layers_are_those_of_the_papers():
    assert group_layers(18) == {
        "coarse": range(4),
        "middle": range(4, 8),
        "fine": range(8, 18),
    }
    assert group_layers(6) == {"coarse": range(4), "middle": range(4, 6)}


def test_noise_is_the_generators_own_or_new_or_none(generator):
    styles = map_latents(generator, latents_of(generator, 1)).repeat(70, axis=0)
    const, none, random = (synthesize(generator, styles, x) for x in ("const", "none", "random"))
    for images in (const, none):
        np.testing.assert_array_equal(images, images[:1].repeat(70, axis=0))
    assert (random[1:] != random[:-1]).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(
        synthesize(generator, styles[:2], "random", numbers=[65, 66]), random[65:67]
    )
    other = synthesize(generator, styles[:1], "random", seed=1)
    assert (other != random[:1]).any() and (const[0] != none[0]).any()


def test_no_noise_is_noise_of_zeros(generator):
    latents = latents_of(generator, 2)
    kernels = [x.kernel for x in generator.layers if x.name.endswith("_noise_const")]
    saved = [np.asarray(x) for x in kernels]
    assert len(kernels) == LAYERS - 1
    try:
        for kernel in kernels:
            kernel.assign(np.zeros(kernel.shape))
        expected = to_uint8(np.asarray(generator(latents, training=False)))
    finally:
        for kernel, value in zip(kernels, saved, strict=True):
            kernel.assign(value)
    images = synthesize(generator, map_latents(generator, latents), noise="none")
    assert np.abs(images.astype(int) - expected).max() <= 1
