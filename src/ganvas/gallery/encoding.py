"""Image files for the web."""

import io
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.visualization.image_grid import FRAME_MS as SHOWN
from ganvas.visualization.image_grid import encode_webp, make_grid

# Generated pixels rarely repeat: run-length encoding is faster, and files are no larger.
COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def encode_png(image: np.ndarray, metadata: dict[str, object] | None = None) -> bytes:
    """Encode an image, uint8 (H, W, 3), as PNG with metadata as text chunks."""
    info = PngInfo()
    for key, value in (metadata or {}).items():
        if value is not None:
            info.add_itxt(key, str(value))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", pnginfo=info, **COMPRESSION)
    return buffer.getvalue()


def encode_lossless_webp(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W, 3), as lossless WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


def encode_strip(images: np.ndarray, metadata: dict[str, object]) -> bytes:
    """Encode images, uint8 (n, H, W, 3), side by side as one PNG."""
    return encode_png(make_grid(images, len(images), gap=0), metadata)


def encode_animation(images: np.ndarray) -> bytes:
    """Encode images, uint8 (n, H, W, 3), as an animated WebP that plays forward and backward."""
    return encode_webp(np.concatenate([images, images[-2:0:-1]]), last=SHOWN)
