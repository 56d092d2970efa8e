"""Images laid side by side, and PNG files written whole."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.atomic_files import atomic_path

GAP = 2
PAPER = 255


def make_grid(images: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Lay images row by row on white paper.

    Args:
        images: uint8 of shape (n, H, W, 3).
        columns: Images in a row.
        gap: White pixels between images and around them.

    Returns:
        uint8 of shape (rows·(H + gap) + gap, columns·(W + gap) + gap, 3).
    """
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    paper = np.full(shape, PAPER, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        paper[top : top + height, left : left + width] = image
    return paper


def split_grid(grid: np.ndarray, height: int, width: int, gap: int = GAP) -> np.ndarray:
    """Take a grid of `make_grid` apart: uint8 (n, H, W, 3), empty places at the end included."""
    rows, columns = (grid.shape[0] - gap) // (height + gap), (grid.shape[1] - gap) // (width + gap)
    images = [
        grid[top : top + height, left : left + width]
        for top in gap + np.arange(rows) * (height + gap)
        for left in gap + np.arange(columns) * (width + gap)
    ]
    return np.stack(images)


def write_png(file: Path, pixels: np.ndarray) -> None:
    """Write uint8 pixels (H, W, 3) as a PNG file, so that it is never seen half written."""
    with atomic_path(file) as partial:
        Image.fromarray(pixels).save(partial, format="PNG")


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels (H, W, 3) as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def read_png(file: Path) -> np.ndarray:
    """Read an image as uint8 of shape (H, W, 3)."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
