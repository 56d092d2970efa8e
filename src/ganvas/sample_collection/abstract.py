"""Abstract styles without curves: color fields and neoplastic grids."""

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

# Ground first, then the bands from top to bottom.
FIELD_PALETTES = [
    colors("#7d1c1c", "#ef6a2c", "#f8bc40", "#bf2a22"),
    colors("#1c2c50", "#3f78b8", "#a5cdd6", "#2a4478"),
    colors("#5a1a2c", "#e6553c", "#2f1420", "#f39a62"),
    colors("#f0c63a", "#f08a24", "#f9e9a8", "#d9472b"),
    colors("#8fb8c4", "#e9efe6", "#f3a35c", "#2f6f8f"),
    colors("#e3cfae", "#f0b93f", "#df7458", "#f6ead6"),
    colors("#1f3f38", "#579a78", "#ecd66c", "#2c6e68"),
    colors("#3c2560", "#9a5cb8", "#f2b0bd", "#5a3a9c"),
    colors("#c24a2b", "#f5cf6a", "#f3eee0", "#e57a30"),
    colors("#2a3848", "#c2443f", "#f4c67a", "#6aa3be"),
]

# Relative heights of the bands: usually a broad one with narrower ones.
FIELD_RHYTHMS = [(1.0, 0.28, 0.85), (0.75, 0.25, 1.0), (0.5, 0.9, 0.6), (1.1, 0.9)]


def draw_color_fields(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two or three soft-edged bands of color, stacked. Return uint8 (size, size, 3)."""
    # All edges are soft, so no supersampling is needed.
    ground, *bands = choose(rng, FIELD_PALETTES)
    rhythm = choose(rng, FIELD_RHYTHMS)
    if rng.random() < 0.35:
        bands = bands[::-1]
    margin = rng.uniform(0.06, 0.1)
    gap = rng.uniform(0.015, 0.035)
    heights = np.array(rhythm) * rng.uniform(0.9, 1.1, len(rhythm))
    heights *= (1 - 2 * margin - gap * (len(rhythm) - 1)) / heights.sum()
    x, y = pixel_centers(size)
    canvas = blank_canvas(size, ground)
    canvas *= 1 + 0.06 * smooth_noise(rng, size, (4, 4), 2)[..., None]
    top = margin
    for band, height in zip(bands, heights.tolist(), strict=False):
        corner = 0.035
        across = np.abs(x - 0.5) - (0.5 - margin - corner - rng.uniform(0, 0.012))
        down = np.abs(y - top - height / 2) - (height / 2 - corner)
        edge = np.hypot(np.maximum(across, 0), np.maximum(down, 0)) - corner
        edge = np.maximum(edge, np.maximum(across, down) - corner)
        edge += 0.005 * smooth_noise(rng, size, (8, 8), 2)
        # Thin layers: the ground shows through most near the edges.
        depth = 0.9 + 0.1 * smoothstep(-edge, 0, 0.14)
        cloud = 0.07 * smooth_noise(rng, size, (4, 5), 3)
        blend(canvas, band * (1 + cloud[..., None]), smoothstep(-edge, -0.03, 0.03) * depth)
        top += height + gap
    brush_texture(rng, canvas, 0.012)
    cloth_texture(rng, canvas, 0.024)
    return to_uint8(canvas)


WHITES = colors("#f5f1e4", "#efeadb", "#e9e6dc", "#f7f3ea")
RED, BLUE, YELLOW, BLACK = colors("#c9271c", "#1d3d93", "#f3c42b", "#17161a")


def _grid_lines(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Return the positions of vertical and horizontal lines; the first pair frames the square."""
    uprights = [rng.uniform(0.24, 0.36)]
    levels = [rng.uniform(0.58, 0.7)]
    if rng.random() < 0.75:
        uprights.append(rng.uniform(0.8, 0.9))
    if rng.random() < 0.75:
        levels.append(rng.uniform(0.82, 0.9))
    if rng.random() < 0.4:
        uprights.append(rng.uniform(0.08, 0.14))
    if rng.random() < 0.4:
        levels.append(rng.uniform(0.1, 0.2))
    return uprights, levels


def draw_neoplastic_grid(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw black lines on white with a few primary fields. Return uint8 (size, size, 3)."""
    side = 3 * size
    x, y = pixel_centers(side)
    uprights, levels = _grid_lines(rng)
    if rng.random() < 0.2:
        uprights = [1 - u for u in uprights]
    columns = [0.0, *sorted(uprights), 1.0]
    rows = [0.0, *sorted(levels), 1.0]
    canvas = blank_canvas(side, WHITES[0])
    cells = [(r, c) for r in range(len(rows) - 1) for c in range(len(columns) - 1)]
    areas = {(r, c): (rows[r + 1] - rows[r]) * (columns[c + 1] - columns[c]) for r, c in cells}
    by_area = sorted(cells, key=areas.__getitem__, reverse=True)
    primaries = [RED, BLUE, YELLOW] if rng.random() < 0.6 else [BLUE, YELLOW, RED]
    small = by_area[2:]
    rng.shuffle(small)
    fills = {by_area[0]: primaries[0], small[0]: primaries[1]}
    if len(small) > 1:
        fills[small[1]] = primaries[2]
    if len(small) > 3 and rng.random() < 0.3:
        fills[small[2]] = BLACK
    for r, c in cells:
        fill = fills.get((r, c), choose(rng, WHITES))
        top, bottom = round(rows[r] * side), round(rows[r + 1] * side)
        left, right = round(columns[c] * side), round(columns[c + 1] * side)
        canvas[top:bottom, left:right] = fill
    for upright in uprights:
        width = choose(rng, (0.024, 0.03, 0.042))
        box = region(side, upright - width, 0, upright + width, 1)
        blend(canvas[box], BLACK, fill_mask(np.abs(x[:, box[1]] - upright) - width / 2, 0.004))
    for level in levels:
        width = choose(rng, (0.024, 0.03, 0.042))
        box = region(side, 0, level - width, 1, level + width)
        blend(canvas[box], BLACK, fill_mask(np.abs(y[box[0]] - level) - width / 2, 0.004))
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.012, upright=bool(rng.random() < 0.5))
    cloth_texture(rng, canvas, 0.015)
    return to_uint8(canvas)
