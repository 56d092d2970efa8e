"""Still lifes: a vessel, a bowl of fruit and a table's edge, lit from the upper left."""

import numpy as np

from ganvas.sample_collection.canvas import (
    axes,
    blank,
    bristles,
    colors,
    finish,
    inside,
    lay,
    pick,
    shrink,
    smooth_noise,
    soft_step,
    weave,
    window,
)

# Wall, table, table's front edge, tall vessel, bowl, the bowl's stripe.
PALETTES = [
    colors("#93a99f", "#c08a52", "#7d5331", "#2f5d50", "#efe5cf", "#3f6f9a"),
    colors("#d2ae70", "#7f4c36", "#573022", "#35566b", "#e6e8e0", "#b5482f"),
    colors("#6f82a0", "#d3bd97", "#9a7f5c", "#6b2f34", "#3f78a0", "#e9dfc6"),
    colors("#c4937f", "#63735f", "#434f43", "#24473f", "#f2eadb", "#d08a3a"),
    colors("#a9b7a0", "#d8cbb0", "#a3906d", "#a4552f", "#5b7f6a", "#f0e2b8"),
]
FRUITS = colors("#d9442f", "#ef9426", "#ecca3e", "#9aae3c", "#7a2f4f", "#e8733c")
GLEAM = colors("#fff6df")[0]
SOFT = 0.007

# The canvas and the coordinates x and y of its pixels, which waver a little.
Scene = tuple[np.ndarray, np.ndarray, np.ndarray]
# Heights, and half the width at each.
Outline = tuple[np.ndarray, np.ndarray]


def _outline(heights: list[float], halves: list[float]) -> Outline:
    """Round the corners off an outline: half the width at heights from 0, the top, to 1."""
    v = np.linspace(0, 1, 101)
    half = np.pad(np.interp(v, heights, halves), 7, mode="edge")
    return v, np.convolve(half, np.hanning(17)[1:-1] / np.hanning(17).sum(), mode="valid")


BOTTLE = _outline([0, 0.07, 0.1, 0.3, 0.46, 0.55, 0.96, 1], [0.5, 0.46, 0.3, 0.3, 0.8, 1, 1, 0.9])
JUG = _outline([0, 0.1, 0.28, 0.55, 0.75, 1], [0.8, 0.58, 0.6, 1.1, 1.15, 0.75])
VASE = _outline([0, 0.12, 0.22, 0.45, 0.6, 1], [0.8, 0.48, 0.48, 1.12, 1.1, 0.55])
BOWL = _outline([0, 0.3, 0.6, 0.85, 0.9, 1], [1, 0.95, 0.76, 0.4, 0.34, 0.42])
BAND = _outline([0, 1], [0.98, 0.94])


def _shadow(scene: Scene, cx: float, cy: float, width: float, height: float) -> None:
    """Darken an oval, as something standing there does."""
    canvas, x, y = _part(scene, cx - 1.2 * width, cy - 1.2 * height, cx + 1.2 * width, 1)
    oval = np.hypot((x - cx) / width, (y - cy) / height)
    lay(canvas, canvas * 0.35, 0.8 * (1 - soft_step(oval, 0.4, 1.1)))


def _part(scene: Scene, left: float, top: float, right: float, bottom: float) -> Scene:
    """Return views of the canvas and of its wavering coordinates in a part of the image."""
    here = window(len(scene[0]), left, top, right, bottom)
    canvas, x, y = scene
    return canvas[here], x[here], y[here]


def _fruit(scene: Scene, cx: float, cy: float, radius: float, color: np.ndarray) -> None:
    """Paint one round fruit with light, shade and a small gleam."""
    reach = radius + 0.02
    canvas, x, y = _part(scene, cx - reach, cy - reach, cx + reach, cy + reach)
    dx, dy = (x - cx) / radius, (y - cy) / radius
    away = np.hypot(dx, dy)
    light = np.clip(0.66 - 0.42 * (dx + dy) - 0.25 * away**2, 0.04, 1.25)
    # Shade on warm fruit turns to plum rather than to black.
    tone = color * (0.45 + 0.72 * light[..., None]) + colors("#2a1030")[0] * 0.25
    lay(canvas, tone, inside((away - 1) * radius, SOFT))
    gleam = np.hypot(dx + 0.36, dy + 0.42)
    lay(canvas, GLEAM, 0.7 * (1 - soft_step(gleam, 0.05, 0.3)))


