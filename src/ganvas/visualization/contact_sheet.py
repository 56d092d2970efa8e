"""Rows of images with names: class sheets, and generated images with their neighbors."""

from collections.abc import Iterator

import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from ganvas.visualization.image_grid import GAP, PAPER, make_grid

ROWS = 10
INK = (36, 33, 43)
QUIET = (107, 101, 117)


def draw_sheets(
    names: list[str], real: list[np.ndarray], generated: list[np.ndarray], rows: int = ROWS
) -> Iterator[np.ndarray]:
    """Draw a row for each class, on as many sheets as it takes.

    Args:
        names: Of the classes.
        real: Images of each class, uint8 of shape (n, H, W, 3), n up to the longest's.
        generated: Images of each class, uint8 of shape (m, H, W, 3).
        rows: Classes on a sheet, at most.

    Yields:
        uint8 of shape (H', W', 3).
    """
    columns = max(map(len, real))
    for start in range(0, len(names), rows):
        part = slice(start, start + rows)
        filled = [_fill(images, columns) for images in real[part]]
        yield _draw_rows(names[part], {"real": filled, "generated": generated[part]})


def draw_neighbors(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Draw images above what lies nearest to them.

    Args:
        rows: Images under the names of their rows, uint8 of shape (n, H, W, 3), n the same.

    Returns:
        uint8 of shape (H', W', 3).
    """
    return _draw_rows(list(rows), {"": list(rows.values())})


def _draw_rows(names: list[str], blocks: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Draw rows of images behind their names, in blocks side by side with a head each."""
    height, width = next(iter(blocks.values()))[0].shape[1:3]
    size = max(11, height // 5)
    font = ImageFont.truetype(findfont("DejaVu Sans"), size)
    texts = [_shorten(name, font, 4 * width) for name in names]
    head, step = 2 * size if any(blocks) else 0, height + GAP
    margin = int(max(font.getlength(text) for text in texts)) + 2 * size
    sides = [[make_grid(each, len(each)) for each in rows] for rows in blocks.values()]
    widths = [side[0].shape[1] for side in sides]
    places = [margin + sum(widths[:number]) + number * size for number in range(len(sides))]
    paper = np.full((head + len(names) * step + GAP, places[-1] + widths[-1], 3), PAPER, np.uint8)
    for place, side in zip(places, sides, strict=True):
        for number, strip in enumerate(side):
            top = head + number * step
            paper[top : top + strip.shape[0], place : place + strip.shape[1]] = strip
    sheet = Image.fromarray(paper)
    pen = ImageDraw.Draw(sheet)
    for place, text in zip(places, blocks, strict=True):
        pen.text((place + GAP, head - size // 3), text, fill=QUIET, font=font, anchor="ls")
    for number, text in enumerate(texts):
        middle = head + number * step + GAP + height // 2
        pen.text((margin - size, middle), text, fill=INK, font=font, anchor="rm")
    return np.asarray(sheet)


def _fill(images: np.ndarray, columns: int) -> np.ndarray:
    """Add white paper where a class has fewer images than there are columns."""
    missing = columns - len(images)
    return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)), constant_values=PAPER)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
