"""Image files for the web."""

import io
from functools import partial

import numpy as np
from PIL import Image

from ganvas.visualization import image_grid

# Images are encoded again for every request, so compression must be fast.
encode_png = partial(image_grid.encode_png, fast=True)


def encode_lossless_webp(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W, 3), as lossless WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


def encode_strip(images: np.ndarray, metadata: dict[str, object]) -> bytes:
    """Encode images, uint8 (n, H, W, 3), side by side as one PNG."""
    return encode_png(image_grid.make_grid(images, len(images), gap=0), metadata)


def encode_animation(images: np.ndarray) -> bytes:
    """Encode images, uint8 (n, H, W, 3), as an animated WebP that plays forward and backward."""
    return image_grid.encode_webp(
        np.concatenate([images, images[-2:0:-1]]), last=image_grid.FRAME_MS
    )
