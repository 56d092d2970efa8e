"""Shards: memory-mapped .npy files of images, indexed as one array."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganvas.atomic_files import atomic_path

# Source files per shard; a shard holds at most as many images, or all faces of these.
SHARD_SIZE = 65_536
SHARD_NAME = "images-{:05d}.npy"


class ShardedImages:
    """The images of all shards as one read-only, memory-mapped array.

    Indexing along the first axis, by an integer, a slice or an array of positions, returns a
    NumPy array.

    Args:
        shards: uint8 arrays of shape (n, H, W, C), at least one, all with the same H, W and C.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shards: list[np.ndarray]) -> None:
        self._shards = shards
        # First position of each shard, and the total.
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
        shard_of = np.searchsorted(self._starts, positions, side="right") - 1
        for number in np.unique(shard_of):
            mask = shard_of == number
            images[mask] = self._shards[number][positions[mask] - self._starts[number]]
        return images

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def open_shards(folder: Path) -> ShardedImages:
    """Open the shards of a folder memory-mapped.

    Raises:
        FileNotFoundError: There are no shards.
    """
    files = sorted(folder.glob(SHARD_NAME.replace("{:05d}", "*")))
    if not files:
        raise FileNotFoundError(f"No {SHARD_NAME.format(0)} in {folder}")
    return ShardedImages([np.load(file, mmap_mode="r", allow_pickle=False) for file in files])


def write_shard(file: Path, images: Iterable[np.ndarray], shape: tuple[int, int, int]) -> None:
    """Write a .npy file from consecutive arrays, atomically.

    Args:
        file: File to write.
        images: uint8 arrays of shape (n, H, W, C).
        shape: H, W and C.
    """
    with atomic_path(file, durable=True) as partial, partial.open("wb") as stream:
        _write_header(stream, 0, shape)
        count = 0
        for array in images:
            stream.write(np.ascontiguousarray(array).data)
            count += len(array)
        _write_header(stream, count, shape)


def _write_header(stream: BinaryIO, count: int, shape: tuple[int, int, int]) -> None:
    # NumPy pads headers so that the first axis can grow, so the header can be overwritten.
    stream.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(stream, header)
