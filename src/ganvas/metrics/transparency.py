"""What metrics see of gray and transparent images.

The color of a transparent pixel is invisible and may be anything, so no metric may depend on it.
Feature extractors see RGB: transparent images on a medium gray, since neither white nor black
subjects vanish on it. Metrics of pixels see the four channels with colors multiplied by alpha, for
which no background has to be chosen.
"""

import numpy as np

from ganvas.arrays import ConvertedImages, Images
from ganvas.channels import to_rgb

BACKGROUND = (128, 128, 128)


def for_extractor(images: np.ndarray) -> np.ndarray:
    """Convert images, uint8 of shape (…, C), to RGB: gray repeated, transparent ones on gray.

    Example:
        >>> for_extractor(np.array([[[255, 0, 0, 0]]], np.uint8)).tolist()
        [[[128, 128, 128]]]
    """
    return to_rgb(images, BACKGROUND)


def for_pixels(images: Images) -> Images:
    """Return images for metrics of pixels: colors of transparent ones multiplied by alpha.

    Args:
        images: uint8 of shape (N, H, W, C); may be memory-mapped.

    Returns:
        uint8 of the same shape; images without alpha as they are.

    Example:
        >>> image = np.array([200, 0, 0, 128], np.uint8).reshape(1, 1, 1, 4)
        >>> for_pixels(image)[:1].ravel().tolist()
        [100, 0, 0, 128]
    """
    return ConvertedImages(images, _multiply_by_alpha) if images.shape[-1] == 4 else images


def describe_for_extractor(channels: int) -> str:
    """Return what an extractor sees of images with so many channels, for a protocol.

    Example:
        >>> describe_for_extractor(3), describe_for_extractor(1)
        ('', ', gray repeated in three channels')
    """
    return {
        1: ", gray repeated in three channels",
        4: f", transparent images on gray of level {BACKGROUND[0]}",
    }.get(channels, "")


def describe_for_pixels(channels: int) -> str:
    """Return what metrics of pixels compare, for a protocol.

    Example:
        >>> describe_for_pixels(4)
        ', of colors multiplied by alpha, and of alpha'
    """
    return ", of colors multiplied by alpha, and of alpha" if channels == 4 else ""


def _multiply_by_alpha(images: np.ndarray) -> np.ndarray:
    multiplied = images.copy()
    alpha = images[..., 3:].astype(np.uint16)
    # At most 255² + 127, which 16 bits hold.
    multiplied[..., :3] = (images[..., :3] * alpha + 127) // 255
    return multiplied
