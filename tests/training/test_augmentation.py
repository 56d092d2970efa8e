import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.errors import GanvasError
from ganvas.training.augmentation import (
    AUGMENTATIONS,
    adapt_probability,
    augment,
    augment_alike,
    check_quarter_turns,
    draw_color,
    draw_cutout,
    draw_translation,
    random_flip,
    random_orientation,
    random_quarter_turns,
)
from ganvas.training.config import TrainParams

POLICY = ("color", "translation", "cutout")
RNG = np.random.default_rng(0)
# Not square and with odd halves, so that no two sides or roundings can be mistaken.
IMAGES = RNG.uniform(-1, 1, (6, 16, 26, 3)).astype(np.float32)
GRAY, TRANSPARENT = (RNG.uniform(-1, 1, (6, 16, 26, c)).astype(np.float32) for c in (1, 4))


def make_seed(seed=0):
    return keras.random.SeedGenerator(seed)


def as_vectors(draws):
    """Return draws of shape (N, 1, 1, 1) as vectors."""
    return [np.asarray(draw)[:, 0, 0, 0] for draw in draws]


def naive_color(image, brightness, saturation, contrast):
    image, alpha = image[..., :3].astype(float) + brightness, image[..., 3:]
    if image.shape[-1] == 3:
        for row in image:
            for pixel in row:
                gray = pixel.sum() / 3
                pixel[:] = (pixel - gray) * saturation + gray
    return np.concatenate([(image - image.mean()) * contrast + image.mean(), alpha], axis=-1)


def filling(image):
    """Return a pixel of borders and holes."""
    return [0, 0, 0, -1] if image.shape[-1] == 4 else 0


def naive_translation(image, y, x):
    shifted = np.full_like(image, filling(image))
    for i, j in np.ndindex(image.shape[:2]):
        if 0 <= i - y < image.shape[0] and 0 <= j - x < image.shape[1]:
            shifted[i, j] = image[i - y, j - x]
    return shifted


