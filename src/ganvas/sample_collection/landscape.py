"""Landscapes that are nothing but touches of color: pointillist fields, hills and lakes."""

import math

import numpy as np

from ganvas.sample_collection.canvas import (
    axes,
    blank,
    colors,
    finish,
    inside,
    lay,
    pick,
    shrink,
    smooth_noise,
    soft_step,
)

# Sky at the zenith, sky at the horizon, sun, far hills, near hills, meadow, its shade, trees.
PALETTES = [
    colors("#4f8acb", "#f9e0b0", "#fff3b0", "#8698c8", "#6a9c64", "#cfc954", "#74a048", "#24584a"),
    colors("#7a68bb", "#fbb282", "#ffe38c", "#8a68a8", "#587c80", "#e09c54", "#a5684e", "#382f62"),
    colors("#3ba0c0", "#f2f2c6", "#fff8c4", "#66b0b8", "#459c72", "#ecd060", "#b4a83e", "#165a50"),
    colors("#dc7298", "#fddca6", "#fff2ac", "#b080b4", "#8480a4", "#ccb766", "#8a9056", "#4e3a66"),
    colors("#5f9fd8", "#fbe6d8", "#fff4c8", "#a3a8d8", "#7aa57c", "#e8a9a4", "#a98a5c", "#2f5f58"),
]


