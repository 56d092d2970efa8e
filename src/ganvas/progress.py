"""Progress bars in a terminal, and durations as text."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

import rich
from rich.progress import track as rich_track

Item = TypeVar("Item")


def in_terminal() -> bool:
    """Return whether output goes to a terminal; progress bars are only drawn there."""
    return rich.get_console().is_terminal


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    Example:
        >>> [format_duration(seconds) for seconds in (4.08, 130, 5400)]
        ['4.1 s', '2 min 10 s', '1 h 30 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (large, size), (small, part) in itertools.pairwise(units):
        rounded = round(seconds / part)
        if rounded >= size // part:
            count, rest = divmod(rounded, size // part)
            return f"{count} {large} {rest} {small}" if rest else f"{count} {large}"
    return f"{seconds:.0f} s"


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
