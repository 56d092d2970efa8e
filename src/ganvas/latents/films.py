"""Films: the way of a generator's latents through keyframes, frame by frame.

A keyframe is a point of W with class weights, see `ganvas.networks.latent_spaces`. A film passes
through each of its keyframes exactly: each has a frame of its own, whose image is that of the
keyframe. A film that loops returns to its first keyframe, and its last frame is the one before:
a player that starts again shows no frame twice.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ganvas.networks.sampling import slerp_at

Interpolation = Literal["slerp", "spline", "linear"]
Easing = Literal["linear", "ease_in", "ease_out", "ease_in_out"]

# Shares of the way between two keyframes by shares of its time, both in [0, 1].
EASINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda t: t,
    "ease_in": lambda t: t**2,
    "ease_out": lambda t: t * (2 - t),
    "ease_in_out": lambda t: t**2 * (3 - 2 * t),
}


def count_frames(seconds: float, fps: float) -> int:
    """Return the number of frames of a film, at least 1.

    Example:
        >>> count_frames(10, 30), count_frames(0.01, 24)
        (300, 1)
    """
    return max(1, round(seconds * fps))


def least_frames(keyframes: int, loop: bool = False, hold: int = 0) -> int:
    """Return the least number of frames in which a film passes through all of its keyframes.

    Args:
        keyframes: Their number.
        loop: Whether the film returns to the first one.
        hold: Frames for which each stays, see `place_frames`.
    """
    return max(1, count_ways(keyframes, loop) + (not loop)) + keyframes * hold


def place_frames(
    keyframes: int,
    frames: int,
    easing: Easing = "linear",
    loop: bool = False,
    durations: Sequence[float] | None = None,
    hold: int = 0,
) -> np.ndarray:
    """Compute where on the way through the keyframes each frame is.

    Args:
        keyframes: Their number n, 1 or more.
        frames: Number of frames F, at least `least_frames`.
        easing: Speed between two keyframes: constant (linear), from rest (ease_in), to rest
            (ease_out) or both.
        loop: Whether the film returns to the first keyframe.
        durations: Relative durations of the ways between keyframes, positive: n - 1, or n with
            `loop`; None: all are equal. They are rounded to whole frames, at least one each.
        hold: Frames for which each keyframe stays in addition to its own.

    Returns:
        float64 of shape (F,), ascending from 0: k at keyframe k, from 0; k + s after a share s of
        the way from it to the next one. The last is n - 1, or with `loop` below n.

    Raises:
        ValueError: There are too few frames, or another number of durations.

    Example:
        >>> place_frames(3, 5).tolist(), place_frames(2, 4, loop=True).tolist()
        ([0.0, 0.5, 1.0, 1.5, 2.0], [0.0, 0.5, 1.0, 1.5])
        >>> place_frames(2, 5, hold=1).tolist()
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    if frames < least_frames(keyframes, loop, hold):
        raise ValueError(f"{frames} frames are too few for {keyframes} keyframes")
    ways = count_ways(keyframes, loop)
    shares = _read_durations(durations, ways)
    if shares.shape != (ways,) or not (shares > 0).all():
        raise ValueError(f"there must be {ways} durations above 0")
    if not ways:
        return np.zeros(frames)
    steps = frames - keyframes * hold - (not loop)
    # Where each way ends, in steps: at least one step each, and `steps` in all.
    numbers = np.arange(1, ways + 1)
    ends = np.rint(np.cumsum(shares) / shares.sum() * steps).astype(int) - numbers
    ends = np.maximum.accumulate(np.clip(ends, 0, steps - ways)) + numbers
    lengths = np.diff(ends, prepend=0)
    ease = EASINGS[easing]
    parts = []
    for way, length in enumerate(lengths):
        parts += [np.full(hold, float(way)), way + ease(np.arange(length) / length)]
    return np.concatenate([*parts, np.full(0 if loop else 1 + hold, float(ways))])


def _read_durations(durations: Sequence[float] | None, ways: int) -> np.ndarray:
    return np.ones(ways) if durations is None else np.asarray(durations, np.float64)


def count_ways(keyframes: int, loop: bool = False) -> int:
    """Return the number of ways between keyframes; a single keyframe has none, also in a loop."""
    return keyframes - (not loop) if keyframes > 1 else 0


