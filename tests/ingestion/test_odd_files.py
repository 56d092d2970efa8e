"""Ingest a folder with all the odd and damaged files that occur in real collections."""

import io
import os
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.ingestion.collection import open_collection

ORIENTATION = 0x0112


def color(number: int) -> tuple[int, int, int]:
    """Return a color that differs from image to image."""
    return (40 + 6 * number, 220 - 5 * number, 30 + 3 * number)


def plain(number: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB", size, color(number))


def encode(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """Return a tiny PNG whose header declares 30000×30000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT"


def gray_16_bit(number: int) -> Image.Image:
    return Image.fromarray(np.full((40, 60), number * 257, np.uint16))


def palette(number: int) -> bytes:
    """Return a PNG with a palette whose right half is transparent."""
    image = Image.new("P", (64, 64), 0)
    image.putpalette([*color(number), 0, 0, 0])
    image.paste(1, (32, 0, 64, 64))
    return encode(image, "PNG", transparency=1)


def rotated(number: int) -> bytes:
    """Return a rotated PNG, red in the upper left corner after applying the EXIF orientation."""
    image = plain(number, (64, 64))
    image.paste((255, 0, 0), (0, 32, 32, 64))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encode(image, "PNG", exif=exif.tobytes())


def good_files() -> dict[str, tuple[bytes, tuple[int, int, int]]]:
    """Return the bytes of each file and the expected color of its upper left corner."""
    composed = unicodedata.normalize("NFC", "café.png")
    decomposed = unicodedata.normalize("NFD", "café.png")
    frames = {"save_all": True, "append_images": [plain(20)], "duration": 100}
    return {
        "plain.png": (encode(plain(0), "PNG"), color(0)),
        "cmyk.jpg": (encode(plain(1).convert("CMYK"), "JPEG", quality=95), color(1)),
        "gray 16 bit.png": (encode(gray_16_bit(100), "PNG"), (100, 100, 100)),
        "palette.png": (palette(3), color(3)),
        "rotated.png": (rotated(4), (255, 0, 0)),
        "animated.gif": (encode(plain(5), "GIF", **frames), color(5)),
        "lossless.webp": (encode(plain(6), "WEBP", lossless=True), color(6)),
        "name with  spaces .png": (encode(plain(7), "PNG"), color(7)),
        composed: (encode(plain(8), "PNG"), color(8)),
        decomposed: (encode(plain(9), "PNG"), color(9)),
        "🎨 paint.png": (encode(plain(10), "PNG"), color(10)),
        "-rf.png": (encode(plain(11), "PNG"), color(11)),
        "no suffix": (encode(plain(12), "PNG"), color(12)),
        "photo.jpg?w=600": (encode(plain(18), "PNG"), color(18)),
        "photo.jpg_large": (encode(plain(19), "PNG"), color(19)),
        "wrong suffix.jpg": (encode(plain(13), "PNG"), color(13)),
        "very wide.png": (encode(plain(14, (900, 9)), "PNG"), color(14)),
        "a,b;'\"%20#?.png": (encode(plain(15), "PNG"), color(15)),
        "line\nbreak.png": (encode(plain(16), "PNG"), color(16)),
        "deep/er/and/deeper.png": (encode(plain(17), "PNG"), color(17)),
        "one bit.png": (encode(Image.new("1", (40, 40), 1), "PNG"), (255, 255, 255)),
    }


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Return the bytes of each file and the beginning of the reason for its rejection."""
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    jpeg = encode(Image.fromarray(noise), "JPEG")
    return {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "truncated.png": (encode(Image.fromarray(noise), "PNG")[:3000], "truncated"),
        "empty.jpg": (b"", "empty file"),
        "text.jpg": (b"not an image at all", "not an image"),
        "bomb.png": (bomb(), "too large to decode safely"),
        "tiny.png": (encode(plain(0, (3, 3)), "PNG"), "too small: 3×3"),
        "caption.txt": (b"a caption", "no image: ends in .txt"),
        "vector.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing, which can't"),
        "page.html.jpg": (b"<html>404 Not Found</html>", "not an image but an HTML page: downl"),
        "zeros.png": (bytes(1000), "not an image but zeros alone"),
        "LICENSE": (b"Free for all.", "no image: has no suffix"),
        "IMG_1.HEIC": (b"\xff\x0a\xfa\x7f", "a JPEG XL image, which can't be read"),
        "phone.jpg": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image, which can't be read"),
        "pointer.jpg": (
            b"version https://git-lfs.github.com/spec/v1\n",
            "not an image but a Git L",
        ),
        "camera.nef": (b"II*\0", "a raw photograph, which can't be read"),
        "same as plain.png": (encode(plain(0), "PNG"), "duplicate of plain.png"),
    }


def odd_entries(folder: Path) -> dict[str, str]:
    """Create links, pipes and unreadable files; return the beginnings of the reasons."""
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "round").symlink_to(folder)
    (folder / "dangling.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    unreadable = folder / "unreadable.png"
    if os.geteuid() == 0:
        # Root may read every other file.
        unreadable.symlink_to("/proc/self/mem")
    else:
        unreadable.write_bytes(encode(plain(0), "PNG"))
        unreadable.chmod(0)
    return {
        "loop.png": "can't be read: Too many levels",
        "round": "a link to a folder that is listed already",
        "dangling.png": "can't be read: No such file",
        "pipe.png": "not a file",
        # The system's file has size 0, and is not opened.
        "unreadable.png": "empty file" if os.geteuid() == 0 else "can't be read",
    }


@pytest.fixture
def odd_files(tmp_path) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / "odd_files"
    folder.mkdir()
    reasons = odd_entries(folder)
    for name, (content, *_) in (good_files() | bad_files()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name in (
        ".hidden.png",
        "Thumbs.db",
        "@eaDir/a.png",
        "__MACOSX/b.png",
        "$RECYCLE.BIN/c.png",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode(plain(20), "PNG"))
    return folder, reasons | {name: reason for name, (_, reason) in bad_files().items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_each_file_is_packed_or_rejected_by_name(
    project, kedro_run, odd_files, workers, monkeypatch
):
    folder, reasons = odd_files
    monkeypatch.setattr("ganvas.ingestion.pack_job.CHUNK_SIZE", 5)
    result = kedro_run(
        "--pipelines=ingest",
        ingest__source__name="folder",
        ingest__source__path=folder,
        ingest__max_rejected_share=0.6,
        ingest__workers=workers,
    )
    assert result.exit_code == 0, result.output
    collection = open_collection(project / "data/03_primary/folder/collection")
    rejected = collection.rejected.set_index("path")["reason"]
    assert set(rejected.index) == set(reasons)
    for name, reason in reasons.items():
        assert rejected[name].startswith(reason), name
    expected = {name: corner for name, (_, corner) in good_files().items()}
    assert collection.index["path"].tolist() == sorted(expected)
    for path, image in zip(collection.index["path"], collection.images[:], strict=True):
        assert np.abs(image[2, 2].astype(int) - expected[path]).max() <= 6, path
    table = pd.read_csv(project / "data/03_primary/folder/rejected.csv")
    assert sorted(table["path"]) == sorted(reasons)
