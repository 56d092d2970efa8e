"""Images of other than 8 bits per sample get the levels that their makers meant."""

import io
import zlib
from functools import partial

import numpy as np
import pytest
from odd_png import png_16
from odd_tiff import PHOTOMETRIC, tiff, twelve_bits
from PIL import Image

from ganvas.ingestion.decode import GUESSED_RANGE, ONE_LEVEL, decode_image
from ganvas.ingestion.rejection import Rejection
from ganvas.ingestion.sample_depth import find_range

SIDE = 32
# From 0 to 1 in both axes, with black and white in it.
Y, X = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
RAMP = (X + Y) / 2
COLOR = np.stack([X, Y, 1 - X], -1)
MIN_VALUE, MAX_VALUE = 280, 281


def expected(levels: np.ndarray) -> np.ndarray:
    return np.atleast_3d(levels * 255) * np.ones(3)


def as_type(levels: np.ndarray, highest: float, dtype: str) -> np.ndarray:
    return np.rint(levels * highest).astype(dtype)


def pgm(levels: np.ndarray, maximum: int) -> bytes:
    return f"P5 {SIDE} {SIDE} {maximum}\n".encode() + levels.astype(">u2").tobytes()


def decode(tmp_path, content: bytes, name: str = "a.tif"):
    (tmp_path / name).write_bytes(content)
    return decode_image(tmp_path / name, (SIDE, SIDE, 3))


def assert_shows(tmp_path, content: bytes, levels: np.ndarray, note: str) -> None:
    decoded = decode(tmp_path, content)
    assert np.abs(decoded.pixels - expected(levels)).max() <= 1.01
    assert decoded.note == note


INTEGERS = [
    ("uint16", 65535, ""),
    ("uint16", 16383, GUESSED_RANGE),
    ("uint16", 4095, GUESSED_RANGE),
    ("uint16", 1023, GUESSED_RANGE),
    ("uint16", 255, GUESSED_RANGE),
    ("uint16", 1, GUESSED_RANGE),
    ("int16", 32767, GUESSED_RANGE),
    ("int16", 4095, GUESSED_RANGE),
    ("int16", 255, GUESSED_RANGE),
    ("int32", 255, GUESSED_RANGE),
    ("int32", 4095, GUESSED_RANGE),
    ("int32", 65535, GUESSED_RANGE),
    ("int32", 10**6, GUESSED_RANGE),
    ("int32", 2**31 - 1, ""),
    ("uint32", 255, GUESSED_RANGE),
    ("uint32", 2**32 - 1, ""),
    ("int8", 127, GUESSED_RANGE),
]


@pytest.mark.parametrize(("dtype", "highest", "note"), INTEGERS)
@pytest.mark.parametrize("big", [False, True])
def test_gray_integers(tmp_path, dtype, highest, note, big):
    levels = np.rint(RAMP * highest) / highest
    # Pillow reads no big-endian uint32.
    content = tiff(as_type(RAMP, highest, dtype), big and dtype != "uint32")
    assert_shows(tmp_path, content, levels, note)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_signed_integers_of_their_whole_range(tmp_path, dtype):
    limits = np.iinfo(dtype)
    levels = (limits.min + RAMP * (2.0 * limits.max + 1)).astype(dtype)
    assert_shows(tmp_path, tiff(levels), RAMP, "")


@pytest.mark.parametrize(
    ("low", "high", "note"),
    [(0, 1, ""), (0, 255, GUESSED_RANGE), (-1, 1, GUESSED_RANGE), (-3000, 9000, GUESSED_RANGE)],
)
def test_floats(tmp_path, low, high, note):
    assert_shows(tmp_path, tiff((low + RAMP * (high - low)).astype("float32")), RAMP, note)


def test_a_dark_float_image_stays_dark(tmp_path):
    assert_shows(tmp_path, tiff((RAMP * 0.2).astype("float32")), RAMP * 0.2, "")


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_a_stated_maximum_is_used(tmp_path, dtype):
    levels = as_type(RAMP * 0.3, 4095, dtype)
    content = tiff(levels, tags={MIN_VALUE: 0, MAX_VALUE: 4095})
    assert_shows(tmp_path, content, levels / 4095, "")


def test_twelve_packed_bits(tmp_path):
    levels = as_type(RAMP * 0.3, 4095, "uint16")
    assert_shows(tmp_path, twelve_bits(levels), levels / 4095, "")


