"""The way of films through keyframes, against closed forms."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from ganvas.latents.films import (
    EASINGS,
    count_frames,
    interpolate_at,
    interpolate_keyframes,
    least_frames,
    place_frames,
)

KINDS = ["slerp", "spline", "linear"]
RNG = np.random.default_rng(0)


def make_keyframes(count=4, shape=(6,), classes=3):
    w = RNG.standard_normal((count, *shape), dtype=np.float32)
    labels = RNG.dirichlet(np.ones(classes), count).astype(np.float32)
    return w, labels


@pytest.mark.parametrize("shape", [(6,), (5, 3)])
@pytest.mark.parametrize("interpolation", KINDS)
@pytest.mark.parametrize("easing", list(EASINGS))
def test_keyframes_are_exact_whatever_lies_between(interpolation, easing, shape):
    w, labels = make_keyframes(shape=shape)
    center = RNG.standard_normal((4, *shape)).astype(np.float32)
    for loop, durations in ((False, [1, 5, 0.3]), (True, [1, 5, 0.3, 2])):
        options = {"easing": easing, "loop": loop, "durations": durations, "hold": 2}
        positions = place_frames(4, 50, **options)
        path, weights = interpolate_keyframes(
            w, labels, 50, interpolation, center=center, **options
        )
        assert path.shape == (50, *shape) and path.dtype == weights.dtype == np.float32
        for number in range(4):
            held = np.flatnonzero(positions == number)
            assert len(held) == 3 and (np.diff(held) == 1).all()
            np.testing.assert_array_equal(path[held], np.stack([w[number]] * 3))
            np.testing.assert_array_equal(weights[held], np.stack([labels[number]] * 3))
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        assert (weights >= 0).all()
        assert (positions[-1] < 4) == loop or positions[-1] == 3


def test_an_arc_of_orthogonal_vectors_is_a_quarter_of_a_circle():
    w = np.array([[2, 0, 1], [0, 2, 1]], np.float32)
    center = np.array([0, 0, 1], np.float32)
    path, _ = interpolate_keyframes(w, np.zeros((2, 0), np.float32), 7, center=center)
    angles = np.linspace(0, np.pi / 2, 7)
    expected = np.stack([2 * np.cos(angles), 2 * np.sin(angles), np.ones(7)], axis=1)
    np.testing.assert_allclose(path, expected, atol=1e-6)


def test_each_layer_of_styles_has_an_arc_of_its_own():
    w, labels = make_keyframes(2, (3, 4))
    path, _ = interpolate_keyframes(w, labels, 5)
    for layer in range(3):
        alone, _ = interpolate_keyframes(w[:, layer], labels, 5)
        np.testing.assert_allclose(path[:, layer], alone, atol=1e-6)


def test_opposite_and_equal_keyframes_have_numbers_between_them():
    w = np.array([[1, 1], [-1, -1], [-1, -1], [0, 0]], np.float32)
    path, _ = interpolate_keyframes(w, np.zeros((4, 0), np.float32), 7)
    expected = [[1, 1], [0, 0], [-1, -1], [-1, -1], [-1, -1], [-0.5, -0.5], [0, 0]]
    np.testing.assert_allclose(path[:5], expected[:5], atol=1e-6)
    assert np.isfinite(path).all()


@pytest.mark.parametrize("loop", [False, True])
def test_a_spline_is_that_of_scipy_through_all_keyframes(loop):
    w, labels = make_keyframes(4)
    durations = [1, 2, 1, 2][: 3 + loop]
    frames = 60 if loop else 41
    path, _ = interpolate_keyframes(w, labels, frames, "spline", loop=loop, durations=durations)
    times = np.concatenate([[0], np.cumsum(durations)])
    points = np.concatenate([w, w[:1]]) if loop else w
    spline = CubicSpline(times, points, bc_type="periodic" if loop else "natural")
    np.testing.assert_allclose(path, spline(np.arange(frames) / 10), atol=1e-5)


def test_a_spline_has_no_corner_where_a_loop_begins_again():
    w, labels = make_keyframes(5)
    path, _ = interpolate_keyframes(w, labels, 500, "spline", loop=True)
    speeds = np.linalg.norm(np.diff(np.concatenate([path, path[:2]]), axis=0), axis=1)
    assert abs(speeds[-1] - speeds[-2]) < 2 * np.abs(np.diff(speeds[:-1])).max()
    straight, _ = interpolate_keyframes(w, labels, 500, "linear", loop=True)
    turns = np.diff(np.concatenate([straight, straight[:2]]), n=2, axis=0)
    assert np.abs(turns[-1]).max() > 1e-3


@pytest.mark.parametrize("interpolation", KINDS)
def test_a_loop_has_equal_steps_also_from_its_last_frame_to_its_first(interpolation):
    angles = np.arange(4) * np.pi / 2
    w = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    path, _ = interpolate_keyframes(w, np.zeros((4, 0), np.float32), 40, interpolation, loop=True)
    steps = np.linalg.norm(np.diff(np.concatenate([path, path[:1]]), axis=0), axis=1)
    # A player that starts again shows no frame twice.
    assert steps.min() > 0.1
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.03)


@pytest.mark.parametrize("name", list(EASINGS))
def test_easings_lead_from_0_to_1_and_never_back(name):
    shares = EASINGS[name](np.linspace(0, 1, 101))
    assert shares[0] == 0 and shares[-1] == 1
    assert (np.diff(shares) > 0).all()
    at_rest = {"first": shares[1] < 0.001, "last": shares[-2] > 0.999}
    assert at_rest == {"first": "in" in name.split("_"), "last": "out" in name.split("_")}


def test_durations_are_those_of_whole_frames():
    positions = place_frames(4, 101, durations=[1, 2, 7])
    assert np.flatnonzero(positions == positions.round()).tolist() == [0, 10, 30, 100]
    # Each way has a frame at least.
    positions = place_frames(4, 6, durations=[1, 1e-6, 1e-6])
    assert positions.tolist() == [0, 1 / 3, 2 / 3, 1, 2, 3]
    positions = place_frames(4, 6, durations=[1e-6, 1e-6, 1])
    assert positions.tolist() == pytest.approx([0, 1, 2, 2 + 1 / 3, 2 + 2 / 3, 3])


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("keyframes", [1, 2, 5])
def test_a_film_needs_a_frame_for_each_keyframe(keyframes, loop):
    for hold in (0, 3):
        least = least_frames(keyframes, loop, hold)
        assert least == keyframes * (1 + hold)
        positions = place_frames(keyframes, least, loop=loop, hold=hold)
        assert positions.tolist() == np.repeat(np.arange(keyframes), 1 + hold).tolist()
        with pytest.raises(ValueError, match="too few"):
            place_frames(keyframes, least - 1, loop=loop, hold=hold)
    with pytest.raises(ValueError, match="durations above 0"):
        place_frames(keyframes, 100, loop=loop, durations=[1.0] * 7)


@pytest.mark.parametrize("interpolation", KINDS)
def test_a_single_keyframe_stays(interpolation):
    w, labels = make_keyframes(1)
    for loop in (False, True):
        path, weights = interpolate_keyframes(w, labels, 3, interpolation, loop=loop)
        assert (path == w).all() and (weights == labels).all() and len(path) == 3


@pytest.mark.parametrize("interpolation", KINDS)
def test_parts_of_a_film_are_those_of_the_whole(interpolation):
    w, labels = make_keyframes(4)
    whole, _ = interpolate_keyframes(w, labels, 31, interpolation, "ease_in_out", loop=True)
    positions = place_frames(4, 31, "ease_in_out", loop=True)
    parts = [
        interpolate_at(w, labels, positions[start : start + 7], interpolation, loop=True)[0]
        for start in range(0, 31, 7)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_frames_are_rounded_and_never_none():
    assert [count_frames(*x) for x in ((10, 24), (1.5, 23.976), (0.001, 1))] == [240, 36, 1]
