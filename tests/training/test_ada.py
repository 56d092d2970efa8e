"""ADA's transforms: their numbers in the official code, their sets, and kinds of images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.ada import ada_alike, list_groups
from ganvas.training.ada_color import ColorChange, change_color
from ganvas.training.ada_corruption import Hole, add_noise, cut_out
from ganvas.training.ada_filter import combine_gains, filter_bands
from ganvas.training.ada_geometry import Motion, move

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (4, 24, 24, 3)).astype(np.float32)

# Draws of two images for each transform, and its neutral draws.
DRAWS = {
    "flip": ([1, 1], [0, 0]),
    "turns": ([1, 3], [0, 0]),
    "shift": ([[0.1, -0.06], [-0.12, 0.03]], [[0, 0], [0, 0]]),
    "scale": ([1.3, 0.7], [1, 1]),
    "rotation": ([0.5, -2], [0, 0]),
    "stretch": ([0.8, 1.2], [1, 1]),
    "last_rotation": ([1, -0.3], [0, 0]),
    "offset": ([[0.07, -0.2], [-0.1, 0.15]], [[0, 0], [0, 0]]),
    "brightness": ([0.2, -0.3], [0, 0]),
    "contrast": ([0.6, 1.7], [1, 1]),
    "luma_flip": ([1, 1], [0, 0]),
    "hue": ([1, -2.5], [0, 0]),
    "saturation": ([0.3, 2], [1, 1]),
    "factors": ([[2, 1, 0.5, 1.5], [0.4, 3, 1, 0.7]], [[1] * 4] * 2),
    "sigma": ([0.1, 0.05], [0, 0]),
    "hole": ([0.5, 0.5], [0, 0]),
}
# What NVlabs/stylegan2-ada-pytorch computes for these, in float64: two pixels, the sum of the
# images with weights, and a pixel and a weighted sum of that sum's gradient by the images.
OFFICIAL = {
    ("flip",): [-0.0856944, 0.3790547, -7.124276, 0.8680718, 32.60224],
    ("turns",): [-0.398728, 0.3704116, -44.78516, -0.4316591, 48.94727],
    ("shift",): [-0.4509082, -0.06681288, 22.01222, -0.3232895, 1.364668],
    ("scale",): [0.05020784, -0.5908213, 82.97349, 0.0891168, -1.430368],
    ("rotation", "last_rotation"): [-0.3990847, -0.03457697, -55.6031, 0.9398062, 12.19087],
    ("stretch",): [-0.4496171, 0.2354567, 95.3409, -1.008475, -16.80136],
    ("offset",): [-0.6783635, -0.2698801, -15.82134, 1.450425, -17.45751],
    ("brightness",): [-0.5344857, -1.05102, 52.43185, -0.7909677, 1.594864],
    ("contrast",): [-0.4406914, -1.276734, 48.61698, -1.344645, 0.348964],
    ("luma_flip",): [-0.1954325, 0.03900312, 48.52812, -0.7025342, 2.510534],
    ("hue",): [-0.0754545, 0.1407078, 21.85527, 0.1695615, -0.4120698],
    ("saturation",): [-0.4090144, -1.107029, 42.57662, -1.537719, -0.2641249],
    ("factors",): [-0.3986375, -1.286007, 135.2672, -6.439612, 10.77436],
    ("sigma",): [-0.6443069, -0.7955199, 51.93386, -0.7909677, 1.594864],
    ("hole",): [-0.7344857, -0.7510201, 25.03116, -0.7909677, -2.341818],
    tuple(DRAWS): [-0.2873761, 3.446459, 46.77459, 10.76758, -110.6065],
}


def ada(images, transforms, probability, seed):
    (augmented,) = ada_alike([images], transforms, probability, seed)
    return augmented


def make_seed(seed=0):
    return keras.random.SeedGenerator(seed)


def apply(images, drawn):
    """Apply all transforms to two images, of which those that aren't named have neutral draws."""
    draws = {
        name: tf.constant(values if name in drawn else neutral, "float32")
        for name, (values, neutral) in DRAWS.items()
    }
    n, y, x, k = np.indices((2, 24, 24, 3)).astype(np.float32)
    images = move(images, Motion(*(draws[name] for name in Motion._fields)))
    images = change_color(images, ColorChange(*(draws[name] for name in ColorChange._fields)))
    images = filter_bands(images, combine_gains(draws["factors"]))
    sigma = draws["sigma"][:, None, None, None]
    images = add_noise(images, sigma * np.sin(x * 3 + y * 5 + k + n))
    return cut_out(images, Hole(tf.constant([[0.3, 0.6], [0.9, 0.2]]), draws["hole"][:, None]))


