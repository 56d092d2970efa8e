"""Shards: memory-mapped .npy files of images, or files of encoded images, indexed as one array."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from ganvas.atomic_files import atomic_path
from ganvas.errors import GanvasError
from ganvas.ingestion.encoded_shards import PACK_AGAIN, EncodedShard, decode_into, list_encoded
from ganvas.ingestion.storage import Storage

# Source files per shard, fewer of large images; a shard holds at most as many images, or all faces
# of these.
SHARD_SIZE = 65_536
SHARD_NAME = "images-{:05d}.npy"


class ShardedImages:
    """The images of all shards as one read-only array, whose images are read when indexed.

    Indexing along the first axis, by an integer, a slice or an array of positions, returns a
    NumPy array. All images may take more memory than there is, so index some at a time.

    Args:
        shards: uint8 arrays of shape (n, H, W, C), which may be memory-mapped, or encoded shards;
            at least one, and all with the same H, W and C.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shards: Sequence[np.ndarray] | Sequence[EncodedShard]) -> None:
        self._shards = shards
        # First position of each shard, and the total.
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self.shape = (int(self._starts[-1]), *shards[0].shape[1:])

    @property
    def stored_bytes(self) -> int:
        """Bytes that the images take on disk."""
        return sum(shard.nbytes for shard in self._shards)

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
        encoded = []
        for number in np.unique(shard_of):
            mask = shard_of == number
            shard, chosen = self._shards[number], positions[mask] - self._starts[number]
            if isinstance(shard, EncodedShard):
                slots = np.flatnonzero(mask).tolist()
                encoded += [(shard, *pair) for pair in zip(chosen.tolist(), slots, strict=True)]
            else:
                images[mask] = shard[chosen]
        # Of all shards at once, since a batch may have one image of each.
        decode_into(images, encoded)
        return images

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> NoReturn:
        raise TypeError("Index some images of a collection at a time: all may not fit into memory.")


def open_shards(folder: Path) -> ShardedImages:
    """Open the shards of a folder: raw ones memory-mapped, encoded ones to decode when indexed.

    Raises:
        FileNotFoundError: There are no shards.
        GanvasError: A file is damaged or truncated, or an encoded one has no index.
    """
    encoded = list_encoded(folder)
    if encoded:
        return ShardedImages([EncodedShard(file) for file in encoded])
    files = sorted(folder.glob(SHARD_NAME.replace("{:05d}", "*")))
    if not files:
        raise FileNotFoundError(f"No {SHARD_NAME.format(0)} in {folder}")
    return ShardedImages([_open_raw(file) for file in files])


def find_storage(folder: Path) -> Storage:
    """Return how the images of a folder are stored."""
    return "encoded" if list_encoded(folder) else "raw"


def _open_raw(file: Path) -> np.ndarray:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise GanvasError(f"{file} is damaged or truncated ({error}): {PACK_AGAIN}.") from error


def write_shard(file: Path, images: Iterable[np.ndarray], shape: tuple[int, int, int]) -> None:
    """Write a .npy file from consecutive arrays, atomically.

    Args:
        file: File to write.
        images: uint8 arrays of shape (n, H, W, C).
        shape: Shape (H, W, C) of the images.
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
