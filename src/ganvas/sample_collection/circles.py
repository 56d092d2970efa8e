"""Concentric circles: bright rings as a target, in a grid, overlapping or around a corner."""

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
    region,
    smooth_noise,
    to_uint8,
)

PALETTES = [
    colors("#e4572e", "#f3a712", "#f6e7c1", "#2e86ab", "#1b3a5c", "#a8c686", "#d64570"),
    colors("#d7263d", "#f46036", "#f9dc5c", "#1b998b", "#2e294e", "#f4efe2", "#7fb7be"),
    colors("#5f0f40", "#fb8b24", "#e36414", "#0f4c5c", "#9a031e", "#f5e6c8", "#6fa8a0"),
    colors("#0b2545", "#8da9c4", "#134074", "#eef4ed", "#4f86c6", "#c6dbef", "#13315c"),
    colors("#1a1a1d", "#f2efe6", "#c3073f", "#e8e2d0", "#6f2232", "#4e4e50", "#f2b5a7"),
    colors("#2d6a4f", "#d8f3dc", "#95d5b2", "#1b4332", "#f4a259", "#f7e1a0", "#52b788"),
    colors("#7b2cbf", "#ffd6e8", "#e0aaff", "#3c096c", "#ff8fab", "#fff1c9", "#ff9e00"),
    colors("#b5651d", "#f4e3c1", "#6b3e26", "#e0a458", "#8c2f1b", "#f8d08c", "#3d2b1f"),
]
PAPER = colors("#efe4cc")[0]

Point = tuple[float, float]


def _shuffled_palette(rng: np.random.Generator) -> np.ndarray:
    """Return the seven colors of a palette in random order."""
    return choose(rng, PALETTES)[rng.permutation(7)]


def _distance(side: int, center: Point, wobble: np.ndarray) -> np.ndarray:
    """Return the distances of pixels from a point, perturbed so that rings look drawn by hand."""
    x, y = pixel_centers(side)
    return np.hypot(x - center[0], y - center[1]) + wobble


