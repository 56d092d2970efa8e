"""Still lifes on a table, lit from one side: a bowl, flowers, bottles in a row, large fruit."""

import numpy as np

from ganvas.sample_collection.canvas import (
    Composition,
    blank_canvas,
    blend,
    brush_texture,
    choose,
    cloth_texture,
    colors,
    downsample,
    fill_mask,
    mirror_at_random,
    pixel_centers,
    region,
    smooth_noise,
    smoothstep,
    to_uint8,
)

# Wall, table, table's front edge, then three glazes.
PALETTES = [
    colors("#93a99f", "#c08a52", "#7d5331", "#2f5d50", "#efe5cf", "#3f6f9a"),
    colors("#d2ae70", "#7f4c36", "#573022", "#35566b", "#e6e8e0", "#b5482f"),
    colors("#6f82a0", "#e3d3b4", "#9a7f5c", "#6b2f34", "#3f78a0", "#f4ecd8"),
    colors("#d9836a", "#5c7a6a", "#3c4f45", "#24473f", "#f2eadb", "#e0a040"),
    colors("#3a2a26", "#6b4630", "#3b2419", "#a4552f", "#d8c49a", "#47624e"),
    colors("#263540", "#b08a5e", "#6e5236", "#c9b68c", "#7fa0a8", "#a8442f"),
    colors("#eab4b0", "#e4dccb", "#bfae9a", "#3d6fa8", "#e9b44c", "#b84a5a"),
    colors("#2f6f8f", "#f0d9a8", "#b8935a", "#f2efe6", "#d9603a", "#1f3f5c"),
    colors("#e8c54a", "#3f6a8a", "#29475f", "#f5f0e0", "#2f7a5c", "#c8402f"),
    colors("#7a9a5a", "#e9e2cc", "#b3a684", "#8c3f5c", "#f0e6c0", "#3a5a8c"),
]
FRUITS = colors("#d9442f", "#ef9426", "#ecca3e", "#9aae3c", "#7a2f4f", "#e8733c")
PETALS = colors("#e8504a", "#f6b93b", "#f7e3ec", "#c04a9a", "#fbf4dc", "#f08a6a", "#6a78d0")
LEAF = colors("#3f6a3a")[0]
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
PEAR = _outline([0, 0.06, 0.3, 0.45, 0.7, 0.92, 1], [0.2, 0.36, 0.46, 0.72, 1, 0.85, 0.6])
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


def _room(rng: np.random.Generator, side: int, palette: np.ndarray, line: float) -> Scene:
    """Return a wall, lit from the upper left, above a table whose far edge is at y = `line`."""
    wall, table, edge, *_ = palette
    # Perturbed coordinates make outlines look drawn by hand.
    x, y = (axis + 0.0035 * smooth_noise(rng, side, (8, 8)) for axis in pixel_centers(side))
    canvas = blank_canvas(side, wall)
    canvas *= (1.2 - 0.38 * np.hypot(x - 0.2, y - 0.1))[..., None]
    lower, _, lower_y = _part((canvas, x, y), 0, line - 0.03, 1, 1)
    tone = table * (0.85 + 0.5 * (lower_y - line))[..., None]
    blend(lower, tone, fill_mask(line - lower_y, SOFT))
    if rng.random() < 0.6:
        blend(lower, edge, fill_mask(0.93 - lower_y, SOFT))
    brush_texture(rng, canvas, 0.02)
    return canvas, x, y


