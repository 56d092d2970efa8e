"""Pointillist landscapes in dots of color: a tree, a lake, a coast, haystacks, rows of flowers."""

import math

import numpy as np

from ganvas.sample_collection.canvas import (
    Composition,
    blank_canvas,
    blend,
    choose,
    colors,
    downsample,
    fill_mask,
    mirror_at_random,
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
    colors("#9fb8d0", "#f2ece8", "#fff6e0", "#b8c4d8", "#8aa0b8", "#f0f2f6", "#b4c6dc", "#4a5a78"),
    colors("#5a86b8", "#f6d9a0", "#fff0b8", "#9a7a8a", "#b0603a", "#e8a03c", "#c2602c", "#8a2f24"),
    colors("#e8c040", "#f4e08a", "#fffbe0", "#7a9a6a", "#3f7a5a", "#8a9ac8", "#5a68a0", "#2a3f6a"),
]
CREAM = colors("#fbf2dc")[0]
SAILS = colors("#fbf4e4", "#d8452f", "#f0a43a", "#3a4f7a")
BLOOMS = colors("#d8436a", "#f2b632", "#8a5ac0", "#e8703a", "#f4a6c0", "#f7f0dc", "#c22f3a")


def _sky(
    rng: np.random.Generator, size: int, palette: np.ndarray, horizon: float
) -> tuple[np.ndarray, float]:
    """Return a sky with a sun or with clouds, (size, size, 3), and the x of the light."""
    zenith, haze, sun, *_ = palette
    x, y = pixel_centers(size)
    canvas = blank_canvas(size, zenith)
    blend(canvas, haze, smoothstep(y, 0.05, horizon))
    sun_x, sun_y = rng.uniform(0.16, 0.5), rng.uniform(0.14, 0.5) * horizon
    if rng.random() < 0.7:
        distance = np.hypot(x - sun_x, y - sun_y)
        blend(canvas, sun, 0.75 * np.exp(-distance / 0.12))
        blend(canvas, sun, fill_mask(distance - rng.uniform(0.07, 0.11), 0.01))
        return canvas, sun_x
    for cx in (sun_x - 0.06, sun_x + 0.38):
        cloud = np.hypot((x - cx) / 0.2, (y - horizon * rng.uniform(0.2, 0.5)) / 0.07)
        blend(canvas, CREAM, 0.95 * fill_mask(cloud + 0.16 * np.sin(40 * x) - 1, 0.4))
    return canvas, sun_x


def _add_hills(
    rng: np.random.Generator, canvas: np.ndarray, palette: np.ndarray, horizon: float
) -> None:
    """Draw two ranges of hills at the horizon, in place."""
    x, y = pixel_centers(len(canvas))
    for color, base, height in ((palette[3], horizon - 0.06, 0.05), (palette[4], horizon, 0.045)):
        phase, bend = rng.uniform(0, 2 * math.pi), rng.uniform(4, 7)
        ridge = base - height * np.sin(bend * x + phase) - 0.3 * height * np.sin(13 * x + phase)
        blend(canvas, color, fill_mask(ridge - y, 0.01))


def _add_meadow(
    rng: np.random.Generator, canvas: np.ndarray, palette: np.ndarray, top: float
) -> None:
    """Draw a meadow below y = `top`, with broad furrows and a darker foreground, in place."""
    x, y = pixel_centers(len(canvas))
    ground = fill_mask(top + 0.02 * np.sin(3 * x + rng.uniform(0, 6)) - y, 0.01)
    blend(canvas, palette[5], ground)
    furrow = np.sin((y - 0.25 * x) * 30 / (0.35 + y) + rng.uniform(0, 6))
    shading = np.maximum(0.45 * smoothstep(furrow, 0, 1), smoothstep(y, 0.82, 1.05))
    blend(canvas, palette[6], ground * shading)


