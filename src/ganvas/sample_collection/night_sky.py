"""Night skies: brush strokes that swirl around a moon and stars, over hills and a cypress."""

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
    pixel_centers,
    region,
    smoothstep,
    to_image,
    to_rgb,
    to_uint8,
)

# Deep sky, middle sky, pale sky, moonlight, far hills, near hills, cypress, lit leaves.
PALETTES = [
    colors("#16245c", "#2f5fa8", "#93bcd3", "#fbe08a", "#2a4a86", "#172c5c", "#0e1a20", "#2d5040"),
    colors("#151c52", "#3b52a6", "#a3b0dc", "#ffd570", "#333f86", "#1b2354", "#12161f", "#3c4a4a"),
    colors("#0e2c4e", "#28739a", "#8fcac4", "#fff0a5", "#1f5a70", "#10344a", "#0a1a1b", "#2b5a3f"),
    colors("#20164f", "#5a4a9c", "#b9a5d6", "#ffe3a0", "#45397c", "#271f55", "#150f20", "#46405a"),
]
WINDOWS = colors("#ffc766")[0]

# x, y and radius.
Light = list[float]


def _lights(rng: np.random.Generator) -> list[Light]:
    """Return x, y and radius of the moon (first, upper right) and of six stars."""
    moon = [rng.uniform(0.74, 0.82), rng.uniform(0.17, 0.24), rng.uniform(0.075, 0.09)]
    places = [(0.12, 0.12), (0.37, 0.1), (0.57, 0.2), (0.36, 0.34), (0.6, 0.45), (0.89, 0.47)]
    stars = [
        [px + rng.uniform(-0.04, 0.04), py + rng.uniform(-0.04, 0.04), rng.uniform(0.018, 0.028)]
        for px, py in places
    ]
    return [moon, *stars]


def _scene(
    rng: np.random.Generator, side: int, palette: np.ndarray, lights: list[Light]
) -> np.ndarray:
    """Return the scene before it is rendered in strokes, a canvas (side, side, 3)."""
    deep, middle, pale, glow, far, near, _, _ = palette
    x, y = pixel_centers(side)
    canvas = blank_canvas(side, deep)
    blend(canvas, middle, smoothstep(y, 0.0, 0.6))
    band = np.abs(y - 0.42 - 0.07 * np.sin(5 * x + rng.uniform(0, 6)))
    blend(canvas, pale, np.maximum(0.85 * (1 - smoothstep(band, 0, 0.1)), smoothstep(y, 0.5, 0.85)))
    for sx, sy, radius in lights:
        reach = 5 * radius
        box = region(side, sx - reach, sy - reach, sx + reach, sy + reach)
        distance = np.hypot(x[:, box[1]] - sx, y[box[0]] - sy) / radius
        rings = 0.45 + 0.4 * (0.5 + 0.5 * np.cos(distance * 5))
        blend(canvas[box], pale, np.exp(-((distance / 2.4) ** 2)) * rings)
        blend(canvas[box], glow, np.exp(-((distance / 1.2) ** 4)))
    for color, base, height in ((far, 0.75, 0.045), (near, 0.86, 0.03)):
        ridge = base - height * np.sin(6 * x + rng.uniform(0, 6))
        land = region(side, 0, base - height - 0.01, 1, 1)
        furrow = 1 + 0.3 * np.sin((y[land[0]] - ridge) * 110)
        blend(canvas[land], color * furrow[..., None], fill_mask(ridge - y[land[0]], 0.01))
    return canvas


def _flow(points: np.ndarray, lights: list[Light], wave: float) -> np.ndarray:
    """Return the stroke directions, unit vectors (k, 2), at the points (k, 2)."""
    x, y = points[:, 0], points[:, 1]
    drift = 0.7 * np.cos(5 * x + wave) + 0.3 * np.sin(9 * y)
    drift = np.where(y > 0.72, 0.25 * np.cos(6 * x + wave), drift)
    vector = np.stack([np.ones_like(x), drift], axis=1)
    for k, (sx, sy, radius) in enumerate(lights):
        distance = np.hypot(x - sx, y - sy)
        around = np.stack([sy - y, x - sx], axis=1) / (distance[:, None] + 1e-6)
        pull = (6 if k % 2 else -6) * np.exp(-((distance / (radius * 3.2)) ** 2))
        vector += pull[:, None] * around
    return vector / (np.linalg.norm(vector, axis=1, keepdims=True) + 1e-6)


def _strokes(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    paths: np.ndarray,
    tones: np.ndarray,
    widths: np.ndarray,
) -> None:
    """Draw strokes in random order: paths (k, points, 2), tones (k, 3), widths (k,)."""
    inks = np.clip(tones * 255, 0, 255).astype(int).tolist()
    lines = (paths * side).reshape(len(paths), -1).tolist()
    widths = np.rint(widths * side).astype(int).tolist()
    for k in rng.permutation(len(lines)).tolist():
        draw.line(lines[k], fill=tuple(inks[k]), width=widths[k])


