"""Resize images: the one function that all of ingestion resizes by."""

from PIL import Image


def resize(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Resize an image, or a part of it, with antialiasing by Lanczos's filter.

    Args:
        image: Image of mode L, RGB or F (one channel of floats).
        size: Width and height of the result in pixels.
        box: Left, top, right and lower edge of the part in pixels of the image, not rounded; None:
            all of it.

    Returns:
        An image of the same mode.

    Example:
        >>> resize(Image.new("RGB", (300, 200)), (96, 64)).size
        (96, 64)
    """
    return image.resize(size, Image.Resampling.LANCZOS, box=box)
