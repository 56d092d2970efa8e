"""Drawing primitives of all styles: canvases, antialiased masks, noise and textures.

A *canvas* is a float32 array of shape (side, side, 3) with sRGB values in [0, 1]. A *mask* is a
float32 array that broadcasts to (side, side), 0 where a layer is transparent and 1 where it is
opaque. Positions are fractions of the image: x from 0 (left) to 1 (right), y from 0 (top) to 1
(bottom), so the same drawing code works at any size.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Draws an image of the given side: uint8 of shape (side, side, 3).
Composition = Callable[[np.random.Generator, int], np.ndarray]


def colors(*codes: str) -> np.ndarray:
    """Convert codes such as "#1f3f94" to a float32 array of shape (len(codes), 3) in [0, 1]."""
    rows = [[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes]
    return np.array(rows, dtype=np.float32) / 255


def to_rgb(color: np.ndarray) -> tuple[int, int, int]:
    """Convert a color of shape (3,) in [0, 1] to integers from 0 to 255, as Pillow takes it."""
    red, green, blue = np.clip(np.rint(color * 255), 0, 255).astype(int).tolist()
    return red, green, blue


def blank_canvas(side: int, color: np.ndarray) -> np.ndarray:
    """Return a canvas (side, side, 3) of one color."""
    # Stored channel by channel: NumPy is several times faster along long rows than along
    # triples. Arrays computed from a canvas inherit this memory order.
    planes = np.empty((3, side, side), np.float32)
    planes[:] = np.asarray(color, np.float32)[:, None, None]
    return planes.transpose(1, 2, 0)


def pixel_centers(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel centers as x of shape (1, side) and y of shape (side, 1), both in (0, 1)."""
    centers = (np.arange(side, dtype=np.float32) + 0.5) / side
    return centers[None, :], centers[:, None]


def smoothstep(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """Interpolate smoothly from 0 at `value = start` to 1 at `value = end`."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def fill_mask(distance: np.ndarray, softness: float) -> np.ndarray:
    """Return a mask that is 1 at negative signed distance, with an edge of width `softness`."""
    return np.clip(0.5 - distance / softness, 0, 1)


def region(side: int, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
    """Return the slices of rows and columns of a part of the image, so that only it is drawn."""
    first_row, first_column = (max(0, int(start * side)) for start in (top, left))
    return slice(first_row, int(bottom * side) + 1), slice(first_column, int(right * side) + 1)


def blend(canvas: np.ndarray, color: np.ndarray, mask: np.ndarray) -> None:
    """Blend a color, (3,) or (side, side, 3), over the canvas in place, with the mask as alpha."""
    mask = np.broadcast_to(mask, canvas.shape[:2]).astype(np.float32, copy=False)
    canvas += (color - canvas) * mask[..., None]


def fill_polygon(
    draw: ImageDraw.ImageDraw, side: int, points: np.ndarray, fill: int | tuple[int, int, int]
) -> None:
    """Fill the polygon with corners (k, 2), fractions of an image of the given side."""
    draw.polygon([tuple(point) for point in (points * side).tolist()], fill=fill)


def smooth_noise(
    rng: np.random.Generator, side: int, cells: tuple[int, int], octaves: int = 1
) -> np.ndarray:
    """Return smooth value noise (side, side) with a mean of about 0 and a deviation of about 0.6.

    `cells` is the number of random values vertically and horizontally; unequal numbers make
    streaks. The number of random draws does not depend on `side`, so neither does the image.
    """
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        shape = (cells[0] * 2**octave, cells[1] * 2**octave)
        relief = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        scaled = relief.resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(scaled) * 0.5**octave
    return total


def cloth_texture(rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.02) -> None:
    """Add the texture of woven cloth in place."""
    side = len(canvas)
    x, y = pixel_centers(side)
    threads = np.sin(x * (2 * math.pi * 53)) * np.sin(y * (2 * math.pi * 53))
    uneven = smooth_noise(rng, side, (40, 40), 2)
    canvas *= 1 + (strength * (0.5 * threads + 0.6 * uneven))[..., None]


def paper_texture(rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.03) -> None:
    """Add the low-frequency variation and fine grain of handmade paper in place."""
    side = len(canvas)
    cloud = smooth_noise(rng, side, (5, 5), 2)
    grain = smooth_noise(rng, side, (110, 110))
    canvas *= 1 + (strength * (0.5 * cloud + 0.5 * grain))[..., None]


def brush_texture(
    rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.04, upright: bool = False
) -> None:
    """Add the horizontal (or vertical) streaks of a broad brush in place."""
    cells = (12, 90) if upright else (90, 12)
    canvas *= 1 + (strength * smooth_noise(rng, len(canvas), cells, 2))[..., None]


def blur_mask(mask: np.ndarray, radius: float) -> np.ndarray:
    """Blur a mask (height, width) with a Gaussian; the radius is in pixels of the mask."""
    image = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, dtype=np.float32) / 255


def from_image(image: Image.Image) -> np.ndarray:
    """Convert an RGB image to a canvas (side, side, 3), a grayscale one to a mask (side, side)."""
    values = np.asarray(image, dtype=np.float32)
    if values.ndim == 3:
        values = np.ascontiguousarray(values.transpose(2, 0, 1)).transpose(1, 2, 0)
    return values / 255


def to_image(canvas: np.ndarray) -> Image.Image:
    """Convert a canvas to an RGB image."""
    return Image.fromarray(to_uint8(canvas))


def downsample(canvas: np.ndarray, size: int) -> np.ndarray:
    """Reduce a canvas to (size, size, 3) by averaging blocks of pixels."""
    factor = len(canvas) // size
    if len(canvas) != factor * size:
        raise ValueError(f"A canvas of side {len(canvas)} cannot be scaled to {size} evenly.")
    # Summing strided views is several times faster than a mean over a five-axis reshape.
    shares = [canvas[i::factor, j::factor] for i in range(factor) for j in range(factor)]
    return sum(shares[1:], shares[0]) / factor**2


def mirror_at_random(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Return the canvas, half of the time with left and right exchanged."""
    return canvas[:, ::-1] if rng.random() < 0.5 else canvas


def to_uint8(canvas: np.ndarray) -> np.ndarray:
    """Convert a canvas to uint8 of the same shape, in C order."""
    return np.ascontiguousarray(np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8))


def choose(rng: np.random.Generator, options: Sequence[Any] | np.ndarray) -> Any:
    """Return one of the options, drawn uniformly."""
    return options[int(rng.integers(len(options)))]
