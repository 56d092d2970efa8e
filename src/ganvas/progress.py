"""Progress bars in a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import rich
from rich.progress import track as rich_track

Item = TypeVar("Item")


def in_terminal() -> bool:
    """Return whether output goes to a terminal; progress bars are only drawn there."""
    return rich.get_console().is_terminal


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate over items with a progress bar in a terminal, and silently elsewhere.

    Args:
        items: Items to iterate over.
        description: Text beside the bar.
        total: Number of items; default: `len(items)` if it has one.

    Example:
        >>> sum(track([1, 2, 3], "numbers"))
        6
    """
    console = rich.get_console()
    yield from rich_track(items, description, total, console=console, disable=not in_terminal())
