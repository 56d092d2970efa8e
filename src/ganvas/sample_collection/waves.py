"""Ink waves on paper: a great wave, rows, fans, a calm sea, a whirlpool; mostly below a sun."""

import math

import numpy as np
from PIL import ImageDraw

from ganvas.sample_collection.canvas import (
    Composition,
    blank_canvas,
    blend,
    choose,
    colors,
    downsample,
    fill_mask,
    fill_polygon,
    from_image,
    mirror_at_random,
    paper_texture,
    pixel_centers,
    smooth_noise,
    smoothstep,
    to_image,
    to_rgb,
    to_uint8,
)

# Paper, then the ink from palest to deepest, then the sun's seal red.
PALETTES = [
    colors("#f3e8d0", "#b3cad2", "#5f92b4", "#2a5b90", "#142d5a", "#cb4029"),
    colors("#f0e8d6", "#b9cfc9", "#6aa0a3", "#2c6a80", "#133c52", "#d24a30"),
    colors("#f4ebd4", "#bac6dc", "#7089bd", "#355296", "#1a275a", "#c13a2e"),
    colors("#f6d9a8", "#f0b488", "#7896b4", "#365a8e", "#1b2d5e", "#d2422a"),
    colors("#efe9dc", "#c9c5bb", "#8f8c86", "#55545a", "#1f2026", "#c8372b"),
    colors("#f2ecc8", "#bcd6b4", "#6fb09a", "#2a7a78", "#123f48", "#e06a3a"),
    colors("#f6dcd8", "#e0b4c0", "#9a80b0", "#54488c", "#261f52", "#d8405a"),
    colors("#f7e4a6", "#a6cbb8", "#4a98a8", "#1f6088", "#0f2c50", "#e0502e"),
]


