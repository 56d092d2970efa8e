"""Paper cut-outs: fronds, corals and leaves on four bright blocks."""

import math

import numpy as np
from PIL import Image, ImageDraw

from ganvas.sample_collection.canvas import (
    blank_canvas,
    blend,
    blur_mask,
    brush_texture,
    choose,
    colors,
    downsample,
    from_image,
    paper_texture,
    region,
    to_uint8,
)

# Colors of the blocks; shapes are white or in the color of another block.
PALETTES = [
    colors("#1f5fa8", "#f2b632", "#e4572e", "#2a9d6e", "#f2a7b8"),
    colors("#e63946", "#1d5c8f", "#f4c95d", "#f08a5d", "#3a8f6b"),
    colors("#6a3d9a", "#f28c28", "#2b9eb3", "#f9d056", "#d1495b"),
    colors("#16697a", "#ffa62b", "#e05a47", "#82c0a0", "#f2c6b4"),
]
WHITE = colors("#fbf6ea")[0]

Point = tuple[float, float]


def _stroke(draw: ImageDraw.ImageDraw, side: int, path: np.ndarray, width: float) -> None:
    """Draw a white line with round ends through the points (k, 2)."""
    points = [tuple(p) for p in (path * side).tolist()]
    half = width * side / 2
    draw.line(points, fill=255, width=round(2 * half), joint="curve")
    for px, py in (points[0], points[-1]):
        draw.ellipse((px - half, py - half, px + half, py + half), fill=255)


def _arm(start: np.ndarray, heading: float, reach: float, curl: float) -> np.ndarray:
    """Return the path (8, 2) of an arm that starts at angle `heading` and turns by `curl`."""
    angles = heading + curl * np.linspace(0, 1, 8)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach / 7
    steps[0] = 0
    return start + np.cumsum(steps, axis=0)


def _frond(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    center: Point,
    length: float,
    up: float,
) -> None:
    """Draw a bent stem with two or three pairs of arms that curl upwards."""
    bend = rng.uniform(-0.5, 0.5)
    foot = np.array(center) - 0.5 * length * np.array([math.cos(up), math.sin(up)])
    stem = _arm(foot, up - bend / 2, length, bend)
    _stroke(draw, side, stem, 0.1 * length)
    for at in (1, 3, 5) if rng.random() < 0.7 else (1, 4):
        reach = length * (0.46 - 0.045 * at)
        for turn in (1, -1):
            heading = up + bend * (at / 7 - 0.5) + turn * 1.3
            _stroke(draw, side, _arm(stem[at], heading, reach, -0.85 * turn), 0.105 * length)


def _coral(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    center: Point,
    length: float,
    up: float,
) -> None:
    """Draw curved arms around one point, like a flower or a coral."""
    arms = int(rng.integers(6, 9))
    curl = float(rng.choice([-0.8, 0.8]))
    for k in range(arms):
        heading = up + 2 * math.pi * k / arms
        path = _arm(np.array(center), heading, 0.5 * length, curl)
        _stroke(draw, side, path, 0.12 * length)


def _leaf(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    center: Point,
    length: float,
    up: float,
) -> None:
    """Draw an oak leaf: four round lobes on either side of a spine."""
    t = np.linspace(0, 1, 60)
    half = 0.36 * length * np.sin(math.pi * t**0.75) ** 0.7
    half *= 0.55 + 0.45 * np.abs(np.sin(4 * math.pi * t)) ** 0.6
    ahead, aside = np.array([math.cos(up), math.sin(up)]), np.array([-math.sin(up), math.cos(up)])
    spine = np.array(center) + np.outer((t - 0.42) * 0.95 * length, ahead)
    outline = np.concatenate([spine + np.outer(half, aside), (spine - np.outer(half, aside))[::-1]])
    draw.polygon([tuple(p) for p in (outline * side).tolist()], fill=255)
    _stroke(draw, side, _arm(spine[0] - 0.08 * length * ahead, up, 0.3 * length, 0), 0.07 * length)


def _cutout_mask(
    rng: np.random.Generator, side: int, center: Point, length: float, part: tuple[slice, slice]
) -> np.ndarray:
    """Return the mask of one random shape, most often a frond, in a part of the image."""
    image = Image.new("L", (side, side))
    up = -math.pi / 2 + rng.uniform(-0.35, 0.35)
    shape = choose(rng, (_frond, _frond, _frond, _coral, _leaf))
    shape(rng, ImageDraw.Draw(image), side, center, length, up)
    # Blurring and thresholding at one half rounds the corners.
    return np.clip((blur_mask(from_image(image)[part], 0.006 * side) - 0.5) * 5 + 0.5, 0, 1)


def _blocks(canvas: np.ndarray, x: float, y: float, palette: np.ndarray) -> list[Point]:
    """Divide the canvas at x and y into four blocks of color and return their centers."""
    side = len(canvas)
    edges_x, edges_y = (0, x, 1), (0, y, 1)
    centers = []
    for k, color in enumerate(palette[:4]):
        (left, right), (top, bottom) = edges_x[k % 2 :][:2], edges_y[k // 2 :][:2]
        block = np.s_[
            round(top * side) : round(bottom * side), round(left * side) : round(right * side)
        ]
        canvas[block] = color
        centers.append(((left + right) / 2, (top + bottom) / 2))
    return centers


def draw_paper_cutouts(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw four bright blocks, each with a cut shape on it. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = choose(rng, PALETTES)[rng.permutation(5)]
    canvas = blank_canvas(side, WHITE)
    centers = _blocks(canvas, rng.uniform(0.45, 0.55), rng.uniform(0.45, 0.55), palette)
    brush_texture(rng, canvas, 0.015)
    whites = choose(rng, [(0, 3), (1, 2)])
    mask, shapes = np.zeros((side, side), np.float32), canvas.copy()
    for k, center in enumerate(centers):
        part = region(side, center[0] - 0.3, center[1] - 0.3, center[0] + 0.3, center[1] + 0.3)
        cut = _cutout_mask(rng, side, center, rng.uniform(0.38, 0.43), part)
        contrast = np.abs(palette - palette[k]).sum(axis=1)
        bright = palette[choose(rng, contrast.argsort()[-2:])]
        blend(shapes[part], WHITE if k in whites else bright, cut)
        mask[part] = np.maximum(mask[part], cut)
    shade = blur_mask(np.roll(mask, (side // 90, side // 90), (0, 1)), 0.007 * side)
    blend(canvas, 0.45 * canvas, 0.6 * shade)
    blend(canvas, shapes, mask)
    canvas = downsample(canvas, size)
    paper_texture(rng, canvas, 0.025)
    return to_uint8(canvas)
