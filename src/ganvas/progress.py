"""Progress of long work: a bar in a terminal, lines in a log."""

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

import rich
from rich.progress import track as rich_track

Item = TypeVar("Item")


def in_terminal() -> bool:
    """Whether somebody watches: bars are drawn in a terminal alone."""
    return rich.get_console().is_terminal


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Pass items on, with a progress bar in a terminal and silence in a log.

    Args:
        items: What is worked through.
        description: What the bar says.
        total: How many items there are; by default the items' own length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    console = rich.get_console()
    yield from rich_track(
        items, description, total=total, console=console, disable=not in_terminal()
    )
