"""README.md and CONTRIBUTING.md as they are read in the repository, outside the site."""

import io
import re
import runpy

import numpy as np
import pytest
from markdown import markdown
from PIL import Image

from projects import ROOT

LINK = re.compile(r'(?:href|src)="([^"]+)"')
ID = re.compile(r'id="([^"]+)"')
MAX_LINES = 150


def render(page):
    return markdown(page.read_text(), extensions=["tables", "fenced_code", "toc"])


def broken_links(page):
    """The relative links of a page that lead to no file, or to no heading of one."""
    broken = []
    for link in LINK.findall(render(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in ID.findall(render(target))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_and_headings(name):
    assert len(LINK.findall(render(ROOT / name))) > 2
    assert not broken_links(ROOT / name)


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# One\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#one) [b](other.md#two) ![c](none.png) [d](https://example.org)")
    assert broken_links(page) == ["other.md#two", "none.png"]


def test_the_readme_is_short_and_names_the_two_main_commands():
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= MAX_LINES
    for command in ("make run", "make test"):
        assert f"```sh\n{command}\n```" in text


def test_screenshots_are_small():
    script = runpy.run_path(str(ROOT / "docs" / "screenshots.py"))
    for name in ("report.png", "gallery.png"):
        file = script["IMAGES"] / name
        assert file.stat().st_size <= script["MAX_BYTES"]
        assert Image.open(file).size == (script["WIDTH"], script["HEIGHT"])


def test_screenshots_are_compressed_to_the_size_that_is_allowed():
    compress = runpy.run_path(str(ROOT / "docs" / "screenshots.py"))["compress"]
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    small = compress(stream.getvalue(), max_bytes=9000)
    assert len(small) <= 9000 < len(stream.getvalue())
    assert Image.open(io.BytesIO(small)).size == (100, 100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        compress(stream.getvalue(), max_bytes=100)
