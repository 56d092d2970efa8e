"""How to install an optional group of packages, an extra, for messages to users."""

import json
from importlib import metadata


def install_command(extra: str) -> str:
    """Return the command that adds an extra to the installed Ganvas.

    Ganvas is on no package index, so a bare `pip install "ganvas[…]"` would look there for another
    package of that name: the command names the clone or the wheel instead.

    Args:
        extra: Name of an extra in pyproject.toml.

    Returns:
        In a clone `pip install -e ".[faces]"`, to be run in its folder; where a wheel is
        installed, `pip install "ganvas[faces] @ file:///path/to/the.whl"`.
    """
    try:
        # Written by pip, see PEP 610.
        origin = json.loads(metadata.distribution("ganvas").read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:
        origin = {}
    if "archive_info" in origin:
        return f'pip install "ganvas[{extra}] @ {origin["url"]}"'
    return f'pip install -e ".[{extra}]"'
