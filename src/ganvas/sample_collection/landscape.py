"""Pointillist landscapes: fields, hills and lakes rendered in dots of color."""

import math

import numpy as np

from ganvas.sample_collection.canvas import (
    blank_canvas,
    blend,
    choose,
    colors,
    downsample,
    fill_mask,
    pixel_centers,
    smooth_noise,
    smoothstep,
    to_uint8,
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
    """Return the landscape before it is rendered in dots, a canvas (side, side, 3)."""
    zenith, haze, sun, far, near, meadow, shade, tree = choose(rng, PALETTES)
    x, y = pixel_centers(side)
    horizon = rng.uniform(0.56, 0.61)
    canvas = blank_canvas(side, zenith)
    blend(canvas, haze, smoothstep(y, 0.05, horizon))
    sun_x, sun_y = rng.uniform(0.2, 0.36), rng.uniform(0.18, 0.27)
    distance = np.hypot(x - sun_x, y - sun_y)
    blend(canvas, sun, 0.75 * np.exp(-distance / 0.12))
    blend(canvas, sun, fill_mask(distance - rng.uniform(0.08, 0.1), 0.01))
    for color, base, height in ((far, horizon - 0.06, 0.05), (near, horizon + 0.01, 0.045)):
        phase, bend = rng.uniform(0, 2 * math.pi), rng.uniform(4, 7)
        ridge = base - height * np.sin(bend * x + phase) - 0.3 * height * np.sin(13 * x + phase)
        blend(canvas, color, fill_mask(ridge - y, 0.01))
    shore = horizon + 0.08
    if rng.random() < 0.4:
        shore += 0.12
        _lake(canvas, (horizon + 0.035, shore), 0.6 * zenith + 0.4 * haze, sun, sun_x)
    edge = shore + 0.02 * np.sin(3 * x + rng.uniform(0, 6))
    ground = fill_mask(edge - y, 0.01)
    blend(canvas, meadow, ground)
    furrow = np.sin((y - 0.25 * x) * 38 / (0.35 + y) + rng.uniform(0, 6))
    shading = np.maximum(0.5 * smoothstep(furrow, 0, 1), smoothstep(y, 0.8, 1.05))
    blend(canvas, shade, ground * shading)
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
    """Draw a lake between two shores (far y, near y) with a reflection of the sun."""
    x, y = pixel_centers(len(canvas))
    mask = fill_mask(shores[0] - y, 0.01) * fill_mask(y - shores[1] - 0.03, 0.01)
    blend(canvas, water, mask)
    glitter = np.exp(-(((x - sun_x) / 0.07) ** 2)) + 0.3 * smoothstep(np.sin(y * 170), 0.2, 1)
    blend(canvas, sun, mask * np.clip(glitter, 0, 0.85))


def _poplars(rng: np.random.Generator, canvas: np.ndarray, tree: np.ndarray, foot: float) -> None:
    """Draw a few slim trees on the left."""
    x, y = pixel_centers(len(canvas))
    first, count = rng.uniform(0.06, 0.12), int(rng.integers(2, 5))
    for k in range(count):
        height = rng.uniform(0.17, 0.23)
        middle = foot - height / 2
        oval = np.hypot((x - first - 0.08 * k) / 0.027, (y - middle) / (height / 2)) - 1
        blend(canvas, 0.9 * tree, fill_mask(oval, 0.2))


def _tree(rng: np.random.Generator, canvas: np.ndarray, tree: np.ndarray, sun: np.ndarray) -> None:
    """Draw a round tree on the right, lit from the side of the sun, and its shadow."""
    x, y = pixel_centers(len(canvas))
    cx, cy, radius = rng.uniform(0.7, 0.8), rng.uniform(0.45, 0.51), rng.uniform(0.16, 0.2)
    trunk = np.maximum(np.abs(x - cx) - 0.026, np.abs(y - 0.73) - 0.14)
    shadow = np.hypot((x - cx - 0.07) / 0.22, (y - 0.87) / 0.035) - 1
    blend(canvas, tree, 0.75 * fill_mask(shadow, 0.5))
    blend(canvas, 0.8 * tree, fill_mask(trunk, 0.01))
    crown = np.hypot(x - cx, y - cy) - radius + 0.015 * smooth_noise(rng, len(canvas), (7, 7))
    mask = fill_mask(crown, 0.015)
    blend(canvas, 0.9 * tree, mask)
    lit = smoothstep((cx - x) + (cy - y), -0.12, 0.2)
    blend(canvas, 0.5 * sun * colors("#d8e08a")[0] + 0.5 * tree, mask * lit * 0.85)


def _dot_layer(
    rng: np.random.Generator,
    canvas: np.ndarray,
    scene: np.ndarray,
    per_side: int,
    radius: float,
) -> None:
    """Draw one layer of dots in place, one per cell of a rotated lattice."""
    x, y = pixel_centers(len(canvas))
    angle = rng.uniform(0, math.pi / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    # Shifted by one side, the cell numbers of the rotated lattice are never negative.
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
    dots = scene[at[0], at[1]]
    # Each dot deviates randomly from the color of the scene.
    dots = dots * rng.uniform(0.9, 1.12, (len(dots), 1)) + rng.normal(0, 0.05, dots.shape)
    distance = np.hypot(u - np.take(center_u, cells), v - np.take(center_v, cells))
    dot_colors = np.take(dots.T.astype(np.float32), cells, axis=1).transpose(1, 2, 0)
    blend(canvas, dot_colors, fill_mask(distance - radius, 0.12))


def draw_pointillist_landscape(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw sky, sun, hills, meadow and trees in dots. Return uint8 (size, size, 3)."""
    scene = _scene(rng, size)
    # Averaging over varied dots reduces saturation, so it is raised beforehand.
    gray = scene.mean(axis=2, keepdims=True)
    scene = gray + 1.2 * (scene - gray)
    ground = 0.75 * scene + 0.25 * colors("#efe3c8")[0]
    canvas = blank_canvas(2 * size, ground[0, 0])
    for i in range(2):
        for j in range(2):
            canvas[i::2, j::2] = ground
    for per_side in (30, 32, 34, 36):
        _dot_layer(rng, canvas, scene, per_side, 0.43)
    return to_uint8(downsample(canvas, size))
