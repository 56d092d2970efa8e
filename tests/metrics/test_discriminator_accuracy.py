import keras
import numpy as np
import pytest

from ganvas.metrics.discriminator_accuracy import (
    compute_logits,
    compute_logits_among,
    discriminator_accuracy,
)
from ganvas.networks.equalized import append_group_deviation


def test_logits_do_not_depend_on_the_batch(networks, images):
    _, discriminator = networks
    many = np.concatenate([images] * 4)
    expected = discriminator(many.astype(np.float32) / 127.5 - 1, training=False)
    np.testing.assert_allclose(
        compute_logits(discriminator, many), np.asarray(expected)[:, 0], rtol=1e-4
    )


def test_accuracy_counts_logits_on_the_correct_side():
    logits = np.array([-2.0, -1.0, 0.5, 3.0, 4.0])
    assert discriminator_accuracy(logits, real=True) == pytest.approx(0.6)
    assert discriminator_accuracy(logits, real=False) == pytest.approx(0.4)
    assert discriminator_accuracy(logits, real=True, threshold=0.5) == pytest.approx(0.4)
    assert discriminator_accuracy(logits, real=False, threshold=3.5) == pytest.approx(0.8)


def test_logits_and_accuracy_of_a_discriminator_of_brightness(images):
    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Flatten()(keras.layers.GlobalAveragePooling2D()(inputs))
    outputs = keras.layers.Dense(1, kernel_initializer="ones")(outputs)
    logits = compute_logits(keras.Model(inputs, outputs), images)
    bright = images.reshape(20, -1).astype(float).mean(1) > 127.5
    assert (
        discriminator_accuracy(logits[bright], real=True) == 1
        and discriminator_accuracy(logits[~bright], real=False) == 1
    )


@pytest.fixture(scope="module")
def comparing_discriminator() -> keras.Model:
    """Logits of the level of an image's class, and of the deviation of its group of 4 images."""
    inputs, labels = keras.Input((2, 2, 1)), keras.Input((2,))
    level_and_deviation = append_group_deviation(inputs, 4)[:, 0, 0]
    level = level_and_deviation[:, :1] * labels[:, 1:]
    return keras.Model([inputs, labels], 10 * level_and_deviation[:, 1:] + level)


def draw_levels(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gray images, their levels from -1 to 1, and one-hot classes."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, count)
    images = np.zeros((count, 2, 2, 1), np.uint8) + levels[:, None, None, None]
    return images.astype(np.uint8), levels / 127.5 - 1, np.eye(2)[rng.integers(0, 2, count)]


def test_the_last_images_are_compared_with_as_many_others_as_the_first(comparing_discriminator):
    images, levels, labels = draw_levels(65, seed=1)
    logits = compute_logits(comparing_discriminator, images, labels.astype(np.float32))
    # Image 64 ends a batch of the last 64 images; alone it would differ from no other.
    assert logits[64] == pytest.approx(
        10 * np.std(levels[[16, 32, 48, 64]]) + levels[64] * labels[64, 1], abs=1e-3
    )
    assert logits[17] == pytest.approx(
        10 * np.std(levels[[1, 17, 33, 49]]) + levels[17] * labels[17, 1], abs=1e-3
    )


@pytest.mark.parametrize("count", [1, 9])
def test_copies_of_an_image_are_each_compared_with_other_images(count, comparing_discriminator):
    images, levels, labels = (np.repeat(x[:1], count, axis=0) for x in draw_levels(1, seed=2))
    labels = np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    others, other_levels, other_labels = draw_levels(60, seed=3)
    logits = compute_logits_among(
        comparing_discriminator, images, labels, others, other_labels.astype(np.float32)
    )
    # Two groups for each image of a batch: the image is followed by the others.
    batch = min(count, 8)
    group = np.append(levels[0], other_levels[batch + np.arange(0, 6 * batch, 2 * batch)])
    assert logits[0] == pytest.approx(10 * np.std(group), abs=1e-3)
    if count > 1:
        assert logits[1] - levels[0] > 0.1
        # The ninth image has a batch of its own.
        group = np.append(levels[0], other_levels[[1, 3, 5]])
        assert logits[8] == pytest.approx(10 * np.std(group), abs=1e-3)