def interpolate_at(
    w: np.ndarray,
    labels: np.ndarray,
    positions: np.ndarray,
    interpolation: Interpolation = "slerp",
    loop: bool = False,
    durations: Sequence[float] | None = None,
    center: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute points on the way through keyframes; see `interpolate_keyframes`.

    Args:
        w: Latents of the keyframes, float32 (n, *w_shape).
        labels: Their class weights, float32 (n, K); (n, 0) without classes.
        positions: Places on the way, of `place_frames`; some of them, for long films.
        interpolation: See `interpolate_keyframes`.
        loop: Whether the film returns to the first keyframe.
        durations: Relative durations of the ways, which a spline also depends on.
        center: See `interpolate_keyframes`.

    Returns:
        Latents, float32 (F, *w_shape), and class weights, float32 (F, K).
    """
    count, ways = len(w), count_ways(len(w), loop)
    starts = np.minimum(np.floor(positions).astype(int), count - 1)
    shares = positions - starts
    ends = (starts + 1) % count
    weights = shares[:, None].astype(np.float32)
    mixed = (1 - weights) * labels[starts] + weights * labels[ends]
    if ways and interpolation == "spline":
        found = _evaluate_spline(w, starts, shares, loop, durations)
    elif interpolation == "slerp":
        found = _slerp_ways(w, starts, ends, shares, center)
    else:
        weights = weights.reshape(-1, *[1] * (w.ndim - 1))
        found = (1 - weights) * w[starts] + weights * w[ends]
    # Exactly, whatever the rounding of the formulas.
    exact = shares == 0
    found[exact], mixed[exact] = w[starts[exact]], labels[starts[exact]]
    return found.astype(np.float32, copy=False), mixed.astype(np.float32, copy=False)


def _evaluate_spline(
    w: np.ndarray,
    starts: np.ndarray,
    shares: np.ndarray,
    loop: bool,
    durations: Sequence[float] | None,
) -> np.ndarray:
    from scipy.interpolate import CubicSpline

    ways = count_ways(len(w), loop)
    lengths = _read_durations(durations, ways)
    times = np.concatenate([[0.0], np.cumsum(lengths)])
    points = np.concatenate([w, w[:1]]) if loop else w
    spline = CubicSpline(times, points, bc_type="periodic" if loop else "natural")
    # The last keyframe is the start of no way.
    way = np.minimum(starts, ways - 1)
    return spline(times[way] + (shares + starts - way) * lengths[way]).astype(np.float32)


def _slerp_ways(
    w: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    shares: np.ndarray,
    center: np.ndarray | None,
) -> np.ndarray:
    centers = np.broadcast_to(np.float32(0) if center is None else center, w.shape)
    offsets = w - centers
    found = np.empty((len(starts), *w.shape[1:]), np.float32)
    for start in np.unique(starts):
        rows = np.flatnonzero(starts == start)
        end, t = ends[rows[0]], shares[rows]
        # One arc for each vector: of StyleGAN2 those of each layer.
        first, last = (offsets[x].reshape(-1, w.shape[-1]) for x in (start, end))
        arcs = slerp_at(first, last, t).swapaxes(0, 1).reshape(len(rows), *w.shape[1:])
        weights = t.reshape(-1, *[1] * (w.ndim - 1))
        moved = (1 - weights) * centers[start] + weights * centers[end]
        found[rows] = arcs + moved.astype(np.float32)
    return found


def interpolate_keyframes(
    w: np.ndarray,
    labels: np.ndarray,
    frames: int,
    interpolation: Interpolation = "slerp",
    easing: Easing = "linear",
    loop: bool = False,
    durations: Sequence[float] | None = None,
    hold: int = 0,
    center: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the latents and class weights of all frames of a film.

    Args:
        w: Latents of the keyframes, float32 (n, *w_shape).
        labels: Their class weights, float32 (n, K); (n, 0) without classes. They are interpolated
            linearly, so that they remain weights that sum to 1.
        frames: Number of frames F, at least one for each keyframe and each held frame.
        interpolation: `slerp`, arcs of each vector around `center`, for latents that are sampled
            from a normal distribution; `spline`, a natural cubic spline through all keyframes,
            periodic in a loop, whose speed and direction change smoothly; `linear`, straight lines.
        easing: Speed between two keyframes, see `place_frames`.
        loop: Whether the film returns to the first keyframe; the last frame is the one before it.
        durations: Relative durations of the ways between keyframes; None: all are equal.
        hold: Frames for which each keyframe stays in addition to its own.
        center: Center of the arcs of slerp, (n, *w_shape) or what broadcasts to it, such as
            `ganvas.networks.latent_spaces.mean_w` of the keyframes' labels; None: the origin.

    Returns:
        Latents, float32 (F, *w_shape), and class weights, float32 (F, K). Those of keyframes are
        exact; the first frame is the first keyframe, and the last one the last unless it loops.

    Raises:
        ValueError: There are too few frames, or another number of durations.

    Example:
        >>> w, labels = np.eye(2, dtype=np.float32), np.zeros((2, 0), np.float32)
        >>> interpolate_keyframes(w, labels, 3)[0].round(2).tolist()
        [[1.0, 0.0], [0.7099999785423279, 0.7099999785423279], [0.0, 1.0]]
    """
    positions = place_frames(len(w), frames, easing, loop, durations, hold)
    return interpolate_at(w, labels, positions, interpolation, loop, durations, center)
