"""How a collection's images are stored, by their size: raw, or encoded without loss.

Raw images are memory-mapped, which is fastest while the collection fits into the memory that the
operating system has for files. Encoded ones take a seventh to two thirds of the disk, and a core
decodes some 540 a second at 256 pixels, 130 at 512 and 30 at 1024, several times what a GPU trains
on (benchmarks/storage.py).
"""

import math
from typing import Literal

Storage = Literal["raw", "encoded"]
StorageChoice = Literal["auto", "raw", "encoded"]

# Bytes of a raw image from which `auto` encodes: 256×256 in color, but neither 192×192 nor 256×256
# in gray. Of smaller images, 100,000 are 13 GB at most, which memory can hold; there decoding would
# only cost time.
ENCODED_FROM = 2**17
# Encoded bytes by raw bytes: of gray images in full detail and of others (benchmarks/storage.py),
# and what only collections of plain drawings fall below.
RATIO_GRAY, RATIO, LEAST_RATIO = 0.65, 0.45, 0.02


def choose_storage(shape: tuple[int, int, int], storage: StorageChoice) -> Storage:
    """Return the storage of images of a shape, which `auto` chooses by their size.

    Example:
        >>> choose_storage((128, 128, 3), "auto"), choose_storage((256, 256, 3), "auto")
        ('raw', 'encoded')
    """
    if storage != "auto":
        return storage
    return "encoded" if math.prod(shape) >= ENCODED_FROM else "raw"


def estimate_bytes(shape: tuple[int, int, int], storage: Storage) -> tuple[float, float]:
    """Return the least and the likely number of bytes that an image takes on disk.

    Example:
        >>> estimate_bytes((64, 64, 3), "raw")
        (12288, 12288)
    """
    raw = math.prod(shape)
    if storage == "raw":
        return raw, raw
    return LEAST_RATIO * raw, (RATIO_GRAY if shape[2] == 1 else RATIO) * raw
