"""Ink waves: rows of leaning crests with foam, in indigo on paper."""

import math

import numpy as np
from PIL import ImageDraw

from ganvas.sample_collection.canvas import (
    blank_canvas,
    blend,
    choose,
    colors,
    downsample,
    fill_mask,
    from_image,
    paper_texture,
    pixel_centers,
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
    colors("#f6e0bb", "#efc3a8", "#7896b4", "#365a8e", "#1b2d5e", "#d2422a"),
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
    corners = [(2 * side, 2 * side), (-side, 2 * side)]
    depth = 0.0
    for ink, share in inks:
        shifted = (line + np.array((0.0, depth * step))) * side
        draw.polygon([*map(tuple, shifted.tolist()), *corners], fill=to_rgb(ink))
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


def _sky(rng: np.random.Generator, side: int, palette: np.ndarray) -> np.ndarray:
    """Return a sky with a gradient, a red sun and sometimes a mountain."""
    sheet, pale, light, middle, _, red = palette
    x, y = pixel_centers(side)
    sheet_of_paper = blank_canvas(side, sheet)
    # The waves cover everything below.
    canvas, y = sheet_of_paper[: side * 2 // 3], y[: side * 2 // 3]
    blend(canvas, light, 0.85 * (1 - smoothstep(y, 0.0, 0.22)))
    blend(canvas, pale, 0.75 * smoothstep(y, 0.2, 0.5))
    sun_x, sun_y = rng.uniform(0.66, 0.78), rng.uniform(0.2, 0.26)
    sun = np.hypot(x - sun_x, y - sun_y) - rng.uniform(0.095, 0.115)
    blend(canvas, red, fill_mask(sun, 0.004))
    if rng.random() < 0.5:
        peak, top = rng.uniform(0.26, 0.36), rng.uniform(0.24, 0.29)
        slope = top + 0.78 * np.maximum(np.abs(x - peak) - 0.03, 0) ** 0.88
        teeth = top + 0.1 + 0.035 * np.abs((((x - peak) * 15) % 2) - 1)
        blend(canvas, middle, fill_mask(slope - y, 0.004))
        snow = np.maximum(slope + 0.008 - y, y - teeth)
        blend(canvas, 0.5 * sheet + 0.5, fill_mask(snow, 0.004))
    return sheet_of_paper


def draw_ink_waves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw rows of indigo waves under a red sun, on paper. Return uint8 (size, size, 3)."""
    side = 3 * size
    palette = choose(rng, PALETTES)
    sheet, pale, light, middle, deep, _ = palette
    image = to_image(_sky(rng, side, palette))
    draw = ImageDraw.Draw(image)
    rows, lean, phase = 4, rng.uniform(0.2, 0.27), rng.random()
    foam = 0.4 * sheet + 0.6
    for k in range(rows):
        near = k / (rows - 1)
        height = (0.08 + 0.11 * near) * rng.uniform(0.9, 1.1)
        length = (0.36 + 0.24 * near) * rng.uniform(0.95, 1.05)
        line, swell = _crest(0.56 + 0.42 * near, height, length, phase + 0.43 * k, lean)
        inks = [(deep, 0.5), (foam, 1), (deep, 0.5), (pale, 1.3), (light, 1.7), (middle, 2)]
        _draw_row(draw, side, line, 0.009 + 0.009 * near, [*inks, (deep, 0)])
        _draw_foam(rng, draw, side, line, swell, 0.012 + 0.012 * near, foam, deep)
    canvas = downsample(from_image(image), size)
    paper_texture(rng, canvas, 0.05)
    return to_uint8(canvas)
