"""Class sheets: what a generator paints for each class, beside real pictures of it."""

from collections.abc import Iterator

import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from ganvas.figures.grid import GAP, PAPER, lay_grid

ROWS = 10
INK = (36, 33, 43)
QUIET = (107, 101, 117)


def draw_sheets(
    names: list[str], real: list[np.ndarray], generated: list[np.ndarray], rows: int = ROWS
) -> Iterator[np.ndarray]:
    """Draw a row for each class, on as many sheets as it takes.

    Args:
        names: Of the classes.
        real: Pictures of each class, uint8 of shape (n, H, W, 3), n up to the longest's.
        generated: Pictures of each class, uint8 of shape (m, H, W, 3).
        rows: Classes on a sheet, at most.

    Yields:
        uint8 of shape (H', W', 3).
    """
    for start in range(0, len(names), rows):
        part = slice(start, start + rows)
        yield _draw_sheet(names[part], real[part], generated[part], max(map(len, real)))


def _draw_sheet(
    names: list[str], real: list[np.ndarray], generated: list[np.ndarray], columns: int
) -> np.ndarray:
    height, width = generated[0].shape[1:3]
    size = max(11, height // 5)
    font = ImageFont.truetype(findfont("DejaVu Sans"), size)
    texts = [_shorten(name, font, 4 * width) for name in names]
    margin = int(max(font.getlength(text) for text in texts)) + 2 * size
    head = 2 * size
    left = [lay_grid(_fill(pictures, columns), columns) for pictures in real]
    right = [lay_grid(pictures, len(pictures)) for pictures in generated]
    between = size
    places = [margin, margin + left[0].shape[1] + between]
    step = height + GAP
    shape = (head + len(names) * step + GAP, places[1] + right[0].shape[1], 3)
    paper = np.full(shape, PAPER, np.uint8)
    for number, strips in enumerate(zip(left, right, strict=True)):
        for place, strip in zip(places, strips, strict=True):
            top = head + number * step
            paper[top : top + strip.shape[0], place : place + strip.shape[1]] = strip
    sheet = Image.fromarray(paper)
    pen = ImageDraw.Draw(sheet)
    for place, text in zip(places, ("real", "generated"), strict=True):
        pen.text((place + GAP, head - size // 3), text, fill=QUIET, font=font, anchor="ls")
    for number, text in enumerate(texts):
        middle = head + number * step + GAP + height // 2
        pen.text((margin - size, middle), text, fill=INK, font=font, anchor="rm")
    return np.asarray(sheet)


def _fill(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Add white paper where a class has fewer pictures than there are columns."""
    missing = columns - len(pictures)
    return np.pad(pictures, ((0, missing), (0, 0), (0, 0), (0, 0)), constant_values=PAPER)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
