"""Collections of unusual shapes, drawn by code: rectangles, gray images and transparent ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

# Lines are drawn larger and reduced, which smooths them.
SMOOTH = 4


def draw_photos(folder: Path, count: int = 30) -> Path:
    """Save upright landscapes in color, for images of height 96 and width 64: JPEG of many sizes.

    Every fifth is stored lying, with an EXIF orientation that turns it upright.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = draw_photo(np.random.default_rng([1, number]))
        exif = Image.Exif()
        if number % 5 == 4:
            exif[0x0112] = 6
            image = image.transpose(Image.Transpose.ROTATE_90)
        image.save(folder / f"photo{number:03d}.jpg", quality=92, exif=exif)
    return folder


def draw_line_art(folder: Path, count: int = 30) -> Path:
    """Save drawings of dark lines on white in one channel: PNG of 96×96 pixels."""
    return _save(folder, count, "lines", draw_lines)


def draw_sprites(folder: Path, count: int = 30) -> Path:
    """Save figures on a transparent ground: PNG of 80×80 pixels with straight alpha.

    What lies hidden in fully transparent pixels is green, which must not be seen anywhere.
    """
    return _save(folder, count, "sprite", draw_sprite)


def draw_photo(rng: np.random.Generator) -> Image.Image:
    """Draw a sky, hills and a sun: RGB, about one and a half times as high as wide."""
    width = int(rng.integers(110, 180))
    height = int(width * rng.uniform(1.4, 1.7))
    y, x = np.mgrid[:height, :width] / height
    top, bottom = rng.uniform(30, 130, 3), rng.uniform(130, 250, 3)
    pixels = top + (bottom - top) * y[..., None]
    for hill in range(3):
        edge = 0.45 + 0.15 * hill + 0.07 * np.sin(x * rng.uniform(5, 14) + rng.uniform(0, 6))
        pixels[y > edge] = rng.uniform(20, 160, 3) * (1 - 0.2 * hill)
    center, radius = rng.uniform((0.1, 0.05), (0.5, 0.3)), rng.uniform(0.04, 0.09)
    pixels[np.hypot(x - center[0], y - center[1]) < radius] = (250, 235, 190)
    pixels += rng.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_lines(rng: np.random.Generator) -> Image.Image:
    """Draw a face of a few lines: L, 96×96 pixels."""
    side = 96 * SMOOTH
    image = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(image)
    x, y = rng.uniform(0.45, 0.55, 2) * side
    w, h = rng.uniform(0.22, 0.4, 2) * side
    pen = int(rng.integers(2, 5) * SMOOTH)
    draw.ellipse((x - w, y - h, x + w, y + h), outline=20, width=pen)
    for eye in (-0.4, 0.4):
        r = rng.uniform(0.03, 0.06) * side
        draw.ellipse((x + eye * w - r, y - 0.3 * h - r, x + eye * w + r, y - 0.3 * h + r), fill=20)
    smile = rng.uniform(0.05, 0.4) * h
    draw.arc((x - w / 2, y, x + w / 2, y + 2 * smile), 0, 180, fill=20, width=pen)
    draw.line((x, y - 0.1 * h, x - 0.1 * w, y + 0.15 * h), fill=90, width=pen)
    return image.resize((96, 96), Image.Resampling.LANCZOS)


def draw_sprite(rng: np.random.Generator) -> Image.Image:
    """Draw a creature in one of a few colors: RGBA, 80×80 pixels."""
    side = 80 * SMOOTH
    alpha = Image.new("L", (side, side), 0)
    color = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(40, 230, 3)))
    draw, ink = ImageDraw.Draw(alpha), ImageDraw.Draw(color)
    x, y = rng.uniform(0.45, 0.55, 2) * side
    w, h = rng.uniform(0.2, 0.36, 2) * side
    draw.ellipse((x - w, y - h, x + w, y + h), fill=255)
    for foot in (-0.5, 0.5):
        draw.rectangle((x + (foot - 0.15) * w, y, x + (foot + 0.15) * w, y + 1.25 * h), fill=255)
    if rng.random() < 0.5:  # a shadow that is half transparent
        shadow = (x - w, y + 1.1 * h, x + w, y + 1.3 * h)
        draw.ellipse(shadow, fill=110)
        ink.ellipse(shadow, fill=(30, 30, 40))
    for eye in (-0.35, 0.35):
        ink.ellipse((x + eye * w - 20, y - 40, x + eye * w + 20, y), fill=(250, 250, 250))
        ink.ellipse((x + eye * w - 8, y - 26, x + eye * w + 8, y - 10), fill=(10, 10, 10))
    size = (80, 80)
    alpha = alpha.resize(size, Image.Resampling.BOX)
    image = color.resize(size, Image.Resampling.BOX)
    image.paste((0, 255, 0), mask=alpha.point(lambda level: 255 * (level == 0)))
    image.putalpha(alpha)
    return image


def _save(
    folder: Path, count: int, name: str, draw: Callable[[np.random.Generator], Image.Image]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw(np.random.default_rng([2, number])).save(folder / f"{name}{number:03d}.png")
    return folder