def naive_cutout(image, y, x):
    cut, (height, width) = image.copy(), image.shape[:2]
    for i in range(y, y + height // 2):
        for j in range(x, x + width // 2):
            if 0 <= i < height and 0 <= j < width:
                cut[i, j] = filling(image)
    return cut


NAIVE = {"color": naive_color, "translation": naive_translation, "cutout": naive_cutout}


@pytest.mark.parametrize("images", [IMAGES, GRAY, TRANSPARENT], ids=["rgb", "gray", "rgba"])
@pytest.mark.parametrize("probability", [1, 0.5])
@pytest.mark.parametrize("name", POLICY)
def test_an_operation_agrees_with_a_loop_over_pixels(name, probability, images):
    draw, apply = AUGMENTATIONS[name]
    draws = draw(images, probability, make_seed(2))
    expected = [NAIVE[name](*row) for row in zip(images, *as_vectors(draws), strict=True)]
    np.testing.assert_allclose(apply(images, draws), expected, atol=2e-6)


@pytest.mark.parametrize("name", POLICY)
def test_images_of_any_channels_have_the_same_draws(name):
    draw, _ = AUGMENTATIONS[name]
    expected = as_vectors(draw(IMAGES, 0.5, make_seed(2)))
    for images in (GRAY, TRANSPARENT):
        np.testing.assert_array_equal(as_vectors(draw(images, 0.5, make_seed(2))), expected)


def test_a_policy_applies_its_operations_in_order():
    expected, seed = IMAGES, make_seed(5)
    for name in POLICY:
        draw, apply = AUGMENTATIONS[name]
        expected = apply(expected, draw(expected, 0.7, seed))
    np.testing.assert_array_equal(augment(IMAGES, POLICY, 0.7, make_seed(5)), expected)


def test_color_draws_have_the_ranges_of_diffaugment():
    many = np.zeros((4000, 1, 1, 3), np.float32)
    for draws, (low, high) in zip(
        as_vectors(draw_color(many, 1, make_seed())), [(-0.5, 0.5), (0, 2), (0.5, 1.5)], strict=True
    ):
        assert low <= draws.min() < low + 0.01 * (high - low)
        assert high >= draws.max() > high - 0.01 * (high - low)
        assert draws.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert np.abs(np.corrcoef(as_vectors(draw_color(many, 1, make_seed()))) - np.eye(3)).max() < 0.1


def test_translations_are_up_to_an_eighth_of_each_side():
    y, x = as_vectors(draw_translation(np.zeros((4000, 16, 26, 3), np.float32), 1, make_seed()))
    assert set(y) == set(range(-2, 3)) and set(x) == set(range(-3, 4))
    assert np.bincount(y + 2).min() > 4000 / 5 * 0.8 and abs(np.corrcoef(y, x)[0, 1]) < 0.1


def test_the_center_of_a_cutout_is_anywhere_in_the_image():
    y, x = as_vectors(draw_cutout(np.zeros((9000, 16, 26, 3), np.float32), 1, make_seed()))
    # The official offsets: 0 … 16 for a cutout of 8, 0 … 25 for one of 13, less half of it.
    assert set(y) == set(range(-4, 13)) and set(x) == set(range(-6, 20))
    assert abs(np.corrcoef(y, x)[0, 1]) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("images", [IMAGES, GRAY, TRANSPARENT], ids=["rgb", "gray", "rgba"])
def test_probability_0_leaves_images_unchanged_bit_for_bit(images, dtype):
    images = keras.ops.cast(images, dtype)
    unchanged = augment(images, POLICY, 0.0, make_seed())
    assert unchanged.dtype == images.dtype
    assert np.asarray(unchanged).tobytes() == np.asarray(images).tobytes()


def changed_share(name, probability, count=3000):
    images = RNG.uniform(-1, 1, (count, 16, 16, 3)).astype(np.float32)
    augmented = np.asarray(augment(images, (name,), probability, make_seed(1)))
    return (augmented != images).any(axis=(1, 2, 3)).mean()


@pytest.mark.parametrize("name", POLICY)
def test_the_probability_is_the_share_of_augmented_images(name):
    # One translation in 25 is by no pixel at all.
    share = 24 / 25 if name == "translation" else 1
    assert changed_share(name, 1.0) == pytest.approx(share, abs=0.015 if share < 1 else 0)
    assert changed_share(name, 0.3) == pytest.approx(0.3 * share, abs=0.03)
    assert changed_share(name, tf.Variable(0.3)) == changed_share(name, keras.Variable(0.3))


def test_operations_of_a_policy_are_chosen_independently():
    many = np.zeros((4000, 16, 16, 3), np.float32)
    seed = make_seed(3)
    color, translation, cutout = (AUGMENTATIONS[name][0](many, 0.5, seed) for name in POLICY)
    chosen = [
        as_vectors(color)[0] != 0,
        as_vectors(translation)[0] != 0,
        as_vectors(cutout)[0] < 16,
    ]
    assert np.abs(np.corrcoef(chosen) - np.eye(3)).max() < 0.06


def test_the_same_seed_augments_alike():
    first, second = make_seed(4), make_seed(4)
    once = augment(IMAGES, POLICY, 1.0, first)
    np.testing.assert_array_equal(once, augment(IMAGES, POLICY, 1.0, second))
    assert (np.asarray(once) != np.asarray(augment(IMAGES, POLICY, 1.0, first))).any()
    assert (np.asarray(once) != np.asarray(augment(IMAGES, POLICY, 1.0, make_seed(5)))).any()


def test_pairs_of_images_are_augmented_alike():
    first, second = augment_alike([IMAGES, IMAGES[::-1]], POLICY, 1.0, make_seed(4))
    np.testing.assert_array_equal(first, augment(IMAGES, POLICY, 1.0, make_seed(4)))
    # Pixels that are cut out or moved in from outside are the same in both.
    zeros = [np.all(np.asarray(images) == 0, axis=-1) for images in (first, second)]
    np.testing.assert_array_equal(*zeros)
    assert zeros[0].any() and not np.allclose(first, second)


@pytest.mark.parametrize("policy", [*((name,) for name in POLICY), POLICY])
def test_gradients_agree_with_finite_differences(policy):
    x = tf.constant(IMAGES)
    direction, weights = (RNG.normal(size=x.shape).astype(np.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = augment(x, policy, 0.8, make_seed(6))
    gradient = tape.gradient(y, x, output_gradients=weights)
    # Affine in the pixels, so that a large step has no error but rounding.
    results = [
        np.asarray(augment(x + s * direction, policy, 0.8, make_seed(6)), float) for s in (1, -1)
    ]
    expected = (weights * (results[0] - results[1]) / 2).sum()
    assert float((gradient.numpy().astype(float) * direction).sum()) == pytest.approx(
        expected, rel=1e-4
    )


def test_augmentation_has_second_derivatives_for_gradient_penalties():
    x, scale = tf.constant(IMAGES), tf.Variable(1.5)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(scale * augment(x, POLICY, 1.0, make_seed(7)) ** 2)
        penalty = tf.reduce_sum(inner.gradient(total, x) ** 2)
    # The penalty is proportional to scale².
    assert float(outer.gradient(penalty, scale)) == pytest.approx(
        2 * float(penalty) / 1.5, rel=1e-5
    )


@pytest.mark.slow
def test_a_graph_takes_batches_of_unknown_size():
    seed = make_seed(8)

    @tf.function(input_signature=[tf.TensorSpec((None, 16, 26, 3))])
    def step(images):
        return augment(images, POLICY, 0.6, seed)

    expected = augment(IMAGES, POLICY, 0.6, make_seed(8))
    np.testing.assert_allclose(step(IMAGES), expected, atol=1e-6)
    assert step(IMAGES[:2]).shape == (2, 16, 26, 3)


@pytest.mark.parametrize("name", POLICY)
def test_xla_has_the_same_result_for_the_same_draws(name):
    # XLA draws other random numbers, so the draws are inputs.
    draw, apply = AUGMENTATIONS[name]
    draws = draw(IMAGES, 1.0, make_seed(8))
    compiled = tf.function(apply, jit_compile=True)
    np.testing.assert_allclose(compiled(IMAGES, draws), apply(IMAGES, draws), atol=1e-6)


@pytest.mark.slow
def test_xla_compiles_the_random_draws_too():
    seed = make_seed(8)
    compiled = tf.function(lambda x: augment(x, POLICY, 1.0, seed), jit_compile=True)
    first, second = compiled(IMAGES), compiled(IMAGES)
    assert (np.asarray(first) != np.asarray(second)).any(axis=(1, 2, 3)).all()


def test_bfloat16_images_stay_bfloat16_and_close():
    images = keras.ops.cast(IMAGES, "bfloat16")
    augmented = augment(images, POLICY, 1.0, make_seed(9))
    assert keras.backend.standardize_dtype(augmented.dtype) == "bfloat16"
    expected = augment(keras.ops.cast(images, "float32"), POLICY, 1.0, make_seed(9))
    np.testing.assert_allclose(keras.ops.cast(augmented, "float32"), expected, atol=0.06)


def test_half_of_the_images_are_flipped():
    images = RNG.integers(0, 256, (2000, 2, 4, 3), dtype=np.uint8)
    result = np.asarray(random_flip(images, make_seed(10)))
    flipped = (result != images).any(axis=(1, 2, 3))
    assert result.dtype == np.uint8 and flipped.mean() == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(result[flipped], images[flipped][:, :, ::-1])


def test_half_of_the_images_are_flipped_upside_down():
    images = RNG.integers(0, 256, (2000, 3, 2, 3), dtype=np.uint8)
    result = np.asarray(random_flip(images, make_seed(10), axis=1))
    flipped = (result != images).any(axis=(1, 2, 3))
    assert flipped.mean() == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(result[flipped], np.flip(images[flipped], axis=1))


def test_images_are_rotated_by_each_number_of_quarters_alike():
    images = RNG.uniform(-1, 1, (2000, 3, 3, 3)).astype(np.float32)
    result = np.asarray(random_quarter_turns(images, make_seed(11)))
    matches = np.stack(
        [(result == np.rot90(images, k, axes=(1, 2))).all(axis=(1, 2, 3)) for k in range(4)]
    )
    np.testing.assert_array_equal(matches.sum(axis=0), 1)
    np.testing.assert_allclose(matches.mean(axis=1), 0.25, atol=0.04)


def test_orientations_are_combined_and_anchored_images_are_kept():
    images = RNG.uniform(-1, 1, (300, 3, 3, 1)).astype(np.float32)
    params = TrainParams(flip=True, flip_vertically=True, rotate_quarters=True)
    result = np.asarray(random_orientation(images, params, make_seed(12), keep_every=3))
    np.testing.assert_array_equal(result[::3], images[::3])
    mirrored = [images, np.flip(images, axis=2)]
    turned = np.stack([np.rot90(x, k, axes=(1, 2)) for x in mirrored for k in range(4)])
    matches = (result == turned).all(axis=(2, 3, 4))
    np.testing.assert_array_equal(matches.sum(axis=0), 1)
    # The eight symmetries of a square, each for an eighth of the images.
    others = np.delete(matches, np.s_[::3], axis=1)
    assert others.mean(axis=1).min() > 0.06 and others.mean(axis=1).max() < 0.2
    np.testing.assert_array_equal(random_orientation(images, TrainParams(), make_seed(12)), images)


def test_quarter_turns_of_images_that_are_not_square_are_refused():
    check_quarter_turns(4, 4)
    with pytest.raises(
        GanvasError, match=r"these have 6×4 pixels, .* train\.rotate_quarters=false"
    ):
        check_quarter_turns(4, 6)


def test_ada_changes_the_probability_at_its_speed():
    increased = adapt_probability(0.5, 0.8, 256, target=0.6, speed=1000)
    assert float(increased) == pytest.approx(0.756)
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
