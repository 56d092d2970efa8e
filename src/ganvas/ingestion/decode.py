"""Decode an image file to a square RGB array."""

import hashlib
import io
import logging
import math
import struct
import warnings
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from ganvas.ingestion.face_alignment import align_face, align_faces
from ganvas.ingestion.file_formats import check_whole_image, explain_unreadable, supported_formats
from ganvas.ingestion.file_reading import UNREADABLE, read_file
from ganvas.ingestion.rejection import Rejection
from ganvas.ingestion.sample_depth import load_8_bits

logger = logging.getLogger(__name__)

# JPEG files can be decoded at a half, a quarter or an eighth of their size; three times the target
# size stays within 1.5 gray levels of full decoding (benchmarks/ingest.py).
DRAFT_FACTOR = 3
# Faces are detected on 1024 pixels, those of groups on 2048, and may be a small part of the image:
# twice that keeps detail.
FACE_DRAFT, GROUP_DRAFT = 2048, 4096
MIN_SIDE = 8
# Longer side of the thumbnail in which the smart crop looks for detail.
DETAIL_SIDE = 96
# A decoded pixel takes at least three bytes, and several images are decoded at once.
MAX_PIXELS = 90_000_000
# Progressive JPEG files are held as coefficients of up to six bytes a pixel, at any scale.
MAX_PROGRESSIVE_PIXELS = 2 * MAX_PIXELS
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
# Pillow warns below its own limit, and of odd tags; files that can't be used are rejected and
# listed here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


Crop = Literal["center", "smart", "pad"]
Align = Literal["none", "faces", "all_faces"]


class DecodedImage(NamedTuple):
    """A decoded image file.

    Attributes:
        pixels: uint8 of shape (size, size, 3).
        hash: Hash of the file's content; of one of several faces, with another end for each.
        note: Space-separated notes: `GUESSED_RANGE` if the levels of black and white were guessed
            from the image, `ONE_LEVEL` if all its levels are nearly the same. "" for most images.
    """

    pixels: np.ndarray
    hash: str
    note: str


def decode_image(
    path: Path,
    size: int,
    crop: Crop = "center",
    align: Align = "none",
    max_pixels: float = MAX_PIXELS,
) -> DecodedImage:
    """Read one image file, rotate it upright, crop it to a square and resize it.

    Grayscale, palette and CMYK images are converted to RGB, samples of more than 8 bits scaled to
    8 bits, color profiles converted to sRGB, and transparent parts to white. The EXIF orientation
    is applied. Of an animation, the first frame is used.

    Args:
        path: Image file.
        size: Side of the result in pixels.
        crop: Square to keep: the center, the one with most detail (smart), or the whole image
            padded with white (pad).
        align: none, or faces: align the largest face first, as in CelebA, to 178×218 pixels.
        max_pixels: Maximum number of pixels to decode, see `decode_content`.

    Raises:
        Rejection: The file can't be read or decoded, or has no face; the message is the reason.
        GanvasError: The face detector is not installed.

    Example:
        >>> decode_image(Path("photo.jpg"), size=64, crop="smart").pixels.shape
        (64, 64, 3)
    """
    return _decode_file(path, size, crop, align, max_pixels)[0]


def decode_faces(
    path: Path, size: int, crop: Crop = "center", max_pixels: float = MAX_PIXELS
) -> list[DecodedImage]:
    """Read one image file like `decode_image`, and align each of its faces.

    Their hashes have the beginning in common, by which images are divided among splits.

    Args:
        path: Image file.
        size: Side of the results in pixels.
        crop: Square of the aligned images to keep.
        max_pixels: Maximum number of pixels to decode, see `decode_content`.

    Returns:
        One image a face, from left to right, see `align_faces`; at least one.

    Raises:
        Rejection: The file can't be read or decoded, or has no face; the message is the reason.
        GanvasError: The face detector is not installed.
    """
    return _decode_file(path, size, crop, "all_faces", max_pixels)


def _decode_file(
    path: Path, size: int, crop: Crop, align: Align, max_pixels: float
) -> list[DecodedImage]:
    content = _read(path)
    try:
        images, is_guess = _decode_content(content, size, crop, align, None, max_pixels)
    except Rejection as rejection:
        raise Rejection(rejection.with_hint) from rejection
    hashes = [hashlib.blake2b(content, digest_size=16).hexdigest()]
    if align == "all_faces":
        hashes = [_hash_face(hashes[0], number) for number in range(1, len(images) + 1)]
    decoded = []
    for pixels, content_hash in zip(images, hashes, strict=True):
        notes = {GUESSED_RANGE: is_guess, ONE_LEVEL: _measure_contrast(pixels) < MIN_CONTRAST}
        note = " ".join(note for note in notes if notes[note])
        decoded.append(DecodedImage(pixels, content_hash, note))
    return decoded


def _hash_face(content_hash: str, number: int) -> str:
    end = hashlib.blake2b(f"{content_hash} {number}".encode(), digest_size=12).hexdigest()
    return content_hash[:8] + end


def decode_content(
    content: bytes,
    size: int,
    crop: Crop = "center",
    align: Align = "none",
    formats: tuple[str, ...] | None = None,
    most: float = MAX_PIXELS,
) -> np.ndarray:
    """Decode the bytes of an image file like `decode_image`.

    Args:
        content: Content of the file.
        size: Side of the result in pixels.
        crop: Square to keep.
        align: Whether to align faces.
        formats: Pillow's names of the allowed formats; None: all image formats that it decodes.
        most: Maximum number of pixels to decode; a large JPEG or JPEG 2000 file is decoded to
            fewer than it has.

    Returns:
        uint8 of shape (size, size, 3).

    Raises:
        Rejection: The file can't be decoded or has no face; the message is the reason.
    """
    return _decode_content(content, size, crop, align, formats, most)[0][0]


