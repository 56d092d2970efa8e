"""Pictures as files for the web."""

import base64
import io
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

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


def in_base64(content: bytes) -> str:
    """Write bytes in base64."""
    return base64.b64encode(content).decode()


def as_address(png: bytes) -> str:
    """Give the address of a PNG that holds itself."""
    return f"data:image/png;base64,{in_base64(png)}"