@pytest.mark.parametrize(("dtype", "highest", "note"), [("uint16", 65535, ""), ("float32", 1, "")])
def test_white_is_zero(tmp_path, dtype, highest, note):
    content = tiff(
        as_type(1 - RAMP, highest, dtype) if highest > 1 else (1 - RAMP).astype(dtype),
        tags={PHOTOMETRIC: 0},
    )
    assert_shows(tmp_path, content, RAMP, note)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("highest", "note"), [(65535, ""), (4095, GUESSED_RANGE), (1023, GUESSED_RANGE)]
)
@pytest.mark.parametrize("write", [tiff, partial(tiff, big=True), png_16])
def test_16_bit_color(tmp_path, channels, highest, note, write):
    whole = np.dstack([COLOR, np.ones_like(X)])[..., :channels]
    assert_shows(tmp_path, write(as_type(whole, highest, "uint16")), COLOR, note)


def test_premultiplied_colors_of_fewer_bits_are_rejected(tmp_path):
    whole = np.dstack([COLOR, np.ones_like(X)])
    assert_shows(tmp_path, tiff(as_type(whole, 65535, "uint16"), tags={338: 1}), COLOR, "")
    with pytest.raises(Rejection, match="16-bit samples that use few of their bits"):
        decode(tmp_path, tiff(as_type(whole, 4095, "uint16"), tags={338: 1}))


@pytest.mark.parametrize("highest", [65535, 4095])
def test_planes_of_16_bits(tmp_path, highest):
    planes = [as_type(plane, highest, "<u2").tobytes() for plane in COLOR.transpose(2, 0, 1)]
    packed = [zlib.compress(plane) for plane in planes]
    tags = {257: SIDE, 258: [16] * 3, 262: 2, 277: 3, 284: 2, 339: [1] * 3}

    def place(strips: list[bytes], compression: int) -> bytes:
        data = b"".join(strips)
        offsets = [8 + len(b"".join(strips[:number])) for number in range(3)]
        levels = np.frombuffer(data + bytes(len(data) % 2), "u1")[None]
        counts = [len(strip) for strip in strips]
        places = {256: SIDE, 259: compression, 273: offsets, 278: SIDE, 279: counts}
        return tiff(levels, tags=tags | places)

    if highest == 65535:
        assert_shows(tmp_path, place(packed, 8), COLOR, "")
    else:
        with pytest.raises(Rejection, match="16-bit samples that use few of their bits"):
            decode(tmp_path, place(packed, 8))
    with pytest.raises(Rejection, match="an uncompressed TIFF of 16-bit planes: save it with 8"):
        decode(tmp_path, place(planes, 1))


def test_8_bits_widened_to_16_stay_dark(tmp_path):
    for factor in (256, 257):
        levels = as_type(COLOR * 0.15, 255, "uint16")
        assert_shows(tmp_path, png_16(levels * factor), levels / 255, "")


@pytest.mark.parametrize(("highest", "note"), [(65535, ""), (4095, GUESSED_RANGE)])
def test_gray_png(tmp_path, highest, note):
    assert_shows(tmp_path, png_16(as_type(RAMP, highest, "uint16")), RAMP, note)


def test_gray_and_alpha_of_unclear_range_are_rejected(tmp_path):
    whole = np.dstack([RAMP, np.ones_like(X)])
    assert_shows(tmp_path, png_16(as_type(whole, 65535, "uint16")), RAMP, "")
    with pytest.raises(Rejection, match="16-bit samples that use few of their bits: save it with"):
        decode(tmp_path, png_16(as_type(whole, 4095, "uint16")))


@pytest.mark.parametrize("highest", [65535, 4095])
def test_transparent_levels_become_white(tmp_path, highest):
    gray, color = (as_type(levels, highest, "uint16") for levels in (RAMP, COLOR))
    for levels in (gray, color):
        key = tuple(np.atleast_1d(levels[3, 7]).tolist())
        pixels = decode(tmp_path, png_16(levels, transparent=key)).pixels
        assert (pixels[3, 7] == 255).all() and (pixels[20, 20] < 250).any()


@pytest.mark.parametrize("maximum", [65535, 4095, 1023])
def test_pgm(tmp_path, maximum):
    assert_shows(tmp_path, pgm(as_type(RAMP, maximum, "uint16"), maximum), RAMP, "")
    # The maximum is stated: a dark image stays dark.
    if maximum < 65535:
        dark = as_type(RAMP * 0.2, maximum, "uint16")
        assert_shows(tmp_path, pgm(dark, maximum), dark / maximum, "")


def test_pgm_with_fewer_bits_than_its_maximum_states(tmp_path):
    assert_shows(tmp_path, pgm(as_type(RAMP, 4095, "uint16"), 65535), RAMP, GUESSED_RANGE)