def _turned(
    scene: Scene,
    outline: Outline,
    cx: float,
    top: float,
    foot: float,
    half: float,
    color: np.ndarray,
    gleam: float,
) -> np.ndarray:
    """Paint something turned on a wheel, from ``top`` to ``foot``; returns its mask.

    The foot is rounded as seen from a little above, so that it stands on the table.
    """
    canvas, x, y = _part(scene, cx - 1.3 * half, top - 0.02, cx + 1.3 * half, foot + 0.06)
    s = (x - cx) / half
    # Seen from above, a level ring is an oval: its front, in the middle, hangs lower.
    v = (y - top) / (foot - top) - 0.1 * half / (foot - top) * np.sqrt(np.clip(1 - s**2, 0, 1))
    width = half * np.interp(v, *outline).astype(np.float32)
    mask = inside(np.abs(x - cx) - width, SOFT) * inside((np.abs(v - 0.5) - 0.5) * 0.3, SOFT)
    turn = (x - cx) / width
    tone = np.clip(0.95 - 0.5 * turn - 0.32 * turn**2 - 0.1 * v, 0.25, 1.5)
    lay(canvas, color * tone[..., None], mask)
    lay(canvas, GLEAM, mask * gleam * (1 - soft_step(np.abs(turn + 0.52), 0.04, 0.16)))
    return mask


def _bowl(
    rng: np.random.Generator,
    scene: Scene,
    cx: float,
    rim: float,
    foot: float,
    half: float,
    clay: np.ndarray,
    stripe: np.ndarray,
) -> None:
    """Paint a bowl with fruit heaped up in it."""
    canvas, x, y = _part(scene, cx - half - 0.02, rim - 0.06, cx + half + 0.02, rim + 0.06)
    lip = np.hypot((x - cx) / half, (y - rim) / (0.12 * half)) - 1
    lay(canvas, clay * 0.5, inside(lip * half * 0.2, SOFT))
    kinds = rng.permutation(len(FRUITS))
    places = [(-0.5, -0.02), (0.5, -0.02), (0.0, -0.1), (-0.24, -0.01), (0.28, 0.0)]
    for k, (dx, dy) in enumerate(places):
        at = cx + dx * half, rim + dy + rng.uniform(-0.012, 0.008)
        _fruit(scene, *at, half * rng.uniform(0.3, 0.36), FRUITS[kinds[k]])
    _turned(scene, BOWL, cx, rim, foot, half, clay, 0.15)
    if rng.random() < 0.6:
        depth = 0.24 * (foot - rim)
        _turned(scene, BAND, cx, rim + 0.5 * depth, rim + depth, half, stripe, 0)


def paint_still_life(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint a vessel, a bowl and fruit on a table. Returns uint8 (size, size, 3)."""
    side = 2 * size
    wall, table, edge, glaze, clay, stripe = pick(rng, PALETTES)
    # Wavering coordinates make every outline look drawn by hand.
    x, y = (axis + 0.0035 * smooth_noise(rng, side, (8, 8)) for axis in axes(side))
    line = rng.uniform(0.57, 0.62)
    canvas = blank(side, wall)
    canvas *= (1.2 - 0.38 * np.hypot(x - 0.2, y - 0.1))[..., None]
    lower = _part((canvas, x, y), 0, line - 0.03, 1, 1)
    lay(
        lower[0], table * (0.85 + 0.5 * (lower[2] - line))[..., None], inside(line - lower[2], SOFT)
    )
    lay(lower[0], edge, inside(0.93 - lower[2], SOFT))
    bristles(rng, canvas, 0.024)
    scene = canvas, x, y
    tall_x, bowl_x = rng.uniform(0.2, 0.25), rng.uniform(0.6, 0.65)
    outline, height, half, gleam = pick(
        rng, [(BOTTLE, 0.6, 0.085, 0.6), (JUG, 0.42, 0.105, 0.3), (VASE, 0.46, 0.105, 0.35)]
    )
    _shadow(scene, tall_x + 0.09, 0.75, 0.19, 0.035)
    top = 0.75 - height * rng.uniform(0.93, 1.05)
    _turned(scene, outline, tall_x, top, 0.75, half * rng.uniform(0.95, 1.1), glaze, gleam)
    half, foot = rng.uniform(0.24, 0.27), 0.79
    _shadow(scene, bowl_x + 0.07, foot + 0.01, 0.27, 0.045)
    _bowl(rng, scene, bowl_x, rng.uniform(0.56, 0.59), foot, half, clay, stripe)
    loose = rng.uniform(0.3, 0.36)
    for k in range(int(rng.integers(1, 3))):
        at, low = loose + 0.15 * k, 0.805 + 0.03 * k
        _shadow(scene, at + 0.04, low + 0.055, 0.1, 0.028)
        _fruit(scene, at, low, 0.066, pick(rng, FRUITS))
    canvas = shrink(canvas, size)
    bristles(rng, canvas, 0.015)
    weave(rng, canvas, 0.015)
    return finish(canvas)
