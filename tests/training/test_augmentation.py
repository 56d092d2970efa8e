import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from ganvas.training.augmentation import (
    AUGMENTATIONS,
    AugmentParams,
    adapt_probability,
    augment,
    augment_alike,
    draw_color,
    draw_cutout,
    draw_translation,
    random_flip,
)

POLICY = ("color", "translation", "cutout")
RNG = np.random.default_rng(0)
# Not square and with odd halves, so that no two sides or roundings can be mistaken.
IMAGES = RNG.uniform(-1, 1, (6, 16, 26, 3)).astype(np.float32)


def seed(number=0):
    return keras.random.SeedGenerator(number)


def numbers(draws):
    return [np.asarray(draw)[:, 0, 0, 0] for draw in draws]


def naive_color(image, brightness, saturation, contrast):
    image = image.astype(float) + brightness
    for row in image:
        for pixel in row:
            gray = pixel.sum() / 3
            pixel[:] = (pixel - gray) * saturation + gray
    return (image - image.mean()) * contrast + image.mean()


def naive_translation(image, y, x):
    moved = np.zeros_like(image)
    for i, j in np.ndindex(image.shape[:2]):
        if 0 <= i - y < image.shape[0] and 0 <= j - x < image.shape[1]:
            moved[i, j] = image[i - y, j - x]
    return moved


