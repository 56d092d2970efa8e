"""From an image file to a square of pixels."""

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
from ganvas.ingestion.file_index import NO_IMAGES

logger = logging.getLogger(__name__)

# JPEG files can be decoded at a half, a quarter or an eighth of their size; three times the target
# keeps within 1.5 gray levels of decoding them whole (benchmarks/ingest.py).
DRAFT_FACTOR = 3
# A face is looked for on 1024 pixels and may be a small part of them: twice that keeps its detail.
FACE_DRAFT = 2048
MIN_SIDE = 8
# Longer side of the miniature on which detail is looked for.
DETAIL_SIDE = 96
# A decoded pixel takes three bytes or more, and several images are decoded at once.
MAX_PIXELS = 90_000_000
TOO_LARGE = "too large to decode safely"
# What is no fault of the file, and may pass.
REFUSED = "can't be read"
# MAX_PIXELS of four channels of 16 bits take 720 MB uncompressed. Files are read whole, which would
# take all memory for a film or a disk's image.
MAX_BYTES = 2**30
# What to do to an image of each EXIF orientation; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's own warning comes below its own limit; here such an image is rejected and listed.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


Crop = Literal["center", "smart", "pad"]
Align = Literal["none", "faces"]


class Rejection(Exception):  # noqa: N818 - it is an answer about an image, not a failure
    """The reason, in a few words, why a file can't become part of a collection."""


def decode_image(
    path: Path, size: int, crop: Crop = "center", align: Align = "none"
) -> tuple[np.ndarray, str]:
    """Read one image, turn it upright, make it square and resize it.

    Grayscale, palette, CMYK and 16-bit images become RGB, color profiles are converted to
    sRGB, transparent parts become white, and the EXIF orientation is applied. Of an animation the
    first frame is taken.

    Args:
        path: The image file.
        size: Side of the result in pixels.
        crop: The square to keep: the center, the one with most detail in it (smart), or all of
            the image on white (pad).
        align: none, or faces: the largest face is first laid as CelebA's aligned images show
            theirs, on 178×218 pixels, of which the square is taken.

    Returns:
        The pixels, uint8 of shape (size, size, 3), and a hash of the file's content.

    Raises:
        Rejection: The file can't be used or has no face; the message is the reason.
        GanvasError: The package that finds faces is not installed.
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
    """Decode what an image file holds, as `decode_image` does.

    Args:
        content: The file's bytes.
        size: Side of the result in pixels.
        crop: The square to keep.
        align: Whether faces are looked for.
        formats: Pillow's names of the formats that are admitted; None: all that are images and
            that it reads by itself.
        most: The most pixels that are decoded; of a large JPEG file they are fewer than it has.

    Returns:
        uint8 of shape (size, size, 3).

    Raises:
        Rejection: The file can't be used or has no face; the message is the reason.
    """
    try:
        image = _to_srgb(_turn_upright(_decode(content, size, align, formats, most)))
    except Rejection:
        raise
    except UnidentifiedImageError as error:
        raise Rejection("not an image") from error
    except Image.DecompressionBombError as error:
        raise Rejection(TOO_LARGE) from error
    except MemoryError as error:
        raise Rejection("too large for this machine's memory") from error
    except Exception as error:
        # Pillow's codecs raise whatever they stumble over in files that hold garbage, and no
        # single file may stop a run.
        reason = "truncated" if "truncated" in str(error) else f"damaged: {error}"
        raise Rejection(reason) from error
    if align == "faces":
        face = align_face(image)
        if face is None:
            raise Rejection("no face")
        image = face
    return np.asarray(_square(image, size, crop))


def _read(path: Path) -> bytes:
    try:
        facts = path.stat()
        # Reading a pipe would wait for ever.
        if stat.S_ISDIR(facts.st_mode):
            raise Rejection("a folder that can't be listed, or a link to one")
        if not stat.S_ISREG(facts.st_mode):
            raise Rejection("not a file")
        if facts.st_size > MAX_BYTES:
            raise Rejection(f"too large to read: {facts.st_size} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise Rejection(f"{REFUSED}: {error.strerror or error}") from error
    if not content:
        raise Rejection("empty file")
    return content


def _decode(
    content: bytes, size: int, align: Align, formats: tuple[str, ...] | None, most: int
) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=formats or _list_formats())
    if image.width * image.height > MAX_PIXELS:
        raise Rejection(TOO_LARGE)
    if min(image.size) < MIN_SIDE:
        raise Rejection(f"too small: {image.width}×{image.height} pixels")
    draft = (size * DRAFT_FACTOR, size * DRAFT_FACTOR)
    if align == "faces":
        share = FACE_DRAFT / max(image.size)
        draft = (math.ceil(image.width * share), math.ceil(image.height * share))
    image.draft("RGB", draft)
    if image.width * image.height > most:
        raise Rejection(f"too large: more than {most / 1e6:g} megapixels")
    image.load()
    return image


@cache
def _list_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_IMAGES)


def _turn_upright(image: Image.Image) -> Image.Image:
    """Turn an image by its EXIF orientation; one whose EXIF can't be read counts as upright.

    Pillow's own `exif_transpose` also writes the EXIF anew, at which odd tags make it fail.
    """
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever Pillow stumbles over
        logger.debug("An EXIF header that can't be read is left out of account.")
        return image
    return image if turn is None else image.transpose(turn)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert to RGB by the image's own color profile, or plainly where it has none of use."""
    profile = image.info.get("icc_profile")
    # A profile of ink or of gray levels knows nothing of RGB.
    image = image if profile and image.mode in ("CMYK", "L") else _to_rgb(image)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            # A copy is asked for, so there is one.
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            image = cast(Image.Image, converted)
        except (ImageCms.PyCMSError, OSError, ValueError):
            logger.debug("A color profile that can't be used is left out of account.")
    return image.convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit gray levels to 255 instead of scaling them.
        levels = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _square(image: Image.Image, size: int, crop: Crop) -> Image.Image:
    if crop == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, color="white")
    # In fractions of a pixel: of an image decoded at an eighth, half a pixel is four.
    side = min(image.size)
    share = 0.5 if crop == "center" else _find_detail(image)
    left, top = (image.width - side) * share, (image.height - side) * share
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)


def _find_detail(image: Image.Image) -> float:
    """Where along the longer side, from 0 to 1, a square holds most edges."""
    image = image.convert("L")
    image.thumbnail((DETAIL_SIDE, DETAIL_SIDE))
    levels = np.asarray(image, dtype=np.float64)
    levels = levels if image.width > image.height else levels.T
    if levels.shape[0] < 2 or levels.shape[0] == levels.shape[1]:
        # A line has no edges to look at across, a square nowhere else to go.
        return 0.5
    edges = sum(np.abs(slope) for slope in np.gradient(levels)).sum(0)
    side = min(image.size)
    windows = np.convolve(edges, np.ones(side), mode="valid")
    if windows.max() == 0:
        return 0.5
    offsets = np.arange(len(windows)) - (len(windows) - 1) / 2
    # Of squares with about as much in them, the one nearest the center.
    best = np.argmax(windows / windows.max() - 0.02 * np.abs(offsets) / side)
    return float(best / (len(windows) - 1))
