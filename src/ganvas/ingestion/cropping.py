"""Crop images to an aspect ratio and resize them, with or without transparency."""

from typing import Literal

import numpy as np
from PIL import Image

from ganvas.channels import WHITE
from ganvas.ingestion.color_conversion import Color, composite
from ganvas.ingestion.resizing import Box, resize

Crop = Literal["center", "smart", "pad", "stretch"]

# Longer side of the thumbnail in which the smart crop looks for detail.
DETAIL_SIDE = 96
# Detail of white and of black shapes on a transparent ground is seen before this color.
MIDDLE_GRAY = (128, 128, 128)


def crop_image(
    image: Image.Image,
    size: tuple[int, int],
    crop: Crop = "center",
    background: Color = WHITE,
    area: Box | None = None,
) -> Image.Image:
    """Crop an image to the aspect ratio of a size, and resize it to that.

    Args:
        image: Image of mode L, RGB or RGBA with straight alpha.
        size: Width and height of the result in pixels.
        crop: Part to keep: the largest box of the aspect ratio in the center, or that with most
            detail (smart); the whole image within the size, padded (pad); or the whole image
            without its aspect ratio (stretch).
        background: Color of the padding, which is transparent in RGBA, and of fully transparent
            pixels.
        area: The part of the image that is cropped; None: all of it. A larger image shows a little
            more than the original where it was decoded at a fraction of its size.

    Returns:
        An image of the same mode.

    Example:
        >>> crop_image(Image.new("RGB", (300, 200)), (64, 96), "smart").size
        (64, 96)
    """
    area = area or (0, 0, *image.size)
    if crop == "stretch":
        return resize_any(image, size, area, background)
    whole_width, whole_height = area[2] - area[0], area[3] - area[1]
    if crop == "pad":
        return _pad(image, size, background, area)
    # Not rounded: half a pixel of an image decoded at an eighth is four of the original.
    width = min(whole_width, whole_height * size[0] / size[1])
    height = min(whole_height, whole_width * size[1] / size[0])
    offset = 0.5 if crop == "center" else _find_detail(image, size)
    left = area[0] + (whole_width - width) * offset
    top = area[1] + (whole_height - height) * offset
    # Sums of floats may exceed the image by a tiny part of a pixel, which Pillow refuses.
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    return resize_any(image, size, box, background)


def measure_enlargement(original: tuple[int, int], size: tuple[int, int], crop: Crop) -> float:
    """Return how many times larger an image is shown than it is; below 1, how much it is reduced.

    Args:
        original: Width and height of the image in pixels.
        size: Width and height to which it is cropped and resized.
        crop: Part that is kept; of stretched images the larger of both factors counts.

    Example:
        >>> measure_enlargement((100, 50), (64, 96), "center")
        1.92
    """
    factors = [wanted / given for wanted, given in zip(size, original, strict=True)]
    return min(factors) if crop == "pad" else max(factors)


def unstretch(images: np.ndarray, aspect: float) -> np.ndarray:
    """Return images that `stretch` has resized, or generated ones like them, in their aspect ratio.

    One side is enlarged and the other one kept, so that no pixel is lost.

    Args:
        images: uint8 of shape (N, H, W, C), C = 1, 3 or 4.
        aspect: Width divided by height before they were stretched, such as `aspect` in the manifest
            of a collection: the median of its images.

    Returns:
        uint8 of shape (N, H', W', C) with W' / H' near `aspect`.

    Example:
        >>> unstretch(np.zeros((8, 64, 64, 3), np.uint8), aspect=1.5).shape
        (8, 64, 96, 3)
    """
    height, width, channels = images.shape[1:]
    size = width, max(1, round(width / aspect))
    if aspect > width / height:
        size = max(1, round(height * aspect)), height
    result = np.empty((len(images), size[1], size[0], channels), np.uint8)
    for number, pixels in enumerate(images):
        result[number] = to_pixels(resize_any(to_image(pixels), size))
    return result


