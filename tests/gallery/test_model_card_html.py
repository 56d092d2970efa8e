"""Model cards as HTML that loads nothing from elsewhere and runs nothing."""

import os

import numpy as np

from ganvas.gallery import model_card_html
from ganvas.gallery.model_card_html import read_card
from ganvas.visualization.image_grid import write_png


def render(folder, text):
    (folder / "model_card.md").write_text(text)
    return read_card(folder / "model_card.md")


def test_markdown_becomes_html_without_the_front_matter(tmp_path):
    html = render(
        tmp_path, "---\nlicense: mit\n---\n# A\n\n## B\n\n| a | b |\n|---|--:|\n| `1` | 2 |\n"
    )
    assert "license" not in html
    assert "<h3>A</h3>" in html and "<h4>B</h4>" in html
    assert '<div class="scroll"><table>' in html and "<td><code>1</code></td>" in html
    assert "style=" not in html
    assert read_card(tmp_path / "missing.md") is None


def test_a_card_without_front_matter_is_kept_whole(tmp_path):
    assert "before" in render(tmp_path, "before\n\n---\n\nafter\n")


def test_markup_and_scripts_are_escaped(tmp_path):
    html = render(tmp_path, "<script>alert(1)</script> [x](javascript:alert(1))")
    assert "<script" not in html and "href" not in html


def test_only_images_beside_the_card_are_shown(tmp_path):
    write_png(tmp_path / "grid.png", np.zeros((4, 4, 3), np.uint8))
    write_png(tmp_path / "other/grid.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "key.txt").write_text("secret")
    html = render(tmp_path, "![grid](grid.png)")
    assert '<img src="data:image/png;base64,' in html and 'alt="grid"' in html
    for source in (
        "https://example.org/a.png",
        "other/grid.png",
        "../grid.png",
        "key.txt",
        "no.png",
    ):
        assert "<img" not in render(tmp_path, f"![grid]({source})")


def test_images_are_embedded_up_to_a_limit(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    size = (tmp_path / "a.png").stat().st_size
    monkeypatch.setattr(model_card_html, "MAX_IMAGES", 3 * size)
    assert render(tmp_path, "![](a.png)\n" * 500).count("data:image/png") == 3


def test_a_long_card_is_cut_and_says_so(tmp_path):
    html = render(tmp_path, "word " * 100_000 + "end")
    assert "word" in html and "end</p>" not in html
    assert "The rest is in <code>model_card.md</code>" in html


def test_pipes_are_no_cards_and_no_images(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "data:" not in render(tmp_path, "![](a.png) ![](" + "a" * 3000 + ".png)")
    os.mkfifo(tmp_path / "pipe.md")
    assert read_card(tmp_path / "pipe.md") is None
