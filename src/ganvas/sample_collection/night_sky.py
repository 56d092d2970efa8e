"""Night skies in brush strokes: a moon over hills, lit houses, an aurora, a whirl of stars."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

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
    pixel_centers,
    region,
    smoothstep,
    to_image,
    to_rgb,
    to_uint8,
)

# Deep sky, middle sky, pale sky, light, aurora, far land, near land.
PALETTES = [
    colors("#16245c", "#2f5fa8", "#93bcd3", "#fbe08a", "#6fd6b0", "#2a4a86", "#0e1a30"),
    colors("#20164f", "#5a4a9c", "#b9a5d6", "#ffe3a0", "#e58fc8", "#45397c", "#150f28"),
    colors("#0e2c4e", "#28739a", "#8fcac4", "#fff0a5", "#9be86a", "#1f5a70", "#0a1c24"),
    colors("#2a1238", "#7a2f62", "#e0805a", "#ffd27a", "#ff9a8a", "#5a1f4a", "#180a20"),
    colors("#0c0f1e", "#1f2a4a", "#55688c", "#f4f1de", "#5fe0a0", "#1a2338", "#05070f"),
    colors("#062a2e", "#12615a", "#7fc79a", "#fdf3b0", "#d6f07a", "#0e4a44", "#041618"),
    colors("#1a1a6e", "#3a4fd0", "#9db4ff", "#fff6d0", "#e07aff", "#2a2f9a", "#0c0c34"),
    colors("#18222f", "#3f5a70", "#e8b49a", "#fff0d0", "#ff8f70", "#2b3d50", "#0b1118"),
]
WINDOW = colors("#ffc766")[0]

# x, y and radius.
Light = list[float]
# Maps points (k, 2) to directions (k, 2) of any length.
Flow = Callable[[np.ndarray], np.ndarray]


def _stars(rng: np.random.Generator, count: int, bottom: float) -> list[Light]:
    """Return stars above y = `bottom`, spread over as many columns."""
    columns = (rng.permutation(count) + rng.uniform(0.25, 0.75, count)) / count
    rows = np.linspace(0.08, bottom, count) + rng.uniform(-0.03, 0.03, count)
    radii = rng.uniform(0.02, 0.032, count)
    return np.stack([columns, rows, radii], axis=1).tolist()


def _sky(side: int, palette: np.ndarray, lights: list[Light], horizon: float) -> np.ndarray:
    """Return a sky (side, side, 3) that is pale at the horizon and around the lights."""
    deep, middle, pale, glow, *_ = palette
    x, y = pixel_centers(side)
    canvas = blank_canvas(side, deep)
    blend(canvas, middle, smoothstep(y, 0.0, 0.8 * horizon))
    blend(canvas, pale, 0.85 * smoothstep(y, 0.55 * horizon, 1.05 * horizon))
    for sx, sy, radius in lights:
        reach = 4 * radius
        box = region(side, sx - reach, sy - reach, sx + reach, sy + reach)
        distance = np.hypot(x[:, box[1]] - sx, y[box[0]] - sy) / radius
        blend(canvas[box], pale, 0.75 * np.exp(-((distance / 2.2) ** 2)))
        blend(canvas[box], glow, np.exp(-((distance / 1.2) ** 4)))
    return canvas


def _add_hills(
    rng: np.random.Generator, canvas: np.ndarray, tones: np.ndarray, tops: list[float], steep: float
) -> None:
    """Draw one range of hills for each color, from the farthest to the nearest, in place."""
    x, y = pixel_centers(len(canvas))
    for color, top in zip(tones, tops, strict=True):
        wave = np.sin(rng.uniform(4, 8) * x + rng.uniform(0, 6))
        ridge = top - steep * wave - 0.3 * steep * np.sin(15 * x + rng.uniform(0, 6))
        blend(canvas, color, fill_mask(ridge - y, 0.01))


def _around(points: np.ndarray, center: tuple[float, float]) -> np.ndarray:
    """Return directions at right angles to the line from a center, turning clockwise."""
    return np.stack([center[1] - points[:, 1], points[:, 0] - center[0]], axis=1)


def _breeze(lights: list[Light], wave: float) -> Flow:
    """Return a flow that drifts in waves to the right and around the lights."""

    def flow(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        vector = np.stack([np.ones_like(x), 0.6 * np.cos(5 * x + wave) + 0.3 * np.sin(9 * y)], 1)
        for k, (sx, sy, radius) in enumerate(lights):
            around = _around(points, (sx, sy))
            distance = np.linalg.norm(around, axis=1, keepdims=True)
            strength = (6 if k % 2 else -6) * np.exp(-((distance / (radius * 3.2)) ** 2))
            vector += strength * around / (distance + 1e-6)
        return vector

    return flow


def _in_strokes(rng: np.random.Generator, scene: np.ndarray, flow: Flow) -> Image.Image:
    """Return the scene in brush strokes that follow a flow."""
    side, across = len(scene), 34
    row, column = np.divmod(np.arange(across * across), across)
    path = [(np.stack([column, row], 1) + rng.uniform(0, 1, (across**2, 2))) / across]
    for _ in range(4):
        vector = flow(path[-1])
        vector = vector / (np.linalg.norm(vector, axis=1, keepdims=True) + 1e-6)
        path.append(path[-1] + 0.017 * vector)
    at = np.clip(path[2] * side, 0, side - 1).astype(int)
    # Each stroke deviates randomly from the color of the scene.
    tones = scene[at[:, 1], at[:, 0]] * rng.uniform(0.86, 1.14, (across**2, 1))
    inks = np.clip(tones * 255, 0, 255).astype(int).tolist()
    lines = (np.stack(path, 1) * side).reshape(across**2, -1).tolist()
    widths = np.rint(rng.uniform(0.014, 0.024, across**2) * side).astype(int).tolist()
    image = to_image(scene)
    draw = ImageDraw.Draw(image)
    for k in rng.permutation(across**2).tolist():
        draw.line(lines[k], fill=tuple(inks[k]), width=widths[k])
    return image


def _add_lights(canvas: np.ndarray, lights: list[Light], glow: np.ndarray) -> None:
    """Draw the centers of lights, which strokes break up, once more, in place."""
    side = len(canvas)
    x, y = pixel_centers(side)
    for sx, sy, radius in lights:
        box = region(side, sx - 2 * radius, sy - 2 * radius, sx + 2 * radius, sy + 2 * radius)
        distance = np.hypot(x[:, box[1]] - sx, y[box[0]] - sy)
        core = fill_mask(distance - 0.75 * radius, max(0.02, 0.25 * radius))
        blend(canvas[box], 0.75 * glow + 0.25, 0.85 * core)


def _finished(rng: np.random.Generator, canvas: np.ndarray, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3), mirrored half of the time."""
    canvas = downsample(canvas, size)
    return to_uint8(mirror_at_random(rng, canvas))


