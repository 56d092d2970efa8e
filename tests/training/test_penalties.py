import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from ganvas.training.penalties import (
    PenaltyParams,
    interpolate,
    lecam_penalty,
    move_average,
    one_centered_penalty,
    zero_centered_penalty,
)

SHAPE = (4, 3, 2, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, SHAPE).astype(np.float32)
SLOPE = RNG.normal(size=SHAPE[1:]).astype(np.float32)


def gradient_of(discriminator, images):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(discriminator(x))
    return tape.gradient(total, x)


def linear(x):
    """D(x) = <SLOPE, x>: the gradient is SLOPE at every image."""
    return tf.reduce_sum(x * SLOPE, axis=(1, 2, 3))


def quadratic(x):
    """D(x) = ‖x‖²: the gradient is 2x."""
    return tf.reduce_sum(x**2, axis=(1, 2, 3))


def test_zero_centered_penalty_of_discriminators_with_known_gradients():
    squared = (SLOPE.astype(float) ** 2).sum()
    assert float(zero_centered_penalty(gradient_of(linear, IMAGES))) == pytest.approx(squared)
    expected = np.mean([4 * (image.astype(float) ** 2).sum() for image in IMAGES])
    assert float(zero_centered_penalty(gradient_of(quadratic, IMAGES))) == pytest.approx(expected)


def test_one_centered_penalty_of_discriminators_with_known_gradients():
    expected = (np.linalg.norm(SLOPE.ravel().astype(float)) - 1) ** 2
    assert float(one_centered_penalty(gradient_of(linear, IMAGES))) == pytest.approx(expected)
    norms = [2 * np.linalg.norm(image.ravel().astype(float)) for image in IMAGES]
    expected = np.mean([(norm - 1) ** 2 for norm in norms])
    assert float(one_centered_penalty(gradient_of(quadratic, IMAGES))) == pytest.approx(expected)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("penalty", [zero_centered_penalty, one_centered_penalty])
def test_a_penalty_has_a_finite_gradient_even_where_the_discriminator_is_flat(penalty, compiled):
    # Compiled too: TensorFlow's own kernel takes 0 · infinity for 0 where XLA does not.
    @tf.function(jit_compile=compiled)
    def differentiate(gradient):
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            value = penalty(gradient)
        return value, tape.gradient(value, gradient)

    value, slope = differentiate(tf.constant(np.stack([np.zeros(SHAPE[1:], np.float32), SLOPE])))
    norm = np.linalg.norm(SLOPE)
    if penalty is zero_centered_penalty:
        expected, expected_slope = (0 + norm**2) / 2, SLOPE
    else:
        expected, expected_slope = (1 + (norm - 1) ** 2) / 2, (1 - 1 / norm) * SLOPE
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(slope[0], 0)
    np.testing.assert_allclose(slope[1], expected_slope, rtol=1e-5)


@pytest.mark.parametrize("penalty", [zero_centered_penalty, one_centered_penalty])
def test_penalties_of_short_gradients_are_computed_in_float32(penalty):
    gradient = np.full((2, 4, 4, 3), 300, np.float16)
    value = penalty(keras.ops.convert_to_tensor(gradient))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == pytest.approx(float(penalty(gradient.astype(np.float32))))


def test_interpolated_images_lie_between_their_pairs():
    real, fake = np.ones((500, 2, 2, 3), np.float32), np.full((500, 2, 2, 3), -1, np.float32)
    between = np.asarray(interpolate(real, fake, keras.random.SeedGenerator(1)))
    assert between.dtype == np.float32
    # One place for all values of an image, uniform over images.
    assert (between == between[:, :1, :1, :1]).all()
    places = (between[:, 0, 0, 0] + 1) / 2
    assert places.min() >= 0 and places.max() <= 1
    assert places.mean() == pytest.approx(0.5, abs=0.05)
    assert places.std() == pytest.approx(12**-0.5, abs=0.03)
    again = interpolate(real, fake, keras.random.SeedGenerator(1))
    np.testing.assert_array_equal(again, between)


def test_interpolation_keeps_its_ends_and_its_type():
    images = keras.ops.cast(IMAGES, "bfloat16")
    between = interpolate(images, images, keras.random.SeedGenerator(0))
    assert keras.backend.standardize_dtype(between.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(between, "float32"), IMAGES, atol=0.02)


def test_interpolation_takes_batches_of_unknown_size():
    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE[1:]))])
    def mix(images):
        return interpolate(images, images, seed)

    seed = keras.random.SeedGenerator(0)
    np.testing.assert_allclose(mix(IMAGES), IMAGES, atol=1e-6)


def test_lecam_penalty_agrees_with_numpy():
    real, fake = RNG.normal(size=(2, 6, 1))
    real_average, fake_average = 0.5, -0.3
    expected = np.mean([max(0.0, float(x) - fake_average) ** 2 for x in real[:, 0]])
    expected += np.mean([max(0.0, real_average - float(x)) ** 2 for x in fake[:, 0]])
    value = lecam_penalty(*(np.float32(x) for x in (real, fake, real_average, fake_average)))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_lecam_penalty_pulls_real_logits_down_and_generated_ones_up():
    logits = [tf.constant([[2.0]]), tf.constant([[-2.0]])]
    averages = [tf.constant(1.0), tf.constant(-1.0)]
    with tf.GradientTape() as tape:
        tape.watch(logits + averages)
        value = lecam_penalty(*logits, *averages)
    real, fake, *of_averages = tape.gradient(value, logits + averages)
    assert float(value) == 18 and float(real[0, 0]) == 6 and float(fake[0, 0]) == -6
    assert of_averages == [None, None]
    assert float(lecam_penalty([[-2.0]], [[2.0]], 1.0, -1.0)) == 0


def test_averages_move_by_their_decay():
    assert float(move_average(2.0, 4.0, 0.75)) == pytest.approx(0.75 * 2 + 0.25 * 4)
    assert float(move_average(1e30, 4.0, 0.0)) == 4
    value = tf.constant(4.0)
    with tf.GradientTape() as tape:
        tape.watch(value)
        moved = move_average(2.0, value, 0.5)
    assert tape.gradient(moved, value) is None


def test_penalties_are_off_unless_asked_for():
    params = PenaltyParams()
    assert (params.r1, params.r2, params.wgan_gp, params.lecam) == (0, 0, 0, 0)
    for wrong in ({"r1": -1}, {"interval": 0}, {"lecam_decay": 1}, {"lecam_start": -1}):
        with pytest.raises(ValidationError):
            PenaltyParams(**wrong)
