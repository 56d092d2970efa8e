"""The documentation, built as `make site` does except for Kedro-Viz, has no broken links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# URLs of other hosts that a browser requests by itself.
REQUESTED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//", re.I)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    (folder / "viz").mkdir()
    (folder / "viz" / "index.html").write_text("<title>the flow</title>")
    return folder


def check_links(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "docs" / "check_links.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.exhaustive
def test_the_site_has_no_broken_links(site):
    result = check_links(site)
    assert result.returncode == 0, result.stdout


def test_no_page_requests_anything_from_other_hosts(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        assert not REQUESTED.search(page.read_text()), page


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ('<a href="other.html">x</a>', "other.html"),
        ('<h1 id="here">x</h1><a href="#there">x</a>', "there"),
        ('<img src="images/none.png">', "none.png"),
    ],
)
def test_a_broken_link_is_reported(tmp_path, page, missing):
    (tmp_path / "index.html").write_text(f"<!DOCTYPE html><title>x</title>{page}")
    result = check_links(tmp_path)
    assert result.returncode == 1 and missing in result.stdout


def test_links_to_other_hosts_are_not_checked(tmp_path):
    (tmp_path / "index.html").write_text('<title>x</title><a href="http://nowhere.invalid/">x</a>')
    assert check_links(tmp_path).returncode == 0
