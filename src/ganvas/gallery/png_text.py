"""The text of a PNG file, read without decoding its pixels."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Characters of all texts of a file: an intermediate latent of 1024×1024 pixels has 50,000. A few
# KB of a compressed text could expand to gigabytes.
MAX_TEXT = 2**20
# Chunks before which the reading ends: files of animations have some for each frame.
MAX_CHUNKS = 10_000


def read_png_text(content: bytes) -> dict[str, str]:
    """Return the texts of a PNG file by their keys, wherever in the file they are.

    Raises:
        ValueError: It is no PNG file, or is damaged.

    Example:
        >>> from ganvas.visualization.image_grid import encode_png
        >>> read_png_text(encode_png(np.zeros((8, 8, 3), np.uint8), {"seed": 7}))
        {'seed': '7'}
    """
    if not content.startswith(SIGNATURE):
        raise ValueError("it is no PNG file")
    texts: dict[str, str] = {}
    size = 0
    try:
        for kind, data in _chunks(content):
            if kind in (b"tEXt", b"zTXt", b"iTXt"):
                key, text = _read_text(kind, data, MAX_TEXT - size)
                size += len(key) + len(text)
                texts.setdefault(key, text)
    except (struct.error, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise ValueError("its text is damaged or too long") from error
    return texts


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if start >= len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, start)
        yield kind, content[start + 8 : start + 8 + length]
        start += 12 + length


def _read_text(kind: bytes, data: bytes, most: int) -> tuple[str, str]:
    key, _, rest = data.partition(b"\0")
    is_compressed, encoding = kind == b"zTXt", "latin-1"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        is_compressed, encoding = rest[:1] == b"\1", "utf-8"
        # After the method of compression: a language and the key in it.
        rest = rest[2:].split(b"\0", 2)[2:][0] if rest.count(b"\0", 2) >= 2 else b""
    if is_compressed:
        expander = zlib.decompressobj()
        rest = expander.decompress(rest, most + 1)
    if len(rest) > most:
        raise ValueError
    return key.decode("latin-1"), rest.decode(encoding)
