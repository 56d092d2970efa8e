"""What all painters share: canvases, soft masks, smooth noise, paper and brush textures.

A *canvas* is a float32 array of shape (side, side, 3) with sRGB values in [0, 1]. A *mask* is a
float32 array that broadcasts to (side, side), 0 where a layer of paint is absent and 1 where it
covers. Positions are fractions of the image: x runs from 0 (left) to 1 (right), y from 0 (top)
to 1 (bottom), so that the same drawing comes out at any size.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageFilter


def colors(*codes: str) -> np.ndarray:
    """Turn hexadecimal codes like ``"#1f3f94"`` into a float32 array (len(codes), 3) in [0, 1]."""
    rows = [[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes]
    return np.array(rows, dtype=np.float32) / 255


def as_ink(color: np.ndarray) -> tuple[int, int, int]:
    """Turn one color, shape (3,) in [0, 1], into the integer triple that Pillow draws with."""
    red, green, blue = np.clip(np.rint(color * 255), 0, 255).astype(int).tolist()
    return red, green, blue


def blank(side: int, color: np.ndarray) -> np.ndarray:
    """Return a canvas (side, side, 3) of one color."""
    # One plane of memory for each channel: numpy is several times faster along long rows than
    # along triples. Everything computed from a canvas inherits this order.
    planes = np.empty((3, side, side), np.float32)
    planes[:] = np.asarray(color, np.float32)[:, None, None]
    return planes.transpose(1, 2, 0)


def axes(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel centers as x of shape (1, side) and y of shape (side, 1), both in (0, 1)."""
    centers = (np.arange(side, dtype=np.float32) + 0.5) / side
    return centers[None, :], centers[:, None]


def soft_step(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """Rise smoothly from 0 where ``value`` is at ``start`` to 1 where it is at ``end``."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def inside(distance: np.ndarray, softness: float) -> np.ndarray:
    """Mask of the points at negative distance from an outline, with an edge this soft."""
    return np.clip(0.5 - distance / softness, 0, 1)


def window(side: int, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
    """Return the rows and columns that hold this part of the image, cut off at its edges.

    What is painted into ``canvas[window]`` appears in the canvas; a small part is soon painted.
    """
    first_row, first_column = (max(0, int(start * side)) for start in (top, left))
    return slice(first_row, int(bottom * side) + 1), slice(first_column, int(right * side) + 1)


def lay(canvas: np.ndarray, color: np.ndarray, mask: np.ndarray) -> None:
    """Lay a color, (3,) or (side, side, 3), over the canvas in place, as far as the mask says."""
    mask = np.broadcast_to(mask, canvas.shape[:2]).astype(np.float32, copy=False)
    canvas += (color - canvas) * mask[..., None]


def smooth_noise(
    rng: np.random.Generator, side: int, cells: tuple[int, int], octaves: int = 1
) -> np.ndarray:
    """Return smooth random relief (side, side), mean about 0 and deviation about 0.6.

    ``cells`` is the number of random values down and across, so unequal numbers give streaks. How
    much is drawn from ``rng`` does not depend on ``side``: an image is the same at every size.
    """
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        shape = (cells[0] * 2**octave, cells[1] * 2**octave)
        relief = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        scaled = relief.resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(scaled) * 0.5**octave
    return total


def weave(rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.02) -> None:
    """Darken and lighten the canvas in place like paint on woven cloth."""
    side = len(canvas)
    x, y = axes(side)
    threads = np.sin(x * (2 * math.pi * 53)) * np.sin(y * (2 * math.pi * 53))
    uneven = smooth_noise(rng, side, (40, 40), 2)
    canvas *= 1 + (strength * (0.5 * threads + 0.6 * uneven))[..., None]


def paper(rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.03) -> None:
    """Give the canvas, in place, the cloudiness and the fine grain of handmade paper."""
    side = len(canvas)
    cloud = smooth_noise(rng, side, (5, 5), 2)
    grain = smooth_noise(rng, side, (110, 110))
    canvas *= 1 + (strength * (0.5 * cloud + 0.5 * grain))[..., None]


def bristles(
    rng: np.random.Generator, canvas: np.ndarray, strength: float = 0.04, upright: bool = False
) -> None:
    """Streak the canvas in place like the hairs of a broad brush drawn across (or down) it."""
    cells = (12, 90) if upright else (90, 12)
    canvas *= 1 + (strength * smooth_noise(rng, len(canvas), cells, 2))[..., None]


def blur_mask(mask: np.ndarray, radius: float) -> np.ndarray:
    """Blur a mask (height, width) with a Gaussian whose radius is given in its pixels."""
    image = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, dtype=np.float32) / 255


def from_image(image: Image.Image) -> np.ndarray:
    """Turn a Pillow image into a canvas (side, side, 3), or a mask (side, side) if it is gray."""
    values = np.asarray(image, dtype=np.float32)
    if values.ndim == 3:
        values = np.ascontiguousarray(values.transpose(2, 0, 1)).transpose(1, 2, 0)
    return values / 255


def to_image(canvas: np.ndarray) -> Image.Image:
    """Turn a canvas into an RGB Pillow image."""
    return Image.fromarray(finish(canvas))


def shrink(canvas: np.ndarray, size: int) -> np.ndarray:
    """Scale a canvas down to (size, size, 3), averaging the finer pixels it was drawn in."""
    factor = len(canvas) // size
    if len(canvas) != factor * size:
        raise ValueError(f"A canvas of side {len(canvas)} cannot be scaled to {size} evenly.")
    # Summing strided views is several times faster than a mean over a five-axis reshape.
    shares = [canvas[i::factor, j::factor] for i in range(factor) for j in range(factor)]
    return sum(shares[1:], shares[0]) / factor**2


def finish(canvas: np.ndarray) -> np.ndarray:
    """Turn a canvas into an image: uint8 of the same shape, 0 to 255, rows of RGB triples."""
    return np.ascontiguousarray(np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8))


def pick(rng: np.random.Generator, options: Sequence[Any] | np.ndarray) -> Any:
    """Return one of the options, each as likely as the others."""
    return options[int(rng.integers(len(options)))]
