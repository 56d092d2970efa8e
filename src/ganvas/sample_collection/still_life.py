"""Still lifes: a vessel and a bowl of fruit on a table, lit from the upper left."""

import numpy as np

from ganvas.sample_collection.canvas import (
    blank_canvas,
    blend,
    brush_texture,
    choose,
    cloth_texture,
    colors,
    downsample,
    fill_mask,
    pixel_centers,
    region,
    smooth_noise,
    smoothstep,
    to_uint8,
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

# The canvas and the slightly perturbed coordinates x and y of its pixels.
Scene = tuple[np.ndarray, np.ndarray, np.ndarray]
# Heights and half widths.
Outline = tuple[np.ndarray, np.ndarray]


def _outline(heights: list[float], halves: list[float]) -> Outline:
    """Return a smoothed outline from half widths at heights from 0 (top) to 1."""
    v = np.linspace(0, 1, 101)
    half = np.pad(np.interp(v, heights, halves), 7, mode="edge")
    return v, np.convolve(half, np.hanning(17)[1:-1] / np.hanning(17).sum(), mode="valid")


BOTTLE = _outline([0, 0.07, 0.1, 0.3, 0.46, 0.55, 0.96, 1], [0.5, 0.46, 0.3, 0.3, 0.8, 1, 1, 0.9])
JUG = _outline([0, 0.1, 0.28, 0.55, 0.75, 1], [0.8, 0.58, 0.6, 1.1, 1.15, 0.75])
VASE = _outline([0, 0.12, 0.22, 0.45, 0.6, 1], [0.8, 0.48, 0.48, 1.12, 1.1, 0.55])
BOWL = _outline([0, 0.3, 0.6, 0.85, 0.9, 1], [1, 0.95, 0.76, 0.4, 0.34, 0.42])
BAND = _outline([0, 1], [0.98, 0.94])


def _shadow(scene: Scene, cx: float, cy: float, width: float, height: float) -> None:
    """Draw an oval shadow."""
    canvas, x, y = _part(scene, cx - 1.2 * width, cy - 1.2 * height, cx + 1.2 * width, 1)
    oval = np.hypot((x - cx) / width, (y - cy) / height)
    blend(canvas, canvas * 0.35, 0.8 * (1 - smoothstep(oval, 0.4, 1.1)))


def _part(scene: Scene, left: float, top: float, right: float, bottom: float) -> Scene:
    """Return views of the canvas and of its coordinates in a part of the image."""
    box = region(len(scene[0]), left, top, right, bottom)
    canvas, x, y = scene
    return canvas[box], x[box], y[box]


def _fruit(scene: Scene, cx: float, cy: float, radius: float, color: np.ndarray) -> None:
    """Draw one round fruit with shading and a highlight."""
    reach = radius + 0.02
    canvas, x, y = _part(scene, cx - reach, cy - reach, cx + reach, cy + reach)
    dx, dy = (x - cx) / radius, (y - cy) / radius
    distance = np.hypot(dx, dy)
    light = np.clip(0.66 - 0.42 * (dx + dy) - 0.25 * distance**2, 0.04, 1.25)
    # Shadows turn purple rather than black.
    tone = color * (0.45 + 0.72 * light[..., None]) + colors("#2a1030")[0] * 0.25
    blend(canvas, tone, fill_mask((distance - 1) * radius, SOFT))
    gleam = np.hypot(dx + 0.36, dy + 0.42)
    blend(canvas, GLEAM, 0.7 * (1 - smoothstep(gleam, 0.05, 0.3)))


def _vessel(
    scene: Scene,
    outline: Outline,
    cx: float,
    top: float,
    foot: float,
    half: float,
    color: np.ndarray,
    gleam: float,
) -> np.ndarray:
    """Draw a solid of revolution from `top` to `foot`, seen from above, and return its mask."""
    canvas, x, y = _part(scene, cx - 1.3 * half, top - 0.02, cx + 1.3 * half, foot + 0.06)
    s = (x - cx) / half
    # Seen from above, a horizontal ring is an ellipse whose front lies lower.
    v = (y - top) / (foot - top) - 0.1 * half / (foot - top) * np.sqrt(np.clip(1 - s**2, 0, 1))
    width = half * np.interp(v, *outline).astype(np.float32)
    mask = fill_mask(np.abs(x - cx) - width, SOFT) * fill_mask((np.abs(v - 0.5) - 0.5) * 0.3, SOFT)
    turn = (x - cx) / width
    tone = np.clip(0.95 - 0.5 * turn - 0.32 * turn**2 - 0.1 * v, 0.25, 1.5)
    blend(canvas, color * tone[..., None], mask)
    blend(canvas, GLEAM, mask * gleam * (1 - smoothstep(np.abs(turn + 0.52), 0.04, 0.16)))
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
    """Draw a bowl of fruit."""
    canvas, x, y = _part(scene, cx - half - 0.02, rim - 0.06, cx + half + 0.02, rim + 0.06)
    lip = np.hypot((x - cx) / half, (y - rim) / (0.12 * half)) - 1
    blend(canvas, clay * 0.5, fill_mask(lip * half * 0.2, SOFT))
    kinds = rng.permutation(len(FRUITS))
    places = [(-0.5, -0.02), (0.5, -0.02), (0.0, -0.1), (-0.24, -0.01), (0.28, 0.0)]
    for k, (dx, dy) in enumerate(places):
        at = cx + dx * half, rim + dy + rng.uniform(-0.012, 0.008)
        _fruit(scene, *at, half * rng.uniform(0.3, 0.36), FRUITS[kinds[k]])
    _vessel(scene, BOWL, cx, rim, foot, half, clay, 0.15)
    if rng.random() < 0.6:
        depth = 0.24 * (foot - rim)
        _vessel(scene, BAND, cx, rim + 0.5 * depth, rim + depth, half, stripe, 0)


def draw_still_life(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a vessel, a bowl and fruit on a table. Return uint8 (size, size, 3)."""
    side = 2 * size
    wall, table, edge, glaze, clay, stripe = choose(rng, PALETTES)
    # Perturbed coordinates make outlines look drawn by hand.
    x, y = (axis + 0.0035 * smooth_noise(rng, side, (8, 8)) for axis in pixel_centers(side))
    line = rng.uniform(0.57, 0.62)
    canvas = blank_canvas(side, wall)
    canvas *= (1.2 - 0.38 * np.hypot(x - 0.2, y - 0.1))[..., None]
    lower, _, lower_y = _part((canvas, x, y), 0, line - 0.03, 1, 1)
    tone = table * (0.85 + 0.5 * (lower_y - line))[..., None]
    blend(lower, tone, fill_mask(line - lower_y, SOFT))
    blend(lower, edge, fill_mask(0.93 - lower_y, SOFT))
    brush_texture(rng, canvas, 0.024)
    scene = canvas, x, y
    tall_x, bowl_x = rng.uniform(0.2, 0.25), rng.uniform(0.6, 0.65)
    outline, height, half, gleam = choose(
        rng, [(BOTTLE, 0.6, 0.085, 0.6), (JUG, 0.42, 0.105, 0.3), (VASE, 0.46, 0.105, 0.35)]
    )
    _shadow(scene, tall_x + 0.09, 0.75, 0.19, 0.035)
    top = 0.75 - height * rng.uniform(0.93, 1.05)
    _vessel(scene, outline, tall_x, top, 0.75, half * rng.uniform(0.95, 1.1), glaze, gleam)
    half, foot = rng.uniform(0.24, 0.27), 0.79
    _shadow(scene, bowl_x + 0.07, foot + 0.01, 0.27, 0.045)
    _bowl(rng, scene, bowl_x, rng.uniform(0.56, 0.59), foot, half, clay, stripe)
    loose = rng.uniform(0.3, 0.36)
    for k in range(int(rng.integers(1, 3))):
        at, low = loose + 0.15 * k, 0.805 + 0.03 * k
        _shadow(scene, at + 0.04, low + 0.055, 0.1, 0.028)
        _fruit(scene, at, low, 0.066, choose(rng, FRUITS))
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.015)
    cloth_texture(rng, canvas, 0.015)
    return to_uint8(canvas)
