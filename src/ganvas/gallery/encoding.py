"""Image files for the web."""

import io
from functools import partial
from typing import Literal

import numpy as np
from PIL import Image

from ganvas.channels import to_rgb
from ganvas.visualization import image_grid
from ganvas.visualization.reduced_images import as_pillow

Format = Literal["png", "webp", "jpeg"]
MEDIA_TYPES: dict[str, str] = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
FILM_TYPES = {
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "zip": "application/zip",
}
# NumPy has registered no type for .npy files.
NPY = "application/octet-stream"
# Longer sides in pixels of images that are scaled down: of a page's many images, of the player of
# an interpolation, and of images in animations, strips and the game.
THUMBNAIL_SIDE, PLAYER_SIDE, FILM_SIDE = 256, 384, 512
THUMBNAIL_QUALITY, JPEG_QUALITY = 80, 92
# The format's limit.
MAX_WEBP_SIDE = 16_383

# Images are encoded again for every request, so compression must be fast.
encode_png = partial(image_grid.encode_png, fast=True)


def scale_down(image: np.ndarray, side: int) -> np.ndarray:
    """Scale an image, uint8 (H, W, C), down to a longer side of at most `side` pixels.

    Example:
        >>> scale_down(np.zeros((96, 64, 4), np.uint8), 48).shape
        (48, 32, 4)
    """
    height, width, channels = image.shape
    if max(height, width) <= side:
        return image
    smaller = as_pillow(image)
    # Pillow weights colors by their alpha.
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(smaller).reshape(smaller.height, smaller.width, channels)


def scale_all_down(images: np.ndarray, side: int) -> np.ndarray:
    """Scale images, uint8 (n, H, W, C), down to a longer side of at most `side` pixels."""
    if max(images.shape[1:3]) <= side:
        return images
    return np.stack([scale_down(image, side) for image in images])


def encode_image(
    image: np.ndarray, kind: Format, side: int, metadata: dict[str, object] | None = None
) -> bytes:
    """Encode an image, uint8 (H, W, C).

    Args:
        image: Gray images stay gray, and transparent ones transparent, but for JPEG.
        kind: png, with the metadata; webp, lossless unless the image is scaled down; or jpeg, with
            transparent images composited on white.
        side: Longer side in pixels to which larger images are scaled down.
        metadata: Text fields of a PNG file.
    """
    smaller = scale_down(image, side)
    if kind == "png":
        return encode_png(smaller, metadata)
    if kind == "jpeg":
        return encode_jpeg(smaller)
    return encode_lossless_webp(image) if smaller is image else encode_lossy_webp(smaller)


def encode_lossless_webp(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W, C), as lossless WebP, colors of transparent pixels included."""
    return _encode_webp(image, lossless=True, exact=True, quality=0, method=0)


def encode_lossy_webp(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W, C), as lossy WebP, such as a thumbnail."""
    return _encode_webp(image, quality=THUMBNAIL_QUALITY, method=2)


def encode_jpeg(image: np.ndarray) -> bytes:
    """Encode an image, uint8 (H, W, C), as JPEG; a transparent one is composited on white."""
    buffer = io.BytesIO()
    shown = to_rgb(image) if image.shape[-1] == 4 else image
    as_pillow(shown).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def make_grid(images: np.ndarray, columns: int, gap: int = image_grid.GAP) -> np.ndarray:
    """Arrange images row by row, each with all of its pixels and channels.

    Args:
        images: uint8 of shape (n, H, W, C).
        columns: Images per row.
        gap: Pixels between images and around them: white, or transparent if images have alpha.

    Returns:
        uint8 of shape (H', W', C).
    """
    if images.shape[-1] == 4:
        # Gaps have the highest level, which becomes the lowest one.
        return 255 - image_grid.make_grid(255 - images, columns, gap)
    return image_grid.make_grid(images, columns, gap)


def encode_strip(images: np.ndarray, metadata: dict[str, object]) -> bytes:
    """Encode images, uint8 (n, H, W, C), side by side as one PNG, scaled down to `FILM_SIDE`."""
    images = scale_all_down(images, FILM_SIDE)
    return encode_png(make_grid(images, len(images), gap=0), metadata)


def encode_animation(images: np.ndarray) -> bytes:
    """Encode images, uint8 (n, H, W, C), as an animated WebP that plays forward and backward.

    Frames are scaled down to `FILM_SIDE`.
    """
    images = scale_all_down(images, FILM_SIDE)
    # WebP has no gray images.
    images = to_rgb(images) if images.shape[-1] == 1 else images
    return image_grid.encode_webp(
        np.concatenate([images, images[-2:0:-1]]), last=image_grid.FRAME_MS
    )


def _encode_webp(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    as_pillow(image).save(buffer, "WEBP", **options)
    return buffer.getvalue()
