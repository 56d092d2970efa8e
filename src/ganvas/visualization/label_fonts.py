"""Labels in images, in any script that a font of the system has."""

import logging
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

logger = logging.getLogger(__name__)

# Comes with Matplotlib.
DEFAULT = "DejaVu Sans"
# Fonts of Linux, Windows and macOS for Chinese, Japanese, Korean and emoji, preferred to others.
PREFERRED = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Symbola",
)
# Fonts with a box for every character.
EXCLUDED = ("Last Resort",)
# Join and choose the forms of emoji, which are drawn one by one.
JOINERS = dict.fromkeys((0x200D, 0xFE0E, 0xFE0F))


class Label(NamedTuple):
    """A text in parts, each with a font that has its characters.

    Attributes:
        parts: Texts with their fonts, from left to right.
        width: Width in pixels.
    """

    parts: list[tuple[str, ImageFont.FreeTypeFont]]
    width: float

    def draw(
        self, image: ImageDraw.ImageDraw, right: float, middle: float, color: tuple[int, int, int]
    ) -> None:
        """Draw the label with its right end and its vertical middle at a point."""
        if not self.parts:
            return
        ascent, descent = self.parts[0][1].getmetrics()
        for text, font in reversed(self.parts):
            image.text((right, middle + (ascent - descent) / 2), text, color, font, anchor="rs")
            right -= font.getlength(text)


def make_label(text: str, size: int) -> Label:
    """Return a text as a label, without characters that no font has.

    Args:
        text: The text, of one line.
        size: Size of the font in pixels.
    """
    characters = [(x, _find_font(x)) for x in text.translate(JOINERS)]
    known = [(x, font) for x, font in characters if font is not None]
    parts = [
        ("".join(x for x, _ in group), _load_font(*font, size))
        for font, group in groupby(known, key=lambda item: item[1])
    ]
    return Label(parts, sum(font.getlength(part) for part, font in parts))


def fit_label(text: str, size: int, width: int) -> Label:
    """Return a text as a label that is at most `width` pixels wide, cut off by an ellipsis."""
    label = make_label(text, size)
    while label.width > width and text:
        text = text[:-1]
        label = make_label(text.rstrip() + "…", size)
    return label


def replace_undrawable(names: list[str]) -> list[str]:
    """Replace names with characters that no font of the system has by their numbers.

    Example:
        >>> replace_undrawable(["Still Lifes", "Ölbilder"])
        ['Still Lifes', 'Ölbilder']
    """
    undrawable = [name for name in names if not all(map(_find_font, name.translate(JOINERS)))]
    if undrawable:
        logger.warning(
            "No font of this system has all characters of %d class names, such as %s: class sheets "
            "show the numbers of these classes in place of their names, and the report shows the "
            "names. Install a font that has them, such as Noto Sans CJK (Debian: fonts-noto-cjk).",
            len(undrawable),
            undrawable[0],
        )
    return [
        f"class {number}" if name in undrawable else name for number, name in enumerate(names, 1)
    ]


@cache
def _find_font(character: str) -> tuple[str, int] | None:
    """Return the file of the first font that has a character, and its number within the file."""
    if character.isspace():
        return next(_list_fonts())
    return next((font for font in _list_fonts() if ord(character) in _coverage(*font)), None)


def _list_fonts() -> Iterator[tuple[str, int]]:
    """Yield the default font, then those preferred for other scripts, then all others."""
    # Here, not above: commands that draw nothing do without Matplotlib.
    from matplotlib.font_manager import findfont, fontManager

    yield findfont(DEFAULT), 0
    ranks = {name: rank for rank, name in enumerate(PREFERRED)}
    entries = [entry for entry in fontManager.ttflist if not entry.name.startswith(EXCLUDED)]
    # Upright and regular ones first.
    entries.sort(
        key=lambda entry: (
            ranks.get(entry.name, len(ranks)),
            entry.style != "normal",
            entry.weight not in (400, "normal", "regular"),
        )
    )
    for entry in entries:
        yield entry.fname, getattr(entry, "index", 0)


@cache
def _coverage(file: str, number: int) -> frozenset[int]:
    """Return the code points that a font has; none if it can't be drawn at any size."""
    from matplotlib.ft2font import FT2Font

    try:
        # Fonts of colored bitmaps have one size.
        _load_font(file, number, 12)
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _load_font(file: str, number: int, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size, index=number)
