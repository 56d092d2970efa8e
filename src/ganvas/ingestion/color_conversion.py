"""Convert images to sRGB with the channels of a collection: gray, color or color with alpha."""

import io
import logging
from typing import Any, cast

from PIL import Image, ImageCms, ImageColor

from ganvas.channels import WHITE

logger = logging.getLogger(__name__)

Color = tuple[int, int, int]
# Pillow's modes by the number of channels.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
COLOR_TEXT = "a color: a name such as white, or #rrggbb"


def check_color(text: Any) -> str:
    """Return a color in its shortest form, so that equal ones are written alike.

    Raises:
        ValueError: It is neither a name that Pillow's ImageColor knows nor such as #336699.

    Example:
        >>> check_color("#FFFFFF"), check_color("navy"), check_color("#3af")
        ('white', '#000080', '#33aaff')
    """
    try:
        color = ImageColor.getrgb(text)
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"it must be {COLOR_TEXT}") from error
    if len(color) != 3:
        raise ValueError(f"it must be {COLOR_TEXT}, without transparency")
    # Pillow reads rgb(300, 0, 0) as it is.
    if max(color) > 255:
        raise ValueError(f"it must be {COLOR_TEXT}, with levels up to 255")
    return "white" if color == WHITE else "#{:02x}{:02x}{:02x}".format(*color)


def read_color(text: str) -> Color:
    """Return the levels of red, green and blue of a color."""
    red, green, blue = ImageColor.getrgb(check_color(text))[:3]
    return red, green, blue


def convert_color(
    image: Image.Image, profile: bytes | None, channels: int = 3, background: Color = WHITE
) -> Image.Image:
    """Convert an image of 8 bits per sample to sRGB with 1, 3 or 4 channels.

    Gray levels are the luma of ITU-R 601-2, as of Pillow and OpenCV, of the colors in sRGB.

    Args:
        image: Image of any mode of 8 bits.
        profile: Its ICC profile; one that can't be used is ignored.
        channels: 1 for gray, 3 for RGB, 4 for RGB with straight alpha.
        background: Color behind transparent parts of gray and RGB images.

    Returns:
        An image of mode L, RGB or RGBA; without transparency its alpha is 255.

    Example:
        >>> convert_color(Image.new("LA", (8, 8), (0, 0)), None, channels=1).getpixel((0, 0))
        255
    """
    mode = MODES[channels]
    # Pillow converts premultiplied gray to nothing else.
    image = image.convert("LA") if image.mode == "La" else image
    if not image.has_transparency_data:
        if image.mode == "L" and not profile:
            return image.convert(mode)
        return _convert(_to_srgb(image, profile), mode)
    layer = image.convert("RGBA")
    if channels != 4 and background == WHITE:
        # White is white in every profile.
        return _convert(_to_srgb(_composite(layer, background), profile), mode)
    # A profile of gray levels applies to these.
    opaque = layer.convert("L" if image.mode in ("L", "LA") else "RGB")
    color = _to_srgb(opaque, profile)
    color.putalpha(layer.getchannel("A"))
    return color if channels == 4 else _convert(_composite(color, background), mode)


def composite(image: Image.Image, background: Color = WHITE) -> Image.Image:
    """Return an image of mode L, RGB or RGBA in mode RGB, a transparent one on a color."""
    return _composite(image, background) if image.mode == "RGBA" else _convert(image, "RGB")


def _composite(layer: Image.Image, background: Color) -> Image.Image:
    ground = Image.new("RGBA", layer.size, (*background, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image, without a copy if it has the mode."""
    return image if image.mode == mode else image.convert(mode)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an opaque image to sRGB by its profile, or to RGB if there is no usable one."""
    if image.mode == "LAB":
        lab, srgb = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
        image = cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))
    # Profiles of CMYK and grayscale images apply to their own mode, others to RGB.
    if not profile or image.mode not in ("CMYK", "L"):
        image = _convert(image, "RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            image = cast(Image.Image, converted)  # None only with inPlace=True
        except (ImageCms.PyCMSError, OSError, ValueError):
            logger.debug("Ignoring a color profile that can't be used.")
    return _convert(image, "RGB")
