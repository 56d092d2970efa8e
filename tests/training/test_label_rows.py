"""Training with several label columns: batches, centering of anchors, and a step."""

from itertools import islice

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet, draw_batches
from ganvas.training.gan import GAN
from ganvas.training.latent_anchoring import RIDGE, _center_by_values

# Combinations of two columns of two values, the last one of no training image.
ROWS = np.float32([[0.5, 0, 0.5, 0], [0, 0.5, 0.5, 0], [0, 0.5, 0, 0.5]])
LABELS = np.arange(24, dtype=np.int32) % 3


def make_data() -> TrainingSet:
    images = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None, None], (24, 8, 8, 3))
    return TrainingSet(images, np.arange(24), LABELS, 4, rows=ROWS)


def test_batches_have_the_rows_of_real_images_and_of_targets():
    for images, _, real, fake in islice(draw_batches(make_data(), 5, TrainParams(batch_size=6)), 8):
        np.testing.assert_array_equal(real, ROWS[images[:, 0, 0, 0] % 3])
        np.testing.assert_array_equal(fake, real)
        assert real.dtype == fake.dtype == np.float32


def test_uniform_sampling_draws_combinations_of_training_images_equally_often():
    params = TrainParams(batch_size=6, uniform_class_sampling=True)
    batches = islice(draw_batches(make_data(), 5, params), 300)
    fake = np.concatenate([fake for *_, fake in batches])
    counts = [(fake == row).all(axis=1).mean() for row in ROWS]
    np.testing.assert_allclose(counts, 1 / 3, atol=0.04)


def test_anchors_are_centered_by_a_regression_on_the_values():
    rng = np.random.default_rng(0)
    # Values of the second column are rare, as most are of forty.
    numbers = np.stack([rng.integers(2, size=60), (rng.random(60) < 0.1).astype(int)], axis=1)
    weights = np.zeros((60, 4), np.float32)
    for row, (first, second) in enumerate(numbers):
        weights[row, [first, 2 + second]] = 0.5
    rows = rng.normal(size=(60, 7)) + 3 * numbers[:, :1] - 2 * numbers[:, 1:]
    rows = rows.astype(np.float32)

    # Ridge regression of each column, by its normal equations, with a free intercept.
    values = (weights > 0).astype(float)
    centered = values - values.mean(axis=0)
    expected = np.empty_like(rows)
    for column in range(7):
        target = rows[:, column] - rows[:, column].mean()
        gram = centered.T @ centered + RIDGE * np.eye(4)
        effects = np.linalg.solve(gram, centered.T @ target)
        for row in range(60):
            expected[row, column] = target[row] - sum(
                centered[row, value] * effects[value] for value in range(4)
            )
    actual = _center_by_values(rows, weights)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert actual.dtype == np.float32
    # Both labels' differences are gone, up to what the rare value's few images are shrunk by.
    for column, most in ((0, 0.2), (1, 1.0)):
        one, other = (actual[numbers[:, column] == value].mean(axis=0) for value in (0, 1))
        assert np.abs(one - other).max() < most


def build_gan() -> GAN:
    """Build a conditional GAN of two dense layers, with the same weights each time."""
    keras.utils.set_random_seed(0)
    latent, classes = keras.Input((5,), name="latent"), keras.Input((4,), name="classes")
    x = layers.Dense(192, activation="tanh")(layers.Concatenate()([latent, classes]))
    images = layers.Reshape((8, 8, 3))(x)
    generator = keras.Model([latent, classes], images, name="generator")
    inputs, labels = keras.Input((8, 8, 3)), keras.Input((4,))
    logits = layers.Dense(1)(layers.Concatenate()([layers.Flatten()(inputs), labels]))
    discriminator = keras.Model([inputs, labels], logits, name="discriminator")
    params = TrainParams(batch_size=6, ema_decay=0)
    gan = GAN(GanNetworks(generator, discriminator), generator, params)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


@pytest.mark.parametrize("several", [False, True])
def test_a_step_takes_rows_as_it_takes_class_numbers(several):
    images, latents, real, fake = next(
        draw_batches(make_data(), 5, TrainParams(batch_size=6, uniform_class_sampling=True))
    )
    if not several:
        # One-hot rows are the same as the numbers of their classes.
        numbers = (real.argmax(axis=1).astype(np.int32), fake.argmax(axis=1).astype(np.int32))
        real, fake = (np.eye(4, dtype=np.float32)[x] for x in numbers)
    results = []
    for labels in [(real, fake)] + ([] if several else [numbers]):
        gan = build_gan()
        gan.train_step((images, latents, *labels))
        results.append([x.numpy() for x in gan.trainable_variables])
    if several:
        plain = build_gan()
        before = plain.generator.get_weights()[0]
        changed = results[0][0] - before
        # The weights of each target's values, and of no others, are trained.
        used = (fake > 0).any(axis=0)
        assert ((changed[5:] != 0).any(axis=1) == used).all()
    else:
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)
