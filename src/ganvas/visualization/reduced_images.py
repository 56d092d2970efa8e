"""Reduce images for grids, pages and films, whose files would grow with the images otherwise."""

import numpy as np
from PIL import Image

from ganvas.channels import to_display

# Pixels of an image on a grid: 256×256 at most, so that a grid of 72 has 5 million.
CELL_PIXELS = 256**2


def reduced_size(height: int, width: int, pixels: int = CELL_PIXELS) -> tuple[int, int]:
    """Return height and width of an image that has at most so many pixels.

    Example:
        >>> reduced_size(64, 64), reduced_size(1024, 512)
        ((64, 64), (362, 181))
    """
    if height * width <= pixels:
        return height, width
    scale = (pixels / (height * width)) ** 0.5
    return max(1, int(height * scale)), max(1, int(width * scale))


def as_cells(images: np.ndarray) -> np.ndarray:
    """Return images as they are on grids: of 256×256 pixels at most, transparent ones on squares.

    Args:
        images: uint8 of shape (n, H, W, C): gray, RGB, or RGB with straight alpha.

    Returns:
        uint8 of shape (n, h, w, 3), see `reduced_size`.

    Example:
        >>> as_cells(np.zeros((2, 512, 512, 4), np.uint8)).shape
        (2, 256, 256, 3)
    """
    return to_display(reduce_images(images))


def reduce_images(images: np.ndarray, pixels: int = CELL_PIXELS) -> np.ndarray:
    """Reduce images to at most so many pixels each, by Lanczos's filter; smaller ones are kept.

    Args:
        images: uint8 of shape (n, H, W, C): gray, RGB, or RGB with straight alpha.
        pixels: Most pixels of an image.

    Returns:
        uint8 of shape (n, h, w, C), see `reduced_size`; the same array if nothing is reduced.

    Example:
        >>> reduce_images(np.zeros((2, 512, 512, 1), np.uint8)).shape
        (2, 256, 256, 1)
    """
    height, width = reduced_size(images.shape[1], images.shape[2], pixels)
    if (height, width) == images.shape[1:3]:
        return images
    reduced = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for number, image in enumerate(images):
        # Pillow weights colors by alpha.
        small = as_pillow(image).resize((width, height), Image.Resampling.LANCZOS)
        reduced[number] = np.asarray(small).reshape(reduced.shape[1:])
    return reduced


def as_pillow(image: np.ndarray) -> Image.Image:
    """Convert an image, uint8 of shape (H, W, C), to one of Pillow: L, RGB or RGBA.

    Example:
        >>> as_pillow(np.zeros((8, 8, 4), np.uint8)).mode
        'RGBA'
    """
    # Pillow's gray images have no axis of channels.
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
