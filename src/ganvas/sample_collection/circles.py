"""Concentric circles: discs of bright rings whose colors change from quarter to quarter."""

import numpy as np

from ganvas.sample_collection.canvas import (
    blank_canvas,
    blend,
    brush_texture,
    choose,
    cloth_texture,
    colors,
    downsample,
    pixel_centers,
    smooth_noise,
    to_uint8,
)

PALETTES = [
    colors("#e4572e", "#f3a712", "#f6e7c1", "#2e86ab", "#1b3a5c", "#a8c686", "#d64570"),
    colors("#d7263d", "#f46036", "#f9dc5c", "#1b998b", "#2e294e", "#f4efe2", "#7fb7be"),
    colors("#5f0f40", "#fb8b24", "#e36414", "#0f4c5c", "#9a031e", "#f5e6c8", "#6fa8a0"),
    colors("#3d5a80", "#98c1d9", "#e9f4f2", "#ee6c4d", "#293241", "#f2c14e", "#8d6a9f"),
]
PAPER = colors("#efe4cc")[0]


def _ring_colors(rng: np.random.Generator, palette: np.ndarray, rings: int) -> np.ndarray:
    """Return colors (4, rings, 3); neighbors along a radius always differ."""
    order = rng.permutation(len(palette))
    turn = rng.integers(1, 3, 4).cumsum()
    index = (np.arange(rings)[None, :] + turn[:, None]) % len(palette)
    return palette[order[index]]


def _disc(
    rng: np.random.Generator,
    canvas: np.ndarray,
    palette: np.ndarray,
    center: tuple[float, float],
    radius: float,
    rings: int,
    wobble: np.ndarray,
) -> None:
    """Draw one disc of quartered rings into the canvas, in place."""
    side = len(canvas)
    rows, columns = (
        slice(max(0, int((c - radius - 0.02) * side)), int((c + radius + 0.02) * side) + 1)
        for c in (center[1], center[0])
    )
    x, y = pixel_centers(side)
    wobble = wobble[rows, columns]
    dx, dy = x[:, columns] - center[0], y[rows] - center[1]
    edges = np.linspace(0, radius, rings + 1)[1:] + rng.uniform(-0.012, 0.012, rings) * radius
    distance = np.hypot(dx, dy) + wobble
    # A thin rim of paper separates the disc from a ground of the same color.
    blend(canvas[rows, columns], PAPER, distance < radius + 0.012)
    ring = np.searchsorted(edges.astype(np.float32), distance)
    quarter = (dx + 0.5 * wobble > 0) + 2 * (dy + 0.5 * wobble > 0)
    table = _ring_colors(rng, palette, rings + 1).reshape(-1, 3).T
    tones = table[:, quarter * (rings + 1) + ring].transpose(1, 2, 0)
    blend(canvas[rows, columns], tones, ring < rings)


def draw_concentric_circles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one large disc with smaller ones in the corners. Return uint8 (size, size, 3)."""
    side = 3 * size
    palette = choose(rng, PALETTES)
    wobble = 0.004 * smooth_noise(rng, side, (8, 8), 2)
    cx, cy = rng.uniform(0.47, 0.53), rng.uniform(0.47, 0.53)
    grounds = 0.65 * palette[rng.permutation(len(palette))[:4]] + 0.35 * PAPER
    canvas = blank_canvas(side, grounds[0])
    column, row = round(cx * side), round(cy * side)
    canvas[:row, column:] = grounds[1]
    canvas[row:, :column] = grounds[2]
    canvas[row:, column:] = grounds[3]
    for corner in [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)]:
        if rng.random() < 0.7:
            _disc(rng, canvas, palette, corner, rng.uniform(0.17, 0.24), 3, wobble)
    _disc(rng, canvas, palette, (cx, cy), rng.uniform(0.37, 0.42), int(rng.integers(5, 7)), wobble)
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.013, upright=bool(rng.random() < 0.5))
    cloth_texture(rng, canvas, 0.03)
    return to_uint8(canvas)