def _wobble(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a small perturbation of distances, shape (side, side)."""
    return 0.004 * smooth_noise(rng, side, (8, 8), 2)


def _ring_number(rng: np.random.Generator, distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the number of the ring of every pixel, `len(edges)` beyond the last edge."""
    spacing = edges[-1] / len(edges)
    edges = edges + rng.uniform(-0.12, 0.12, len(edges)) * spacing
    return np.searchsorted(edges.astype(np.float32), distance)


def _finished(rng: np.random.Generator, canvas: np.ndarray, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3)."""
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.013, upright=bool(rng.random() < 0.5))
    cloth_texture(rng, canvas, 0.02)
    return to_uint8(canvas)


def _add_quartered_disc(
    rng: np.random.Generator,
    canvas: np.ndarray,
    palette: np.ndarray,
    center: Point,
    radius: float,
    rings: int,
    wobble: np.ndarray,
) -> None:
    """Draw a disc of rings whose colors change from quarter to quarter, in place."""
    reach = radius + 0.02
    box = region(
        len(canvas), center[0] - reach, center[1] - reach, center[0] + reach, center[1] + reach
    )
    x, y = pixel_centers(len(canvas))
    dx, dy, shift = x[:, box[1]] - center[0], y[box[0]] - center[1], wobble[box]
    distance = np.hypot(dx, dy) + shift
    # A thin rim of paper separates the disc from a ground of the same color.
    blend(canvas[box], PAPER, distance < radius + 0.012)
    ring = _ring_number(rng, distance, np.linspace(0, radius, rings + 1)[1:])
    quarter = (dx + 0.5 * shift > 0) + 2 * (dy + 0.5 * shift > 0)
    # The same colors in each quarter, turned by one or two: neighbors always differ.
    turn = rng.integers(1, 3, 4).cumsum()
    blend(canvas[box], palette[(ring + turn[quarter]) % len(palette)], ring < rings)


def draw_target(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a large quartered disc, at times others in corners. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = _shuffled_palette(rng)
    wobble = _wobble(rng, side)
    cx, cy = rng.uniform(0.44, 0.56, 2).tolist()
    # Four quarters, two halves or one color.
    grounds = 0.65 * palette[choose(rng, ([0, 1, 2, 3], [4, 5, 4, 5], [6, 6, 6, 6]))] + 0.35 * PAPER
    canvas = blank_canvas(side, grounds[0])
    column, row = round(cx * side), round(cy * side)
    canvas[:row, column:] = grounds[1]
    canvas[row:, :column] = grounds[2]
    canvas[row:, column:] = grounds[3]
    if rng.random() < 0.5:
        for corner in [(0.08, 0.08), (0.92, 0.08), (0.08, 0.92), (0.92, 0.92)]:
            radius = rng.uniform(0.17, 0.24)
            _add_quartered_disc(rng, canvas, palette[::-1], corner, radius, 2, wobble)
    radius, rings = rng.uniform(0.36, 0.44), int(rng.integers(4, 6))
    _add_quartered_disc(rng, canvas, palette, (cx, cy), radius, rings, wobble)
    return _finished(rng, canvas, size)


def draw_grid_of_targets(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw squares, two or three a side, with rings in each. Return uint8 (size, size, 3)."""
    side = 2 * size
    count = choose(rng, (2, 2, 3))
    palette = _shuffled_palette(rng)
    canvas = blank_canvas(side, PAPER)
    wobble = _wobble(rng, side)
    for cell in range(count**2):
        row, column = divmod(cell, count)
        box = region(side, column / count, row / count, (column + 1) / count, (row + 1) / count)
        center = np.array([column + 0.5, row + 0.5]) + rng.uniform(-0.04, 0.04, 2)
        distance = _distance(side, tuple((center / count).tolist()), wobble)[box]
        rings = 3 if count == 3 else int(rng.integers(3, 5))
        edges = np.linspace(0, rng.uniform(0.44, 0.5) / count, rings + 1)[1:]
        # Each square has other colors, and the ring beside its ground differs from it.
        tones = palette[rng.permutation(len(palette))[: rings + 1]]
        canvas[box] = tones[_ring_number(rng, distance, edges)]
    return _finished(rng, canvas, size)


def draw_overlapping_rings(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two or three discs of rings that shine through each other. Return uint8 (size, size, 3).

    Where discs overlap, the numbers of their rings add up, and the sum is a color's number.
    """
    side = 2 * size
    palette = _shuffled_palette(rng)
    wobble = _wobble(rng, side)
    start, count = rng.uniform(0, 2 * math.pi), int(rng.integers(2, 4))
    # Of three discs, the middle is covered by all, so they have fewer rings.
    rings = 5 - count
    layers = np.zeros((side, side), np.int64)
    for k in range(count):
        angle = start + 2 * math.pi * k / count
        away, radius = rng.uniform(0.17, 0.22), rng.uniform(0.27, 0.33)
        center = 0.5 + away * math.cos(angle), 0.5 + away * math.sin(angle)
        edges = np.linspace(0, radius, rings + 1)[1:]
        layers += rings - _ring_number(rng, _distance(side, center, wobble), edges)
    return _finished(rng, palette[layers % len(palette)], size)


def draw_arcs(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw broad arcs around a corner or the middle of an edge. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = _shuffled_palette(rng)
    x, y = choose(rng, [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.5, 0.0)])
    wobble = _wobble(rng, side)
    rings, reach = int(rng.integers(4, 7)), rng.uniform(0.75, 1.0)
    edges = np.linspace(0, reach, rings + 1)[1:]
    canvas = palette[_ring_number(rng, _distance(side, (x, y), wobble), edges)]
    # A disc in the opposite corner, or in the two corners that the arcs do not reach.
    if rng.random() < 0.6:
        corners = [(1 - x, 1 - y)] if x != 0.5 else [(0.0, 1 - y), (1.0, 1 - y)]
        for corner in corners:
            rim = fill_mask(_distance(side, corner, wobble) - 0.2, 0.006)
            blend(canvas, palette[0], rim)
    return _finished(rng, canvas, size)


COMPOSITIONS: list[Composition] = [
    draw_target,
    draw_grid_of_targets,
    draw_overlapping_rings,
    draw_arcs,
]
