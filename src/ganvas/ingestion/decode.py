"""Decode an image file to a square RGB array."""

import hashlib
import io
import logging
import math
import stat
import warnings
from functools import cache
from pathlib import Path
from typing import Literal, cast

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from ganvas.ingestion.face_alignment import align_face
from ganvas.ingestion.file_index import NON_IMAGE_FORMATS

logger = logging.getLogger(__name__)

# JPEG files can be decoded at a half, a quarter or an eighth of their size; three times the target
# size stays within 1.5 gray levels of full decoding (benchmarks/ingest.py).
DRAFT_FACTOR = 3
# Faces are detected on 1024 pixels and may be a small part of the image: twice that keeps detail.
FACE_DRAFT = 2048
MIN_SIDE = 8
# Longer side of the thumbnail in which the smart crop looks for detail.
DETAIL_SIDE = 96
# A decoded pixel takes at least three bytes, and several images are decoded at once.
MAX_PIXELS = 90_000_000
TOO_LARGE = "too large to decode safely"
# Reasons that begin so may be temporary, such as a file of a disconnected disk.
UNREADABLE = "can't be read"
# MAX_PIXELS of four 16-bit channels take 720 MB uncompressed. Files are read as a whole, so a
# video or a disk image would fill the memory.
MAX_BYTES = 2**30
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
# Pillow warns below its own limit; such images are rejected and listed here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


Crop = Literal["center", "smart", "pad"]
Align = Literal["none", "faces"]


class Rejection(Exception):  # noqa: N818 - a result for one file, not a failure
    """The reason, in a few words, why a file is rejected."""


def decode_image(
    path: Path, size: int, crop: Crop = "center", align: Align = "none"
) -> tuple[np.ndarray, str]:
    """Read one image file, rotate it upright, crop it to a square and resize it.

    Grayscale, palette, CMYK and 16-bit images are converted to RGB, color profiles to sRGB, and
    transparent parts to white. The EXIF orientation is applied. Of an animation, the first frame
    is used.

    Args:
        path: Image file.
        size: Side of the result in pixels.
        crop: Square to keep: the center, the one with most detail (smart), or the whole image
            padded with white (pad).
        align: none, or faces: align the largest face first, as in CelebA, to 178×218 pixels.

    Returns:
        Pixels, uint8 of shape (size, size, 3), and a hash of the file's content.

    Raises:
        Rejection: The file can't be decoded or has no face; the message is the reason.
        GanvasError: The face detector is not installed.

    Example:
        >>> pixels, content_hash = decode_image(Path("photo.jpg"), size=64, crop="smart")
        >>> pixels.shape
        (64, 64, 3)
    """
    content = _read(path)
    pixels = decode_content(content, size, crop, align)
    return pixels, hashlib.blake2b(content, digest_size=16).hexdigest()


def decode_content(
    content: bytes,
    size: int,
    crop: Crop = "center",
    align: Align = "none",
    formats: tuple[str, ...] | None = None,
    most: int = MAX_PIXELS,
) -> np.ndarray:
    """Decode the bytes of an image file like `decode_image`.

    Args:
        content: Content of the file.
        size: Side of the result in pixels.
        crop: Square to keep.
        align: Whether to align faces.
        formats: Pillow's names of the allowed formats; None: all image formats that it decodes.
        most: Maximum number of pixels to decode; a large JPEG file is decoded to fewer than it
            has.

    Returns:
        uint8 of shape (size, size, 3).

    Raises:
        Rejection: The file can't be decoded or has no face; the message is the reason.
    """
    try:
        image = _to_srgb(_rotate_upright(_decode(content, size, align, formats, most)))
    except Rejection:
        raise
    except UnidentifiedImageError as error:
        raise Rejection("not an image") from error
    except Image.DecompressionBombError as error:
        raise Rejection(TOO_LARGE) from error
    except MemoryError as error:
        raise Rejection("too large for this machine's memory") from error
    except Exception as error:
        # Pillow's codecs raise all kinds of errors on corrupt files, and no file may stop a run.
        reason = "truncated" if "truncated" in str(error) else f"damaged: {error}"
        raise Rejection(reason) from error
    if align == "faces":
        face = align_face(image)
        if face is None:
            raise Rejection("no face")
        image = face
    return np.asarray(_crop_square(image, size, crop))


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Rejection("a folder that can't be listed, or a link to one")
        # Reading a pipe would block forever.
        if not stat.S_ISREG(status.st_mode):
            raise Rejection("not a file")
        if status.st_size > MAX_BYTES:
            raise Rejection(f"too large to read: {status.st_size} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise Rejection(f"{UNREADABLE}: {error.strerror or error}") from error
    if not content:
        raise Rejection("empty file")
    return content


def _decode(
    content: bytes, size: int, align: Align, formats: tuple[str, ...] | None, max_pixels: int
) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=formats or _list_formats())
    if image.width * image.height > MAX_PIXELS:
        raise Rejection(TOO_LARGE)
    if min(image.size) < MIN_SIDE:
        raise Rejection(f"too small: {image.width}×{image.height} pixels")
    draft = (size * DRAFT_FACTOR, size * DRAFT_FACTOR)
    if align == "faces":
        scale = FACE_DRAFT / max(image.size)
        draft = (math.ceil(image.width * scale), math.ceil(image.height * scale))
    image.draft("RGB", draft)
    if image.width * image.height > max_pixels:
        raise Rejection(f"too large: more than {max_pixels / 1e6:g} megapixels")
    image.load()
    return image


@cache
def _list_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in NON_IMAGE_FORMATS)


def _rotate_upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; an image whose EXIF can't be read counts as upright.

    Pillow's `exif_transpose` also rewrites the EXIF, which fails on malformed tags.
    """
    try:
        method = EXIF_TRANSPOSE.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises all kinds of errors
        logger.debug("Ignoring an EXIF header that can't be read.")
        return image
    return image if method is None else image.transpose(method)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert to sRGB by the color profile, or to RGB if there is no usable one."""
    profile = image.info.get("icc_profile")
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
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit levels to 255 instead of scaling them.
        levels = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _crop_square(image: Image.Image, size: int, crop: Crop) -> Image.Image:
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