def _scene(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return the plain landscape, a canvas (side, side, 3), that the dots are to render."""
    zenith, haze, sun, far, near, meadow, shade, tree = pick(rng, PALETTES)
    x, y = axes(side)
    horizon = rng.uniform(0.56, 0.61)
    canvas = blank(side, zenith)
    lay(canvas, haze, soft_step(y, 0.05, horizon))
    sun_x, sun_y = rng.uniform(0.2, 0.36), rng.uniform(0.18, 0.27)
    away = np.hypot(x - sun_x, y - sun_y)
    lay(canvas, sun, 0.75 * np.exp(-away / 0.12))
    lay(canvas, sun, inside(away - rng.uniform(0.08, 0.1), 0.01))
    for color, base, height in ((far, horizon - 0.06, 0.05), (near, horizon + 0.01, 0.045)):
        phase, bend = rng.uniform(0, 2 * math.pi), rng.uniform(4, 7)
        ridge = base - height * np.sin(bend * x + phase) - 0.3 * height * np.sin(13 * x + phase)
        lay(canvas, color, inside(ridge - y, 0.01))
    shore = horizon + 0.08
    if rng.random() < 0.4:
        shore += 0.12
        _lake(canvas, (horizon + 0.035, shore), 0.6 * zenith + 0.4 * haze, sun, sun_x)
    edge = shore + 0.02 * np.sin(3 * x + rng.uniform(0, 6))
    ground = inside(edge - y, 0.01)
    lay(canvas, meadow, ground)
    furrow = np.sin((y - 0.25 * x) * 38 / (0.35 + y) + rng.uniform(0, 6))
    lay(canvas, shade, ground * np.maximum(0.5 * soft_step(furrow, 0, 1), soft_step(y, 0.8, 1.05)))
    if rng.random() < 0.6:
        _poplars(rng, canvas, tree, horizon + 0.1)
    _tree(rng, canvas, tree, sun)
    return canvas


def _lake(
    canvas: np.ndarray,
    shores: tuple[float, float],
    water: np.ndarray,
    sun: np.ndarray,
    sun_x: float,
) -> None:
    """Lay a lake between two shores (far y, near y), with the sun's path on it."""
    x, y = axes(len(canvas))
    mask = inside(shores[0] - y, 0.01) * inside(y - shores[1] - 0.03, 0.01)
    lay(canvas, water, mask)
    glitter = np.exp(-(((x - sun_x) / 0.07) ** 2)) + 0.3 * soft_step(np.sin(y * 170), 0.2, 1)
    lay(canvas, sun, mask * np.clip(glitter, 0, 0.85))


def _poplars(rng: np.random.Generator, canvas: np.ndarray, tree: np.ndarray, foot: float) -> None:
    """Plant a few slim trees on the left."""
    x, y = axes(len(canvas))
    first, count = rng.uniform(0.06, 0.12), int(rng.integers(2, 5))
    for k in range(count):
        height = rng.uniform(0.17, 0.23)
        middle = foot - height / 2
        oval = np.hypot((x - first - 0.08 * k) / 0.027, (y - middle) / (height / 2)) - 1
        lay(canvas, 0.9 * tree, inside(oval, 0.2))


def _tree(rng: np.random.Generator, canvas: np.ndarray, tree: np.ndarray, sun: np.ndarray) -> None:
    """Plant a round tree on the right, lit from the sun's side, with its shadow."""
    x, y = axes(len(canvas))
    cx, cy, radius = rng.uniform(0.7, 0.8), rng.uniform(0.45, 0.51), rng.uniform(0.16, 0.2)
    trunk = np.maximum(np.abs(x - cx) - 0.026, np.abs(y - 0.73) - 0.14)
    shadow = np.hypot((x - cx - 0.07) / 0.22, (y - 0.87) / 0.035) - 1
    lay(canvas, tree, 0.75 * inside(shadow, 0.5))
    lay(canvas, 0.8 * tree, inside(trunk, 0.01))
    crown = np.hypot(x - cx, y - cy) - radius + 0.015 * smooth_noise(rng, len(canvas), (7, 7))
    mask = inside(crown, 0.015)
    lay(canvas, 0.9 * tree, mask)
    lit = soft_step((cx - x) + (cy - y), -0.12, 0.2)
    lay(canvas, 0.5 * sun * colors("#d8e08a")[0] + 0.5 * tree, mask * lit * 0.85)


def _dot_layer(
    rng: np.random.Generator,
    canvas: np.ndarray,
    scene: np.ndarray,
    per_side: int,
    radius: float,
) -> None:
    """Cover the canvas in place with one layer of dots, one to each cell of a turned lattice."""
    x, y = axes(len(canvas))
    angle = rng.uniform(0, math.pi / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    # Shifted by one side, the turned lattice counts from zero wherever the image is.
    u = (x * cos + y * sin) * per_side
    v = (y * cos - x * sin) * per_side + per_side
    reach = 2 * per_side + 2
    cells = v.astype(np.intp) * reach + u.astype(np.intp)
    slack = 0.5 - radius
    jitter = rng.uniform(-slack, slack, (2, reach * reach)).astype(np.float32)
    row, column = np.divmod(np.arange(reach * reach), reach)
    center_u = jitter[0] + (column + 0.5).astype(np.float32)
    center_v = jitter[1] + (row + 0.5).astype(np.float32)
    px = (center_u * cos - (center_v - per_side) * sin) / per_side
    py = (center_u * sin + (center_v - per_side) * cos) / per_side
    at = [np.clip(p * len(scene), 0, len(scene) - 1).astype(np.int32) for p in (py, px)]
    paint = scene[at[0], at[1]]
    # Divided color: each dot strays from the true tone, and the eye mixes them again.
    paint = paint * rng.uniform(0.9, 1.12, (len(paint), 1)) + rng.normal(0, 0.05, paint.shape)
    distance = np.hypot(u - np.take(center_u, cells), v - np.take(center_v, cells))
    touches = np.take(paint.T.astype(np.float32), cells, axis=1).transpose(1, 2, 0)
    lay(canvas, touches, inside(distance - radius, 0.12))


def paint_pointillist_landscape(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint sky, sun, hills, meadow and trees in dots. Returns uint8 (size, size, 3)."""
    scene = _scene(rng, size)
    # Dots of many colors mix to a duller one, so the colors they vary about are stronger.
    gray = scene.mean(axis=2, keepdims=True)
    scene = gray + 1.2 * (scene - gray)
    ground = 0.75 * scene + 0.25 * colors("#efe3c8")[0]
    canvas = blank(2 * size, ground[0, 0])
    for i in range(2):
        for j in range(2):
            canvas[i::2, j::2] = ground
    for per_side in (30, 32, 34, 36):
        _dot_layer(rng, canvas, scene, per_side, 0.43)
    return finish(shrink(canvas, size))
