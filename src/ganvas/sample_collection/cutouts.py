"""Paper cut-outs: shapes on blocks, a sheaf of leaves, birds, and a shape across a split ground."""

import math
from itertools import pairwise, product

import numpy as np
from PIL import Image, ImageDraw

from ganvas.sample_collection.canvas import (
    Composition,
    blank_canvas,
    blend,
    blur_mask,
    brush_texture,
    choose,
    colors,
    downsample,
    fill_polygon,
    from_image,
    paper_texture,
    region,
    to_uint8,
)

# Bright sheets of paper; any two of them contrast.
PALETTES = [
    colors("#1f5fa8", "#f2b632", "#e4572e", "#2a9d6e", "#f2a7b8"),
    colors("#e63946", "#1d5c8f", "#f4c95d", "#f08a5d", "#3a8f6b"),
    colors("#6a3d9a", "#f28c28", "#2b9eb3", "#f9d056", "#d1495b"),
    colors("#16697a", "#ffa62b", "#e05a47", "#82c0a0", "#f2c6b4"),
    colors("#1d2f6f", "#6fa8dc", "#f6d6a8", "#2f5fc4", "#d94f70"),
    colors("#22223b", "#f2e9c9", "#c9302c", "#4a7c59", "#e0a030"),
    colors("#e84a8a", "#7ac7a0", "#fbd24e", "#3d348b", "#f7935c"),
    colors("#2f4a2a", "#d9c24a", "#b5532a", "#86a85a", "#f0dcb0"),
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
    _stroke(draw, side, stem, 0.12 * length)
    for at in (1, 3, 5) if rng.random() < 0.6 else (1, 4):
        reach = length * (0.46 - 0.045 * at)
        for turn in (1, -1):
            heading = up + bend * (at / 7 - 0.5) + turn * 1.3
            _stroke(draw, side, _arm(stem[at], heading, reach, -0.85 * turn), 0.12 * length)


def _coral(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    center: Point,
    length: float,
    up: float,
) -> None:
    """Draw curved arms around one point, like a flower or a coral."""
    arms = int(rng.integers(5, 8))
    curl = float(rng.choice([-0.8, 0.8]))
    for k in range(arms):
        heading = up + 2 * math.pi * k / arms
        path = _arm(np.array(center), heading, 0.5 * length, curl)
        _stroke(draw, side, path, 0.14 * length)


def _oak_leaf(
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
    left, right = spine + np.outer(half, aside), spine - np.outer(half, aside)
    fill_polygon(draw, side, np.concatenate([left, right[::-1]]), 255)
    _stroke(draw, side, _arm(spine[0] - 0.08 * length * ahead, up, 0.3 * length, 0), 0.07 * length)


def _blade(
    draw: ImageDraw.ImageDraw, side: int, foot: Point, heading: float, reach: float, curl: float
) -> None:
    """Draw a long leaf that starts at its foot and turns by `curl`."""
    spine = _arm(np.array(foot), heading, reach, curl)
    angles = heading + curl * np.linspace(0, 1, 8)
    half = 0.15 * reach * np.sin(math.pi * np.linspace(0.06, 1, 8) ** 1.2)
    aside = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * half[:, None]
    fill_polygon(draw, side, np.concatenate([spine + aside, (spine - aside)[::-1]]), 255)


# x and y of the corners of a bird that flies to the right, its beak at (1, 0), its wing raised.
BIRD = (
    np.stack(
        [
            [100, 74, 50, 30, 16, -16, -20, -26, -60, -100, -92, -100, -50, -10, 34, 66],
            [-2, -17, -16, -10, -50, -84, -44, -2, 4, -14, 12, 34, 26, 32, 26, 10],
        ],
        axis=1,
    )
    / 100
)


def _bird(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    side: int,
    center: Point,
    length: float,
    turn: float,
    facing: int,
) -> None:
    """Draw a bird; `facing` is 1 for one that flies to the right and -1 for the left."""
    lift = rng.uniform(0.8, 1.15)
    shape = BIRD * (0.5 * length * facing, 0.5 * length)
    shape[4:7, 1] *= lift
    cos, sin = math.cos(turn), math.sin(turn)
    fill_polygon(draw, side, np.array(center) + shape @ np.array([[cos, sin], [-sin, cos]]), 255)


def _cut(image: Image.Image) -> np.ndarray:
    """Return the mask (side, side) of what is drawn in white, its corners rounded."""
    # Blurring and thresholding at one half rounds corners.
    blurred = blur_mask(from_image(image), 0.006 * image.width)
    return np.clip((blurred - 0.5) * 5 + 0.5, 0, 1)


def _paste(canvas: np.ndarray, tones: np.ndarray, mask: np.ndarray) -> None:
    """Paste cut paper onto the canvas, with a soft shadow on its lower right, in place.

    `tones` is one color (3,) or a canvas (side, side, 3).
    """
    side = len(canvas)
    step = side // 90
    shade = blur_mask(np.pad(mask, ((step, 0), (step, 0)))[:side, :side], 0.007 * side)
    blend(canvas, 0.45 * canvas, 0.6 * shade)
    blend(canvas, tones, mask)


def _finished(rng: np.random.Generator, canvas: np.ndarray, size: int) -> np.ndarray:
    """Return the finished image, uint8 (size, size, 3)."""
    canvas = downsample(canvas, size)
    brush_texture(rng, canvas, 0.012)
    paper_texture(rng, canvas, 0.02)
    return to_uint8(canvas)


def _shuffled_palette(rng: np.random.Generator) -> np.ndarray:
    """Return the five colors of a palette in random order."""
    return choose(rng, PALETTES)[rng.permutation(5)]


def _contrasting(rng: np.random.Generator, palette: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return one of the two colors, white among them, that differ most from the ground."""
    sheets = np.concatenate([palette, WHITE[None]])
    return choose(rng, sheets[np.abs(sheets - ground).sum(axis=1).argsort()[-2:]])


def draw_blocks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw two or four blocks of color with a plant on each. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = _shuffled_palette(rng)
    levels = choose(rng, ([0, 0.5, 1], [0, 0.45, 1], [0, 0.55, 1], [0, 1]))
    uprights = [0, rng.uniform(0.45, 0.55), 1]
    length = 0.42 if len(levels) == 3 else 0.48
    canvas = blank_canvas(side, WHITE)
    tones = canvas.copy()
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    places = product(pairwise(levels), pairwise(uprights))
    for color, ((top, bottom), (left, right)) in zip(palette, places, strict=False):
        box = region(side, left, top, right, bottom)
        canvas[box] = color
        tones[box] = _contrasting(rng, palette, color)
        center = ((left + right) / 2, (top + bottom) / 2)
        shape = choose(rng, (_frond, _frond, _coral, _oak_leaf))
        scale, heading = rng.uniform(0.93, 1.04), -math.pi / 2 + rng.uniform(-0.35, 0.35)
        shape(rng, draw, side, center, scale * length, heading)
    _paste(canvas, tones, _cut(image))
    return _finished(rng, canvas, size)


def draw_sheaf(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw long leaves in several colors that fan out from below. Return uint8 (size, size, 3)."""
    side = 2 * size
    *leaves, ground = _shuffled_palette(rng)
    ground = WHITE if rng.random() < 0.4 else ground
    canvas = blank_canvas(side, ground)
    # From the middle, or from one of the lower corners; then the angle is narrower.
    foot, up, spread, reach = choose(
        rng, [(0.5, -0.5, 1.1, 0.78), (0.04, -0.25, 0.75, 0.95), (0.96, -0.75, 0.75, 0.95)]
    )
    count = int(rng.integers(5, 8))
    headings = up * math.pi + np.linspace(-spread, spread, count)
    reaches, curls = reach * rng.uniform(0.85, 1.1, count), rng.uniform(-0.5, 0.5, count)
    # A sheet of paper in each color, with several leaves: those of later sheets lie on top.
    for k, color in enumerate(leaves):
        image = Image.new("L", (side, side))
        for j in range(k, count, len(leaves)):
            _blade(ImageDraw.Draw(image), side, (foot, 0.98), headings[j], reaches[j], curls[j])
        _paste(canvas, color, _cut(image))
    return _finished(rng, canvas, size)


def draw_birds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one to three birds and a sun above the sea. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = _shuffled_palette(rng)
    sky, sea = palette[:2]
    canvas = blank_canvas(side, sky)
    low = Image.new("L", (side, side))
    draw = ImageDraw.Draw(low)
    x, level, phase = np.linspace(-0.1, 1.1, 60), rng.uniform(0.74, 0.86), rng.uniform(0, 6)
    shore = np.stack([x, level + 0.025 * np.sin(12 * x + phase)], axis=1)
    fill_polygon(draw, side, np.concatenate([shore, [(1.1, 1.1), (-0.1, 1.1)]]), 255)
    _paste(canvas, sea, _cut(low))
    feathers = _contrasting(rng, palette, sky)
    sun = palette[3] if np.array_equal(palette[2], feathers) else palette[2]
    high = Image.new("L", (side, side))
    cx, cy, radius = choose(rng, (0.2, 0.8)) * side, 0.2 * side, 0.11 * side
    ImageDraw.Draw(high).ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=255)
    _paste(canvas, sun, _cut(high))
    # One large bird, or two or three smaller ones that fly the same way.
    flocks = [[(0.5, 0.47, 0.8)], [(0.32, 0.33, 0.52), (0.64, 0.62, 0.52)]]
    flocks.append([(0.27, 0.28, 0.42), (0.7, 0.42, 0.42), (0.33, 0.65, 0.42)])
    facing, turn = choose(rng, (1, -1)), rng.uniform(-0.3, 0.3)
    birds = Image.new("L", (side, side))
    for bird_x, bird_y, length in choose(rng, flocks):
        bird_x, bird_y = bird_x + rng.uniform(-0.04, 0.04), bird_y + rng.uniform(-0.04, 0.04)
        _bird(rng, ImageDraw.Draw(birds), side, (bird_x, bird_y), length, turn, facing)
    _paste(canvas, feathers, _cut(birds))
    return _finished(rng, canvas, size)


def draw_split_ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one shape across two grounds that swap colors in it. Return uint8 (size, size, 3)."""
    side = 2 * size
    palette = _shuffled_palette(rng)
    pair = palette[0], _contrasting(rng, palette, palette[0])
    first, second = (blank_canvas(side, color) for color in pair)
    corners = choose(
        rng,
        [
            [(0.5, -0.1), (1.1, -0.1), (1.1, 1.1), (0.5, 1.1)],
            [(-0.1, 0.5), (1.1, 0.5), (1.1, 1.1), (-0.1, 1.1)],
            [(-0.1, -0.1), (1.1, -0.1), (1.1, 1.1)],
            [(1.1, -0.1), (1.1, 1.1), (-0.1, 1.1)],
        ],
    )
    half, shape = Image.new("L", (side, side)), Image.new("L", (side, side))
    fill_polygon(ImageDraw.Draw(half), side, np.array(corners), 255)
    split = _cut(half)
    cut = choose(rng, (_coral, _oak_leaf, _frond))
    heading = -math.pi / 2 + rng.uniform(-0.4, 0.4)
    cut(rng, ImageDraw.Draw(shape), side, (0.5, 0.5), rng.uniform(0.78, 0.88), heading)
    canvas, tones = first.copy(), second.copy()
    blend(canvas, second, split)
    blend(tones, first, split)
    _paste(canvas, tones, _cut(shape))
    return _finished(rng, canvas, size)


COMPOSITIONS: list[Composition] = [draw_blocks, draw_sheaf, draw_birds, draw_split_ground]
