"""Decode an image file to an array of a given height, width and number of channels."""

import hashlib
import io
import logging
import struct
import warnings
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile

from ganvas.channels import WHITE, to_rgb
from ganvas.ingestion.color_conversion import MODES, Color, convert_color
from ganvas.ingestion.cropping import Crop, crop_image, to_pixels
from ganvas.ingestion.face_alignment import AlignedFace, align_face, align_faces
from ganvas.ingestion.file_formats import check_whole_image, explain_unreadable, supported_formats
from ganvas.ingestion.file_reading import explain_error, read_file
from ganvas.ingestion.rejection import Rejection
from ganvas.ingestion.resizing import Box, transpose_box
from ganvas.ingestion.sample_depth import load_8_bits

logger = logging.getLogger(__name__)

# JPEG files can be decoded at a half, a quarter or an eighth of their size, which averages squares
# of pixels. For each scale, how many times as large as the target the original has to be: then the
# result is within a gray level of that of full decoding, on average (benchmarks/ingestion.py).
JPEG_SCALES = {8: 12, 4: 4, 2: 2, 1: 0}
# JPEG 2000 files are decoded to this many times the target size, if they are too large to decode.
JPEG_2000_FACTOR = 3
# Faces are detected on 1024 pixels, those of groups on 2048, and may be a small part of the image:
# twice that keeps detail, and more for images of more than 256 pixels.
FACE_DRAFT, GROUP_DRAFT, FACE_SIDE = 2048, 4096, 256
MIN_SIDE = 8
# A decoded pixel takes at least three bytes, and several images are decoded at once.
MAX_PIXELS = 90_000_000
# Progressive JPEG files are held as coefficients of up to six bytes a pixel, at any scale.
MAX_PROGRESSIVE_PIXELS = 2 * MAX_PIXELS
# First bytes of all JPEG files.
JPEG_START = b"\xff\xd8\xff"
# A progressive JPEG file has about ten scans. Each takes the time of the whole image, even if it is
# of a few bytes.
MAX_SCANS = 100
# Resolutions below the full one that encoders of JPEG 2000 write by default.
JPEG_2000_LEVELS = 5
# Difference of levels, without the lowest and highest fiftieth, below which an image counts as of
# nearly one level.
MIN_CONTRAST = 6
# Pixels a side in which it is measured.
CONTRAST_SIDE = 32
# Notes on images that are packed, but may not be what they should.
GUESSED_RANGE, ONE_LEVEL = "guessed range", "one level"
# Transformation for each EXIF orientation; 1 is upright.
EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those that exchange height and width.
SWAPPING = {EXIF_TRANSPOSE[orientation] for orientation in (5, 6, 7, 8)}
BLACK = (0, 0, 0)
# Pillow warns below its own limit, and of odd tags; files that can't be used are rejected and
# listed here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


Shape = tuple[int, int, int]
Align = Literal["none", "faces", "all_faces"]


class DecodedImage(NamedTuple):
    """A decoded image file.

    Attributes:
        pixels: uint8 of shape (H, W, C).
        hash: Hash of the file's content; of one of several faces, with another end for each.
        note: Space-separated notes: `GUESSED_RANGE` if the levels of black and white were guessed
            from the image, `ONE_LEVEL` if all its levels are nearly the same. "" for most images.
        size: Width and height of the upright image in pixels, before it was cropped and resized;
            of an aligned face those of the frame around it.
    """

    pixels: np.ndarray
    hash: str
    note: str
    size: tuple[int, int]


def decode_image(
    path: Path,
    shape: Shape,
    crop: Crop = "center",
    align: Align = "none",
    max_pixels: float = MAX_PIXELS,
    background: Color = WHITE,
    content: bytes | None = None,
) -> DecodedImage:
    """Read one image file, rotate it upright, crop it to an aspect ratio and resize it.

    Grayscale, palette and CMYK images are converted to the channels of the result, samples of more
    than 8 bits scaled to 8 bits, and color profiles converted to sRGB. The EXIF orientation is
    applied. Of an animation, the first frame is used.

    Args:
        path: Image file.
        shape: Shape (H, W, C) of the result. C is 1 for gray, 3 for RGB and 4 for RGB with straight
            alpha.
        crop: Part to keep, see `crop_image`.
        align: none, or faces: align the largest face first, as in CelebA.
        max_pixels: Maximum number of pixels to decode, see `decode_content`.
        background: Color behind transparent parts of gray and RGB images and behind padding, and
            that of fully transparent pixels.
        content: Content of the file, if it has been read.

    Raises:
        Rejection: The file can't be read or decoded, or has no face; the message is the reason.
        GanvasError: The face detector is not installed.

    Example:
        >>> decode_image(Path("photo.jpg"), shape=(96, 64, 3), crop="smart").pixels.shape
        (96, 64, 3)
    """
    content = _read(path) if content is None else content
    return _decode_file(content, shape, crop, align, max_pixels, background)[0]


