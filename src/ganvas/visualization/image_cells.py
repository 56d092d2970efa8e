"""Images of grids and sheets as rows and stacks of single images, which a page can wrap.

A grid is one image on white, too wide for a phone and too bright for a dark page; single images
take the width and the background of the page.
"""

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ganvas.channels import to_display
from ganvas.grid_layout import fill_rows
from ganvas.networks.styles import GROUPS
from ganvas.visualization.contact_sheet import split_sheet
from ganvas.visualization.image_grid import WHITE, encode_png, split_grid
from ganvas.visualization.image_tables import (
    name_columns,
    split_style_mixing,
    split_truncation_sweep,
)
from ganvas.visualization.reduced_images import as_pillow, reduce_images

# Most images side by side on a phone.
NARROW_COLUMNS = 6
# Bytes of a page at most.
PAGE_BYTES = 15_000_000
# Pixels of a sheet that is shown as one image.
SHEET_PIXELS = 2**20
# Images of up to so many pixels, 64×96 and 79×79, are on pages as they are.
LOSSLESS_PIXELS = 64 * 96


class CellEncoding(NamedTuple):
    """How the images of a page are encoded.

    Attributes:
        pixels: Pixels of an image at most; None: no limit.
        quality: Quality of WebP, 0 to 100; None: lossless WebP; "png": PNG, lossless as well.
    """

    pixels: int | None
    quality: int | Literal["png"] | None

    def uri(self, image: np.ndarray) -> str:
        """Return an image, uint8 of shape (H, W, C), as a data URI."""
        if self.pixels is not None:
            image = reduce_images(image[None], self.pixels)[0]
        if self.quality == "png":
            return png_uri(image)
        buffer = io.BytesIO()
        if self.quality is None:
            as_pillow(image).save(buffer, "WEBP", lossless=True, quality=0, method=2)
        else:
            as_pillow(image).save(buffer, "WEBP", quality=self.quality, method=4)
        return data_uri(buffer.getvalue(), "webp")


PNG = CellEncoding(None, "png")
# From the best to the smallest: a page has the first with which it isn't too large.
LOSSLESS = (PNG, CellEncoding(None, None))
LOSSY = (
    CellEncoding(192**2, 90),
    CellEncoding(160**2, 85),
    CellEncoding(128**2, 80),
    CellEncoding(96**2, 75),
    CellEncoding(64**2, 70),
    CellEncoding(40**2, 50),
)


def list_encodings(height: int, width: int) -> tuple[CellEncoding, ...]:
    """Return the encodings that a page may have for images of a size, the best one first.

    Small images are lossless if they fit; larger ones are reduced in any case, to what is seen of
    them where a dozen lie side by side.
    """
    return (*LOSSLESS, *LOSSY) if height * width <= LOSSLESS_PIXELS else LOSSY


def fit_page(render: Callable[[CellEncoding], str], encodings: Sequence[CellEncoding]) -> str:
    """Render a page with the first encoding of its images with which it has at most 15 MB.

    Args:
        render: Renders the page with an encoding.
        encodings: The encodings to try, see `list_encodings`; if all are too large, the last one
            is used.

    Example:
        >>> fit_page(lambda encoding: f"quality {encoding.quality}", LOSSY)
        'quality 90'
    """
    page, share, pixels = "", 1.0, math.inf
    for encoding in encodings:
        # Encoding takes seconds: not again for a page that would still be too large.
        if encoding != encodings[-1] and (encoding.pixels or math.inf) > share * pixels:
            continue
        page = render(encoding)
        share = PAGE_BYTES / len(page.encode())
        if share >= 1:
            break
        pixels = encoding.pixels or math.inf
    return page


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
        shape: H and W of an image in pixels, which have its aspect ratio.
    """

    rows: list[ImageRow]
    columns: list[int]
    headings: list[str]
    shape: tuple[int, int]


class ImageMatrix(NamedTuple):
    """Rows of images under headings of single columns, which a page doesn't wrap.

    Attributes:
        rows: Label and images of each row; an empty text in place of a data URI is an empty place.
        headings: Titles of the columns; empty: none.
        shape: H and W of an image in pixels.
        has_margin: Whether the first row and the first column are apart from the others.
    """

    rows: list[tuple[str, list[str]]]
    headings: list[str]
    shape: tuple[int, int]
    has_margin: bool


class ImageStack(NamedTuple):
    """Images below each other, such as those of one epoch."""

    heading: str
    images: list[str]


def encode_cells(images: np.ndarray, encoding: CellEncoding = PNG) -> list[str]:
    """Return images, uint8 of shape (n, H, W, C), as data URIs, without white ones at the end.

    Grids are filled up with these. Transparent images are shown on a checkerboard.
    """
    shown = to_display(images)
    filled = np.flatnonzero((shown != WHITE).any(axis=(1, 2, 3)))
    count = int(filled[-1]) + 1 if len(filled) else 0
    return [encoding.uri(image) for image in shown[:count]]


def tabulate_grid(
    grid: np.ndarray, shape: tuple[int, int], labels: list[str], encoding: CellEncoding = PNG
) -> ImageTable:
    """Return the rows of a grid of `make_grid`.

    Args:
        grid: uint8 of shape (H', W', 3).
        shape: H and W of the images that it was made of.
        labels: Label of each row; empty: no labels.
        encoding: How the images are encoded.

    Example:
        >>> from ganvas.visualization.image_grid import make_grid
        >>> grid = make_grid(np.zeros((6, 32, 32, 3), np.uint8), columns=3)
        >>> table = tabulate_grid(grid, (32, 32), ["Op", "Pop"])
        >>> [(row.label, len(row.blocks[0])) for row in table.rows]
        [('Op', 3), ('Pop', 3)]
    """
    return tabulate_blocks([split_grid(grid, *shape)], labels, [], encoding)


def tabulate_blocks(
    blocks: list[np.ndarray],
    labels: list[str],
    headings: list[str],
    encoding: CellEncoding = PNG,
) -> ImageTable:
    """Return rows of images in blocks side by side.

    Args:
        blocks: Images of each block, uint8 of shape (rows, n, H, W, C).
        labels: Label of each row. Without labels, or if one block has fewer rows than there are
            labels, all rows become one, which the page wraps.
        headings: Titles of the blocks; empty: none.
        encoding: How the images are encoded.
    """
    columns = [block.shape[1] for block in blocks]
    shape = blocks[0].shape[2:4]
    encoded = [[encode_cells(row, encoding) for row in block] for block in blocks]
    if not labels or min(map(len, blocks)) < len(labels):
        encoded = [[[uri for row in rows for uri in row]] for rows in encoded]
        labels = [""]
    rows = [ImageRow(label, [block[row] for block in encoded]) for row, label in enumerate(labels)]
    return ImageTable(rows, columns, headings, shape)


def tabulate_sheet(
    sheet: np.ndarray,
    shape: tuple[int, int],
    counts: tuple[int, int],
    labels: list[str],
    encoding: CellEncoding = PNG,
) -> ImageTable | None:
    """Return the rows of a sheet of real and generated images by class.

    Args:
        sheet: A sheet of `draw_sheets`.
        shape: H and W of the images that it was made of.
        counts: Real images in a row at most, and generated ones.
        labels: The class of each row.
        encoding: How the images are encoded.

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
            return tabulate_blocks(blocks, labels, ["Real", "Generated"], encoding)
    return None


