"""The type of image arrays, selections and conversions of one, and arrays too large for memory."""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ganvas.errors import GanvasError

# Bytes of the largest image that counts as small: 256×256 with transparency.
SMALL_IMAGE = 256 * 256 * 4
# Larger arrays are kept in a temporary file.
MEMORY_BYTES = 2**28
# Images that are converted at once, fewer of large ones.
CONVERTED = 16
# Bytes that `take` copies at once.
COPY_BYTES = 2**24


class Images(Protocol):
    """Images, uint8 of shape (N, H, W, C): a NumPy array, or a collection's files indexed alike."""

    @property
    def shape(self) -> Any:
        """(N, H, W, C)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class SelectedImages:
    """Images at some positions of an array, read only when they are indexed.

    Args:
        images: uint8 of shape (N, H, W, C); may be those of a collection.
        positions: Positions in it, int of shape (n,).

    Example:
        >>> images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, axis=3)
        >>> SelectedImages(images, np.array([4, 0, 2]))[1:][:, 0, 0, 0]
        array([0, 2], dtype=uint8)
    """

    def __init__(self, images: Images, positions: np.ndarray) -> None:
        self._images, self._positions = images, positions
        self.shape = (len(positions), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, key: slice | np.ndarray, /) -> np.ndarray:
        return np.asarray(self._images[self._positions[key]])


class ConvertedImages:
    """Images that are converted only when they are indexed, a few large ones at a time.

    Args:
        images: uint8 of shape (N, H, W, C); may be those of a collection.
        convert: From uint8 (n, H, W, C) to uint8 (n, H', W', C').

    Example:
        >>> images = np.zeros((5, 8, 8, 3), np.uint8)
        >>> ConvertedImages(images, lambda x: x[:, ::2, ::2]).shape
        (5, 4, 4, 3)
    """

    def __init__(self, images: Images, convert: Callable[[np.ndarray], np.ndarray]) -> None:
        self._images, self._convert = images, convert
        converted = convert(np.zeros((1, *images.shape[1:]), np.uint8))
        self.shape = (len(images), *converted.shape[1:])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: slice | np.ndarray, /) -> np.ndarray:
        positions = np.arange(len(self))[key]
        converted = np.empty((len(positions), *self.shape[1:]), np.uint8)
        step = limit_count(CONVERTED, self._images.shape[1:])
        for start in range(0, len(positions), step):
            part = slice(start, start + step)
            converted[part] = self._convert(np.asarray(self._images[positions[part]]))
        return converted


def allocate(shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    """Return an array to fill: in memory, or if it is large in a file that ends with it.

    Args:
        shape: Its shape.
        dtype: Type of its values.

    Raises:
        GanvasError: The disk of temporary files is full.

    Example:
        >>> allocate((2, 64, 64, 3)).nbytes
        24576
    """
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if size <= MEMORY_BYTES:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            # A full disk would otherwise end the process by a signal, on the first write.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise GanvasError(
            f"{tempfile.gettempdir()} has no room for {size / 1e9:.1f} GB of images ({error}): "
            "free space there, or set the variable TMPDIR to another folder."
        ) from error


def take(images: Images | np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Copy the images at some positions, in memory or, if they are large, in a temporary file.

    Args:
        images: Images or features, of shape (N, ...); may be memory-mapped.
        positions: Positions in it, int of shape (n,).

    Example:
        >>> take(np.array([[1], [2], [3]]), np.array([2, 0])).tolist()
        [[3], [1]]
    """
    shape, dtype = tuple(images.shape[1:]), getattr(images, "dtype", np.uint8)
    taken = allocate((len(positions), *shape), dtype)
    bytes_each = max(1, taken[:1].nbytes)
    step = max(1, COPY_BYTES // bytes_each)
    for start in range(0, len(positions), step):
        part = slice(start, start + step)
        taken[part] = images[positions[part]]
    return taken


def limit_count(count: int, shape: Sequence[int]) -> int:
    """Return how many images to hold at once: `count` of small ones, fewer of large ones.

    Args:
        count: Number for images of up to 256×256 pixels.
        shape: Shape (H, W, C) of the images.

    Example:
        >>> limit_count(256, (256, 256, 3)), limit_count(256, (1024, 1024, 3))
        (256, 21)
    """
    return max(1, min(count, count * SMALL_IMAGE // math.prod(shape)))