@pytest.mark.parametrize(
    ("highest", "note"), [(65535, ""), (16383, GUESSED_RANGE), (255, GUESSED_RANGE)]
)
def test_ppm_with_fewer_bits_than_its_maximum_states(tmp_path, highest, note):
    levels = as_type(COLOR, highest, ">u2")
    head = f"P6 {SIDE} {SIDE} 65535\n".encode()
    assert_shows(tmp_path, head + levels.tobytes(), COLOR, note)
    if highest < 65535:
        plain = head.replace(b"P6", b"P3") + " ".join(map(str, levels.ravel())).encode()
        with pytest.raises(Rejection, match="16-bit samples that use few of their bits"):
            decode(tmp_path, plain)


def test_deep_color_of_jpeg_2000_is_rejected_since_pillow_turns_white_to_black(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for highest in (4095, 65535):
        _, content = cv2.imencode(".jp2", as_type(COLOR[..., ::-1], highest, "uint16"))
        with pytest.raises(Rejection, match="white would become black: save it with 8"):
            decode(tmp_path, content.tobytes())
    _, content = cv2.imencode(".jp2", as_type(RAMP, 65535, "uint16"))
    assert_shows(tmp_path, content.tobytes(), RAMP, "")


def test_no_numbers_and_missing_data_become_black(tmp_path):
    levels = RAMP.astype("float32")
    levels[0, 0], levels[0, 1], levels[0, 2] = np.nan, np.inf, -np.inf
    decoded = decode(tmp_path, tiff(levels))
    assert decoded.pixels[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(decoded.pixels[1:] - expected(RAMP)[1:]).max() <= 1
    assert decoded.note == GUESSED_RANGE
    levels = (RAMP * 3000).astype("float32")
    levels[9, 9] = -9999
    decoded = decode(tmp_path, tiff(levels, tags={42113: "-9999"}))
    assert (decoded.pixels[9, 9] == 0).all()
    assert np.abs(decoded.pixels - expected(RAMP))[10:].max() <= 1


def test_without_a_finite_level_the_reason_says_so(tmp_path):
    with pytest.raises(Rejection, match="no level: all samples are infinite or no numbers"):
        decode(tmp_path, tiff(np.full((SIDE, SIDE), np.nan, np.float32)))


@pytest.mark.parametrize(
    "levels",
    [
        COLOR.astype("float32"),
        RAMP.astype("float16"),
        RAMP.astype("float64"),
        as_type(COLOR, 32767, "int16"),
        as_type(COLOR, 2**32 - 1, "uint32"),
        as_type(RAMP, 2**40, "uint64"),
    ],
    ids=lambda levels: f"{levels.dtype}-{levels.ndim}",
)
def test_samples_that_pillow_can_not_read_are_named(tmp_path, levels):
    with pytest.raises(Rejection, match=r"a TIFF, which can't be read: .* unusual samples.*8 bits"):
        decode(tmp_path, tiff(levels))


def test_profile_and_orientation_of_deep_images_are_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(as_type(RAMP * X, 4095, "uint16"))
    buffer = io.BytesIO()
    deep.save(buffer, "PNG", exif=exif.tobytes())
    upright = np.rot90(RAMP * X, -1)
    assert_shows(tmp_path, buffer.getvalue(), upright, GUESSED_RANGE)


def test_lab_and_premultiplied_gray_are_converted(tmp_path):
    lab = np.zeros((SIDE, SIDE, 3), np.uint8)
    lab[..., 0] = np.rint(RAMP * 255)
    pixels = decode(tmp_path, tiff(lab, tags={PHOTOMETRIC: 8})).pixels
    assert np.ptp(pixels, -1).max() <= 2 and pixels[0, 0, 0] < 5 and pixels[-1, -1, 0] > 250
    gray = np.dstack([np.rint(RAMP * 255), np.full_like(X, 255)]).astype(np.uint8)
    assert_shows(tmp_path, tiff(gray, tags={338: 1}), RAMP, "")


def test_an_image_of_one_level_is_noted(tmp_path):
    assert decode(tmp_path, tiff(np.full((SIDE, SIDE), 77, np.uint8))).note == ONE_LEVEL
    hot = np.full((SIDE, SIDE), 0.5, np.float32)
    hot[4, 4] = 1e30
    assert decode(tmp_path, tiff(hot)).note == f"{GUESSED_RANGE} {ONE_LEVEL}"


def test_the_range_of_a_level_is_that_of_its_type():
    for dtype in ("uint16", "int16", "int32", "float32"):
        assert find_range(0, 0, np.dtype(dtype)).low == 0
    assert find_range(1200, 1200, np.dtype("uint16")).high == 4095