def _finished(rng: np.random.Generator, scene: Scene, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3), mirrored half of the time."""
    canvas = downsample(scene[0], size)
    brush_texture(rng, canvas, 0.012)
    cloth_texture(rng, canvas, 0.012)
    return to_uint8(mirror_at_random(rng, canvas))


def draw_bowl_of_fruit(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a large bowl of fruit with loose ones beside it. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    clay, stripe = palette[3:][rng.permutation(3)[:2]]
    scene = _room(rng, 2 * size, palette, rng.uniform(0.5, 0.66))
    cx, half, foot = rng.uniform(0.52, 0.64), rng.uniform(0.28, 0.33), rng.uniform(0.78, 0.84)
    _shadow(scene, cx + 0.08, foot + 0.01, 1.05 * half, 0.05)
    _bowl(rng, scene, cx, foot - 0.24, foot, half, clay, stripe)
    for k in range(int(rng.integers(0, 3))):
        at, low = cx - half + 0.01 + 0.2 * k, foot + 0.01 + 0.02 * k
        _shadow(scene, at + 0.05, low + 0.06, 0.11, 0.03)
        _fruit(scene, at, low, rng.uniform(0.07, 0.085), choose(rng, FRUITS))
    return _finished(rng, scene, size)


def _flower(
    scene: Scene, cx: float, cy: float, radius: float, petals: int, color: np.ndarray
) -> None:
    """Draw a flower that faces the viewer."""
    reach = 1.2 * radius
    canvas, x, y = _part(scene, cx - reach, cy - reach, cx + reach, cy + reach)
    dx, dy = (x - cx) / radius, (y - cy) / radius
    distance = np.hypot(dx, dy)
    rim = distance - 0.86 - 0.14 * np.cos(petals * np.arctan2(dy, dx))
    light = np.clip(0.9 - 0.22 * (dx + dy), 0.5, 1.15) * (0.72 + 0.3 * smoothstep(distance, 0, 0.8))
    blend(canvas, color * light[..., None], fill_mask(rim * radius, 1.5 * SOFT))
    heart = colors("#7a4a1a")[0] if color[2] < 0.5 and color[1] > 0.6 else colors("#f2c040")[0]
    blend(canvas, heart, fill_mask((distance - 0.3) * radius, SOFT))


def draw_vase_of_flowers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a vase with a bouquet that fills the wall. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    scene = _room(rng, 2 * size, palette, rng.uniform(0.62, 0.8))
    cx, foot = rng.uniform(0.44, 0.56), rng.uniform(0.88, 0.93)
    top = foot - rng.uniform(0.32, 0.38)
    _shadow(scene, cx + 0.1, foot - 0.01, 0.2, 0.035)
    canvas, x, y = scene
    # A crown of leaves behind the flowers.
    crown = np.hypot((x - cx) / 0.34, (y - top + 0.17) / 0.24) - 1
    crown += 0.07 * np.sin(9 * np.arctan2(y - top + 0.17, x - cx) + rng.uniform(0, 6))
    light = np.clip(1.1 - 0.9 * (x - cx + 0.2) - 0.6 * (y - top + 0.4), 0.45, 1.3)
    blend(canvas, LEAF * light[..., None], fill_mask(crown, 0.06))
    outline, half = choose(rng, [(VASE, 0.12), (JUG, 0.12), (BOTTLE, 0.11)])
    _vessel(
        scene, outline, cx, top, foot, half * rng.uniform(0.95, 1.1), choose(rng, palette[3:]), 0.3
    )
    petals, kinds = int(rng.integers(5, 8)), PETALS[rng.permutation(len(PETALS))[:3]]
    places = [
        (-0.24, -0.12),
        (0.24, -0.1),
        (-0.14, -0.32),
        (0.15, -0.33),
        (0.0, -0.17),
        (0.0, -0.02),
    ]
    for k, (dx, dy) in enumerate(places[: int(rng.integers(4, 7))]):
        at = cx + dx + rng.uniform(-0.03, 0.03), top + dy + rng.uniform(-0.03, 0.03)
        _flower(scene, *at, rng.uniform(0.115, 0.15), petals, kinds[k % 3])
    return _finished(rng, scene, size)


def draw_row_of_vessels(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw three or four bottles, jugs and vases side by side. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    scene = _room(rng, 2 * size, palette, rng.uniform(0.45, 0.68))
    count = int(rng.integers(3, 5))
    kinds = [(BOTTLE, 0.62, 0.1), (JUG, 0.4, 0.125), (VASE, 0.48, 0.12), (BOWL, 0.17, 0.15)]
    order = rng.permutation(4)[:count]
    glazes = palette[3:][rng.permutation(3)]
    for k, kind in enumerate(order.tolist()):
        outline, height, half = kinds[kind]
        half *= rng.uniform(0.95, 1.05) * (1.15 if count == 3 else 1)
        cx, foot = (k + 0.5) / count * 0.9 + 0.05, rng.uniform(0.78, 0.86)
        _shadow(scene, cx + 0.08, foot, 1.5 * half, 0.035)
        top = foot - height * rng.uniform(0.9, 1.15)
        _vessel(scene, outline, cx, top, foot, half, glazes[k % 3], 0.4)
    return _finished(rng, scene, size)


def draw_large_fruit(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two or three fruits that fill the table. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    scene = _room(rng, 2 * size, palette, rng.uniform(0.3, 0.5))
    # A round plate below them.
    canvas, x, y = scene
    cy = rng.uniform(0.72, 0.78)
    if rng.random() < 0.6:
        _shadow(scene, 0.54, cy + 0.03, 0.46, 0.17)
        plate = np.hypot((x - 0.5) / 0.43, (y - cy) / 0.16) - 1
        china = choose(rng, palette[3:])
        blend(canvas, china, fill_mask(plate, 0.02))
        blend(canvas, 0.86 * china, fill_mask(plate + 0.28, 0.02))
    kinds = FRUITS[rng.permutation(len(FRUITS))]
    places = [(0.29, 0.0), (0.7, -0.02), (0.5, 0.05)][: int(rng.integers(2, 4))]
    for k, (cx, dy) in enumerate(places):
        cx, foot, radius = cx + rng.uniform(-0.03, 0.03), cy + dy + 0.04, rng.uniform(0.14, 0.18)
        _shadow(scene, cx + 0.07, foot - 0.01, 1.1 * radius, 0.045)
        if rng.random() < 0.4:
            _vessel(scene, PEAR, cx, foot - 2.7 * radius, foot, radius, kinds[k], 0.3)
        else:
            _fruit(scene, cx, foot - 0.9 * radius, radius, kinds[k])
    return _finished(rng, scene, size)


COMPOSITIONS: list[Composition] = [
    draw_bowl_of_fruit,
    draw_vase_of_flowers,
    draw_row_of_vessels,
    draw_large_fruit,
]
