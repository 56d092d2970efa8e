"""Gray and transparent images as RGB, for what takes three channels: metrics, grids and pages."""

import numpy as np

WHITE = (255, 255, 255)
# Levels and side of the squares that stand for transparency in image editors.
LIGHT, DARK, SQUARE = 255, 214, 8


def to_rgb(images: np.ndarray, background: tuple[int, int, int] = WHITE) -> np.ndarray:
    """Repeat the level of gray images, and composite transparent ones on a color.

    Args:
        images: uint8 of shape (…, C): gray (C = 1), RGB (3) or RGB with straight alpha (4).
        background: Levels of red, green and blue behind transparent images.

    Returns:
        uint8 of shape (…, 3); images of three channels as they are, without a copy.

    Raises:
        ValueError: The number of channels is another.

    Example:
        >>> to_rgb(np.array([[[255, 0, 0, 0]]], np.uint8))
        array([[[255, 255, 255]]], dtype=uint8)
    """
    channels = images.shape[-1]
    if channels == 3:
        return images
    if channels == 1:
        return np.repeat(images, 3, axis=-1)
    if channels == 4:
        return _composite(images, np.asarray(background, np.uint16))
    raise ValueError(f"Images have 1, 3 or 4 channels, not {channels}.")


def to_display(images: np.ndarray) -> np.ndarray:
    """Convert images to RGB as `to_rgb` does, but transparent ones on a checkerboard.

    Args:
        images: uint8 of shape (…, H, W, C).

    Returns:
        uint8 of shape (…, H, W, 3).
    """
    if images.shape[-1] != 4:
        return to_rgb(images)
    return _composite(images, _checkerboard(*images.shape[-3:-1]))


def _composite(images: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Composite on levels that broadcast with the images' color, rounded to the nearest level."""
    color, alpha = images[..., :3].astype(np.uint16), images[..., 3:].astype(np.uint16)
    # At most 255² + 127, which 16 bits hold.
    mixed = (color * alpha + background.astype(np.uint16) * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


def _checkerboard(height: int, width: int) -> np.ndarray:
    rows, columns = np.arange(height)[:, None] // SQUARE, np.arange(width) // SQUARE
    return np.where((rows + columns) % 2, DARK, LIGHT)[..., None]