def _add_cypress(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, dark: np.ndarray
) -> None:
    """Draw a cypress on the left."""
    foot, tip, phase = rng.uniform(0.14, 0.24), rng.uniform(0.12, 0.32), rng.uniform(0, 6)
    y = np.linspace(tip, 1.05, 60)
    half = 0.11 * ((y - tip) / (1 - tip)) ** 0.75 * (1 + 0.16 * np.sin(y * 36 + phase))
    middle = foot + 0.015 * np.sin(y * 14 + phase)
    outline = np.stack([np.append(middle - half, (middle + half)[::-1]), np.append(y, y[::-1])], 1)
    fill_polygon(draw, side, outline, to_rgb(dark))


def draw_moon_over_hills(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a moon and stars above hills, often with a cypress. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    moon = [rng.uniform(0.55, 0.8), rng.uniform(0.2, 0.34), rng.uniform(0.09, 0.14)]
    lights = [moon, *_stars(rng, int(rng.integers(3, 6)), 0.5)]
    # Stars too close to the moon are left out.
    lights = [s for s in lights if s is moon or math.dist(s[:2], moon[:2]) > 0.26]
    scene = _sky(side, palette, lights, 0.75)
    tops = [rng.uniform(0.66, 0.74), rng.uniform(0.8, 0.88)]
    _add_hills(rng, scene, palette[5:], tops, rng.uniform(0.03, 0.06))
    image = _in_strokes(rng, scene, _breeze(lights, rng.uniform(0, 6)))
    if rng.random() < 0.6:
        _add_cypress(rng, ImageDraw.Draw(image), side, 0.8 * palette[6])
    canvas = from_image(image)
    _add_lights(canvas, lights, palette[3])
    if rng.random() < 0.4:
        # The unlit part of the moon.
        x, y = pixel_centers(side)
        away = np.hypot(x - moon[0] - 0.4 * moon[2], y - moon[1] + 0.2 * moon[2]) - 0.85 * moon[2]
        disc = np.hypot(x - moon[0], y - moon[1]) - 1.05 * moon[2]
        blend(canvas, 0.6 * palette[1] + 0.4 * palette[2], fill_mask(np.maximum(away, disc), 0.02))
    return _finished(rng, canvas, size)


def _add_house(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    place: tuple[float, float, float],
    dark: np.ndarray,
    gabled: bool,
) -> None:
    """Draw a house between `place` = (left, right, top) and the lower edge, with lit windows."""
    left, right, top = place
    draw.rectangle((left * side, top * side, right * side, side), fill=to_rgb(dark))
    if gabled:
        ridge = top - 0.55 * (right - left)
        corners = np.array([(left, top), ((left + right) / 2, ridge), (right, top)])
        fill_polygon(draw, side, corners, to_rgb(dark))
    columns = max(1, round((right - left) / 0.085))
    step = (right - left) / columns
    for row in range(int((0.98 - top) / 0.11)):
        for column in range(columns):
            x, y = left + (column + 0.5) * step, top + 0.055 + 0.11 * row
            tone = WINDOW if rng.random() < 0.55 else 0.6 * dark
            box = (x - 0.02, y - 0.028, x + 0.02, y + 0.028)
            draw.rectangle([value * side for value in box], fill=to_rgb(tone))


def draw_lit_houses(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a village or a city with lit windows under stars. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    city = bool(rng.random() < 0.5)
    lights = _stars(rng, int(rng.integers(5, 8)), 0.34 if city else 0.45)
    scene = _sky(side, palette, lights, 0.8)
    image = _in_strokes(rng, scene, _breeze(lights, rng.uniform(0, 6)))
    draw = ImageDraw.Draw(image)
    for color, rise in ((0.75 * palette[5], 0.12), (palette[6], 0.0)):
        left = rng.uniform(-0.1, 0.0)
        while left < 1:
            right = left + rng.uniform(0.15, 0.23)
            top = (rng.uniform(0.5, 0.84) if city else rng.uniform(0.74, 0.84)) - rise
            _add_house(rng, draw, side, (left, right, top), color, not city)
            left = right
    canvas = from_image(image)
    _add_lights(canvas, lights, palette[3])
    return _finished(rng, canvas, size)


def _add_curtain(
    rng: np.random.Generator, canvas: np.ndarray, color: np.ndarray, level: float, height: float
) -> None:
    """Draw a curtain of light whose lower edge is a wave at y = `level`, in place."""
    x, y = pixel_centers(len(canvas))
    foot = level + 0.09 * np.sin(rng.uniform(3, 7) * x + rng.uniform(0, 6))
    folds = 0.7 + 0.3 * np.sin(rng.uniform(14, 20) * x + rng.uniform(0, 6))
    # Brightest at the lower edge, and fading upwards.
    fade = np.exp(-np.maximum(foot - y, 0) / height) * smoothstep(foot - y, -0.02, 0.04)
    blend(canvas, color, 0.9 * folds * fade)


def draw_aurora(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw curtains of light above the sea, which reflects them. Return uint8 (size, size, 3)."""
    side = 2 * size
    deep, middle, _, glow, aurora, land, near = choose(rng, PALETTES)
    _, y = pixel_centers(side)
    shore = rng.uniform(0.66, 0.76)
    canvas = blank_canvas(side, 0.7 * deep)
    blend(canvas, middle, 0.8 * smoothstep(y, 0.2, shore))
    for color, height in ((0.6 * aurora + 0.4 * glow, 0.17), (aurora, 0.25)):
        _add_curtain(rng, canvas, color, shore - rng.uniform(0.08, 0.26), height)
    _add_hills(rng, canvas, 0.7 * land[None], [shore - 0.02], rng.uniform(0.02, 0.06))
    # The sea mirrors twice its own height, and is darker.
    line = round(shore * side)
    mirrored = np.clip(line - 2 * np.arange(1, side - line + 1), 0, line)
    canvas[line:] = 0.6 * canvas[mirrored] + 0.25 * near

    def flow(points: np.ndarray) -> np.ndarray:
        sky = points[:, 1:] < shore
        return np.where(sky, (0.15, 1.0), (1.0, 0.05))

    return _finished(rng, from_image(_in_strokes(rng, canvas, flow)), size)


def draw_whirl(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a spiral of light that fills the sky. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)
    deep, middle, pale, glow, *_ = palette
    x, y = pixel_centers(side)
    center = rng.uniform(0.38, 0.62), rng.uniform(0.36, 0.46)
    distance = np.hypot(x - center[0], (y - center[1]) * 1.15)
    angle = np.arctan2(y - center[1], x - center[0])
    # Two arms, wound the tighter the closer to the center.
    arms = 0.5 + 0.5 * np.cos(2 * angle + 22 * np.sqrt(distance) + rng.uniform(0, 6))
    canvas = blank_canvas(side, deep)
    blend(canvas, middle, 1 - 0.7 * smoothstep(distance, 0.3, 0.7))
    blend(canvas, pale, arms * (1 - smoothstep(distance, 0.2, 0.55)))
    blend(canvas, glow, np.exp(-((distance / 0.1) ** 2)))
    _add_hills(rng, canvas, palette[6:], [rng.uniform(0.8, 0.92)], 0.04)
    image = _in_strokes(rng, canvas, lambda points: _around(points, center))
    canvas = from_image(image)
    _add_lights(canvas, [[*center, 0.06]], glow)
    return _finished(rng, canvas, size)


COMPOSITIONS: list[Composition] = [
    draw_moon_over_hills,
    draw_lit_houses,
    draw_aurora,
    draw_whirl,
]
