"""Image grids, and the encoding of images as PNG and WebP."""

import io
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.atomic_files import atomic_write
from ganvas.visualization.reduced_images import as_pillow, reduce_images, reduced_size

GAP = 2
WHITE = 255
# Durations of an animation's frame and of its last one, in milliseconds.
FRAME_MS, LAST_FRAME_MS = 120, 2000
WEBP_QUALITY = 80
# Pixels of an animation's frame at most, and bytes of its file.
FRAME_PIXELS, FILM_BYTES = 2**19, 4_000_000


def make_grid(images: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Arrange images row by row on a white background.

    Args:
        images: uint8 of shape (n, H, W, C). For files and pages convert them by
            `ganvas.visualization.reduced_images.as_cells` before.
        columns: Images per row.
        gap: White pixels between images and around them.

    Returns:
        uint8 of shape (rows·(H + gap) + gap, columns·(W + gap) + gap, C).

    Example:
        >>> make_grid(np.zeros((5, 32, 32, 3), np.uint8), columns=3).shape
        (70, 104, 3)
    """
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    grid = np.full(shape, WHITE, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def make_grid_of_rows(rows: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Arrange rows of images, which may differ in length, on a white background.

    Args:
        rows: Images of each row, uint8 of shape (n, H, W, C).
        gap: White pixels between images and around them.

    Returns:
        A grid as of `make_grid`, with as many columns as the longest row.

    Example:
        >>> rows = [np.zeros((count, 32, 32, 3), np.uint8) for count in (2, 3)]
        >>> make_grid_of_rows(rows).shape
        (70, 104, 3)
    """
    columns = max(map(len, rows))
    return make_grid(np.concatenate([pad_row(row, columns) for row in rows]), columns, gap)


def pad_row(images: np.ndarray, count: int) -> np.ndarray:
    """Append white images, uint8 of shape (H, W, C), up to a count."""
    padding = ((0, count - len(images)), (0, 0), (0, 0), (0, 0))
    return np.pad(images, padding, constant_values=WHITE)


def split_grid(grid: np.ndarray, height: int, width: int, gap: int = GAP) -> np.ndarray:
    """Split a grid of `make_grid` into its cells, uint8 (rows, columns, h, w, C).

    Empty cells are included.

    Args:
        grid: uint8 of shape (H', W', C).
        height: H of the images that it was made of; its cells are reduced as by `as_cells`.
        width: W of the images that it was made of.
        gap: White pixels between images and around them.

    Example:
        >>> grid = make_grid(np.zeros((5, 32, 32, 3), np.uint8), columns=3)
        >>> split_grid(grid, 32, 32).shape
        (2, 3, 32, 32, 3)
    """
    height, width = reduced_size(height, width)
    rows, columns = (grid.shape[0] - gap) // (height + gap), (grid.shape[1] - gap) // (width + gap)
    cells = [
        [
            grid[top : top + height, left : left + width]
            for left in gap + np.arange(columns) * (width + gap)
        ]
        for top in gap + np.arange(rows) * (height + gap)
    ]
    return np.array(cells)


def encode_png(
    pixels: np.ndarray, metadata: Mapping[str, Any] | None = None, fast: bool = False
) -> bytes:
    """Encode an image as PNG.

    Args:
        pixels: uint8 of shape (H, W, C), gray, RGB or RGB with alpha.
        metadata: Text fields to store in the file; those that are None are left out.
        fast: Use run-length compression alone. Generated images hardly repeat, so their files
            are no larger.

    Example:
        >>> encode_png(np.zeros((8, 8, 3), np.uint8), {"seed": 0})[1:4]
        b'PNG'
    """
    info = PngInfo()
    for key, value in (metadata or {}).items():
        if value is not None:
            info.add_itxt(key, str(value))
    options = {"compress_level": 1, "compress_type": zlib.Z_RLE} if fast else {}
    buffer = io.BytesIO()
    as_pillow(pixels).save(buffer, "PNG", pnginfo=info, **options)
    return buffer.getvalue()


def write_png(file: Path, pixels: np.ndarray) -> None:
    """Write an image, uint8 of shape (H, W, C), as a PNG file, atomically."""
    atomic_write(file, encode_png(pixels))


def read_png(file: Path) -> np.ndarray:
    """Read an image as uint8 of shape (H, W, 3)."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def encode_film(frames: np.ndarray) -> bytes:
    """Encode frames as by `encode_webp`, reduced if need be to 4 MB and 2¹⁹ pixels a frame.

    Args:
        frames: uint8 of shape (n, H, W, 3).

    Example:
        >>> len(encode_film(np.zeros((2, 1500, 2000, 3), np.uint8))) < 4_000_000
        True
    """
    frames = reduce_images(frames, FRAME_PIXELS)
    content = encode_webp(frames)
    while len(content) > FILM_BYTES:
        pixels = frames.shape[1] * frames.shape[2]
        # Details, and so bytes, become denser in smaller frames.
        frames = reduce_images(frames, int(0.7 * pixels * FILM_BYTES / len(content)))
        content = encode_webp(frames)
    return content


def encode_webp(frames: np.ndarray, last: int = LAST_FRAME_MS) -> bytes:
    """Encode frames as an animated WebP that loops forever.

    Args:
        frames: uint8 of shape (n, H, W, 3).
        last: Duration of the last frame in milliseconds.

    Example:
        >>> encode_webp(np.zeros((2, 8, 8, 3), np.uint8))[8:12]
        b'WEBP'
    """
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[FRAME_MS] * len(others) + [last],
        loop=0,
        quality=WEBP_QUALITY,
        method=4,
    )
    return buffer.getvalue()