def decode_faces(
    path: Path,
    shape: Shape,
    crop: Crop = "center",
    max_pixels: float = MAX_PIXELS,
    background: Color = WHITE,
    content: bytes | None = None,
) -> list[DecodedImage]:
    """Read one image file like `decode_image`, and align each of its faces.

    Their hashes have the beginning in common, by which images are divided among splits.

    Args:
        path: Image file.
        shape: Shape (H, W, C) of the results.
        crop: Part of the aligned images to keep.
        max_pixels: Maximum number of pixels to decode, see `decode_content`.
        background: Color behind transparent parts and padding.
        content: Content of the file, if it has been read.

    Returns:
        One image a face, from left to right, see `align_faces`; at least one.

    Raises:
        Rejection: The file can't be read or decoded, or has no face; the message is the reason.
        GanvasError: The face detector is not installed.
    """
    content = _read(path) if content is None else content
    return _decode_file(content, shape, crop, "all_faces", max_pixels, background)


def _decode_file(
    content: bytes, shape: Shape, crop: Crop, align: Align, max_pixels: float, background: Color
) -> list[DecodedImage]:
    try:
        images, is_guess = _decode_content(
            content, shape, crop, align, None, max_pixels, background
        )
    except Rejection as rejection:
        raise Rejection(rejection.with_hint) from rejection
    hashes = [hashlib.blake2b(content, digest_size=16).hexdigest()]
    if align == "all_faces":
        hashes = [_hash_face(hashes[0], number) for number in range(1, len(images) + 1)]
    decoded = []
    for (pixels, size), content_hash in zip(images, hashes, strict=True):
        notes = {GUESSED_RANGE: is_guess, ONE_LEVEL: _measure_contrast(pixels) < MIN_CONTRAST}
        note = " ".join(note for note in notes if notes[note])
        decoded.append(DecodedImage(pixels, content_hash, note, size))
    return decoded


def _hash_face(content_hash: str, number: int) -> str:
    end = hashlib.blake2b(f"{content_hash} {number}".encode(), digest_size=12).hexdigest()
    return content_hash[:8] + end


def decode_content(
    content: bytes,
    shape: Shape,
    crop: Crop = "center",
    align: Align = "none",
    formats: tuple[str, ...] | None = None,
    most: float = MAX_PIXELS,
    background: Color = WHITE,
) -> np.ndarray:
    """Decode the bytes of an image file like `decode_image`.

    Args:
        content: Content of the file.
        shape: Shape (H, W, C) of the result.
        crop: Part to keep.
        align: Whether to align faces.
        formats: Pillow's names of the allowed formats; None: all image formats that it decodes.
        most: Maximum number of pixels to decode; a large JPEG or JPEG 2000 file is decoded to
            fewer than it has.
        background: Color behind transparent parts and padding.

    Returns:
        uint8 of shape (H, W, C).

    Raises:
        Rejection: The file can't be decoded or has no face; the message is the reason.
    """
    return _decode_content(content, shape, crop, align, formats, most, background)[0][0][0]


def _decode_content(
    content: bytes,
    shape: Shape,
    crop: Crop,
    align: Align,
    formats: tuple[str, ...] | None,
    max_pixels: float,
    background: Color,
) -> tuple[list[tuple[np.ndarray, tuple[int, int]]], bool]:
    """Return pixels and original size of one image or of all faces, and if the range is a guess."""
    height, width, channels = shape
    # Faces are detected in color.
    needed = 3 if channels == 1 and align != "none" else channels
    try:
        source = _open(content, formats)
        original = source.size
        area = _reduce(source, content, (width, height), align, max_pixels)
        loaded, is_guess = load_8_bits(source, lambda: _open(content, formats))
        # Profile and orientation are those of the file, which a scaled image has not.
        method = find_rotation(source)
        upright = loaded
        if method is not None:
            upright, area = loaded.transpose(method), transpose_box(area, loaded.size, method)
        original = original[::-1] if method in SWAPPING else original
        image = convert_color(upright, source.info.get("icc_profile"), needed, background)
    except Rejection:
        raise
    except UnidentifiedImageError as error:
        raise explain_unreadable(content) from error
    except MemoryError as error:
        raise Rejection("too large for this machine's memory") from error
    except Exception as error:
        # Pillow's codecs raise all kinds of errors on corrupt files, and no file may stop a run.
        reason = "truncated" if "truncated" in str(error) else f"damaged: {error}"
        raise Rejection(reason) from error
    faces = [AlignedFace(image, image.size)]
    if align == "faces":
        faces = [face for face in [align_face(image, (width, height))] if face is not None]
    elif align == "all_faces":
        faces = align_faces(image, (width, height))
    if not faces:
        raise Rejection("no face")
    decoded = []
    for part, size in faces:
        part = part if part.mode == MODES[channels] else part.convert(MODES[channels])
        where = area if align == "none" else None
        pixels = to_pixels(crop_image(part, (width, height), crop, background, where))
        # In pixels of the file, which may have been decoded at a reduced size.
        sides = [side * a / b for side, a, b in zip(size, original, image.size, strict=True)]
        decoded.append((pixels, (max(1, round(sides[0])), max(1, round(sides[1])))))
    return decoded, is_guess


