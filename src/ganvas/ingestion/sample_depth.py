"""Scale images of 10 to 64 bits per sample, signed, unsigned or float, to 8 bits.

Pillow clips such samples at 255 or drops their low bytes, so that floats in [0, 1] and 12 bits in
16 would become black.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from ganvas.ingestion.rejection import Rejection

# Highest values of 8 to 14 bits, which are often stored in types of more bits.
COMMON_MAXIMA = (255, 1023, 4095, 16383)
# An image whose highest level is below this share of the usual maximum has another one.
MIN_SHARE = 1 / 16
# Resampling overshoots the range of floats a little.
OVERSHOOT = 1 / 16
# Modes in which Pillow keeps samples of more than 8 bits, and those in which it keeps the high
# bytes of 16-bit samples.
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
HIGH_BYTE_MODES = ("L", "RGB", "RGBA")
# High bytes up to this one leave open whether all 16 bits are used.
UNCLEAR_HIGH_BYTE = 64
# Tags of TIFF files, and values of two of them.
BITS, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT = 258, 262, 284, 339
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2
MIN_SAMPLE_VALUE, MAX_SAMPLE_VALUE = (340, 280), (341, 281)
GDAL_NODATA = 42113
# Pillow rounds color samples of JPEG 2000 up to 256, which becomes 0.
DEEP_JPEG_2000 = (
    "JPEG 2000 of more than 8 bits per color sample, whose white would become black: save it with 8"
)
# Pillow takes their bytes for samples of 8 bits.
DEEP_PLANES = "an uncompressed TIFF of 16-bit planes: save it with 8 bits per sample"
UNCLEAR = "16-bit samples that use few of their bits: save it with 8 bits per sample"


class SampleRange(NamedTuple):
    """The levels of black and white.

    Attributes:
        low: Level that becomes 0.
        high: Level that becomes 255.
        is_guess: Whether neither the type nor a tag says so.
    """

    low: float
    high: float
    is_guess: bool


WHOLE_16_BITS = SampleRange(0, 65535, False)


def load_8_bits(
    image: Image.Image, open_again: Callable[[], Image.Image]
) -> tuple[Image.Image, bool]:
    """Load an image, with 8 bits per sample.

    Args:
        image: An opened image that is not loaded yet.
        open_again: Opens the same image once more.

    Returns:
        The image, unchanged if it has 8 bits per sample; and whether the range of its levels was
        guessed from the image.

    Raises:
        Rejection: No sample is a finite number, or the range is unclear and can't be found.
    """
    decoder, *arguments = _decoder(image)
    # The last argument of decoders of PPM files is the maximum, by which Pillow scales.
    states_maximum = decoder.startswith("ppm") and arguments[-1:] != [65535]
    has_16_bits = ";16" in str(arguments[:1]) or decoder == "SGI16" or arguments[-1:] == [65535]
    if image.mode not in DEEP_MODES and _jpeg_2000_bits(image) > 8:
        raise Rejection(DEEP_JPEG_2000)
    if decoder == "raw" and _tag(image, PLANAR) == 2 and _tag(image, BITS) == 16:
        raise Rejection(DEEP_PLANES)
    image.load()
    if image.mode in DEEP_MODES:
        return _scale_gray(image, _read_levels(image), states_maximum)
    if image.mode == "L" and _tag(image, SAMPLE_FORMAT) == SIGNED:
        return _scale_gray(image, np.asarray(image).view(np.int8))
    if image.mode in HIGH_BYTE_MODES and has_16_bits:
        return _scale_16_bit_color(image, open_again)
    return image, False


def find_range(lowest: float, highest: float, dtype: np.dtype) -> SampleRange:
    """Find the range of samples by their type or, if it doesn't tell, by the levels of the image.

    Integers of 16 bits use all of them if their highest level is above a quarter of the range;
    else they have the least number of bits, 8, 10, 12 or 14, that holds it. Floats in [0, 1] have
    this range.

    Args:
        lowest: Lowest level of the image.
        highest: Highest level.
        dtype: Type of the samples.

    Example:
        >>> find_range(3, 4000, np.dtype("uint16"))
        SampleRange(low=0, high=4095, is_guess=True)
    """
    own = SampleRange(lowest, highest, True)
    if dtype.kind == "f":
        return _find_float_range(own)
    limits = np.iinfo(dtype)
    if lowest < 0:
        is_used = highest - lowest > (limits.max - limits.min) / 4
        whole = SampleRange(int(limits.min), int(limits.max), False)
        return whole if is_used or dtype.itemsize == 1 else own
    # Samples of 32 bits are rarely meant to use them all.
    type_maximum = 65535 if dtype.itemsize == 4 else int(limits.max)
    maxima = [*(value for value in COMMON_MAXIMA if value < type_maximum), type_maximum]
    maximum = next((value for value in maxima if highest <= value), None)
    if maximum is None:
        is_used = highest > limits.max / 4
        return SampleRange(0, int(limits.max), False) if is_used else own
    if lowest < highest < maximum * MIN_SHARE:
        return own
    return SampleRange(0, maximum, is_guess=maximum != limits.max or dtype.kind == "i")


def _find_float_range(own: SampleRange) -> SampleRange:
    lowest, highest, _ = own
    if lowest >= -OVERSHOOT and MIN_SHARE <= highest <= 1 + OVERSHOOT:
        return SampleRange(0, 1, False)
    if lowest >= -1 - OVERSHOOT and lowest < -OVERSHOOT and 0 < highest <= 1 + OVERSHOOT:
        return SampleRange(-1, 1, True)
    if lowest >= -255 * OVERSHOOT and 255 * MIN_SHARE <= highest <= 255 * (1 + OVERSHOOT):
        return SampleRange(0, 255, True)
    return own


def _read_levels(image: Image.Image) -> np.ndarray:
    """Return the samples of a grayscale image in the type of its file, (H, W)."""
    levels = np.asarray(image)
    if image.format == "FITS" and levels.dtype == np.uint16:
        return levels.view(np.int16)
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    if levels.dtype == np.int32:
        if image.format == "PPM":
            return levels.astype(np.uint16)
        if is_tiff and _tag(image, BITS) == 16:
            return levels.astype(np.int16)
        if is_tiff and _tag(image, SAMPLE_FORMAT, UNSIGNED) == UNSIGNED:
            return levels.view(np.uint32)
    return levels


def _scale_gray(
    image: Image.Image, levels: np.ndarray, states_maximum: bool = False
) -> tuple[Image.Image, bool]:
    """Return a grayscale image, with an alpha channel if one level is transparent."""
    is_valid = np.isfinite(levels) & (levels != _missing_level(image))
    found = WHOLE_16_BITS if states_maximum else _range_of(image, levels[is_valid])
    pixels = _scale(levels, found)
    pixels[~is_valid & (levels != np.inf)] = 0
    if _tag(image, PHOTOMETRIC) == WHITE_IS_ZERO:
        pixels = 255 - pixels
    scaled = Image.fromarray(pixels)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled.putalpha(_opaque_where(levels != transparent))
    return scaled, found.is_guess or not is_valid.all()


def _scale_16_bit_color(
    image: Image.Image, open_again: Callable[[], Image.Image]
) -> tuple[Image.Image, bool]:
    """Scale a loaded image that consists of the high bytes of 16-bit samples."""
    transparent = image.info.get("transparency")
    if not _is_unclear(image):
        if isinstance(transparent, tuple):
            image.info["transparency"] = tuple(level >> 8 for level in transparent)
        return image, False
    levels = _read_16_bits(image, open_again())
    color = levels[..., :3]
    found = _range_of(image, color)
    if found == WHOLE_16_BITS:
        return image, False
    pixels = _scale(color, found)
    scaled = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
    if image.mode == "RGBA":
        alpha = levels[..., 3]
        limits = found if alpha.max() <= found.high else WHOLE_16_BITS
        scaled.putalpha(Image.fromarray(_scale(alpha, limits)))
    elif isinstance(transparent, tuple):
        scaled.putalpha(_opaque_where((levels != transparent).any(-1)))
    return scaled, found.is_guess


def _read_16_bits(image: Image.Image, again: Image.Image) -> np.ndarray:
    """Return all bits of 16-bit samples, of which Pillow keeps the high bytes: (H, W, C).

    Reading in the other byte order returns the low bytes. Binary PPM files are uncompressed.
    """
    tile = again.tile[0]  # type: ignore[attr-defined]
    if tile.codec_name == "ppm":
        data = again.fp.getvalue()[tile.offset :]  # type: ignore[attr-defined]
        return np.frombuffer(data, ">u2", again.width * again.height * 3).reshape(
            again.height, again.width, 3
        )
    not_native = "16B" if sys.byteorder == "little" else "16L"
    orders = {"16B": "16L", "16L": "16B", "16N": not_native}
    tiles = []
    for tile in again.tile:  # type: ignore[attr-defined]
        raw_mode, *others = [tile.args] if isinstance(tile.args, str) else tile.args
        # Premultiplied samples (RGBa) are divided by alpha, and of planes Pillow reads high bytes
        # in either order, so their bytes don't fit together.
        is_split = raw_mode.startswith("RGBa") or _tag(again, PLANAR) == 2
        if raw_mode[-3:] not in orders or is_split:
            raise Rejection(UNCLEAR)
        swapped = raw_mode[:-3] + orders[raw_mode[-3:]]
        tiles.append(tile._replace(args=(swapped, *others) if others else swapped))
    again.tile = tiles  # type: ignore[attr-defined]
    try:
        again.load()
    except (ValueError, OSError) as error:
        raise Rejection(UNCLEAR) from error
    high, low = (np.atleast_3d(np.asarray(part)).astype(np.uint16) for part in (image, again))
    return high << 8 | low


def _is_unclear(image: Image.Image) -> bool:
    """Return whether the high bytes are so low that fewer bits than 16 may be used."""
    highest = np.atleast_2d(np.array(image.getextrema()))[:, 1]
    # Premultiplied colors are divided by alpha, so that alpha alone shows it.
    return bool(min([highest[:3].max(), *highest[3:]]) <= UNCLEAR_HIGH_BYTE)


def _range_of(image: Image.Image, levels: np.ndarray) -> SampleRange:
    if not levels.size:
        raise Rejection("no level: all samples are infinite or no numbers")
    lowest, highest = levels.min().item(), levels.max().item()
    stated = _stated_range(image, levels.dtype)
    if stated and stated.low <= lowest and highest <= stated.high:
        return stated
    found = find_range(lowest, highest, levels.dtype)
    if found.is_guess and levels.dtype == np.uint16 and _is_widened(levels):
        return WHOLE_16_BITS
    return found


def _is_widened(levels: np.ndarray) -> bool:
    """Return whether 16-bit samples are samples of 8 bits, times 257 or 256."""
    return bool((levels % 257 == 0).all() or (levels % 256 == 0).all())


def _stated_range(image: Image.Image, dtype: np.dtype) -> SampleRange | None:
    """Return the range that a TIFF file states, unless it is that of the type."""
    low = next((value for tag in MIN_SAMPLE_VALUE if (value := _tag(image, tag)) is not None), 0)
    high = next((value for tag in MAX_SAMPLE_VALUE if (value := _tag(image, tag)) is not None), 0)
    if low < high and (dtype.kind == "f" or high < np.iinfo(dtype).max):
        return SampleRange(low, high, False)
    bits = _tag(image, BITS)
    return SampleRange(0, 4095, False) if bits == 12 else None


def _missing_level(image: Image.Image) -> float:
    """Return the level of pixels without data, as GDAL writes it in maps; NaN: there is none."""
    try:
        return float(_tag(image, GDAL_NODATA) or "nan")
    except ValueError:
        return float("nan")


def _scale(levels: np.ndarray, limits: SampleRange) -> np.ndarray:
    """Scale levels linearly to 0 and 255, uint8; levels beyond the range are clipped."""
    scaled = levels.astype(np.float32 if levels.dtype.itemsize <= 2 else np.float64)
    np.subtract(scaled, limits.low, out=scaled)
    np.multiply(scaled, 255 / (limits.high - limits.low or 1), out=scaled)
    np.nan_to_num(scaled, copy=False)
    np.clip(scaled, 0, 255, out=scaled)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _opaque_where(is_opaque: np.ndarray) -> Image.Image:
    return Image.fromarray(np.where(is_opaque, np.uint8(255), np.uint8(0)))


def _tag(image: Image.Image, tag: int, default: Any = None) -> Any:
    """Return the first value of a tag of a TIFF file."""
    value = image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    value = value[0] if isinstance(value, tuple) and value else value
    return default if value is None else value


def _jpeg_2000_bits(image: Image.Image) -> int:
    """Return the bits of each sample of a JPEG 2000 file, before it is loaded; 0 of others."""
    if image.format != "JPEG2000":
        return 0
    content = image.fp.getvalue()  # type: ignore[attr-defined]
    # The first marker segment: its size, capabilities, eight sizes and the number of channels.
    position = content.find(b"\xff\x4f\xff\x51") + 42
    return int(content[position] & 0x7F) + 1


def _decoder(image: Image.Image) -> list[Any]:
    """Return the name of Pillow's decoder and its arguments, before the image is loaded."""
    for tile in getattr(image, "tile", [])[:1]:
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        return [tile.codec_name, *arguments]
    return [""]