def to_image(pixels: np.ndarray) -> Image.Image:
    """Return an array of shape (H, W, C), C = 1, 3 or 4, as an image of mode L, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def to_pixels(image: Image.Image) -> np.ndarray:
    """Return an image of mode L, RGB or RGBA as an array of shape (H, W, C)."""
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def resize_any(
    image: Image.Image,
    size: tuple[int, int],
    box: Box | None = None,
    background: Color = WHITE,
) -> Image.Image:
    """Resize an image of mode L, RGB or RGBA, or a part of it.

    The color of transparent pixels counts by their alpha, so that shapes get no fringe of the color
    that lies hidden around them.

    Args:
        image: The image; its alpha is straight.
        size: Width and height of the result in pixels.
        box: Left, top, right and lower edge of the part in pixels of the image; None: all of it.
        background: Color of the fully transparent pixels of the result.
    """
    if image.mode != "RGBA":
        return resize(image, size, box)
    if image.getchannel(3).getextrema() == (255, 255):
        resized = resize(image.convert("RGB"), size, box)
        resized.putalpha(255)
        return resized
    # In floats, since 8 bits hold few levels of a color that is multiplied by a low alpha. One
    # channel at a time, since an image may have 90 megapixels.
    opacity = _to_float(image, 3) / 255
    alpha = np.asarray(resize(Image.fromarray(opacity), size, box))
    pixels = np.empty((size[1], size[0], 4), np.uint8)
    pixels[..., 3] = np.rint(alpha.clip(0, 1) * 255)
    visible = pixels[..., 3] > 0
    for channel in range(3):
        premultiplied = Image.fromarray(_to_float(image, channel) * opacity)
        # Of an alpha above 1, where the filter overshoots, all of it: a plain shape stays plain.
        levels = np.asarray(resize(premultiplied, size, box)) / np.maximum(alpha, 1e-6)
        levels = np.rint(levels.clip(0, 255))
        pixels[..., channel] = np.where(visible, levels, background[channel])
    return Image.fromarray(pixels)


def _to_float(image: Image.Image, channel: int) -> np.ndarray:
    return np.asarray(image.getchannel(channel), np.float32)


def _pad(image: Image.Image, size: tuple[int, int], background: Color, area: Box) -> Image.Image:
    inner = size
    width, height = area[2] - area[0], area[3] - area[1]
    if width * size[1] > height * size[0]:
        inner = size[0], max(1, round(height / width * size[0]))
    elif width * size[1] < height * size[0]:
        inner = max(1, round(width / height * size[1])), size[1]
    resized = resize_any(image, inner, area, background)
    if inner == size:
        return resized
    if image.mode == "RGBA":
        padded = Image.new("RGBA", size, (*background, 0))
    else:
        padded = Image.new("RGB", size, background).convert(image.mode)
    padded.paste(resized, (round((size[0] - inner[0]) / 2), round((size[1] - inner[1]) / 2)))
    return padded


def _find_detail(image: Image.Image, size: tuple[int, int]) -> float:
    """Return the offset along the side that is cut, from 0 to 1, of the box with most edges."""
    is_cut_in_width = image.width * size[1] > image.height * size[0]
    image = composite(image, MIDDLE_GRAY).convert("L")
    image.thumbnail((DETAIL_SIDE, DETAIL_SIDE))
    levels = np.asarray(image, dtype=np.float64)
    # The side that is cut is last, and so is that of the aspect ratio.
    levels, aspect = (levels, size) if is_cut_in_width else (levels.T, size[::-1])
    side = max(1, round(levels.shape[0] * aspect[0] / aspect[1]))
    if levels.shape[0] < 2 or side >= levels.shape[1]:
        return 0.5
    edges = sum(np.abs(gradient) for gradient in np.gradient(levels)).sum(0)
    windows = np.convolve(edges, np.ones(side), mode="valid")
    if windows.max() == 0:
        return 0.5
    offsets = np.arange(len(windows)) - (len(windows) - 1) / 2
    # Among boxes with similar detail, prefer the one nearest the center.
    best = np.argmax(windows / windows.max() - 0.02 * np.abs(offsets) / side)
    return float(best / (len(windows) - 1))
