"""Images of grids and sheets as rows and stacks of single images, which a page can wrap.

A grid is one image on white, too wide for a phone and too bright for a dark page; single images
take the width and the background of the page.
"""

import base64
from typing import NamedTuple

import numpy as np

from ganvas.visualization.contact_sheet import split_sheet
from ganvas.visualization.image_grid import WHITE, encode_png, split_grid

# Most images side by side on a phone.
NARROW_COLUMNS = 6


class ImageRow(NamedTuple):
    """A row of images under one label, in blocks side by side.

    Attributes:
        label: Such as a class; empty: no label.
        blocks: Data URIs of the images of each block.
    """

    label: str
    blocks: list[list[str]]


class ImageTable(NamedTuple):
    """Rows of images.

    Attributes:
        rows: The rows, whose blocks are of the same kinds.
        columns: Images side by side in each block; longer blocks are wrapped.
        headings: Titles of the blocks; empty without.
        shape: H and W of an image in pixels.
    """

    rows: list[ImageRow]
    columns: list[int]
    headings: list[str]
    shape: tuple[int, int]


class ImageStack(NamedTuple):
    """Images below each other, such as those of one epoch."""

    heading: str
    images: list[str]


def encode_cells(images: np.ndarray) -> list[str]:
    """Return images, uint8 of shape (n, H, W, 3), as data URIs, without wholly white ones.

    Grids are filled up with white images at the end of a row.
    """
    return [png_uri(image) for image in images if not (image == WHITE).all()]


def tabulate_grid(grid: np.ndarray, shape: tuple[int, int], labels: list[str]) -> ImageTable:
    """Return the rows of a grid of `make_grid`.

    Args:
        grid: uint8 of shape (H', W', 3).
        shape: H and W of an image in pixels.
        labels: Label of each row; empty: no labels.

    Example:
        >>> from ganvas.visualization.image_grid import make_grid
        >>> grid = make_grid(np.zeros((6, 32, 32, 3), np.uint8), columns=3)
        >>> table = tabulate_grid(grid, (32, 32), ["Op", "Pop"])
        >>> [(row.label, len(row.blocks[0])) for row in table.rows]
        [('Op', 3), ('Pop', 3)]
    """
    return tabulate_blocks([split_grid(grid, *shape)], labels, [])


def tabulate_blocks(blocks: list[np.ndarray], labels: list[str], headings: list[str]) -> ImageTable:
    """Return rows of images in blocks side by side.

    Args:
        blocks: Images of each block, uint8 of shape (rows, n, H, W, 3).
        labels: Label of each row. Without labels, or if one block has fewer rows than there are
            labels, all rows become one, which the page wraps.
        headings: Titles of the blocks; empty: none.
    """
    columns = [block.shape[1] for block in blocks]
    shape = blocks[0].shape[2:4]
    if not labels or min(map(len, blocks)) < len(labels):
        blocks = [block.reshape(1, -1, *block.shape[2:]) for block in blocks]
        labels = [""]
    rows = [
        ImageRow(label, [encode_cells(block[row]) for block in blocks])
        for row, label in enumerate(labels)
    ]
    return ImageTable(rows, columns, headings, shape)


def tabulate_sheet(
    sheet: np.ndarray, shape: tuple[int, int], counts: tuple[int, int], labels: list[str]
) -> ImageTable | None:
    """Return the rows of a sheet of real and generated images by class.

    Args:
        sheet: A sheet of `draw_sheets`.
        shape: H and W of an image in pixels.
        counts: Real images in a row at most, and generated ones.
        labels: The class of each row.

    Returns:
        The rows; None if the sheet is laid out in another way, as those of earlier versions may be.
    """
    most_real, generated = counts
    # Where all classes have few images, there are fewer real ones.
    for real in range(most_real, 0, -1):
        try:
            blocks = split_sheet(sheet, *shape, [real, generated], has_headings=True)
        except ValueError:
            continue
        if len(blocks[0]) == len(labels):
            return tabulate_blocks(blocks, labels, ["Real", "Generated"])
    return None


def stack_neighbors(sheet: np.ndarray, shape: tuple[int, int], most: int) -> list[ImageStack]:
    """Return a stack of each generated image and its nearest training images.

    Args:
        sheet: A sheet of `draw_neighbors`.
        shape: H and W of an image in pixels.
        most: Maximum number of generated images on the sheet.

    Returns:
        The stacks; none if the sheet is laid out in another way.
    """
    for count in range(most, 0, -1):
        try:
            (cells,) = split_sheet(sheet, *shape, [count], has_headings=False)
        except ValueError:
            continue
        return [ImageStack("", encode_cells(column)) for column in cells.swapaxes(0, 1)]
    return []


def stack_epochs(strip: dict[int, np.ndarray]) -> list[ImageStack]:
    """Return a stack of the images of each epoch, uint8 of shape (n, H, W, 3)."""
    return [ImageStack(f"epoch {epoch}", encode_cells(x)) for epoch, x in strip.items()]


def narrow_columns(columns: list[int]) -> int:
    """Return how many images lie side by side on a phone, the same number in all blocks.

    Args:
        columns: Images side by side in each block on a wide screen; the lines of the longest
            become equally long.

    Example:
        >>> [narrow_columns(columns) for columns in ([3], [3, 8], [9], [12])]
        [3, 4, 5, 6]
    """
    longest = max(columns)
    lines = -(-longest // NARROW_COLUMNS)
    return -(-longest // lines)


def png_uri(pixels: np.ndarray) -> str:
    """Return an image, uint8 of shape (H, W, 3), as the data URI of a PNG."""
    return data_uri(encode_png(pixels), "png")


def data_uri(content: bytes, form: str) -> str:
    """Return the data URI of an encoded image; `form` is its format, such as png or webp."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"
