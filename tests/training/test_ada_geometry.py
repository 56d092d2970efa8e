import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.ada_geometry import SYM6, Motion, draw_motion, move

RNG = np.random.default_rng(0)
NEUTRAL = Motion(0, 0, [0, 0], 1, 0, 1, 0, [0, 0])
# Roundings of positions in float32, as white noise shows them.
TOLERANCE = 1e-5


def make_motion(*rows):
    return Motion(*(tf.constant(column, "float32") for column in zip(*rows, strict=True)))


def naive_map(motion, height, width):
    """Return the 3×3 map of a point of the result to that of the image, from its center."""

    def rotation(angle):
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])

    def translation(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    shift_x, shift_y = motion.shift
    # What happens to the image, the first transform first. Angles are counterclockwise, since y
    # points down.
    steps = [
        np.diag([-1.0 if motion.flip else 1.0, 1, 1]),
        rotation(motion.turns * np.pi / 2),
        translation(np.round(shift_x * width), np.round(shift_y * height)),
        np.diag([motion.scale, motion.scale, 1]),
        rotation(motion.rotation),
        np.diag([motion.stretch, 1 / motion.stretch, 1]),
        rotation(motion.last_rotation),
        translation(motion.offset[0] * width, motion.offset[1] * height),
    ]
    forward = np.eye(3)
    for step in steps:
        forward = step @ forward
    return np.linalg.inv(forward)


def naive_move(images, motions):
    """Move images (N, H, W, C) pixel by pixel."""
    _, height, width, channels = images.shape
    maps = [naive_map(motion, height, width) for motion in motions]
    # 1. How far each side is continued: 6 pixels further than the corners of any image.
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = np.array([[-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]]).T
    reached = np.stack([(m @ corners)[:2] for m in maps])
    low, high = reached.min(axis=(0, 2)), reached.max(axis=(0, 2))
    half, sides = np.array([x, y]), np.array([width, height])
    before = np.ceil(np.clip(-low - half + 6, 0, sides - 1)).astype(int)
    after = np.ceil(np.clip(high - half + 6, 0, sides - 1)).astype(int)
    pads = ((before[1], after[1]), (before[0], after[0]), (0, 0))
    low_pass = SYM6 / SYM6.sum()
    results = []
    for image, inverse in zip(images.astype(float), maps, strict=True):
        # 2. Twice the pixels, with zeros between, filtered along both axes.
        padded = np.pad(image, pads, "reflect")
        for axis in (0, 1):
            padded = np.moveaxis(padded, axis, 0)
            doubled = np.zeros((2 * len(padded), *padded.shape[1:]))
            for i in range(len(doubled)):
                for tap in range(12):
                    if (i + 5 - tap) % 2 == 0 and 0 <= (i + 5 - tap) // 2 < len(padded):
                        doubled[i] += 2 * low_pass[tap] * padded[(i + 5 - tap) // 2]
            padded = np.moveaxis(doubled, 0, axis)
        # 3. Bilinear samples, two a pixel, of the image and 6 half pixels around it.
        sampled = np.zeros((2 * height + 12, 2 * width + 12, channels))
        for i, j in np.ndindex(sampled.shape[:2]):
            point = np.array([(j - 6 + 0.5) / 2 - 0.25 - x, (i - 6 + 0.5) / 2 - 0.25 - y, 1])
            u, v = (inverse @ point)[:2] + half + before
            # The even columns of the upsampled image are its pixels.
            u, v = 2 * u, 2 * v
            for row in (int(np.floor(v)), int(np.floor(v)) + 1):
                for column in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= row < padded.shape[0] and 0 <= column < padded.shape[1]:
                        weight = (1 - abs(v - row)) * (1 - abs(u - column))
                        sampled[i, j] += weight * padded[row, column]
        # 4. Every other sample, filtered along both axes.
        for axis in (0, 1):
            sampled = np.moveaxis(sampled, axis, 0)
            halved = np.zeros((len(sampled) // 2 - 6, *sampled.shape[1:]))
            for i in range(len(halved)):
                for tap in range(12):
                    halved[i] += low_pass[tap] * sampled[2 * i + 1 + tap]
            sampled = np.moveaxis(halved, 0, axis)
        results.append(sampled)
    return np.stack(results)


MOTIONS = [
    NEUTRAL._replace(flip=1, shift=[0.1, -0.12]),
    NEUTRAL._replace(rotation=0.6, scale=1.3, offset=[0.2, -0.1]),
    Motion(1, 2, [-0.08, 0.1], 0.6, -2.0, 1.4, 0.9, [0.3, 0.1]),
]


@pytest.mark.parametrize(("height", "width", "channels"), [(9, 9, 3), (8, 13, 1)])
def test_moving_agrees_with_a_loop_over_pixels(height, width, channels):
    images = RNG.uniform(-1, 1, (3, height, width, channels)).astype(np.float32)
    motions = list(MOTIONS)
    if height == width:
        motions[0] = motions[0]._replace(turns=1)
    expected = naive_move(images, motions)
    for static_shapes in (False, True):
        result = move(images, make_motion(*motions), static_shapes)
        np.testing.assert_allclose(result, expected, atol=TOLERANCE)


def test_a_quarter_turn_is_counterclockwise_and_nearly_exact():
    # The wavelet is not quite symmetric, so smooth images are turned without a visible error.
    y, x = np.mgrid[:32, :32] / 32
    image = np.sin(5 * x + 2 * y)[None, ..., None].astype(np.float32)
    for turns in (1, 2, 3):
        turned = np.asarray(move(image, make_motion(NEUTRAL._replace(turns=turns))))
        difference = np.abs(turned - np.rot90(image, turns, (1, 2)))[:, 4:-4, 4:-4]
        assert difference.max() < 0.03


def test_images_move_to_the_right_and_down():
    image = np.zeros((1, 16, 16, 1), np.float32)
    image[0, 5, 4] = 1
    for motion in (NEUTRAL._replace(shift=[0.1, 0.07]), NEUTRAL._replace(offset=[0.125, 0.0625])):
        moved = np.asarray(move(image, make_motion(motion)))[0, ..., 0]
        assert np.unravel_index(moved.argmax(), moved.shape) == (6, 6)


def test_images_that_are_not_moved_are_unchanged_beside_others():
    images = RNG.uniform(-1, 1, (2, 12, 15, 3)).astype(np.float32)
    result = np.asarray(move(images, make_motion(NEUTRAL, MOTIONS[2])))
    np.testing.assert_allclose(result[0], images[0], atol=2e-6)
    assert np.abs(result[1] - images[1]).max() > 0.1


def test_pixels_beyond_the_reflection_are_gray_and_transparent():
    images = np.full((1, 12, 12, 4), 0.7, np.float32)
    far = make_motion(NEUTRAL._replace(scale=0.1))
    result = np.asarray(move(images, far))[0]
    np.testing.assert_allclose(result[0, 0], [0, 0, 0, -1], atol=1e-6)
    assert result[6, 6].min() > 0.6


def draw(probability, groups=frozenset({"blit", "geom"}), is_square=True, count=100_000):
    draws = draw_motion(count, probability, keras.random.SeedGenerator(1), groups, is_square)
    return Motion(*map(np.asarray, draws))


def quantiles(values, *levels):
    return pytest.approx(np.quantile(values, levels), abs=0.02)


def test_draws_have_the_distributions_of_the_paper():
    draws = draw(1.0)
    normal = [-1.2816, 0.0, 0.6745]
    for values, std in (
        (np.log2(draws.scale), 0.2),
        (np.log2(draws.stretch), 0.2),
        (draws.offset[:, 0], 0.125),
        (draws.offset[:, 1], 0.125),
    ):
        assert normal == quantiles(values / std, 0.1, 0.5, 0.75)
    uniform = [0.1, 0.5, 0.9]
    for values, limit in (
        (draws.shift[:, 0], 0.125),
        (draws.shift[:, 1], 0.125),
        (draws.rotation, np.pi),
        (draws.last_rotation, np.pi),
    ):
        assert np.abs(values).max() <= limit
        assert uniform == quantiles((values / limit + 1) / 2, 0.1, 0.5, 0.9)
    np.testing.assert_allclose(np.bincount(draws.flip.astype(int)), 50_000, atol=900)
    np.testing.assert_allclose(np.bincount(draws.turns.astype(int)), 25_000, atol=800)
    columns = np.column_stack(draws)
    assert np.abs(np.corrcoef(columns.T) - np.eye(columns.shape[1])).max() < 0.015


def test_transforms_are_chosen_independently_with_the_probability():
    draws = draw(0.3)
    chosen = [
        (np.atleast_2d((column != neutral).T)[0])
        for column, neutral in zip(draws, [0, 0, 0, 1, 0, 1, 0, 0], strict=True)
    ]
    # Half of the flips and a quarter of the turns are none.
    either = 1 - np.sqrt(0.7)
    expected = [0.15, 0.225, 0.3, 0.3, either, 0.3, either, 0.3]
    np.testing.assert_allclose(np.mean(chosen, axis=1), expected, atol=0.006)
    assert (chosen[4] | chosen[6]).mean() == pytest.approx(0.3, abs=0.006)
    assert np.abs(np.corrcoef(chosen) - np.eye(8)).max() < 0.015


def test_groups_and_rectangles_leave_transforms_out():
    blit, geom = draw(1.0, {"blit"}, count=100), draw(1.0, {"geom"}, count=100)
    assert set(geom.flip) == set(geom.turns) == {0} and not geom.shift.any()
    assert set(blit.scale) == set(blit.stretch) == {1} and not blit.offset.any()
    assert not blit.rotation.any() and not blit.last_rotation.any()
    assert blit.shift.all() and geom.rotation.all() and geom.offset.all()
    turns = draw(1.0, is_square=False, count=2000).turns
    assert set(turns) == {0, 2} and (turns == 2).mean() == pytest.approx(0.5, abs=0.05)
