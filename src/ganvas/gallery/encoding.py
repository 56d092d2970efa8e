"""Pictures as files for the web."""

import io
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.visualization.animation import SHOWN, encode_webp
from ganvas.visualization.image_grid import make_grid

# Painted pixels hardly repeat: looking for runs alone is faster than looking for more, and files
# are no larger.
EFFORT = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def encode_png(pixels: np.ndarray, facts: dict[str, object] | None = None) -> bytes:
    """Encode uint8 pixels (H, W, 3) as PNG, with facts as text beside them."""
    info = PngInfo()
    for key, value in (facts or {}).items():
        if value is not None:
            info.add_itxt(key, str(value))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info, **EFFORT)
    return buffer.getvalue()


def encode_still(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels (H, W, 3) as WebP without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


def encode_strip(pictures: np.ndarray, facts: dict[str, object]) -> bytes:
    """Encode pictures, uint8 (n, H, W, 3), side by side as PNG."""
    return encode_png(make_grid(pictures, len(pictures), gap=0), facts)


def encode_film(pictures: np.ndarray) -> bytes:
    """Encode pictures, uint8 (n, H, W, 3), as an animated WebP, there and back without an end."""
    return encode_webp(np.concatenate([pictures, pictures[-2:0:-1]]), last=SHOWN)