def _decode_content(
    content: bytes,
    size: int,
    crop: Crop,
    align: Align,
    formats: tuple[str, ...] | None,
    max_pixels: float,
) -> tuple[list[np.ndarray], bool]:
    """Return the pixels of one image or of all faces, and whether their range was guessed."""
    try:
        source = _open(content, formats)
        _reduce(source, content, size, align, max_pixels)
        loaded, is_guess = load_8_bits(source, lambda: _open(content, formats))
        # Profile and orientation are those of the file, which a scaled image has not.
        image = _to_srgb(_rotate_upright(loaded, source), source.info.get("icc_profile"))
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
    images = [image]
    if align == "faces":
        images = [face for face in [align_face(image)] if face is not None]
    elif align == "all_faces":
        images = align_faces(image, size)
    if not images:
        raise Rejection("no face")
    return [np.asarray(crop_square(image, size, crop)) for image in images], is_guess


def _measure_contrast(pixels: np.ndarray) -> float:
    step = max(1, len(pixels) // CONTRAST_SIDE)
    low, high = np.quantile(pixels[::step, ::step], (0.02, 0.98))
    return float(high - low)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise Rejection(f"{UNREADABLE}: {error.strerror or error}") from error


def _open(content: bytes, formats: tuple[str, ...] | None) -> Image.Image:
    """Open an image of any size, which `_reduce` judges."""
    names = [name for name in supported_formats() if formats is None or name in formats]
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


def _reduce(image: Image.Image, content: bytes, size: int, align: Align, max_pixels: float) -> None:
    """Choose the scale at which an opened image is decoded, if its format has several.

    Raises:
        Rejection: It is too small, or too large even so.
    """
    check_whole_image(image)
    if min(image.size) < MIN_SIDE:
        raise Rejection(f"too small: {image.width}×{image.height} pixels")
    pixels = image.width * image.height
    if pixels > max(MAX_PROGRESSIVE_PIXELS, 2 * max_pixels) and _is_progressive(image, content):
        raise _too_large(pixels, max(MAX_PROGRESSIVE_PIXELS, 2 * max_pixels), "progressive ")
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > MAX_SCANS:
        raise Rejection(f"a JPEG of more than {MAX_SCANS} scans: save it again")
    draft = (size * DRAFT_FACTOR, size * DRAFT_FACTOR)
    if align != "none":
        scale = (FACE_DRAFT if align == "faces" else GROUP_DRAFT) / max(image.size)
        draft = (math.ceil(image.width * scale), math.ceil(image.height * scale))
    if isinstance(image, Jpeg2KImageFile) and pixels > max_pixels:
        factor = min(width // wanted for width, wanted in zip(image.size, draft, strict=True))
        levels = min(JPEG_2000_LEVELS, max(factor, 1).bit_length() - 1)
        image.reduce = levels
        pixels >>= 2 * levels
    else:
        image.draft("RGB", draft)
        pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(pixels, max_pixels)


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


def _rotate_upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of the source; an unreadable one counts as upright.

    Pillow's `exif_transpose` also rewrites the EXIF, which fails on malformed tags.
    """
    try:
        method = EXIF_TRANSPOSE.get(source.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises all kinds of errors
        logger.debug("Ignoring an EXIF header that can't be read.")
        return image
    return image if method is None else image.transpose(method)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB by the color profile, or to RGB if there is no usable one."""
    # Profiles of CMYK and grayscale images apply to their own mode, others to RGB.
    image = image if profile and image.mode in ("CMYK", "L") else _to_rgb(image)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            image = cast(Image.Image, converted)  # None only with inPlace=True
        except (ImageCms.PyCMSError, OSError, ValueError):
            logger.debug("Ignoring a color profile that can't be used.")
    return image.convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        lab, srgb = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
        image = cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def crop_square(image: Image.Image, size: int, crop: Crop) -> Image.Image:
    """Crop an image to a square and resize it; the size may be that which it has."""
    if crop == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, color="white")
    # Not rounded: half a pixel of an image decoded at an eighth is four of the original.
    side = min(image.size)
    offset = 0.5 if crop == "center" else _find_detail(image)
    left, top = (image.width - side) * offset, (image.height - side) * offset
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)


def _find_detail(image: Image.Image) -> float:
    """Return the offset along the longer side, from 0 to 1, of the square with most edges."""
    image = image.convert("L")
    image.thumbnail((DETAIL_SIDE, DETAIL_SIDE))
    levels = np.asarray(image, dtype=np.float64)
    levels = levels if image.width > image.height else levels.T
    if levels.shape[0] < 2 or levels.shape[0] == levels.shape[1]:
        return 0.5
    edges = sum(np.abs(gradient) for gradient in np.gradient(levels)).sum(0)
    side = min(image.size)
    windows = np.convolve(edges, np.ones(side), mode="valid")
    if windows.max() == 0:
        return 0.5
    offsets = np.arange(len(windows)) - (len(windows) - 1) / 2
    # Among squares with similar detail, prefer the one nearest the center.
    best = np.argmax(windows / windows.max() - 0.02 * np.abs(offsets) / side)
    return float(best / (len(windows) - 1))
