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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Rejection(f"can't be read: {error.strerror or error}") from error
    if not content:
        raise Rejection("empty file")
    square = _decode_square(content, size)
    pixels = np.asarray(square.resize((size, size), Image.Resampling.LANCZOS), dtype=np.uint8)
    return pixels, hashlib.blake2b(content, digest_size=16).hexdigest()


def _decode_square(content: bytes, size: int) -> Image.Image:
    try:
        # Pillow only warns about a picture of suspicious size; decoding it could fill the memory.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            if min(picture.size) < MIN_SIDE:
                raise Rejection(f"too small: {picture.width}×{picture.height} pixels")
            picture.draft("RGB", (size * DRAFT_FACTOR, size * DRAFT_FACTOR))
            picture.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Rejection("too large to decode safely") from error
    except UnidentifiedImageError as error:
        raise Rejection("not an image") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow's codecs raise all of these for files that end early or hold garbage.
        reason = "truncated" if "truncated" in str(error) else f"damaged: {error}"
        raise Rejection(reason) from error
    return _crop_centre(_to_rgb(ImageOps.exif_transpose(picture)))


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


def _crop_centre(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))
