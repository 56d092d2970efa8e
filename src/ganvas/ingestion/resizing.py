"""Resize images: the one function that all of ingestion resizes by."""

from PIL import Image

# Left, upper, right and lower edge of a part of an image in pixels of the image, not rounded.
Box = tuple[float, float, float, float]


def resize(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Resize an image, or a part of it, with antialiasing by Lanczos's filter.

    Args:
        image: Image of mode L, RGB or F (one channel of floats).
        size: Width and height of the result in pixels.
        box: The part; None: all of it. Pixels beside it contribute to the edges of the result.

    Returns:
        An image of the same mode.

    Example:
        >>> resize(Image.new("RGB", (300, 200)), (96, 64), box=(0, 0, 187.5, 125)).size
        (96, 64)
    """
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


def transpose_box(box: Box, size: tuple[int, int], method: Image.Transpose) -> Box:
    """Return where a part of an image lies after `image.transpose(method)`.

    Args:
        box: The part before.
        size: Width and height of the image before.
        method: How the image is flipped or rotated.

    Example:
        >>> transpose_box((0, 0, 3, 1), (4, 2), Image.Transpose.ROTATE_90)
        (0, 1, 1, 4)
    """
    left, top, right, bottom = box
    width, height = size
    columns, mirrored_columns = (left, right), (width - right, width - left)
    rows, mirrored_rows = (top, bottom), (height - bottom, height - top)
    (left, right), (top, bottom) = {
        Image.Transpose.FLIP_LEFT_RIGHT: (mirrored_columns, rows),
        Image.Transpose.FLIP_TOP_BOTTOM: (columns, mirrored_rows),
        Image.Transpose.ROTATE_90: (rows, mirrored_columns),
        Image.Transpose.ROTATE_180: (mirrored_columns, mirrored_rows),
        Image.Transpose.ROTATE_270: (mirrored_rows, columns),
        Image.Transpose.TRANSPOSE: (rows, columns),
        Image.Transpose.TRANSVERSE: (mirrored_rows, mirrored_columns),
    }[method]
    return left, top, right, bottom
