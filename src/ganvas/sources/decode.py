"""From a picture file to a square of pixels."""

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# JPEG files can be decoded at a half, a quarter or an eighth of their size; twice the target
# leaves Lanczos enough to work with.
DRAFT_FACTOR = 2
MIN_SIDE = 8
# A decoded pixel takes three bytes or more, and several pictures are decoded at once.
MAX_PIXELS = 90_000_000
TOO_LARGE = "too large to decode safely"
# Pillow's own warning comes below its own limit; here such a picture is rejected and listed.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Rejection(Exception):  # noqa: N818 - it is an answer about a picture, not a failure
    """The reason, in a few words, why a file can't become part of a collection."""


def decode_picture(path: Path, size: int) -> tuple[np.ndarray, str]:
    """Read one picture, turn it upright, crop its centre square and resize it.

    Greyscale, palette, CMYK and 16-bit pictures become RGB, transparent parts white, and the
    EXIF orientation is applied. Of an animation the first frame is taken.

    Args:
        path: The picture file.
        size: Side of the result in pixels.

    Returns:
        The pixels, uint8 of shape (size, size, 3), and a hash of the file's content.

    Raises:
        Rejection: The file can't be used; the message is the reason.
    """
    content = _read(path)
    try:
        picture = _to_rgb(ImageOps.exif_transpose(_decode(content, size)))
    except Rejection:
        raise
    except UnidentifiedImageError as error:
        raise Rejection("not an image") from error
    except Image.DecompressionBombError as error:
        raise Rejection(TOO_LARGE) from error
    except Exception as error:
        # Pillow's codecs raise whatever they stumble over in files that hold garbage, and no
        # single file may stop a run.
        reason = "truncated" if "truncated" in str(error) else f"damaged: {error}"
        raise Rejection(reason) from error
    square = picture.resize((size, size), Image.Resampling.LANCZOS, box=_centre_box(picture))
    return np.asarray(square), hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(path: Path) -> bytes:
    # Reading a pipe would wait for ever.
    if path.exists() and not path.is_file():
        raise Rejection("not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Rejection(f"can't be read: {error.strerror or error}") from error
    if not content:
        raise Rejection("empty file")
    return content


def _decode(content: bytes, size: int) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    if picture.width * picture.height > MAX_PIXELS:
        raise Rejection(TOO_LARGE)
    if min(picture.size) < MIN_SIDE:
        raise Rejection(f"too small: {picture.width}×{picture.height} pixels")
    picture.draft("RGB", (size * DRAFT_FACTOR, size * DRAFT_FACTOR))
    picture.load()
    return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # Pillow would clip 16-bit grey levels to 255 instead of scaling them.
        levels = np.asarray(picture).astype(np.float64) / 257
        picture = Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _centre_box(picture: Image.Image) -> tuple[float, float, float, float]:
    # In fractions of a pixel: of a picture decoded at an eighth, half a pixel is four.
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    return left, top, left + side, top + side