def tabulate_sweep(
    sweep: np.ndarray,
    shape: tuple[int, int],
    truncations: Sequence[float],
    names: list[str],
    encoding: CellEncoding = PNG,
) -> ImageMatrix | None:
    """Return the rows of a truncation sweep.

    Args:
        sweep: A table of `draw_truncation_sweep`.
        shape: H and W of the images that it was made of.
        truncations: Truncation of each column.
        names: Names of all classes, of which each row has the one of `fill_rows`.
        encoding: How the images are encoded.

    Returns:
        The rows; None if the table is laid out in another way.
    """
    images = split_truncation_sweep(sweep, shape, len(truncations))
    if images is None:
        return None
    labels = [names[row] if names else "" for row in fill_rows(len(names), len(images))]
    rows = [[encoding.uri(image) for image in row] for row in images]
    headings = name_columns(truncations)
    shown = images.shape[2], images.shape[3]
    return ImageMatrix(list(zip(labels, rows, strict=True)), headings, shown, has_margin=False)


def tabulate_mixing(
    table: np.ndarray, shape: tuple[int, int], counts: tuple[int, int], encoding: CellEncoding = PNG
) -> ImageMatrix | None:
    """Return the rows of a style-mixing table.

    Args:
        table: A table of `draw_style_mixing`, of the first groups of layers or all.
        shape: H and W of the images that it was made of.
        counts: Images on the left, for each group, and on top.
        encoding: How the images are encoded.

    Returns:
        The rows, the first of each group with its name; None if the table is laid out in another
        way.
    """
    parts = split_style_mixing(table, shape, counts[1])
    if parts is None:
        return None
    left, right = parts
    groups, rest = divmod(len(left) - 1, counts[0])
    if rest or groups > len(GROUPS):
        return None
    labels = [""]
    for name in list(GROUPS)[:groups]:
        labels += [name] + [""] * (counts[0] - 1)
    rows = [[encoding.uri(image) for image in row] for row in np.concatenate(parts, axis=1)]
    # The corner has no image.
    rows[0][0] = ""
    shown = right.shape[2], right.shape[3]
    return ImageMatrix(list(zip(labels, rows, strict=True)), [], shown, has_margin=True)


def stack_neighbors(
    sheet: np.ndarray, shape: tuple[int, int], most: int, encoding: CellEncoding = PNG
) -> list[ImageStack]:
    """Return a stack of each generated image and its nearest training images.

    Args:
        sheet: A sheet of `draw_neighbors`.
        shape: H and W of the images that it was made of.
        most: Maximum number of generated images on the sheet.
        encoding: How the images are encoded.

    Returns:
        The stacks; none if the sheet is laid out in another way.
    """
    for count in range(most, 0, -1):
        try:
            (cells,) = split_sheet(sheet, *shape, [count], has_headings=False)
        except ValueError:
            continue
        return [ImageStack("", encode_cells(column, encoding)) for column in cells.swapaxes(0, 1)]
    return []


def stack_epochs(strip: dict[int, np.ndarray], encoding: CellEncoding = PNG) -> list[ImageStack]:
    """Return a stack of the images of each epoch, uint8 of shape (n, H, W, C)."""
    return [ImageStack(f"epoch {epoch}", encode_cells(x, encoding)) for epoch, x in strip.items()]


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
    """Return an image, uint8 of shape (H, W, C), as the data URI of a PNG."""
    return data_uri(encode_png(pixels), "png")


def whole_uri(sheet: np.ndarray) -> str:
    """Return a sheet of images, uint8 of shape (H, W, 3), as a data URI: PNG, or WebP if large."""
    if sheet.shape[0] * sheet.shape[1] <= SHEET_PIXELS:
        return png_uri(sheet)
    return CellEncoding(SHEET_PIXELS, 85).uri(sheet)


def data_uri(content: bytes, form: str) -> str:
    """Return the data URI of an encoded image; `form` is its format, such as png or webp."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"