def _add_round_tree(
    rng: np.random.Generator,
    canvas: np.ndarray,
    palette: np.ndarray,
    place: tuple[float, float, float],
) -> None:
    """Draw a tree at `place` = (x, y of its crown, radius), lit from the left, in place."""
    sun, tree = palette[2], palette[7]
    cx, cy, radius = place
    x, y = pixel_centers(len(canvas))
    foot = cy + 2.2 * radius
    shadow = np.hypot((x - cx - 0.07) / (1.2 * radius), (y - foot) / 0.035) - 1
    blend(canvas, tree, 0.75 * fill_mask(shadow, 0.5))
    trunk = np.maximum(np.abs(x - cx) - 0.15 * radius, np.abs(y - cy - 1.4 * radius) - 0.8 * radius)
    blend(canvas, 0.8 * tree, fill_mask(trunk, 0.01))
    crown = np.hypot(x - cx, y - cy) - radius + 0.015 * smooth_noise(rng, len(canvas), (7, 7))
    mask = fill_mask(crown, 0.015)
    blend(canvas, 0.9 * tree, mask)
    lit = smoothstep((cx - x) + (cy - y), -0.12, 0.2)
    blend(canvas, 0.35 * sun + 0.65 * palette[6], 0.85 * mask * lit)


def _add_poplars(
    rng: np.random.Generator, canvas: np.ndarray, tree: np.ndarray, foot: float
) -> None:
    """Draw a row of slim trees on the left, in place."""
    x, y = pixel_centers(len(canvas))
    first, count = rng.uniform(0.06, 0.12), int(rng.integers(2, 5))
    for k in range(count):
        height = rng.uniform(0.2, 0.3)
        oval = np.hypot((x - first - 0.1 * k) / 0.035, (y - foot + height / 2) / (height / 2)) - 1
        blend(canvas, 0.9 * tree, fill_mask(oval, 0.2))


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
    dots = dots * rng.uniform(0.94, 1.08, (len(dots), 1)) + rng.normal(0, 0.027, dots.shape)
    distance = np.hypot(u - np.take(center_u, cells), v - np.take(center_v, cells))
    dot_colors = np.take(dots.T.astype(np.float32), cells, axis=1).transpose(1, 2, 0)
    blend(canvas, dot_colors, fill_mask(distance - radius, 0.12))


