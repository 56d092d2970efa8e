"""The type of image arrays, and a selection of one."""

from typing import Any, Protocol

import numpy as np


class Images(Protocol):
    """Images, uint8 of shape (N, H, W, 3): a NumPy array, or memory-mapped files indexed alike."""

    @property
    def shape(self) -> Any:
        """(N, H, W, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class SelectedImages:
    """Images at some positions of an array, read only when they are indexed.

    Args:
        images: uint8 of shape (N, H, W, 3); may be memory-mapped.
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