def _crest(
    base: float, height: float, length: float, phase: float, lean: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a crest line (points, 2) and the height of the swell along it, from 0 to 1."""
    t = np.linspace(-0.6, 1.6, 240)
    swell = (0.5 + 0.5 * np.cos(2 * math.pi * (t / length + phase))) ** 1.8
    # Higher points are shifted farther, so the crests curl over.
    line = np.stack([t + lean * length * swell**2, base - height * swell], axis=1)
    return line, swell


def _draw_row(
    draw: ImageDraw.ImageDraw,
    side: int,
    line: np.ndarray,
    step: float,
    inks: list[tuple[np.ndarray, float]],
) -> None:
    """Fill one row of waves by drawing the crest line repeatedly, each time lower."""
    depth = 0.0
    for ink, share in inks:
        lowered = line + np.array((0.0, depth * step))
        outline = np.concatenate([lowered, [(2.0, 2.0), (-1.0, 2.0)]])
        fill_polygon(draw, side, outline, to_rgb(ink))
        depth += share


def _draw_foam(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    line: np.ndarray,
    swell: np.ndarray,
    radius: float,
    foam: np.ndarray,
    outline: np.ndarray,
) -> None:
    """Draw foam along the crests of one row, and a few drops above them."""
    tops = np.flatnonzero((swell > 0.5) & (np.arange(len(swell)) % 3 == 0))
    centers = line[tops] + rng.normal(0, 0.15 * radius, (len(tops), 2))
    sizes = radius * (0.35 + 0.75 * swell[tops] ** 2) * rng.uniform(0.8, 1.2, len(tops))
    drops = line[tops] + rng.uniform([-1, -4.5], [3, -1.8], (len(tops), 2)) * radius
    drops = drops[rng.random(len(drops)) < 0.3 * swell[tops] ** 3]
    rounds = [(centers, sizes + 0.006, outline), (centers, sizes, foam)]
    rounds.append((drops, np.full(len(drops), 0.3 * radius), foam))
    for points, radii, color in rounds:
        boxes = np.concatenate([points - radii[:, None], points + radii[:, None]], axis=1) * side
        for box in boxes.tolist():
            draw.ellipse(box, fill=to_rgb(color))


def _sky(rng: np.random.Generator, side: int, palette: np.ndarray, horizon: float) -> np.ndarray:
    """Return paper (side, side, 3) with a sky: mostly a sun on the right, often a mountain."""
    sheet, pale, light, middle, _, red = palette
    sun_x = rng.uniform(0.68, 0.86)
    x, y = pixel_centers(side)
    canvas = blank_canvas(side, sheet)
    # Ink wiped off towards the horizon, as in a printed sky.
    blend(canvas, choose(rng, (light, middle, red)), 0.85 * (1 - smoothstep(y, 0.0, 0.5 * horizon)))
    blend(canvas, pale, 0.7 * smoothstep(y, 0.4 * horizon, horizon))
    mountain = rng.random() < 0.45
    if rng.random() < 0.75 or not mountain:
        sun_y, radius = rng.uniform(0.4, 0.55) * horizon, rng.uniform(0.09, 0.13)
        disc = np.hypot(x - sun_x, y - sun_y) - radius
        blend(canvas, choose(rng, (red, red, 0.4 * sheet + 0.6)), fill_mask(disc, 0.006))
    if mountain:
        # Opposite the sun.
        peak = 1 - sun_x + rng.uniform(-0.05, 0.05)
        top = horizon - min(rng.uniform(0.24, 0.32), 0.75 * horizon)
        slope = top + 0.78 * np.maximum(np.abs(x - peak) - 0.03, 0) ** 0.88
        teeth = top + 0.1 + 0.035 * np.abs((((x - peak) * 12) % 2) - 1)
        blend(canvas, middle, fill_mask(slope - y, 0.006))
        blend(canvas, 0.5 * sheet + 0.5, fill_mask(np.maximum(slope + 0.008 - y, y - teeth), 0.006))
    return canvas


def _printed(rng: np.random.Generator, canvas: np.ndarray, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3), mirrored half of the time."""
    canvas = downsample(canvas, size)
    paper_texture(rng, canvas, 0.04)
    return to_uint8(mirror_at_random(rng, canvas))


def _add_row(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    palette: np.ndarray,
    near: float,
    lean: float,
) -> None:
    """Draw a row of waves with foam; `near` runs from 0 at the horizon to 1 in front."""
    sheet, pale, light, middle, deep, _ = palette
    foam = 0.4 * sheet + 0.6
    height = (0.1 + 0.12 * near) * rng.uniform(0.9, 1.1)
    length = (0.48 + 0.3 * near) * rng.uniform(0.95, 1.05)
    line, swell = _crest(0.56 + 0.42 * near, height, length, rng.random(), lean)
    inks = [(deep, 0.5), (foam, 1.2), (deep, 0.3), (pale, 1.5), (light, 1.9), (middle, 2.2)]
    _draw_row(draw, side, line, 0.011 + 0.01 * near, [*inks, (deep, 0)])
    _draw_foam(rng, draw, side, line, swell, 0.015 + 0.014 * near, foam, deep)


def draw_rows_of_waves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw three or four rows of leaning waves. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    image = to_image(_sky(rng, side, palette, 0.56))
    draw, lean = ImageDraw.Draw(image), rng.uniform(0.2, 0.27)
    for near in np.linspace(0, 1, int(rng.integers(3, 5))).tolist():
        _add_row(rng, draw, side, palette, near, lean)
    return _printed(rng, from_image(image), size)


# x and y of points along a breaking wave: up its back on the left, over the crest to the tip, and
# down through the hollow to the right edge.
GREAT_WAVE = (
    np.stack(
        [
            [-30, -15, -2, 10, 24, 42, 58, 68, 58, 46, 38, 37, 46, 64, 84, 115, 140],
            [90, 62, 42, 26, 15, 12, 19, 33, 30, 33, 43, 57, 70, 78, 78, 70, 60],
        ],
        axis=1,
    )
    / 100
)
# Number of the point at the tip, and points of a smooth curve for each point.
TIP, STEPS = 7, 8


def _spline(points: np.ndarray) -> np.ndarray:
    """Return a Catmull-Rom curve from the second of the points (k, 2) to the last but one."""
    p0, p1, p2, p3 = (points[k : len(points) - 3 + k, None] for k in range(4))
    t = np.linspace(0, 1, STEPS, endpoint=False)[None, :, None]
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
    curve = curve + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return curve.reshape(-1, 2) / 2


def draw_great_wave(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one large wave that breaks over the sea. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    sheet, pale, light, middle, deep, _ = palette
    image = to_image(_sky(rng, side, palette, 0.72))
    draw = ImageDraw.Draw(image)
    points = GREAT_WAVE + rng.normal(0, 0.012, GREAT_WAVE.shape)
    points = points * (1, rng.uniform(0.85, 1.1)) + (rng.uniform(-0.06, 0.06), 0)
    wave = _spline(points)
    # Ever smaller copies, about a point at the lower left, make stripes along the wave.
    anchor = np.array((-0.1, 1.15))
    scales = 1.0, 0.985, 0.93, 0.87, 0.8, 0.73
    inks = deep, middle, pale, middle, light, deep
    for scale, ink in zip(scales, inks, strict=True):
        outline = np.concatenate([anchor + scale * (wave - anchor), [(1.3, 1.3), (-0.3, 1.3)]])
        fill_polygon(draw, side, outline, to_rgb(ink))
    # Foam grows along the crest, from the back of the wave to its tip.
    crest = wave[: STEPS * (TIP - 1) + 3]
    growth = np.linspace(0.51, 1, len(crest))
    _draw_foam(rng, draw, side, crest, growth, 0.036, 0.4 * sheet + 0.6, deep)
    _add_row(rng, draw, side, palette, 0.95, 0.22)
    return _printed(rng, from_image(image), size)


def draw_fans(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a sea of overlapping fans, the seigaiha pattern. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    sheet, pale, light, middle, deep, _ = palette
    horizon = choose(rng, (-0.2, 0.34, 0.46))
    image = to_image(_sky(rng, side, palette, max(horizon, 0.3)))
    draw = ImageDraw.Draw(image)
    radius = 1 / choose(rng, (3, 4, 5))
    inks = choose(
        rng,
        [(deep, sheet, middle, sheet), (middle, pale, deep, light), (deep, light, pale, middle)],
    )
    start = rng.uniform(-0.5, 0.5) * radius
    for row, y in enumerate(np.arange(horizon + radius, 1 + radius, 0.5 * radius).tolist()):
        # Every other row is shifted by half a fan.
        first = start + (row % 2 - 2) * radius
        for x in np.arange(first, 1 + 2 * radius, 2 * radius).tolist():
            for share, ink in zip((1.0, 0.76, 0.5, 0.24), inks, strict=True):
                reach = share * radius
                box = (x - reach, y - reach, x + reach, y + reach)
                draw.ellipse([value * side for value in box], fill=to_rgb(ink))
    return _printed(rng, from_image(image), size)


def draw_calm_sea(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a low sun over broad lines of water. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    sheet, pale, light, middle, deep, red = palette
    horizon = rng.uniform(0.42, 0.6)
    x, y = pixel_centers(side)
    canvas = blank_canvas(side, sheet)
    blend(canvas, choose(rng, (pale, light, red, middle)), 0.9 * (1 - smoothstep(y, 0.0, horizon)))
    sun_x, radius = rng.uniform(0.3, 0.7), rng.uniform(0.17, 0.27)
    sun_y = horizon - rng.uniform(-0.05, 0.16)
    blend(canvas, red, fill_mask(np.hypot(x - sun_x, y - sun_y) - radius, 0.006))
    inks = choose(rng, [(middle, sheet), (deep, light), (deep, middle, pale)])
    count, phase = int(rng.integers(4, 7)), rng.uniform(0, 6)
    for k in range(count):
        # Towards the front, bands are broader and their waves longer and higher.
        near = (k / count) ** 1.3
        wave = (0.01 + 0.03 * near) * np.sin((16 - 8 * near) * x + phase + 2 * k) if k else 0
        level = horizon + (1 - horizon) * near + wave
        blend(canvas, inks[k % len(inks)], fill_mask(level - y, 0.006))
    # The sun's reflection narrows and widens again in even steps.
    reach = radius * (1 - 0.9 * (y - horizon)) * (0.55 + 0.45 * np.sin(40 * y))
    reflection = np.maximum(np.abs(x - sun_x) - reach, horizon + 0.02 - y)
    blend(canvas, red, fill_mask(reflection, 0.008))
    return _printed(rng, canvas, size)


def draw_whirlpool(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a spiral of water, at times below a sky. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    sheet, pale, light, middle, deep, _ = palette
    horizon = choose(rng, (0.0, 0.24, 0.34))
    canvas = _sky(rng, side, palette, horizon) if horizon else blank_canvas(side, deep)
    x, y = pixel_centers(side)
    cx, cy = rng.uniform(0.4, 0.6), horizon + rng.uniform(0.45, 0.55) * (1 - horizon)
    # Below a sky, the water is seen at an angle.
    dx, dy = x - cx, (y - cy) * (1.5 if horizon else 1.0)
    distance = np.hypot(dx, dy) + 0.006 * smooth_noise(rng, side, (8, 8))
    turns = int(rng.integers(1, 3)) * np.arctan2(dy, dx) / (2 * math.pi)
    phase = (turns + 1.6 * np.log(distance + 0.05) + rng.random()) % 1
    inks = choose(
        rng,
        [(deep, middle, sheet), (deep, light, sheet), (middle, pale, sheet), (deep, middle, light)],
    )
    tones = np.stack(inks)[np.searchsorted([0.45, 0.8], phase)]
    blend(canvas, tones, fill_mask(horizon - y, 0.006))
    blend(canvas, inks[0], fill_mask(distance - 0.05, 0.006))
    return _printed(rng, canvas, size)


COMPOSITIONS: list[Composition] = [
    draw_great_wave,
    draw_rows_of_waves,
    draw_fans,
    draw_calm_sea,
    draw_whirlpool,
]