def _measure_contrast(pixels: np.ndarray) -> float:
    """Return the difference of levels; of a transparent image on white or on black."""
    step = max(1, min(pixels.shape[:2]) // CONTRAST_SIDE)
    part = pixels[::step, ::step]
    grounds = [to_rgb(part, color) for color in (WHITE, BLACK)] if part.shape[2] == 4 else [part]
    # np.quantile would take ten times as long.
    ranges = [np.sort(levels, axis=None, kind="stable") for levels in grounds]
    rest = ranges[0].size // 50
    return max(float(levels[-1 - rest]) - float(levels[rest]) for levels in ranges)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise explain_error(error) from error


def _open(content: bytes, formats: tuple[str, ...] | None) -> Image.Image:
    """Open an image of any size, which `_reduce` judges."""
    names = [name for name in supported_formats() if formats is None or name in formats]
    if content.startswith(JPEG_START):
        # Pillow tries one format after the other.
        names.sort(key=lambda name: name != "JPEG")
    try:
        return Image.open(io.BytesIO(content), formats=names)
    except Image.DecompressionBombError:
        pass
    for name in names:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(content[:16]) is True:
            try:
                return cast(Image.Image, factory(io.BytesIO(content), ""))
            except (SyntaxError, IndexError, TypeError, KeyError, EOFError, struct.error):
                continue
    raise UnidentifiedImageError("Opened before, but not again.")


def _reduce(
    image: Image.Image, content: bytes, size: tuple[int, int], align: Align, max_pixels: float
) -> Box:
    """Choose the scale at which an opened image is decoded, if its format has several.

    Args:
        image: The image, which is not loaded.
        content: Its file.
        size: Width and height to which it will be cropped and resized, once it is upright.
        align: Whether faces will be aligned before.
        max_pixels: Maximum number of pixels to decode.

    Returns:
        The part of the decoded image that shows the whole image: the last row and column may
        average squares of pixels that lie partly beyond its edge.

    Raises:
        Rejection: It is too small, or too large even so.
    """
    check_whole_image(image)
    if min(image.size) < MIN_SIDE:
        raise Rejection(f"too small: {image.width}×{image.height} pixels")
    pixels = image.width * image.height
    if pixels > max(MAX_PROGRESSIVE_PIXELS, 2 * max_pixels) and _is_progressive(image, content):
        raise _too_large(pixels, max(MAX_PROGRESSIVE_PIXELS, 2 * max_pixels), "progressive ")
    if _is_progressive(image, content) and content.count(b"\xff\xda") > MAX_SCANS:
        raise Rejection(f"a JPEG of more than {MAX_SCANS} scans: save it again")
    # Of other formats, the EXIF header may come last, and they can't be reduced.
    is_lying = image.format in ("JPEG", "MPO") and find_rotation(image) in SWAPPING
    wanted = size[::-1] if is_lying else size
    # How many times as large as the target the image is.
    factor = min(side / least for side, least in zip(image.size, wanted, strict=True))
    if align != "none":
        side = FACE_DRAFT if align == "faces" else GROUP_DRAFT
        factor = max(image.size) / (side * max(1, max(size) / FACE_SIDE))
    if isinstance(image, Jpeg2KImageFile) and pixels > max_pixels:
        factor /= JPEG_2000_FACTOR if align == "none" else 1
        levels = min(JPEG_2000_LEVELS, max(int(factor), 1).bit_length() - 1)
        image.reduce = levels
        pixels >>= 2 * levels
        area: Box = (0, 0, *image.size)
    else:
        if isinstance(image, JpegImageFile):
            # Pillow would copy the file in pieces of 64 KiB.
            image.decodermaxblock = len(content)
        scale = next(scale for scale, least in JPEG_SCALES.items() if factor >= least)
        drafted = image.draft("RGB", (image.width // scale, image.height // scale))
        area = drafted[1] if drafted else (0, 0, *image.size)
        pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(pixels, max_pixels)
    return area


def _is_progressive(image: Image.Image, content: bytes) -> bool:
    """Return whether a JPEG file has several scans, so that all of it is held in memory."""
    if image.format not in ("JPEG", "MPO"):
        return False
    position = 2
    while position + 4 < len(content) and content[position : position + 2] != b"\xff\xda":
        position += 2 + int.from_bytes(content[position + 2 : position + 4])
    channels = content[position + 4 : position + 5]
    return "progressive" in image.info or channels != bytes([len(image.getbands())])


def _too_large(pixels: float, most: float, kind: str = "") -> Rejection:
    return Rejection(
        f"too large to decode safely: {pixels / 1e6:.4g} {kind}megapixels, more than "
        f"{most / 1e6:.4g}",
        hint="make it smaller, or raise ingest.max_megapixels",
    )


def find_rotation(image: Image.Image) -> Image.Transpose | None:
    """Return what rotates an image upright by its EXIF header; an unreadable one is ignored.

    Pillow's `exif_transpose` also rewrites the EXIF, which fails on malformed tags.
    """
    try:
        return EXIF_TRANSPOSE.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises all kinds of errors
        logger.debug("Ignoring an EXIF header that can't be read.")
        return None
