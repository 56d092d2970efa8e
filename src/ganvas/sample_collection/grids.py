"""Neoplastic grids: black lines on white with a few fields of color, upright or diagonal."""

import math

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
    pixel_centers,
    to_uint8,
)

# Two whites, three colors from the most to the least weighty, and the lines.
PALETTES = [
    colors("#f5f1e4", "#e9e6dc", "#c9271c", "#1d3d93", "#f3c42b", "#17161a"),
    colors("#f7f3ea", "#e4e6e8", "#1d3d93", "#f3c42b", "#c9271c", "#17161a"),
    colors("#f6f0da", "#ece2c4", "#f3c42b", "#c9271c", "#1d3d93", "#17161a"),
    colors("#dfe5ea", "#c9d3dc", "#e2572b", "#1f6f8a", "#f0d35a", "#141a26"),
    colors("#f4ead2", "#e6d6b4", "#b8452a", "#2f4a58", "#d79a3a", "#241a16"),
    colors("#eef2e6", "#d8e2d0", "#1f7a5a", "#e9b42f", "#d8432f", "#121a18"),
    colors("#f6e9e6", "#ecd6d4", "#e8708a", "#2a4fae", "#f6cf4a", "#1c1420"),
]

# Positions of the lines, in increasing order.
Lines = list[float]


def _flip(rng: np.random.Generator, lines: Lines) -> Lines:
    """Mirror the lines about the middle, half of the time."""
    return sorted(1 - line for line in lines) if rng.random() < 0.5 else sorted(lines)


def _add_grid(
    canvas: np.ndarray,
    across: tuple[np.ndarray, Lines],
    down: tuple[np.ndarray, Lines],
    fills: np.ndarray,
    line: np.ndarray,
    widths: np.ndarray,
) -> None:
    """Fill the cells between lines and draw the lines, in place.

    Args:
        canvas: Float32 of shape (side, side, 3).
        across: A coordinate of every pixel, and the positions of lines along it.
        down: The same for the other coordinate.
        fills: Colors of the cells, shape (lines down + 1, lines across + 1, 3).
        line: Color of the lines.
        widths: Widths of the lines, those of `across` first.
    """
    u, v = across[0], down[0]
    canvas[:] = fills[np.searchsorted(down[1], v), np.searchsorted(across[1], u)]
    positions = [*((u, p) for p in across[1]), *((v, p) for p in down[1])]
    for (coordinate, position), width in zip(positions, widths.tolist(), strict=True):
        blend(canvas, line, fill_mask(np.abs(coordinate - position) - width / 2, 0.004))


def _cell_colors(
    rng: np.random.Generator, palette: np.ndarray, shape: tuple[int, int], count: int
) -> np.ndarray:
    """Return colors (*shape, 3) of cells: `count` in the palette's colors, the others whites."""
    fills = palette[rng.integers(0, 2, shape)]
    places = rng.permutation(shape[0] * shape[1])[:count]
    fills.reshape(-1, 3)[places] = palette[2:5][np.arange(count) % 3]
    return fills


def _finished(rng: np.random.Generator, canvas: np.ndarray, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3)."""
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.012, upright=bool(rng.random() < 0.5))
    cloth_texture(rng, canvas, 0.012)
    return to_uint8(canvas)


def draw_dense_thirds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a grid of nine to sixteen cells, four or five in color. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    uprights = [rng.uniform(0.22, 0.36), rng.uniform(0.62, 0.76)]
    levels = [rng.uniform(0.24, 0.38), rng.uniform(0.64, 0.78)]
    for lines in (uprights, levels):
        if rng.random() < 0.5:
            lines.append(rng.uniform(0.86, 0.9))
    uprights, levels = _flip(rng, uprights), _flip(rng, levels)
    fills = _cell_colors(rng, palette, (len(levels) + 1, len(uprights) + 1), 5)
    canvas, (x, y) = blank_canvas(side, palette[0]), pixel_centers(side)
    widths = np.full(len(uprights) + len(levels), rng.uniform(0.03, 0.045))
    _add_grid(canvas, (x, uprights), (y, levels), fills, palette[5], widths)
    return _finished(rng, canvas, size)


def draw_one_field(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one large field in a corner, and few lines. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    order = rng.permutation([2, 3, 4])
    # The field is the first cell; the lines beyond it are mirrored with it.
    uprights, levels = [rng.uniform(0.6, 0.74)], [rng.uniform(0.6, 0.74)]
    if rng.random() < 0.5:
        levels.append(rng.uniform(0.84, 0.9))
    fills = palette[np.zeros((len(levels) + 1, 2), int)]
    fills[0, 0] = palette[order[0]]
    fills[-1, -1] = palette[order[1]]
    if rng.random() < 0.5:
        fills[-1, 0] = palette[order[2]]
    canvas, (x, y) = blank_canvas(side, palette[0]), pixel_centers(side)
    x = x if rng.random() < 0.5 else 1 - x
    y = y if rng.random() < 0.5 else 1 - y
    widths = rng.uniform(0.03, 0.055, 1 + len(levels))
    _add_grid(canvas, (x, uprights), (y, levels), fills, palette[5], widths)
    return _finished(rng, canvas, size)


def draw_lozenge(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a canvas that stands on its corner, with upright lines. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    uprights, levels = [rng.uniform(0.3, 0.42)], [rng.uniform(0.56, 0.68)]
    if rng.random() < 0.6:
        uprights.append(rng.uniform(0.66, 0.76))
    uprights, levels = _flip(rng, uprights), _flip(rng, levels)
    fills = _cell_colors(rng, palette, (2, len(uprights) + 1), 2)
    canvas, (x, y) = blank_canvas(side, palette[0]), pixel_centers(side)
    widths = np.full(len(uprights) + 1, rng.uniform(0.035, 0.05))
    _add_grid(canvas, (x, uprights), (y, levels), fills, palette[5], widths)
    wall = choose(rng, (palette[2], palette[3], palette[4], 0.55 * palette[1]))
    beyond = np.abs(x - 0.5) + np.abs(y - 0.5) - 0.5
    blend(canvas, wall, fill_mask(-beyond, 0.006))
    blend(canvas, palette[5], fill_mask(np.abs(beyond) - 0.012, 0.006))
    return _finished(rng, canvas, size)


def draw_diagonals(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a grid turned by 45 degrees, of large fields. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    canvas, (x, y) = blank_canvas(side, palette[0]), pixel_centers(side)
    # Both coordinates are 0.5 in the middle and reach 0.5 ± 0.7 in the corners.
    u = 0.5 + ((x - 0.5) + (y - 0.5)) / math.sqrt(2)
    v = 0.5 + ((x - 0.5) - (y - 0.5)) / math.sqrt(2)
    first = _flip(rng, [rng.uniform(0.25, 0.35), rng.uniform(0.62, 0.8)])
    second = _flip(rng, [rng.uniform(0.3, 0.4), rng.uniform(0.75, 0.9)])
    fills = _cell_colors(rng, palette, (3, 3), 4)
    widths = np.full(4, rng.uniform(0.035, 0.055))
    _add_grid(canvas, (u, first), (v, second), fills, palette[5], widths)
    return _finished(rng, canvas, size)


COMPOSITIONS: list[Composition] = [draw_dense_thirds, draw_one_field, draw_lozenge, draw_diagonals]
