"""The repository's address is one setting, which other files repeat once it is not an example."""

import tomllib
from urllib.parse import urlsplit

import pytest
import yaml

from projects import ROOT

SETTING = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
README = (ROOT / "README.md").read_text()
CITATION = (ROOT / "CITATION.cff").read_text()


def find_missing(url: str, readme: str, citation: str) -> list[str]:
    """List what README and CITATION.cff must have and lack, or have and must not yet."""
    if urlsplit(url).hostname == "example.com":
        return [
            text
            for text in ("badge.svg", "git clone https", "example.com/ganvas")
            if text in readme + citation
        ]
    expected = [f"git clone {url}", f"{url}/actions/workflows/ci.yml/badge.svg"]
    missing = [text for text in expected if text not in readme]
    if yaml.safe_load(citation).get("repository-code") != url:
        missing.append(f"repository-code: {url}")
    return missing


def test_readme_and_citation_agree_with_the_setting():
    assert find_missing(SETTING, README, CITATION) == []


@pytest.mark.parametrize(
    ("url", "readme", "citation", "missing"),
    [
        ("https://example.com/ganvas", "![CI](x/badge.svg)", "", ["badge.svg"]),
        (
            "https://host.org/a/ganvas",
            "git clone https://host.org/b/ganvas",
            "title: x",
            [
                "git clone https://host.org/a/ganvas",
                "https://host.org/a/ganvas/actions/workflows/ci.yml/badge.svg",
                "repository-code: https://host.org/a/ganvas",
            ],
        ),
        (
            "https://host.org/a",
            "git clone https://host.org/a ![](https://host.org/a/actions/workflows/ci.yml/badge.svg)",
            "repository-code: https://host.org/a",
            [],
        ),
    ],
)
def test_what_is_missing_is_named(url, readme, citation, missing):
    assert find_missing(url, readme, citation) == missing