@pytest.mark.parametrize("drawn", OFFICIAL, ids=lambda drawn: "+".join(drawn)[:20])
def test_transforms_and_their_gradients_have_the_numbers_of_the_official_code(drawn):
    n, y, x, k = np.indices((2, 24, 24, 3)).astype(np.float32)
    images = 0.7 * np.sin(0.5 * x + 0.3 * y + k + 2 * n) + 0.3 * np.cos(0.9 * y - 0.2 * x * k)
    weights, others = np.cos(0.4 * x - 0.7 * y + 2 * k + n), np.sin(0.2 * x * y + k - n)
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        result = apply(images, drawn)
    gradient = tape.gradient(result, images, output_gradients=weights).numpy().astype(float)
    result = result.numpy().astype(float)
    total, weighted = (result * weights).sum(), (gradient * others).sum()
    numbers = [result[0, 5, 7, 0], result[1, 20, 3, 2], total, gradient[1, 4, 9, 1], weighted]
    np.testing.assert_allclose(numbers, OFFICIAL[drawn], rtol=1e-5, atol=3e-5)


def test_sets_have_the_groups_of_the_official_code():
    groups = ["blit", "geom", "color", "filter", "noise", "cutout"]
    for name in groups:
        assert list_groups(name) == {name}
    for count, name in enumerate(["bg", "bgc", "bgcf", "bgcfn", "bgcfnc"], start=2):
        assert list_groups(name) == set(groups[:count])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_probability_0_leaves_images_of_any_dtype_unchanged_but_for_filtering(channels):
    images = RNG.uniform(-1, 1, (3, 22, 30, channels))
    for dtype in ("float32", "bfloat16", "float16"):
        same = keras.ops.cast(images, dtype)
        result = ada(same, "bgc", 0.0, make_seed())
        assert result.dtype == same.dtype
        assert np.asarray(result).tobytes() == np.asarray(same).tobytes()
    np.testing.assert_allclose(ada(images, "bgcfnc", 0.0, make_seed()), images, atol=2e-6)


def test_a_graph_resamples_no_image_that_is_not_moved():
    seed, probability = make_seed(), tf.Variable(0.0)
    augmented = tf.function(lambda images: ada(images, "bgc", probability, seed))
    np.testing.assert_array_equal(augmented(IMAGES), IMAGES)
    probability.assign(1.0)
    assert np.abs(augmented(IMAGES) - IMAGES).max() > 0.1


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_any_channels_are_changed_alike_but_for_alpha(channels):
    images = RNG.uniform(-1, 1, (3, 24, 32, 1)).astype(np.float32)
    rgb = np.repeat(images, 3, axis=-1)
    alpha = RNG.uniform(-1, 1, (3, 24, 32, 1)).astype(np.float32)
    other = images if channels == 1 else np.concatenate([rgb, alpha], axis=-1)
    expected = np.asarray(ada(rgb, "bgc", 1.0, make_seed(3)))
    result = np.asarray(ada(other, "bgc", 1.0, make_seed(3)))
    np.testing.assert_allclose(result[..., :3], expected[..., : result.shape[-1]], atol=1e-5)
    if channels == 4:
        # Alpha is moved as the image is, but has no color.
        moved = ada(np.repeat(alpha, 3, axis=-1), "bg", 1.0, make_seed(3))
        np.testing.assert_allclose(result[..., 3], np.asarray(moved)[..., 0], atol=1e-5)


