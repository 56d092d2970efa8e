"""The site is built as `make site` builds it, apart from the flow, and its links are followed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
# What a browser asks for by itself.
ASKED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//", re.I)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    (folder / "viz").mkdir()
    (folder / "viz" / "index.html").write_text("<title>the flow</title>")
    return folder


def follow(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "docs" / "check_links.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_link_of_the_site_leads_somewhere(site):
    checked = follow(site)
    assert checked.returncode == 0, checked.stdout


def test_no_page_asks_a_foreign_host_for_anything(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        assert not ASKED.search(page.read_text()), page


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ('<a href="other.html">x</a>', "other.html"),
        ('<h1 id="here">x</h1><a href="#there">x</a>', "there"),
        ('<img src="images/none.png">', "none.png"),
    ],
)
def test_a_link_that_leads_nowhere_is_told(tmp_path, page, missing):
    (tmp_path / "index.html").write_text(f"<!DOCTYPE html><title>x</title>{page}")
    checked = follow(tmp_path)
    assert checked.returncode == 1 and missing in checked.stdout


def test_other_hosts_are_left_alone(tmp_path):
    (tmp_path / "index.html").write_text('<title>x</title><a href="http://nowhere.invalid/">x</a>')
    assert follow(tmp_path).returncode == 0
