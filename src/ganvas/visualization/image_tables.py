"""Tables of images whose rows and columns have a meaning: truncation sweep and style mixing."""

from collections.abc import Mapping, Sequence

import numpy as np

from ganvas.visualization.contact_sheet import draw_rows, split_sheet
from ganvas.visualization.image_grid import WHITE

# Headings of the two parts of a style-mixing table.
SOURCES, MIXED = "source", "with styles of the top row"


def draw_truncation_sweep(
    images: np.ndarray, truncations: Sequence[float], labels: Sequence[str]
) -> np.ndarray:
    """Draw images of the same latents at several truncations, side by side.

    Args:
        images: uint8 of shape (rows, truncations, H, W, C).
        truncations: Truncation of each column.
        labels: Label of each row, such as its class; may be empty texts.

    Returns:
        uint8 of shape (H', W', 3).

    Example:
        >>> images = np.zeros((2, 3, 32, 32, 3), np.uint8)
        >>> sweep = draw_truncation_sweep(images, [0, 0.5, 1], ["", ""])
    """
    columns = (list(images[:, number, None]) for number in range(images.shape[1]))
    return draw_rows(list(labels), dict(zip(name_columns(truncations), columns, strict=True)))


def name_columns(truncations: Sequence[float]) -> list[str]:
    """Return the headings of a sweep's columns.

    Example:
        >>> name_columns([0, 0.7, -0.5])
        ['0', '0.7', '−0.5']
    """
    return [f"{x:g}".replace("-", "−") for x in truncations]


def split_truncation_sweep(
    sweep: np.ndarray, shape: tuple[int, int], columns: int
) -> np.ndarray | None:
    """Split a truncation sweep into images, uint8 of shape (rows, columns, h, w, 3).

    Args:
        sweep: A table of `draw_truncation_sweep`.
        shape: H and W of the images that it was made of.
        columns: How many truncations it has.

    Returns:
        The images, reduced as by `as_cells`; None if the table is laid out in another way.
    """
    try:
        blocks = split_sheet(sweep, *shape, [1] * columns, has_headings=True)
    except ValueError:
        return None
    return np.concatenate(blocks, axis=1)


def draw_style_mixing(
    rows: np.ndarray, columns: np.ndarray, mixed: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Draw images with styles of two: of the image on the left, some replaced by those on top.

    Args:
        rows: Images on the left, uint8 of shape (rows, H, W, C).
        columns: Images on top, uint8 of shape (columns, H, W, C).
        mixed: Images of shape (rows, columns, H, W, C), by the name of the layers whose styles are
            those of the image on top.

    Returns:
        uint8 of shape (H', W', 3): for each group of layers the same rows of images.

    Example:
        >>> a, b = np.zeros((2, 32, 32, 3), np.uint8), np.zeros((4, 32, 32, 3), np.uint8)
        >>> table = draw_style_mixing(a, b, {"coarse": np.zeros((2, 4, 32, 32, 3), np.uint8)})
    """
    left, right, labels = [np.full_like(rows[:1], WHITE)], [columns], [""]
    for name, images in mixed.items():
        left += list(rows[:, None])
        right += list(images)
        labels += [name] + [""] * (len(rows) - 1)
    return draw_rows(labels, {SOURCES: left, MIXED: right})


def split_style_mixing(
    table: np.ndarray, shape: tuple[int, int], columns: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Split a style-mixing table into the images of its two parts.

    Args:
        table: A table of `draw_style_mixing`.
        shape: H and W of the images that it was made of.
        columns: How many images are on top.

    Returns:
        The left part (rows, 1, h, w, 3), which begins with a white image, and the right one
        (rows, columns, h, w, 3), which begins with the images on top; None if the table is laid out
        in another way.
    """
    try:
        left, right = split_sheet(table, *shape, [1, columns], has_headings=True)
    except ValueError:
        return None
    return left, right
