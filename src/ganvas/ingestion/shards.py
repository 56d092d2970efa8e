"""Shards: the files that hold a collection's images, read as one array."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganvas.atomic_files import atomic_path

# Files listed for one shard, so it holds at most as many images.
SHARD = 65_536
NAME = "images-{:05d}.npy"


class ShardedImages:
    """The images of all shards as one read-only array, memory-mapped.

    It is indexed along its first axis, by a number, a slice or an array of positions, and gives
    plain arrays in memory.

    Args:
        shards: uint8 arrays of shape (n, H, W, 3), at least one, all with the same H and W.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shards: list[np.ndarray]) -> None:
        self._shards = shards
        # Where each shard starts, and where the last one ends.
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self.shape = (int(self._starts[-1]), *shards[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(key, slice):
            return self[np.arange(*key.indices(len(self)))]
        if np.ndim(key) == 0:
            return self[np.asarray([key])][0]
        positions = np.asarray(key)
        if len(positions) and not -len(self) <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"positions must lie from 0 to {len(self) - 1}")
        positions = positions.astype(np.int64) % max(len(self), 1)
        images = np.empty((len(positions), *self.shape[1:]), np.uint8)
        owners = np.searchsorted(self._starts, positions, side="right") - 1
        for owner in np.unique(owners):
            chosen = owners == owner
            images[chosen] = self._shards[owner][positions[chosen] - self._starts[owner]]
        return images

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def open_shards(folder: Path) -> ShardedImages:
    """Map the shards of a folder into memory.

    Raises:
        FileNotFoundError: There is none.
    """
    files = sorted(folder.glob(NAME.replace("{:05d}", "*")))
    if not files:
        raise FileNotFoundError(f"No {NAME.format(0)} in {folder}")
    return ShardedImages([np.load(file, mmap_mode="r", allow_pickle=False) for file in files])


def write_shard(file: Path, images: Iterable[np.ndarray], size: int) -> None:
    """Write a .npy file piece by piece; it is never seen half written.

    Args:
        file: Where to write.
        images: uint8 arrays of shape (n, size, size, 3), one after the other.
        size: Side of the images in pixels.
    """
    with atomic_path(file, durable=True) as partial, partial.open("wb") as stream:
        _write_header(stream, 0, size)
        count = 0
        for piece in images:
            stream.write(np.ascontiguousarray(piece).data)
            count += len(piece)
        _write_header(stream, count, size)


def _write_header(stream: BinaryIO, count: int, size: int) -> None:
    # NumPy leaves room in a header for the first axis to grow, so it can be written anew.
    stream.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
