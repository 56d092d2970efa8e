"""Progress as a bar in a terminal or as lines in a log, and durations as text."""

import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

import rich
from rich.progress import track as rich_track

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

# Between two lines of progress in a log.
LOG_SECONDS = 10


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
    """Iterate over items with a bar in a terminal, and a line every ten seconds in a log.

    Both show the time left if the number of items is known.

    Args:
        items: Items to iterate over.
        description: Text beside the bar.
        total: Number of items; default: `len(items)` if it has one.

    Example:
        >>> sum(track([1, 2, 3], "numbers"))
        6
    """
    if in_terminal():
        yield from rich_track(items, description, total, console=rich.get_console())
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_SECONDS and done != total:
            last = now
            logger.info("%s: %s", description, _describe_progress(done, total, now - start))


def _describe_progress(done: int, total: int | None, seconds: float) -> str:
    if not total:
        return f"{done} done in {format_duration(seconds)}"
    left = seconds / done * (total - done)
    return f"{done / total:.0%}, {format_duration(left)} left"
