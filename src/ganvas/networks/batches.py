"""Batches of a constant size, and conversion between a network's values and pixels."""

from collections.abc import Iterable

import numpy as np

from ganvas.arrays import allocate

# Batches of images up to so many pixels always have this size: float sums depend on the batch size,
# so only then does an image depend on nothing but its seed and number.
BATCH, BATCH_PIXELS = 64, 256**2


def batch_size(height: int, width: int) -> int:
    """Return the size of all batches of images of a size: 64, fewer of those above 256×256 pixels.

    Example:
        >>> batch_size(64, 64), batch_size(512, 512), batch_size(1024, 1024)
        (64, 16, 4)
    """
    return max(1, min(BATCH, BATCH * BATCH_PIXELS // (height * width)))


def pad_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Append rows of zeros to an array (n, …) up to (count, …).

    Example:
        >>> pad_rows(np.ones((1, 2)), 2).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    return np.pad(rows, [(0, count - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def as_inputs(arrays: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Return the only array, or the list of several, as a Keras model takes its inputs."""
    return arrays if len(arrays) > 1 else arrays[0]


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Convert values in [-1, 1] to uint8 by rounding; values outside are clipped.

    Example:
        >>> to_uint8(np.array([-1.0, 0.0, 2.0])).tolist()
        [0, 128, 255]
    """
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def to_float(images: np.ndarray) -> np.ndarray:
    """Convert uint8 images to float32 in [-1, 1], the inverse of `to_uint8`.

    Example:
        >>> to_float(np.array([0, 255], np.uint8)).tolist()
        [-1.0, 1.0]
    """
    return images.astype(np.float32) / 127.5 - 1


def join_batches(batches: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Copy batches of images (n, H, W, C) into one array of a shape (N, H, W, C), uint8.

    Example:
        >>> join_batches([np.ones((2, 1, 1, 1)), np.ones((1, 1, 1, 1))], (3, 1, 1, 1)).shape
        (3, 1, 1, 1)
    """
    images, start = allocate(shape), 0
    for batch in batches:
        images[start : start + len(batch)] = batch
        start += len(batch)
    return images