def _brush_scene(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, scene: np.ndarray, lights: list[Light]
) -> None:
    """Render the scene in strokes along the flow field."""
    side, across = len(scene), 38
    row, column = np.divmod(np.arange(across * across), across)
    path = [(np.stack([column, row], 1) + rng.uniform(0, 1, (across**2, 2))) / across]
    wave = rng.uniform(0, 6)
    for _ in range(4):
        path.append(path[-1] + 0.016 * _flow(path[-1], lights, wave))
    at = np.clip(path[2] * side, 0, side - 1).astype(int)
    tones = scene[at[:, 1], at[:, 0]] * rng.uniform(0.82, 1.18, (across**2, 1))
    tones = tones + rng.normal(0, 0.022, tones.shape)
    _strokes(rng, draw, side, np.stack(path, 1), tones, rng.uniform(0.011, 0.019, across**2))


def _cypress(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    dark: np.ndarray,
    lit: np.ndarray,
) -> None:
    """Draw a cypress on the left: rising strokes that converge at its tip."""
    foot, tip, phase = rng.uniform(0.14, 0.2), rng.uniform(0.2, 0.32), rng.uniform(0, 6)

    def place(across: np.ndarray | float, y: np.ndarray) -> np.ndarray:
        rise = np.clip((y - tip) / (1 - tip), 0, 1)
        half = 0.1 * rise**0.75 * (1 + 0.16 * np.sin(y * 36 + phase))
        return np.stack([foot + 0.015 * np.sin(y * 14 + phase) + across * half, y], axis=-1)

    y = np.linspace(tip, 1.05, 60)
    outline = np.concatenate([place(-1.0, y), place(1.0, y)[::-1]]) * side
    draw.polygon([tuple(p) for p in outline.tolist()], fill=to_rgb(dark))
    count = 170
    across = rng.uniform(-1.05, 1.05, count)
    low = rng.uniform(tip + 0.05, 1.05, count)
    paths = place(across[:, None], low[:, None] - np.linspace(0, 0.09, 5)[None, :])
    shade = rng.uniform(0, 0.75, (count, 1)) ** 2
    _strokes(rng, draw, side, paths, dark + (lit - dark) * shade, rng.uniform(0.006, 0.012, count))


def _village(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, dark: np.ndarray
) -> None:
    """Draw a few houses with lit windows, and often a spire, between the hills."""
    start = rng.uniform(0.42, 0.55)
    spire = int(rng.integers(1, 4)) if rng.random() < 0.7 else -1
    for k in range(int(rng.integers(4, 7))):
        left, foot = (start + 0.075 * k) * side, (0.835 + rng.uniform(-0.012, 0.012)) * side
        wide, tall = 0.055 * side, 0.035 * side
        roof = (0.16 if k == spire else 0.03) * side
        wall, top = (left, foot - tall, left + wide, foot), (left + wide / 2, foot - tall - roof)
        narrow = 0.3 * wide if k == spire else -0.1 * wide
        draw.rectangle(wall, fill=to_rgb(dark))
        eaves = [(left + narrow, foot - tall), (left + wide - narrow, foot - tall)]
        draw.polygon([*eaves, top], fill=to_rgb(0.7 * dark))
        x, y = left + 0.35 * wide, foot - 0.75 * tall
        draw.rectangle((x, y, x + 0.3 * wide, y + 0.45 * tall), fill=to_rgb(WINDOWS))


def draw_night_sky(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a swirling night above hills and a cypress. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    deep, _, _, glow, _, near, dark, lit = palette
    lights = _lights(rng)
    scene = _scene(rng, side, palette, lights)
    image = to_image(scene)
    draw = ImageDraw.Draw(image)
    _brush_scene(rng, draw, scene, lights)
    _village(rng, draw, side, 0.6 * near + 0.4 * deep)
    _cypress(rng, draw, side, dark, lit)
    canvas = from_image(image)
    x, y = pixel_centers(side)
    for k, (sx, sy, radius) in enumerate(lights):
        box = region(side, sx - 2 * radius, sy - 2 * radius, sx + 2 * radius, sy + 2 * radius)
        distance = np.hypot(x[:, box[1]] - sx, y[box[0]] - sy)
        # Strokes break up small lights, so their centers are drawn again.
        core = fill_mask(distance - (0.62 if k else 0.8) * radius, 0.6 * radius if k else 0.02)
        blend(canvas[box], 0.75 * glow + 0.25, core * (0.9 if k else 0.55))
    return to_uint8(downsample(canvas, size))
