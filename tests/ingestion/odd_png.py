"""Write PNG files of 16 bits per sample, of which Pillow writes only grayscale."""

import struct
import zlib

import numpy as np

COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_16(levels: np.ndarray, transparent: tuple[int, ...] = ()) -> bytes:
    """Return a PNG file that holds uint16 levels of shape (H, W) or (H, W, C).

    Args:
        levels: Gray, gray and alpha, RGB or RGBA.
        transparent: The level or color that is transparent.
    """
    levels = np.atleast_3d(levels)
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0)
    rows = levels.astype(">u2").reshape(height, -1)
    # Filter 2: the difference from the row above, byte by byte.
    octets = rows.view(np.uint8).reshape(height, -1)
    filtered = np.diff(octets, axis=0, prepend=np.zeros_like(octets[:1]))
    data = b"".join(b"\2" + row.tobytes() for row in filtered)
    parts = [chunk(b"IHDR", header)]
    if transparent:
        parts.append(chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    parts += [chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
