"""Write uncompressed TIFF files of any sample type, many of which no library writes."""

import struct
from typing import Any

import numpy as np

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR, EXTRA, FORMAT = 273, 277, 278, 279, 284, 338, 339
FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(levels: np.ndarray, big: bool = False, tags: dict[int, Any] | None = None) -> bytes:
    """Return a TIFF file that holds levels of shape (H, W) or (H, W, C) in their own type.

    Args:
        levels: The samples; of four channels, the last is alpha.
        big: Whether the byte order is big-endian.
        tags: Further tags, or other values: an integer, a float, a text or a list of integers.
    """
    order = ">" if big else "<"
    data = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    channels = levels.shape[2] if levels.ndim == 3 else 1
    values: dict[int, Any] = {
        WIDTH: levels.shape[1],
        HEIGHT: levels.shape[0],
        BITS: [8 * levels.dtype.itemsize] * channels,
        COMPRESSION: 1,
        PHOTOMETRIC: 2 if channels > 2 else 1,
        OFFSETS: 8,
        SAMPLES: channels,
        ROWS: levels.shape[0],
        COUNTS: len(data),
        FORMAT: [FORMATS[levels.dtype.kind]] * channels,
    }
    if channels in (2, 4):
        values[EXTRA] = 2
    values |= tags or {}
    data += bytes(len(data) % 2)
    start = 8 + len(data)
    entries, heap = b"", b""
    for tag, value in sorted(values.items()):
        kind, count, packed = pack_value(value, order)
        if len(packed) > 4:
            offset = start + 2 + 12 * len(values) + 4 + len(heap)
            heap += packed + bytes(len(packed) % 2)
            packed = struct.pack(f"{order}I", offset)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + packed.ljust(4, b"\0")
    header = (b"MM" if big else b"II") + struct.pack(f"{order}HI", 42, start)
    return header + data + struct.pack(f"{order}H", len(values)) + entries + bytes(4) + heap


def pack_value(value: Any, order: str) -> tuple[int, int, bytes]:
    """Return the type, the count and the bytes of a tag's value."""
    if isinstance(value, str):
        return 2, len(value) + 1, value.encode() + b"\0"
    if isinstance(value, float):
        return 11, 1, struct.pack(f"{order}f", value)
    numbers = value if isinstance(value, list) else [value]
    form, kind = ("H", 3) if max(numbers) < 2**16 and min(numbers) >= 0 else ("I", 4)
    return kind, len(numbers), struct.pack(f"{order}{len(numbers)}{form}", *numbers)


def twelve_bits(levels: np.ndarray) -> bytes:
    """Return a TIFF file of packed 12-bit samples; the width must be even."""
    first, second = levels[:, ::2].astype(int), levels[:, 1::2].astype(int)
    triples = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    packed = np.stack(triples, -1).astype(np.uint8).reshape(len(levels), -1)
    tags = {WIDTH: levels.shape[1], BITS: 12}
    return tiff(packed, tags=tags)
