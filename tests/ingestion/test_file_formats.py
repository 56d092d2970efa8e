"""Files are named by their bytes, and their reasons say what to do."""

import io
import struct

import numpy as np
import pytest
from odd_tiff import tiff
from PIL import Image, features

from ganvas.ingestion import decode, file_formats
from ganvas.ingestion.decode import decode_content, decode_image
from ganvas.ingestion.file_formats import FORMATS, recognize, supported_formats
from ganvas.ingestion.file_index import SIDECAR_SUFFIXES, keep_image_files, scan
from ganvas.ingestion.rejection import Rejection

HEIC = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)
UNREADABLE_FILES = {
    "heic": (HEIC, "a HEIC image, which can't be read: convert it to JPEG or PNG"),
    "jxl": (b"\xff\x0a\xfa\x7f\x01\x90" + bytes(99), "a JPEG XL image, which can't be read: conv"),
    "jxl box": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image, which can't be read: convert"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0", "a raw photograph, which can't be read: convert it to JPEG"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photograph, which can't be read"),
    "raf": (b"FUJIFILMCCD-RAW 0201", "a raw photograph, which can't be read"),
    "pdf": (b"%PDF-1.7\n", "not an image but a PDF document: export its pages"),
    "svg": (
        b"<?xml version='1.0'?>\n<!-- A -->\n<svg xmlns='x'>",
        "an SVG drawing, which can't be",
    ),
    "psd": (
        b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x20\0\0\0\x20\0\x10\0\3",
        "a Photoshop document, wh",
    ),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "not an image but a video: extract frames"),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\0\0", "not an image but a video"),
    "mkv": (b"\x1a\x45\xdf\xa3\x01\0\0\0", "not an image but a video"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "not an image but a video"),
    "html": (
        b"\n<!DOCTYPE html>\n<html>",
        "not an image but an HTML page: download the file again",
    ),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "not an image but an XML document"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid",
        "not an image but a Git LFS pointer: run",
    ),
    "annex": (b"/annex/objects/SHA256E-s3--1.jpg\n", "not an image but a git-annex pointer: run"),
    "zip": (b"PK\3\4\x14\0", "not an image but an archive: unpack it"),
    "tar": (bytes(257) + b"ustar\x0000" + bytes(200), "not an image but an archive: unpack it"),
    "base64": (b"data:image/png;base64,iVBORw0KGgo", "not an image but a base64 text: decode it"),
    "ftp": (b"\x89PNG\r\r\n\x1a\r\n\0\0\0\rIHDR", "not an image but an image that was transferred"),
    "zeros": (bytes(5000), "not an image but zeros alone: its copy or download is incomplete"),
    "exr": (b"v/1\1\2\0\0\0", "an OpenEXR image, which can't be read: convert it to PNG"),
    "text": (b"not an image at all", "not an image"),
    "tif": (b"II*\0\x08\0\0\0", "a TIFF, which can't be read: it is damaged"),
}


@pytest.fixture
def without_heif(monkeypatch):
    """Read the formats that are read without the extra."""
    formats = tuple(name for name in supported_formats() if name != "HEIF")
    for module in (decode, file_formats):
        monkeypatch.setattr(module, "supported_formats", lambda: formats)


@pytest.mark.parametrize("name", UNREADABLE_FILES)
def test_the_reason_names_the_format_and_what_to_do(tmp_path, name, without_heif):
    content, reason = UNREADABLE_FILES[name]
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(Rejection) as caught:
        decode_image(tmp_path / "a.jpg", (32, 32, 3))
    assert str(caught.value).startswith(reason)


def test_only_those_who_ingest_are_told_to_install(tmp_path, without_heif):
    (tmp_path / "a.jpg").write_bytes(HEIC)
    with pytest.raises(Rejection, match=r"PNG; to read it, install pillow-heif by pip .*heif"):
        decode_image(tmp_path / "a.jpg", (32, 32, 3))
    with pytest.raises(Rejection, match=r"convert it to JPEG or PNG$"):
        decode_content(HEIC, (32, 32, 3))


