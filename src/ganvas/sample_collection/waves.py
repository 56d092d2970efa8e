"""Ink waves: rows of leaning crests with foam, printed in indigo on paper."""

import math

import numpy as np
from PIL import ImageDraw

from ganvas.sample_collection.canvas import (
    as_ink,
    axes,
    blank,
    colors,
    finish,
    from_image,
    inside,
    lay,
    paper,
    pick,
    shrink,
    soft_step,
    to_image,
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
    """Return a crest line (points, 2) of x and y, and how high the swell is along it, 0 to 1."""
    t = np.linspace(-0.6, 1.6, 240)
    swell = (0.5 + 0.5 * np.cos(2 * math.pi * (t / length + phase))) ** 1.8
    # The higher the water, the farther it is carried along: that makes the crests curl over.
    line = np.stack([t + lean * length * swell**2, base - height * swell], axis=1)
    return line, swell


def _draw_row(
    draw: ImageDraw.ImageDraw,
    side: int,
    line: np.ndarray,
    step: float,
    inks: list[tuple[np.ndarray, float]],
) -> None:
    """Fill one row of waves: the crest line again and again, each time lower, in the next ink."""
    corners = [(2 * side, 2 * side), (-side, 2 * side)]
    depth = 0.0
    for ink, share in inks:
        shifted = (line + np.array((0.0, depth * step))) * side
        draw.polygon([*map(tuple, shifted.tolist()), *corners], fill=as_ink(ink))
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
    """Set scallops of foam along the tops of one row, and a few drops above them."""
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
            draw.ellipse(box, fill=as_ink(color))


def _sky(rng: np.random.Generator, side: int, palette: np.ndarray) -> np.ndarray:
    """Return paper with a graded sky, a red sun and sometimes a far mountain."""
    sheet, pale, light, middle, _, red = palette
    x, y = axes(side)
    sheet_of_paper = blank(side, sheet)
    # The waves cover all that is below.
    canvas, y = sheet_of_paper[: side * 2 // 3], y[: side * 2 // 3]
    lay(canvas, light, 0.85 * (1 - soft_step(y, 0.0, 0.22)))
    lay(canvas, pale, 0.75 * soft_step(y, 0.2, 0.5))
    sun_x, sun_y = rng.uniform(0.66, 0.78), rng.uniform(0.2, 0.26)
    sun = np.hypot(x - sun_x, y - sun_y) - rng.uniform(0.095, 0.115)
    lay(canvas, red, inside(sun, 0.004))
    if rng.random() < 0.5:
        peak, top = rng.uniform(0.26, 0.36), rng.uniform(0.24, 0.29)
        slope = top + 0.78 * np.maximum(np.abs(x - peak) - 0.03, 0) ** 0.88
        teeth = top + 0.1 + 0.035 * np.abs((((x - peak) * 15) % 2) - 1)
        lay(canvas, middle, inside(slope - y, 0.004))
        snow = np.maximum(slope + 0.008 - y, y - teeth)
        lay(canvas, 0.5 * sheet + 0.5, inside(snow, 0.004))
    return sheet_of_paper


def paint_ink_waves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint rows of indigo waves under a red sun, on paper. Returns uint8 (size, size, 3)."""
    side = 3 * size
    palette = pick(rng, PALETTES)
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
    canvas = shrink(from_image(image), size)
    paper(rng, canvas, 0.05)
    return finish(canvas)