def test_only_geometry_and_cutout_change_alpha():
    images = RNG.uniform(-1, 1, (3, 24, 24, 4)).astype(np.float32)
    for name in ("color", "filter", "noise"):
        result = np.asarray(ada(images, name, 1.0, make_seed(1)))
        np.testing.assert_array_equal(result[..., 3], images[..., 3])
        assert (result[..., :3] != images[..., :3]).mean() > 0.9
    result = np.asarray(ada(images, "cutout", 1.0, make_seed(1)))
    hole = (result != images).any(axis=-1)
    assert (result[hole] == [0, 0, 0, -1]).all() and 0.05 < hole.mean() <= 0.25


def test_the_same_numbers_are_drawn_for_batches_that_are_augmented_alike():
    first, second = ada_alike([IMAGES, IMAGES[::-1]], "bgcfnc", 0.8, make_seed(2))
    np.testing.assert_array_equal(first, ada(IMAGES, "bgcfnc", 0.8, make_seed(2)))
    np.testing.assert_array_equal(second, ada(IMAGES[::-1], "bgcfnc", 0.8, make_seed(2)))
    assert np.abs(np.asarray(first) - np.asarray(second)[::-1]).max() > 0.1


def test_each_call_draws_other_numbers():
    seed = make_seed(2)
    first, second = (np.asarray(ada(IMAGES, "bgc", 1.0, seed)) for _ in range(2))
    assert (np.abs(first - second).max(axis=(1, 2, 3)) > 0.01).all()


def test_bfloat16_images_are_computed_in_float32():
    images = keras.ops.cast(IMAGES, "bfloat16")
    result = ada(images, "bgcfnc", 1.0, make_seed(9))
    expected = ada(keras.ops.cast(images, "float32"), "bgcfnc", 1.0, make_seed(9))
    np.testing.assert_array_equal(result, keras.ops.cast(expected, "bfloat16"))


def test_second_derivatives_agree_with_finite_differences():
    images = tf.constant(IMAGES[:, :22, :, :])
    direction, weights = (RNG.normal(size=images.shape).astype(np.float32) for _ in range(2))

    def penalty(x):
        """Return a loss of the gradient by images of a function that isn't linear, as R1 is."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(weights * ada(x, "bgcfnc", 0.7, make_seed(6)) ** 3)
        return tf.reduce_sum(tape.gradient(score, x) ** 2) / 1e4

    with tf.GradientTape() as tape:
        tape.watch(images)
        value = penalty(images)
    derivative = float(tf.reduce_sum(tape.gradient(value, images) * direction))
    step = 1e-3
    difference = penalty(images + step * direction) - penalty(images - step * direction)
    assert derivative == pytest.approx(float(difference) / (2 * step), rel=2e-3)


@pytest.mark.slow
def test_a_graph_takes_batches_of_unknown_size_and_xla_compiles_it():
    seed = make_seed(8)

    @tf.function(input_signature=[tf.TensorSpec((None, 24, 32, 3))])
    def step(images):
        return ada(images, "bgcfnc", 0.6, seed)

    images = RNG.uniform(-1, 1, (5, 24, 32, 3)).astype(np.float32)
    expected = ada(images, "bgcfnc", 0.6, make_seed(8))
    np.testing.assert_allclose(step(images), expected, atol=1e-5)
    assert step(images[:2]).shape == (2, 24, 32, 3)

    @tf.function(jit_compile=True)
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            (result,) = ada_alike([images], "bgcfnc", 0.9, seed, static_shapes=True)
        return result, tape.gradient(result, images)

    for array in gradient(images):
        assert np.isfinite(array).all() and np.abs(array).max() > 0.1
