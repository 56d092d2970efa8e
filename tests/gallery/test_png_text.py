"""The text of PNG files: read wherever it stands, within limits, without decoding pixels."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.gallery.png_text import MAX_TEXT, SIGNATURE, read_png_text
from ganvas.visualization.image_grid import encode_png

PIXELS = np.zeros((8, 8, 3), np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


END = chunk(b"IEND", b"")


def test_texts_of_all_kinds_are_read():
    info = PngInfo()
    info.add_text("plain", "na\xe9")
    info.add_text("packed", "a" * 5000, zip=True)
    info.add_itxt("unicode", "鳥", "ja", "鍵")
    info.add_itxt("both", "鳥" * 500, zip=True)
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", pnginfo=info)
    texts = {"plain": "na\xe9", "packed": "a" * 5000, "unicode": "鳥", "both": "鳥" * 500}
    assert read_png_text(file.getvalue()) == texts


def test_texts_after_the_pixels_are_read():
    content = encode_png(PIXELS).removesuffix(END) + chunk(b"tEXt", b"seed\x007") + END
    assert read_png_text(content) == {"seed": "7"}


def test_the_largest_latent_fits():
    assert len(read_png_text(encode_png(PIXELS, {"w": "A" * 100_000}))["w"]) == 100_000


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_that_expands_to_gigabytes_is_refused_at_once(kind):
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(200)) + bomb.flush()
    data = {b"zTXt": b"w\0\0" + packed, b"iTXt": b"w\0\1\0\0\0" + packed}[kind]
    start = time.perf_counter()
    with pytest.raises(ValueError, match="too long"):
        read_png_text(SIGNATURE + chunk(kind, data) + END)
    assert time.perf_counter() - start < 1


def test_many_texts_are_refused():
    texts = chunk(b"tEXt", b"w\0" + b"A" * (MAX_TEXT // 2)) * 3
    with pytest.raises(ValueError, match="too long"):
        read_png_text(SIGNATURE + texts + END)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        SIGNATURE + b"\0\0",
        SIGNATURE + chunk(b"zTXt", b"w\0\0damaged"),
        SIGNATURE + chunk(b"iTXt", b"w\0\0\0\0\0\xff"),
    ],
)
def test_damaged_files_are_refused(content):
    with pytest.raises(ValueError, match=r"no PNG file|damaged"):
        read_png_text(content)


@pytest.mark.parametrize(
    "content", [SIGNATURE, SIGNATURE + chunk(b"tEXt", b""), SIGNATURE + chunk(b"iTXt", b"w\0")]
)
def test_files_without_text_have_none(content):
    assert not any(read_png_text(content).values())
