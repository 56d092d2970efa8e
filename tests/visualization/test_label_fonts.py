"""Labels of class sheets in scripts that the default font doesn't have."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from ganvas.visualization import label_fonts
from ganvas.visualization.contact_sheet import draw_sheets
from ganvas.visualization.label_fonts import fit_label, make_label, replace_undrawable

# From a private area, which no font of a system has.
RARE = "\U000f1234"


@pytest.fixture
def rare_font(tmp_path, monkeypatch):
    """A font with one character, a square, among the fonts of the system."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(RARE): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Rare", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "rare.ttf")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    fontManager.addfont(tmp_path / "rare.ttf")
    label_fonts._find_font.cache_clear()
    yield
    label_fonts._find_font.cache_clear()


def draw(name):
    images = [np.full((1, 32, 32, 3), 250, np.uint8)]
    (sheet,) = draw_sheets([name], images, images)
    return sheet


def test_a_name_without_a_font_is_replaced_by_its_number(caplog):
    assert replace_undrawable(["Op", RARE, "Ж 1"]) == ["Op", "class 2", "Ж 1"]
    assert "all characters of 1 class names" in caplog.text and "fonts-noto-cjk" in caplog.text
    np.testing.assert_array_equal(draw(RARE), draw("class 1"))


def test_another_font_draws_what_the_default_one_lacks(rare_font, caplog):
    name = f"Op {RARE}"
    assert replace_undrawable([name]) == [name] and not caplog.records
    parts = make_label(name, 20).parts
    assert [text for text, _ in parts] == ["Op ", RARE]
    assert len({font.path for _, font in parts}) == 2
    sheet = draw(name)
    # The square has the color of labels, and no empty box stands in its place.
    dark = (sheet == np.array([36, 33, 43])).all(axis=-1).sum(axis=0)
    assert (dark >= 8).sum() >= 8


def test_a_long_name_of_two_fonts_is_cut_off(rare_font):
    label = fit_label(f"{RARE}abc " * 20, 12, 100)
    assert label.width <= 100 and label.parts[-1][0].endswith("…")


def test_joiners_of_emoji_are_not_drawn():
    assert make_label("a\u200db\ufe0f", 12).parts[0][0] == "ab"