def naive_cutout(image, y, x):
    cut, (height, width) = image.copy(), image.shape[:2]
    for i in range(y, y + height // 2):
        for j in range(x, x + width // 2):
            if 0 <= i < height and 0 <= j < width:
                cut[i, j] = 0
    return cut


NAIVE = {"color": naive_color, "translation": naive_translation, "cutout": naive_cutout}


@pytest.mark.parametrize("probability", [1, 0.5])
@pytest.mark.parametrize("name", POLICY)
def test_each_does_what_a_loop_over_pixels_does(name, probability):
    draw, apply = AUGMENTATIONS[name]
    draws = draw(IMAGES, probability, seed(2))
    expected = [NAIVE[name](*each) for each in zip(IMAGES, *numbers(draws), strict=True)]
    np.testing.assert_allclose(apply(IMAGES, draws), expected, atol=2e-6)


def test_a_policy_is_its_members_in_turn():
    expected, one = IMAGES, seed(5)
    for name in POLICY:
        draw, apply = AUGMENTATIONS[name]
        expected = apply(expected, draw(expected, 0.7, one))
    np.testing.assert_array_equal(augment(IMAGES, POLICY, 0.7, seed(5)), expected)


def test_color_draws_have_the_ranges_of_diffaugment():
    many = np.zeros((4000, 1, 1, 3), np.float32)
    for draws, (low, high) in zip(
        numbers(draw_color(many, 1, seed())), [(-0.5, 0.5), (0, 2), (0.5, 1.5)], strict=True
    ):
        assert low <= draws.min() < low + 0.01 * (high - low)
        assert high >= draws.max() > high - 0.01 * (high - low)
        assert draws.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert np.abs(np.corrcoef(numbers(draw_color(many, 1, seed()))) - np.eye(3)).max() < 0.1


def test_translation_draws_reach_an_eighth_of_each_side():
    y, x = numbers(draw_translation(np.zeros((4000, 16, 26, 3), np.float32), 1, seed()))
    assert set(y) == set(range(-2, 3)) and set(x) == set(range(-3, 4))
    assert np.bincount(y + 2).min() > 4000 / 5 * 0.8 and abs(np.corrcoef(y, x)[0, 1]) < 0.1


def test_a_hole_has_its_center_anywhere_in_the_image():
    y, x = numbers(draw_cutout(np.zeros((9000, 16, 26, 3), np.float32), 1, seed()))
    # The official offsets: 0 … 16 for a hole of 8, 0 … 25 for one of 13, less half the hole.
    assert set(y) == set(range(-4, 13)) and set(x) == set(range(-6, 20))
    assert abs(np.corrcoef(y, x)[0, 1]) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_probability_0_leaves_images_bit_for_bit(dtype):
    images = keras.ops.cast(IMAGES, dtype)
    same = augment(images, POLICY, 0.0, seed())
    assert same.dtype == images.dtype
    assert np.asarray(same).tobytes() == np.asarray(images).tobytes()


def changed(name, probability, count=3000):
    images = RNG.uniform(-1, 1, (count, 16, 16, 3)).astype(np.float32)
    images_after = np.asarray(augment(images, (name,), probability, seed(1)))
    return (images_after != images).any(axis=(1, 2, 3)).mean()


@pytest.mark.parametrize("name", POLICY)
def test_the_probability_is_the_share_of_augmented_images(name):
    # One move in 25 is by no pixel at all.
    share = 24 / 25 if name == "translation" else 1
    assert changed(name, 1.0) == pytest.approx(share, abs=0.015 if share < 1 else 0)
    assert changed(name, 0.3) == pytest.approx(0.3 * share, abs=0.03)
    assert changed(name, tf.Variable(0.3)) == changed(name, keras.Variable(0.3))


def test_members_of_a_policy_are_chosen_independently():
    many = np.zeros((4000, 16, 16, 3), np.float32)
    one = seed(3)
    color, move, hole = (AUGMENTATIONS[name][0](many, 0.5, one) for name in POLICY)
    chosen = [numbers(color)[0] != 0, numbers(move)[0] != 0, numbers(hole)[0] < 16]
    assert np.abs(np.corrcoef(chosen) - np.eye(3)).max() < 0.06


def test_the_same_seed_gives_the_same_images():
    first, second = seed(4), seed(4)
    once = augment(IMAGES, POLICY, 1.0, first)
    np.testing.assert_array_equal(once, augment(IMAGES, POLICY, 1.0, second))
    assert (np.asarray(once) != np.asarray(augment(IMAGES, POLICY, 1.0, first))).any()
    assert (np.asarray(once) != np.asarray(augment(IMAGES, POLICY, 1.0, seed(5)))).any()


def test_images_side_by_side_are_augmented_alike():
    first, second = augment_alike([IMAGES, IMAGES[::-1]], POLICY, 1.0, seed(4))
    np.testing.assert_array_equal(first, augment(IMAGES, POLICY, 1.0, seed(4)))
    # What is cut out or comes in from outside is so in both.
    holes = [np.all(np.asarray(each) == 0, axis=-1) for each in (first, second)]
    np.testing.assert_array_equal(*holes)
    assert holes[0].any() and not np.allclose(first, second)


@pytest.mark.parametrize("policy", [*((name,) for name in POLICY), POLICY])
def test_gradients_agree_with_finite_differences(policy):
    x = tf.constant(IMAGES)
    direction, weights = (RNG.normal(size=x.shape).astype(np.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = augment(x, policy, 0.8, seed(6))
    towards = tape.gradient(y, x, output_gradients=weights)
    # Affine in the pixels, so that a large step has no error but rounding.
    ends = [np.asarray(augment(x + s * direction, policy, 0.8, seed(6)), float) for s in (1, -1)]
    expected = (weights * (ends[0] - ends[1]) / 2).sum()
    assert float((towards.numpy().astype(float) * direction).sum()) == pytest.approx(
        expected, rel=1e-4
    )


def test_a_gradient_penalty_can_go_through():
    x, scale = tf.constant(IMAGES), tf.Variable(1.5)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(scale * augment(x, POLICY, 1.0, seed(7)) ** 2)
        penalty = tf.reduce_sum(inner.gradient(total, x) ** 2)
    # The penalty is proportional to scale².
    assert float(outer.gradient(penalty, scale)) == pytest.approx(
        2 * float(penalty) / 1.5, rel=1e-5
    )


def test_batches_of_unknown_size_in_a_graph():
    one = seed(8)

    @tf.function(input_signature=[tf.TensorSpec((None, 16, 26, 3))])
    def step(images):
        return augment(images, POLICY, 0.6, one)

    expected = augment(IMAGES, POLICY, 0.6, seed(8))
    np.testing.assert_allclose(step(IMAGES), expected, atol=1e-6)
    assert step(IMAGES[:2]).shape == (2, 16, 26, 3)


@pytest.mark.parametrize("name", POLICY)
def test_xla_gives_the_same_for_the_same_draws(name):
    # XLA's random numbers are others, so the draws come from outside.
    draw, apply = AUGMENTATIONS[name]
    draws = draw(IMAGES, 1.0, seed(8))
    compiled = tf.function(apply, jit_compile=True)
    np.testing.assert_allclose(compiled(IMAGES, draws), apply(IMAGES, draws), atol=1e-6)


def test_xla_compiles_the_drawing_too():
    one = seed(8)
    compiled = tf.function(lambda x: augment(x, POLICY, 1.0, one), jit_compile=True)
    first, second = compiled(IMAGES), compiled(IMAGES)
    assert (np.asarray(first) != np.asarray(second)).any(axis=(1, 2, 3)).all()


def test_bfloat16_images_stay_bfloat16_and_close():
    images = keras.ops.cast(IMAGES, "bfloat16")
    after = augment(images, POLICY, 1.0, seed(9))
    assert keras.backend.standardize_dtype(after.dtype) == "bfloat16"
    expected = augment(keras.ops.cast(images, "float32"), POLICY, 1.0, seed(9))
    np.testing.assert_allclose(keras.ops.cast(after, "float32"), expected, atol=0.06)


def test_half_of_the_images_are_mirrored():
    images = RNG.integers(0, 256, (2000, 2, 4, 3), dtype=np.uint8)
    after = np.asarray(random_flip(images, seed(10)))
    mirrored = (after != images).any(axis=(1, 2, 3))
    assert after.dtype == np.uint8 and mirrored.mean() == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(after[mirrored], images[mirrored][:, :, ::-1])


def test_ada_moves_towards_its_target_at_the_stated_speed():
    up = adapt_probability(0.5, 0.8, 256, target=0.6, speed=1000)
    assert float(up) == pytest.approx(0.756)
    assert float(adapt_probability(0.5, 0.4, 256, target=0.6, speed=1000)) == pytest.approx(0.244)
    assert float(adapt_probability(0.5, 0.75, 256, target=0.75, speed=1000)) == 0.5
    probability = tf.Variable(0.0)
    for _ in range(20):
        assert probability.numpy() < 1
        probability.assign(adapt_probability(probability, 0.9, 25_000))
    assert probability.numpy() == pytest.approx(1)


@pytest.mark.parametrize(("start", "sign_mean", "end"), [(0.99, 1.0, 1.0), (0.01, -1.0, 0.0)])
def test_ada_stays_within_bounds(start, sign_mean, end):
    assert float(adapt_probability(start, sign_mean, 256, speed=1000)) == end


def test_parameters_name_what_is_there():
    assert AugmentParams().policy == POLICY
    assert AugmentParams(policy=["cutout"]).policy == ("cutout",)
    for wrong in (
        {"policy": []},
        {"policy": ["blur"]},
        {"target": 1},
        {"speed": 0},
        {"interval": 0},
    ):
        with pytest.raises(ValidationError):
            AugmentParams(**wrong)
