"""Labeled rows of images: class sheets, and generated images with their nearest neighbors."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from ganvas.visualization.image_grid import GAP, WHITE, make_grid, pad_row, split_grid
from ganvas.visualization.label_fonts import fit_label, replace_undrawable
from ganvas.visualization.reduced_images import as_cells, reduced_size

ROWS = 10
LABEL_COLOR = (36, 33, 43)
HEADING_COLOR = (107, 101, 117)


def draw_sheets(
    names: list[str], real: list[np.ndarray], generated: list[np.ndarray], rows: int = ROWS
) -> Iterator[np.ndarray]:
    """Draw a row of real and generated images per class, on as many sheets as needed.

    Args:
        names: Class names.
        real: Real images of each class, uint8 of shape (n, H, W, C); n may differ. They are shown
            as by `as_cells`.
        generated: Generated images of each class, uint8 of shape (m, H, W, C).
        rows: Maximum number of classes on a sheet.

    Yields:
        uint8 of shape (H', W', 3).

    Example:
        >>> real, generated = np.zeros((2, 12, 3, 32, 32, 3), np.uint8)
        >>> names = [f"class {number}" for number in range(12)]
        >>> len(list(draw_sheets(names, list(real), list(generated))))
        2
    """
    names = replace_undrawable(names)
    columns = max(map(len, real))
    padded = [pad_row(as_cells(images), columns) for images in real]
    for start in range(0, len(names), rows):
        part = slice(start, start + rows)
        yield draw_rows(names[part], {"real": padded[part], "generated": generated[part]})


def draw_neighbors(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Draw generated images above their nearest training images.

    Args:
        rows: Images by the name of their row, uint8 of shape (n, H, W, C), n the same for all.

    Returns:
        uint8 of shape (H', W', 3).

    Example:
        >>> images = np.zeros((5, 32, 32, 3), np.uint8)
        >>> sheet = draw_neighbors({"generated": images, "nearest in pixels": images})
    """
    return draw_rows(list(rows), {"": list(rows.values())})


def split_sheet(
    sheet: np.ndarray, height: int, width: int, counts: list[int], has_headings: bool
) -> list[np.ndarray]:
    """Split a sheet into the images of its blocks, without labels and headings.

    Args:
        sheet: A sheet of `draw_sheets` or `draw_neighbors`, uint8 of shape (H', W', 3).
        height: H of the images that it was made of.
        width: W of the images that it was made of.
        counts: Images in a row of each block, from left to right.
        has_headings: Whether there are headings above the blocks, as on the sheets of classes.

    Returns:
        The images of each block, uint8 of shape (rows, n, h, w, 3), reduced as on the sheet.

    Raises:
        ValueError: The sheet is laid out in another way, as those of earlier versions may be.

    Example:
        >>> sheet = draw_neighbors({"generated": np.zeros((5, 32, 32, 3), np.uint8)})
        >>> [block.shape for block in split_sheet(sheet, 32, 32, [5], has_headings=False)]
        [(1, 5, 32, 32, 3)]
    """
    height, width = reduced_size(height, width)
    size = _font_size(height, width)
    rows, rest = divmod(sheet.shape[0] - (2 * size if has_headings else 0) - GAP, height + GAP)
    widths = [count * (width + GAP) + GAP for count in counts]
    left = sheet.shape[1] - sum(widths) - size * (len(counts) - 1)
    if rest or rows < 1 or left < size:
        raise ValueError("The sheet has no room for these images.")
    body = sheet[sheet.shape[0] - rows * (height + GAP) - GAP :]
    blocks = []
    for count, block_width in zip(counts, widths, strict=True):
        grid = body[:, left : left + block_width]
        cells = split_grid(grid, height, width)
        if not np.array_equal(make_grid(cells.reshape(-1, height, width, 3), count), grid):
            raise ValueError("The sheet has no white lines where they are expected.")
        blocks.append(cells)
        left += block_width + size
    return blocks


def _font_size(height: int, width: int) -> int:
    """Return the size of labels, which is also the distance of blocks, by the images' size."""
    return max(11, min(height, width) // 5)


def draw_rows(names: list[str], blocks: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Draw rows of images with labels on their left, in blocks side by side under headings.

    Args:
        names: Label of each row; may be empty texts.
        blocks: For each heading, the images of each row, uint8 of shape (n, H, W, C), n the same
            for all rows of a block. They are shown as by `as_cells`.

    Returns:
        uint8 of shape (H', W', 3).

    Example:
        >>> images = np.zeros((2, 5, 32, 32, 3), np.uint8)
        >>> sheet = draw_rows(["Op", "Pop"], {"generated": list(images)})
    """
    height, width = reduced_size(*next(iter(blocks.values()))[0].shape[1:3])
    size = _font_size(height, width)
    labels = [fit_label(name, size, 4 * width) for name in names]

    # Lay out the headings on top, the labels on the left and the blocks beside them.
    top, step = 2 * size if any(blocks) else 0, height + GAP
    margin = int(max(label.width for label in labels)) + 2 * size
    strips = [
        [make_grid(as_cells(images), len(images)) for images in rows] for rows in blocks.values()
    ]
    widths = [block[0].shape[1] for block in strips]
    lefts = [margin + sum(widths[:number]) + number * size for number in range(len(strips))]
    shape = (lefts[-1] + widths[-1], top + len(names) * step + GAP)
    sheet = Image.new("RGB", shape, (WHITE, WHITE, WHITE))
    draw = ImageDraw.Draw(sheet)

    rights = [*lefts[1:], shape[0]]
    for left, right, heading, block in zip(lefts, rights, blocks, strips, strict=True):
        for row, strip in enumerate(block):
            sheet.paste(Image.fromarray(strip), (left, top + row * step))
        for text, font in fit_label(heading, size, right - left - GAP).parts:
            position = (left + GAP, top - size // 3)
            draw.text(position, text, fill=HEADING_COLOR, font=font, anchor="ls")
    for row, label in enumerate(labels):
        label.draw(draw, margin - size, top + row * step + GAP + height // 2, LABEL_COLOR)
    return np.asarray(sheet)