def test_heic_photographs_are_read_with_pillow_heif(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    levels = np.zeros((64, 64, 3), np.uint8)
    levels[:, :32] = (200, 30, 20)
    pillow_heif.from_pillow(Image.fromarray(levels)).save(tmp_path / "a.heic", quality=95)
    assert "a.heic" in set(keep_image_files(scan(tmp_path)[0], tmp_path)[0]["path"])
    pixels = decode_image(tmp_path / "a.heic", (32, 32, 3)).pixels.astype(int)
    assert np.abs(pixels[:, :12] - (200, 30, 20)).max() <= 12 and pixels[:, 20:].max() <= 12


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read(tmp_path):
    Image.new("RGB", (40, 40), (200, 30, 20)).save(tmp_path / "a.avif", quality=95)
    pixels = decode_image(tmp_path / "a.avif", (32, 32, 3)).pixels.astype(int)
    assert np.abs(pixels - (200, 30, 20)).max() <= 6


@pytest.mark.parametrize("tags", [{254: 1}, {50706: [1, 4, 0, 0]}])
def test_the_preview_of_a_raw_photograph_is_no_image(tmp_path, tags):
    (tmp_path / "a.tif").write_bytes(tiff(np.zeros((32, 32, 3), np.uint8), tags=tags))
    with pytest.raises(Rejection, match="a raw photograph, which can't be read: convert it"):
        decode_image(tmp_path / "a.tif", (32, 32, 3))


def test_every_format_that_pillow_writes_is_recognized():
    image = Image.effect_noise((32, 32), 90).convert("RGB")
    for form in FORMATS:
        if form.pillow and form.pillow in Image.SAVE and form.pillow != "FITS":
            buffer = io.BytesIO()
            image.convert("RGBA" if form.pillow == "ICO" else "RGB").save(buffer, form.pillow)
            assert recognize(buffer.getvalue()) is form


def test_files_are_chosen_by_their_bytes(tmp_path):
    image = Image.effect_noise((32, 32), 90)
    good = ["photo.jpg?w=600", "b.jpg_large", "c.jfif", "d", "e.jpg:large", "f.png.download", "g.1"]
    for name in good:
        image.save(tmp_path / name, "JPEG" if "jpg" in name else "PNG")
    bad = {
        "LICENSE": b"Free for all.",
        "h.heic": HEIC,
        "i.caption": b"a cat",
        "j.bin": b"%PDF-1.7",
        "k.dng": b"II*\0",
        "l.txt": b"\xff\xd8\xff",
        "m.xyz": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    records, skipped = keep_image_files(scan(tmp_path)[0], tmp_path)
    assert set(records["path"]) - {"h.heic"} == set(good)
    reasons = dict(skipped.values.tolist())
    assert {name: reasons[name] for name in ("LICENSE", "i.caption", "j.bin", "l.txt")} == {
        "LICENSE": "no image: has no suffix",
        "i.caption": "no image: ends in .caption",
        "j.bin": "no image: ends in .bin",
        "l.txt": "no image: ends in .txt",
    }
    assert reasons["m.xyz"] == "empty file" and reasons["k.dng"].startswith("a raw photograph")
    if "HEIF" not in supported_formats():
        assert reasons["h.heic"].startswith("a HEIC image, which can't be read: convert it")


def test_files_beside_images_are_not_opened(tmp_path, monkeypatch):
    for suffix in (*SIDECAR_SUFFIXES, ".txt", ".csv", ".mp4"):
        (tmp_path / f"a{suffix}").write_bytes(b"x")
    files, _ = scan(tmp_path)
    monkeypatch.setattr("ganvas.ingestion.file_index.read_file", lambda *_: pytest.fail("opened"))
    assert keep_image_files(files, tmp_path)[0].empty


def test_folders_of_systems_are_not_listed(tmp_path):
    names = ["@eaDir", "__MACOSX", ".thumbnails", "$RECYCLE.BIN", "lost+found", "#recycle", ".git"]
    names += [".AppleDouble", ".ipynb_checkpoints", "System Volume Information", "cats"]
    for name in names:
        (tmp_path / name / "deep").mkdir(parents=True)
        Image.new("L", (32, 32)).save(tmp_path / name / "deep" / "a.png")
    for name in ("Thumbs.db", "desktop.ini", "._a.png", "a.jpg@SynoEAStream"):
        (tmp_path / "cats" / name).write_bytes(b"\xff\xd8\xff")
    assert scan(tmp_path)[0]["path"].tolist() == ["cats/deep/a.png"]