def _in_dots(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """Return a scene in dots, uint8 (size, size, 3), mirrored half of the time."""
    size = len(scene)
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
    canvas = downsample(canvas, size)
    return to_uint8(mirror_at_random(rng, canvas))


def draw_tree(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a large tree in a meadow, often with poplars. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    horizon = rng.uniform(0.52, 0.64)
    scene, _ = _sky(rng, size, palette, horizon)
    _add_hills(rng, scene, palette, horizon)
    _add_meadow(rng, scene, palette, horizon + 0.06)
    if rng.random() < 0.5:
        _add_poplars(rng, scene, palette[7], horizon + 0.1)
    radius = rng.uniform(0.16, 0.23)
    _add_round_tree(rng, scene, palette, (rng.uniform(0.66, 0.78), 0.84 - 2.1 * radius, radius))
    return _in_dots(rng, scene)


def draw_mountain_lake(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw mountains with snow and their reflection in a lake. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    zenith, haze, _, far, near, _, shade, tree = palette
    shore = rng.uniform(0.56, 0.66)
    scene, _ = _sky(rng, size, palette, shore)
    x, y = pixel_centers(size)
    middle = rng.uniform(0.55, 0.75)
    # From the farthest to the nearest: x of the peak, its height above the shore, color.
    mountains = [
        (middle - rng.uniform(0.4, 0.5), rng.uniform(0.26, 0.36), 0.7 * far + 0.3 * haze),
        (middle, rng.uniform(0.36, 0.46), far),
        (middle + rng.uniform(0.3, 0.45), rng.uniform(0.18, 0.26), 0.5 * far + 0.5 * near),
    ]
    for peak, height, color in mountains:
        top = shore - height
        ridge = top + 0.75 * np.abs(x - peak) ** 0.9 + 0.012 * np.sin(31 * x + peak)
        mask = fill_mask(ridge - y, 0.01)
        # The side that faces the light is lighter.
        blend(scene, color * (0.85 + 0.25 * (x < peak))[..., None], mask)
        snow = y - top - 0.3 * height - 0.025 * np.sin(24 * x + peak)
        blend(scene, CREAM * (0.86 + 0.14 * (x < peak))[..., None], mask * fill_mask(snow, 0.012))
    forest = shore - 0.035 - 0.02 * np.sin(11 * x + rng.uniform(0, 6))
    blend(scene, 0.5 * tree + 0.5 * near, fill_mask(forest - y, 0.01))
    line = round(shore * size)
    mirrored = np.clip(line - 1 - np.arange(size - line), 0, line)
    scene[line:] = 0.6 * scene[mirrored] + 0.3 * zenith
    blend(scene, haze, 0.7 * fill_mask(np.abs(y - shore - 0.012) - 0.012, 0.01))
    bank = fill_mask(0.9 + 0.05 * np.sin(3 * x + rng.uniform(0, 6)) - y, 0.01)
    blend(scene, shade, bank)
    return _in_dots(rng, scene)


def _add_boat(
    canvas: np.ndarray, cx: float, low: float, height: float, sail: np.ndarray, hull: np.ndarray
) -> None:
    """Draw a boat with two sails, its hull's lower edge at y = `low`, in place."""
    x, y = pixel_centers(len(canvas))
    u, v = (x - cx) / height, (low - y) / height
    body = np.maximum(np.abs(u) - 0.3 - 0.5 * v, np.abs(v - 0.08) - 0.08)
    blend(canvas, hull, fill_mask(body * height, 0.01))
    # Triangles that rise from above the hull to the tip of the mast.
    main = np.maximum(np.maximum(0.2 - v, u + 0.02), -u - 0.42 * (1 - v))
    fore = np.maximum(np.maximum(0.2 - v, 0.03 - u), u - 0.3 * (0.85 - v))
    blend(canvas, sail, fill_mask(main * height, 0.01))
    blend(canvas, 0.85 * sail, fill_mask(fore * height, 0.01))


def draw_coast(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw sailing boats before a beach, at times with a cliff. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    zenith, haze, sun, _, near, meadow, _, tree = palette
    horizon = rng.uniform(0.36, 0.56)
    scene, sun_x = _sky(rng, size, palette, horizon)
    x, y = pixel_centers(size)
    sea = fill_mask(horizon - y, 0.008)
    blend(scene, 0.8 * zenith, sea)
    blend(scene, 0.5 * zenith + 0.5 * haze, sea * smoothstep(y, horizon + 0.1, 0.95))
    spread = 0.05 + 0.25 * np.maximum(y - horizon, 0)
    blend(scene, sun, 0.8 * sea * np.exp(-(((x - sun_x) / spread) ** 2)))
    if rng.random() < 0.5:
        # A plateau that falls steeply into the sea, with grass on its top.
        top = horizon - 0.18 + 3 * np.maximum(rng.uniform(0.7, 0.85) - x, 0)
        cliff = np.maximum(top - y, y - horizon - 0.12)
        blend(scene, near, fill_mask(cliff, 0.01))
        blend(scene, meadow, fill_mask(np.maximum(cliff, y - horizon + 0.13), 0.01))
    sizes = [(0.3, 0.22, 0.36), (0.66, 0.1, 0.24), (0.5, 0.05, 0.14)]
    for cx, below, height in sizes[: int(rng.integers(1, 4))]:
        at = cx + rng.uniform(-0.06, 0.06), horizon + below
        _add_boat(scene, *at, height * rng.uniform(0.9, 1.15), choose(rng, SAILS), tree)
    beach = 0.88 - 0.25 * (x - 0.3) + 0.02 * np.sin(9 * x + rng.uniform(0, 6))
    blend(scene, CREAM, fill_mask(beach - 0.02 - y, 0.01))
    blend(scene, meadow, fill_mask(beach - y, 0.01))
    return _in_dots(rng, scene)


# x, y of the foot and half width of one to three haystacks, the farthest first.
STACKS = [
    [(0.58, 0.88, 0.31)],
    [(0.72, 0.66, 0.16), (0.34, 0.88, 0.24)],
    [(0.8, 0.6, 0.1), (0.54, 0.72, 0.15), (0.25, 0.88, 0.2)],
]


def draw_haystacks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one to three haystacks with long shadows in a field. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    shade, tree = palette[6:]
    horizon = rng.uniform(0.32, 0.46)
    scene, _ = _sky(rng, size, palette, horizon)
    _add_hills(rng, scene, palette, horizon)
    _add_meadow(rng, scene, palette, horizon + 0.04)
    x, y = pixel_centers(size)
    straw = choose(rng, colors("#e8b04a", "#d88a4a", "#c9a26a", "#b8643a"))
    for cx, foot, half in choose(rng, STACKS):
        cx, half = cx + rng.uniform(-0.05, 0.05), half * rng.uniform(0.9, 1.1)
        u, v = (x - cx) / half, (foot - y) / half
        shadow = np.hypot((u - 0.9) / 1.5, (v + 0.02) / 0.2) - 1
        blend(scene, 0.5 * shade + 0.5 * tree, 0.75 * fill_mask(shadow, 0.3))
        # A round wall below a blunt cone of straw, nothing above that.
        roof = 1.04 * np.maximum(1.5 - v, 0) ** 0.8
        width = np.where(v < 0.6, 0.93, np.where(v < 1.5, roof, -1))
        stack = np.maximum(np.abs(u) - width, -v - 0.1 * np.sqrt(np.clip(1 - u**2, 0, 1)))
        light = np.clip(1.05 - 0.45 * u, 0.5, 1.3) * (1 - 0.14 * (v < 0.6))
        blend(scene, straw * light[..., None], fill_mask(stack * half, 0.012))
    return _in_dots(rng, scene)


def draw_rows_of_flowers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw rows of flowers that meet at the horizon, and a house. Return uint8 (size, size, 3)."""
    palette = choose(rng, PALETTES)
    horizon = rng.uniform(0.4, 0.54)
    scene, _ = _sky(rng, size, palette, horizon)
    _add_hills(rng, scene, palette, horizon)
    x, y = pixel_centers(size)
    ground = fill_mask(horizon + 0.03 - y, 0.01)
    blend(scene, palette[6], ground)
    # Lines of equal slope from the point where the rows meet are parallel on the ground.
    meet = rng.uniform(0.25, 0.75)
    slope = (x - meet) / np.maximum(y - horizon + 0.06, 0.02) + rng.uniform(0, 1)
    tones = BLOOMS[rng.permutation(len(BLOOMS))[: int(rng.integers(2, 4))]]
    width = rng.uniform(0.42, 0.56)
    row = np.floor(slope / width).astype(int)
    strip = 0.34 - np.abs(slope / width - row - 0.5)
    # Rows too narrow to tell apart merge into the ground.
    distinct = smoothstep(y, horizon + 0.01, horizon + 0.1)
    blend(scene, tones[row % len(tones)], distinct * smoothstep(strip, -0.05, 0.05))
    if rng.random() < 0.6:
        cx, foot, half = rng.uniform(0.2, 0.8), horizon + 0.06, rng.uniform(0.07, 0.11)
        u, v = (x - cx) / half, (foot - y) / half
        blend(
            scene, CREAM, fill_mask(np.maximum(np.abs(u) - 1, np.abs(v - 0.5) - 0.5) * half, 0.01)
        )
        roof = np.maximum(np.abs(u) - 1.2 * (1.9 - v), 1 - v)
        blend(scene, colors("#c2502f")[0], fill_mask(roof * half, 0.01))
    return _in_dots(rng, scene)


COMPOSITIONS: list[Composition] = [
    draw_tree,
    draw_mountain_lake,
    draw_coast,
    draw_haystacks,
    draw_rows_of_flowers,
]
