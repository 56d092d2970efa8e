"""Colour fields: soft-edged areas of color, stacked, side by side, nested or under a horizon."""

import numpy as np

from ganvas.sample_collection.canvas import (
    Composition,
    blank_canvas,
    blend,
    brush_texture,
    choose,
    cloth_texture,
    colors,
    pixel_centers,
    smooth_noise,
    smoothstep,
    to_uint8,
)

# Any two neighbors in a palette contrast, and so do the first and the last color.
PALETTES = [
    colors("#6d1518", "#ef6a2c", "#3d0d1c", "#f8bc40", "#c22a22"),
    colors("#16264e", "#5f9fd0", "#24509a", "#cfe4e4", "#0f1a34"),
    colors("#f3c53a", "#e0542a", "#fbeab0", "#f08a24", "#a8301f"),
    colors("#14382f", "#8fc79a", "#1f6650", "#ecd66c", "#3f9470"),
    colors("#3c2560", "#c79ad8", "#6a3aa0", "#f6bfc4", "#9a5cb8"),
    colors("#f2ead8", "#d9a679", "#fbf6ea", "#8f6248", "#dcc3a0"),
    colors("#f4b6c2", "#c8325c", "#fbe3dc", "#e8768c", "#7a1a3c"),
    colors("#171519", "#7d7a80", "#2e2b30", "#d8d4cc", "#4a1a1e"),
    colors("#0f5a66", "#f39a4a", "#16808a", "#f8dfb0", "#d1495b"),
    colors("#26304a", "#e3b23c", "#4a6a94", "#f4ecd4", "#b5402f"),
    colors("#9fd4d0", "#2a6f97", "#e4f3ea", "#f4a261", "#3fa7a0"),
    colors("#4a5a2a", "#d8c26a", "#7c8a3a", "#f4efc8", "#2c3418"),
]

# Relative heights of stacked bands: usually a broad one with narrower ones.
STACKS = [(1.0, 0.28, 0.85), (0.75, 0.25, 1.0), (0.5, 0.9, 0.6), (1.1, 0.9), (0.4, 1.3)]
# Relative widths of columns, from equal ones to a wide field with a narrow stripe.
COLUMNS = [(1.0, 1.0, 1.0), (1.0, 0.14, 1.8), (0.6, 1.4, 0.6), (1.6, 0.5, 0.16, 0.5), (1.0, 1.1)]

# Left, top, right and bottom.
Box = tuple[float, float, float, float]


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Return the five colors of a palette, rotated and perhaps reversed."""
    palette = np.roll(choose(rng, PALETTES), int(rng.integers(5)), axis=0)
    return palette[::-1] if rng.random() < 0.5 else palette


def _ground(rng: np.random.Generator, size: int, color: np.ndarray) -> np.ndarray:
    """Return a cloudy canvas (size, size, 3); all edges are soft, so nothing is supersampled."""
    return blank_canvas(size, color) * (1 + 0.045 * smooth_noise(rng, size, (4, 4), 2)[..., None])


def _add_field(
    rng: np.random.Generator, canvas: np.ndarray, box: Box, color: np.ndarray, softness: float
) -> None:
    """Draw a rectangle of color with edges of the given softness, in place."""
    size, corner = len(canvas), softness
    left, top, right, bottom = box
    x, y = pixel_centers(size)
    across = np.abs(x - (left + right) / 2) - ((right - left) / 2 - corner)
    down = np.abs(y - (top + bottom) / 2) - ((bottom - top) / 2 - corner)
    edge = np.hypot(np.maximum(across, 0), np.maximum(down, 0)) - corner
    edge = np.maximum(edge, np.maximum(across, down) - corner)
    edge += 0.15 * softness * smooth_noise(rng, size, (8, 8), 2)
    # Thin layers: the ground shows through most near the edges.
    depth = 0.92 + 0.08 * smoothstep(-edge, 0, 0.14)
    cloud = 0.045 * smooth_noise(rng, size, (4, 5), 3)
    mask = smoothstep(-edge, -softness, softness) * depth
    blend(canvas, color * (1 + cloud[..., None]), mask)


def _on_cloth(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3)."""
    brush_texture(rng, canvas, 0.012)
    cloth_texture(rng, canvas, 0.02)
    return to_uint8(canvas)


def draw_stacked_bands(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two or three bands above each other, with a margin. Return uint8 (size, size, 3)."""
    ground, *bands = _palette(rng)
    stack = choose(rng, STACKS)
    margin, gap = rng.uniform(0.05, 0.12), rng.uniform(0.015, 0.04)
    heights = np.array(stack) * rng.uniform(0.85, 1.15, len(stack))
    heights *= (1 - 2 * margin - gap * (len(stack) - 1)) / heights.sum()
    canvas = _ground(rng, size, ground)
    top = margin
    for band, height in zip(bands, heights.tolist(), strict=False):
        _add_field(rng, canvas, (margin, top, 1 - margin, top + height), band, 0.03)
        top += height + gap
    return _on_cloth(rng, canvas)


def draw_columns(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two to four columns from edge to edge. Return uint8 (size, size, 3)."""
    first, *others = _palette(rng)
    columns = choose(rng, COLUMNS)
    widths = np.array(columns)[:: choose(rng, (1, -1))] * rng.uniform(0.85, 1.15, len(columns))
    edges = np.cumsum(widths / widths.sum()).tolist()
    canvas = _ground(rng, size, first)
    # Each column covers everything to its right, until the next one does.
    for left, color in zip(edges[:-1], others, strict=False):
        _add_field(rng, canvas, (left, -0.2, 1.2, 1.2), color, 0.018)
    return _on_cloth(rng, canvas)


def draw_nested_squares(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw three or four squares within each other. Return uint8 (size, size, 3)."""
    ground, *squares = _palette(rng)
    count = int(rng.integers(2, 4))
    # The share of the margin that lies above: the squares sink, rise or stay centered.
    above = choose(rng, (0.5, 0.7, 0.3))
    canvas = _ground(rng, size, ground)
    for k, color in enumerate(squares[:count], start=1):
        inset = k * 0.8 / (count + 1)
        left, top = 0.5 * inset, above * inset
        box = (left, top, left + 1 - inset, top + 1 - inset)
        _add_field(rng, canvas, box, color, 0.012)
    return _on_cloth(rng, canvas)


def draw_horizon(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two fields that glow towards the line between them. Return uint8 (size, size, 3)."""
    upper, glow, lower, *_ = _palette(rng)
    _, y = pixel_centers(size)
    line = rng.uniform(0.3, 0.72) + 0.006 * smooth_noise(rng, size, (3, 6))
    canvas = _ground(rng, size, upper)
    blend(canvas, glow, 0.85 * smoothstep(y - line, -0.45, 0.0))
    below = smoothstep(y - line, -0.012, 0.012)
    blend(canvas, lower * (1 + 0.045 * smooth_noise(rng, size, (4, 5), 2)[..., None]), below)
    blend(canvas, 0.6 * lower, below * 0.8 * smoothstep(y - line, 0.0, 0.5))
    return _on_cloth(rng, canvas)


COMPOSITIONS: list[Composition] = [
    draw_stacked_bands,
    draw_columns,
    draw_nested_squares,
    draw_horizon,
]
