"""Some hundred odd image files: each is packed right, or rejected for a reason.

Modes × sample depths × formats × damage, compared with the levels that the files were made from
and with an independent decoder.
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from odd_png import png_16
from odd_tiff import tiff
from PIL import Image

from ganvas.ingestion.file_index import FILE_STATS, list_files, make_skipped
from ganvas.ingestion.packing import PackParams, pack

SIDE = 32
Y, X = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"]
# Options of each format, and the mean error in levels of its lossy compression.
FORMATS: dict[str, tuple[dict, float]] = {
    "PNG": ({}, 0.5),
    "TIFF": ({}, 0.5),
    "TIFF lzw": ({"compression": "tiff_lzw"}, 0.5),
    "TIFF deflate": ({"compression": "tiff_adobe_deflate"}, 0.5),
    "TIFF packbits": ({"compression": "packbits"}, 0.5),
    "TIFF jpeg": ({"compression": "jpeg", "quality": 95}, 3),
    "TIFF group4": ({"compression": "group4"}, 0.5),
    "JPEG": ({"quality": 95, "subsampling": 0}, 3),
    "JPEG progressive": ({"quality": 95, "subsampling": 0, "progressive": True}, 3),
    "GIF": ({}, 6),
    "BMP": ({}, 0.5),
    "WEBP": ({"lossless": True}, 0.5),
    "AVIF": ({"quality": 95, "subsampling": "4:4:4"}, 3),
    "JPEG2000": ({}, 0.5),
    "PPM": ({}, 0.5),
    "TGA": ({}, 0.5),
    "SGI": ({}, 0.5),
    "PCX": ({}, 0.5),
    "ICO": ({"sizes": [(SIDE, SIDE)]}, 0.5),
    "DDS": ({}, 0.5),
    "IM": ({}, 0.5),
}
DEEP_TYPES = [
    *(("uint16", highest) for highest in (1, 255, 1023, 4095, 16383, 65535)),
    *(("int16", highest) for highest in (255, 4095, 32767)),
    *(("int32", highest) for highest in (255, 65535, 10**7, 2**31 - 1)),
    *(("uint32", highest) for highest in (255, 2**32 - 1)),
    *(("float32", highest) for highest in (1, 255, 65535)),
]


# Formats in which Pillow drops the alpha channel, or clips samples of more than 8 bits.
LOSING = {"LA": ["GIF"], "RGBA": ["GIF", "BMP", "PPM"], "I;16": ["GIF", "WEBP", "AVIF"]}
LOSING["F"] = LOSING["I;16"]
# OpenCV multiplies TIFF's colors by alpha twice, and takes JPEG 2000's YCbCr for another one.
OTHER_IN_OPENCV = ("LA TIFF", "RGBA TIFF", "YCbCr JPEG2000")


class OddFile(NamedTuple):
    """A file and what it shows.

    Attributes:
        content: Its bytes.
        levels: From 0 to 1, (H, W, 3), on white; None if it is damaged.
        highest: Level of white in the file.
        error: Mean error in levels, of 255, that its compression may make.
    """

    content: bytes
    levels: np.ndarray | None
    highest: float = 255
    error: float = 0.6


def draw(number: int, channels: int = 3) -> np.ndarray:
    """Return levels from 0 to 1 that differ from number to number, (H, W, C)."""
    phase = number * 0.37
    waves = [np.sin(3 * X + phase), np.cos(4 * Y - phase), np.sin(5 * X * Y + 2 * phase)]
    levels = np.dstack([(wave - wave.min()) / np.ptp(wave) for wave in waves])
    return levels if channels == 3 else levels.mean(-1)


def save(image: Image.Image, name: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name.partition(" ")[0], **options)
    return buffer.getvalue()


def common_files() -> Iterator[tuple[str, OddFile]]:
    """Yield files of each mode in each format of Pillow that has it."""
    for number, mode in enumerate(MODES):
        color = Image.fromarray(np.rint(draw(number) * 255).astype(np.uint8))
        if mode in ("LA", "RGBA"):
            color.putalpha(Image.fromarray(np.rint(draw(number + 1, 1) * 255).astype(np.uint8)))
        if mode in ("I;16", "F"):
            dtype, highest = (np.uint16, 65535) if mode == "I;16" else (np.float32, 1)
            levels = np.dstack([draw(number, 1)] * 3)
            levels = (levels - levels.min()) / np.ptp(levels)
            scaled = levels[..., 0] * highest
            image = Image.fromarray((np.rint(scaled) if highest > 1 else scaled).astype(dtype))
        else:
            image, highest = color.convert(mode), 255
            layer = image.convert("RGBA")
            white = Image.new("RGBA", layer.size, "white")
            levels = np.asarray(Image.alpha_composite(white, layer).convert("RGB")) / 255
        for name, (options, error) in FORMATS.items():
            if name in LOSING.get(mode, []):
                continue
            try:
                content = save(image, name, options)
            except (OSError, KeyError, ValueError, RuntimeError):
                continue  # The format does not have the mode.
            yield f"{mode.replace(';', '_')} {name}", OddFile(content, levels, highest, error)


def deep_files() -> Iterator[tuple[str, OddFile]]:
    for number, (dtype, highest) in enumerate(DEEP_TYPES):
        for channels in (1, 3):
            levels = draw(number + 50, channels)
            levels = (levels - levels.min()) / np.ptp(levels)
            scaled = levels * highest
            is_float = highest == 1 and dtype == "float32"
            stored = (scaled if is_float else np.rint(scaled)).astype(dtype)
            shown = np.atleast_3d(stored / highest) * np.ones(3)
            name = f"{dtype} {highest} {channels}"
            for big in (False, True):
                content = tiff(stored, big)
                yield f"{name} TIFF{' big' * big}", OddFile(content, shown, highest)
            if dtype == "uint16":
                yield f"{name} PNG", OddFile(png_16(stored), shown, highest)
                head = f"P{5 if channels == 1 else 6} {SIDE} {SIDE} 65535\n".encode()
                content = head + stored.astype(">u2").tobytes()
                yield f"{name} PNM", OddFile(content, shown, highest)


def damaged_files() -> Iterator[tuple[str, OddFile]]:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("PNG", "JPEG", "TIFF", "TIFF lzw", "GIF", "WEBP", "BMP", "PPM")):
        image = Image.fromarray(np.rint(draw(number + 90) * 255).astype(np.uint8))
        whole = save(image, name, FORMATS[name][0])
        flipped = bytearray(whole)
        for position in rng.integers(len(whole) // 2, len(whole), 5):
            flipped[position] ^= int(rng.integers(1, 256))
        damages = {
            "cut": whole[: len(whole) // 2],
            "header": whole[:20],
            "headless": whole[20:],
            "zeros": whole[: len(whole) // 3] + bytes(len(whole) * 2 // 3),
            "flipped": bytes(flipped),
            "shifted": b"\r\n" + whole,
            "text": whole.decode("latin-1").encode("utf-8"),
            "lines": whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        }
        for damage, content in damages.items():
            yield f"damaged {name} {damage}", OddFile(content, None)


def read_independently(file: OddFile) -> np.ndarray | None:
    """Return levels from 0 to 1 by OpenCV, (H, W, 3), on white; None if it can't read the file."""
    cv2 = pytest.importorskip("cv2")
    try:
        stored = cv2.imdecode(np.frombuffer(file.content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.shape[:2] != (SIDE, SIDE):
        return None
    levels = np.atleast_3d(stored) / (file.highest if stored.dtype != np.uint8 else 255)
    color = levels[..., 2::-1] if levels.shape[2] > 2 else levels[..., :1] * np.ones(3)
    alpha = levels[..., 3:] if levels.shape[2] == 4 else 1
    return color * alpha + 1 - alpha


@pytest.fixture(scope="module")
def files() -> dict[str, OddFile]:
    return dict([*common_files(), *deep_files(), *damaged_files()])


@pytest.fixture(scope="module")
def results(files, tmp_path_factory) -> dict[str, np.ndarray | str]:
    """The packed image of each file, or the reason for its rejection."""
    raw = tmp_path_factory.mktemp("raw")
    for name, file in files.items():
        (raw / name).write_bytes(file.content)
    records = pd.DataFrame(sorted(list_files(raw)), columns=["path", *FILE_STATS])
    params = PackParams(size=SIDE, max_rejected_share=1, workers=1)
    collection = pack(records, make_skipped([], ""), raw, raw.parent / "packed", params)
    packed = dict(zip(collection.index["path"], collection.images[:], strict=True))
    return packed | dict(collection.rejected[["path", "reason"]].values.tolist())


def is_unsupported(name: str) -> bool:
    """Return whether Pillow can't read the samples of an undamaged file."""
    color_samples = name.endswith(("3 TIFF", "3 TIFF big")) and not name.startswith("uint16")
    return color_samples or (name.startswith("uint32") and name.endswith("big"))


def test_undamaged_files_show_what_they_were_made_from(files, results):
    for name, file in files.items():
        if file.levels is None:
            continue
        if is_unsupported(name):
            assert results[name].startswith("a TIFF, which can't be read: "), name
        else:
            assert not isinstance(results[name], str), f"{name}: {results[name]}"
            assert np.abs(results[name] - file.levels * 255).mean() <= file.error, name


def test_damaged_files_are_rejected_by_a_reason_or_packed(files, results):
    damaged = {name: results[name] for name in files if name.startswith("damaged")}
    reasons = {name: reason for name, reason in damaged.items() if isinstance(reason, str)}
    assert 45 < len(reasons) < len(damaged) == 64
    for name, reason in reasons.items():
        form = name.split()[1].replace("WEBP", "WebP")
        starts = ("truncated", "damaged: ", "not an image", f"a {form}, which can't be read: ")
        assert reason.startswith(starts), f"{name}: {reason}"


def test_packed_images_are_those_of_an_independent_decoder(files, results):
    compared = 0
    for name, file in files.items():
        levels = None if name.startswith(OTHER_IN_OPENCV) else read_independently(file)
        if levels is not None and not isinstance(results[name], str):
            assert np.abs(results[name] - levels * 255).mean() <= file.error, name
            compared += 1
    assert compared > 150 and len(files) > 250
