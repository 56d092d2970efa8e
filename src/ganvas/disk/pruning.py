"""Choose by rules what below data/ may go, and delete it."""

import fnmatch
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ganvas.disk.busy import RUNNING, is_collection_busy, is_ingesting, is_model_busy
from ganvas.disk.items import (
    CHECKPOINTS,
    COLLECTION,
    DELETING,
    SNAPSHOTS,
    TEMPORARY,
    UNPACKED,
    VERSION,
    Item,
)
from ganvas.disk.usage import Usage
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock, in_use
from ganvas.model_versions import is_in_future

UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
# Of checkpoints; the others name states of a run.
LATEST = "all-but-latest"


class Rules(NamedTuple):
    """What may go: whatever one of the rules names, if it is old enough and of these owners.

    Attributes:
        versions_keep: Number of the newest versions of each model that stay; None: all.
        checkpoints: States of runs whose checkpoints go, or LATEST: of all runs, those before the
            latest.
        snapshots: Whether snapshots of earlier runs are thinned out.
        collections: Whether collections go that nothing refers to.
        unpacked: Whether unpacked archives go whose archives are there.
        temporary: Whether temporary files of killed processes go.
        older_than: Seconds since the last change of what goes.
        only: Pattern of `<dataset>/<network>` or `<dataset>`.
    """

    versions_keep: int | None = None
    checkpoints: frozenset[str] = frozenset()
    snapshots: bool = False
    collections: bool = False
    unpacked: bool = False
    temporary: bool = False
    older_than: float = 0.0
    only: str = "*"


class Removal(NamedTuple):
    """What of an item goes: all of it, or some of its files."""

    item: Item
    paths: tuple[Path, ...]
    size: int
    why: str


class Plan(NamedTuple):
    """What goes, and what a rule names and must stay nevertheless."""

    removals: list[Removal]
    kept: list[Item]


def parse_age(text: str) -> float:
    """Return the seconds of an age such as 30d, 12h or 2w.

    Raises:
        GanvasError: It is none.

    Example:
        >>> parse_age("2w")
        1209600.0
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])", text.strip(), re.ASCII)
    if match is None:
        raise GanvasError(
            f"--older-than can't be '{text}': it must be a number of hours, days or weeks, such as "
            "12h, 30d or 8w."
        )
    return float(match[1]) * UNITS[match[2]]


def choose_removals(usage: Usage, rules: Rules) -> Plan:
    """Choose what goes by the rules.

    Args:
        usage: What takes space.
        rules: What may go. Each is about things of its own; all of them are restricted to those
            that are old enough and of the named owners.

    Example:
        >>> plan = choose_removals(measure_usage(Path("data")), Rules(versions_keep=3))
        >>> sum(removal.size for removal in plan.removals)
        20500000
    """
    removals, kept = [], []
    before = time.time() - rules.older_than
    ranks = _rank_versions(usage.items)
    for item in usage.items:
        why, surplus_only = _find_rule(item, rules, ranks)
        if not why or not is_named(item.owner, rules.only) or item.used > before:
            continue
        paths = tuple(path for path, _ in item.surplus) if surplus_only else item.paths
        size = sum(size for _, size in item.surplus) if surplus_only else item.size
        # What is kept of checkpoints is the run; the marked and the latest are no surplus.
        thins_run = surplus_only and item.kind == CHECKPOINTS and item.kept != RUNNING
        if item.kept and not thins_run:
            kept.append(item)
        elif paths:
            removals.append(Removal(item, paths, size, why))
    return Plan(removals, kept)


def _find_rule(item: Item, rules: Rules, ranks: dict[Item, int]) -> tuple[str, bool]:
    """Return why an item goes, empty if no rule names it, and whether its surplus alone does."""
    if item.kind == VERSION and rules.versions_keep is not None:
        if ranks[item] >= rules.versions_keep:
            newest = "newest" if rules.versions_keep == 1 else f"{rules.versions_keep} newest"
            return f"older than the {newest}", False
    elif item.kind == CHECKPOINTS:
        thins = LATEST in rules.checkpoints and item.surplus
        if item.state in rules.checkpoints and not (item.kept and thins):
            return {
                "finished": "of a finished run",
                "unfinished": "of an unfinished run",
                "set-aside": "of a run that train.resume=false has set aside",
            }[item.state], False
        if thins:
            return f"{len(item.surplus)} before the latest", True
    elif item.kind == SNAPSHOTS and rules.snapshots and item.surplus:
        return f"{len(item.surplus)} between powers of two", True
    elif item.kind == COLLECTION and rules.collections and item.state == "unused":
        return "no model refers to it", False
    elif item.kind == UNPACKED and rules.unpacked:
        return "its archive is there", False
    elif item.kind == TEMPORARY and rules.temporary:
        return item.details or "of a killed process", False
    return "", False


def _rank_versions(items: list[Item]) -> dict[Item, int]:
    """Number the versions of each model, from 0 for the newest."""
    ranks: dict[Item, int] = {}
    counts: dict[str, int] = {}
    versions = [item for item in items if item.kind == VERSION]
    # A name in the future is of a clock that was ahead.
    order = [(not is_in_future(item.name), item.name) for item in versions]
    for _, item in sorted(zip(order, versions, strict=True), key=lambda pair: pair[0])[::-1]:
        ranks[item] = counts.get(item.owner, 0)
        counts[item.owner] = ranks[item] + 1
    return ranks


def is_named(owner: str, pattern: str) -> bool:
    """Return whether a pattern is of an owner, or of the dataset that it belongs to."""
    return fnmatch.fnmatchcase(owner, pattern) or fnmatch.fnmatchcase(owner, f"{pattern}/*")


# --- Deleting -----------------------------------------------------------------------------------


def delete(removal: Removal, usage: Usage) -> None:
    """Delete what a removal names.

    Folders that belong together are first renamed into one hidden folder, so that no reader sees a
    part of them. A process that is killed in between leaves that folder, which the rule of
    temporary files deletes. What is gone already is fine.

    Raises:
        GanvasError: A run uses it, it would lie outside of the data folder, or the system refuses;
            the rest of the message says why.
    """
    data, item = usage.folder, removal.item
    for path in removal.paths:
        _check_inside(path, data)
    thins_out = removal.paths != item.paths
    try:
        with _lock(item, data):
            if thins_out or (item.kind == TEMPORARY and len(item.paths) == 1):
                for path in removal.paths:
                    _delete(path)
            else:
                _delete_together(removal.paths, _home(item, data))
    except OSError as error:
        place = error.filename or removal.paths[0]
        raise GanvasError(f"{place} can't be deleted ({error.strerror or error}).") from error


def _home(item: Item, data: Path) -> Path:
    """Return the folder in which deleted folders of an item wait: where no reader looks."""
    if item.kind in (VERSION, CHECKPOINTS, TEMPORARY):
        return data / "06_models" / item.owner
    return item.paths[0].parent


def _check_inside(path: Path, data: Path) -> None:
    """Check that a path is below the data folder and leads through no link."""
    try:
        is_inside = path.parent.resolve(strict=True) == path.parent and path.is_relative_to(data)
    except OSError:  # gone meanwhile
        return
    if not is_inside or path.is_symlink() or path == data:
        raise GanvasError(f"{path} is or leads through a link, and stays.")


@contextmanager
def _lock(item: Item, data: Path) -> Iterator[None]:
    """Lock what runs lock that write to the item or read it; one may have begun meanwhile.

    Raises:
        GanvasError: A run uses it.
    """
    folders: list[Path] = []
    model, dataset = data / "06_models" / item.owner, data / "03_primary" / item.owner
    if item.kind == COLLECTION:
        busy, folder = is_collection_busy(dataset), dataset
        folders = [dataset, dataset / "collection", in_use(dataset / "collection")]
    elif "/" in item.owner and model.is_dir():
        busy, folder = is_model_busy(model), model
        if item.kind == CHECKPOINTS:
            busy = busy or is_collection_busy(dataset.parent)
        # Not each run of it, whose files are all moved away at once.
        folders = [model]
    else:
        busy, folder = item.kind == UNPACKED and is_ingesting(data), data
    if busy:
        raise GanvasError(f"Another run uses {folder}: wait for it, or delete it later.")
    with ExitStack() as stack:
        for locked in folders:
            task = f"uses {folder}"
            stack.enter_context(exclusive_lock(locked, task, "delete it later"))
        yield


def _delete_together(paths: tuple[Path, ...], home: Path) -> None:
    waiting = home / f".{uuid.uuid4().hex}{DELETING}"
    waiting.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for number, path in enumerate(paths):
            target = waiting / f"{number}-{path.name}"
            with suppress(FileNotFoundError):
                path.rename(target)
                moved.append((path, target))
    except OSError:
        # All of it stays, or nothing.
        for path, target in reversed(moved):
            target.rename(path)
        waiting.rmdir()
        raise
    _delete(waiting)


def _delete(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        # Another process deletes it too.
        shutil.rmtree(path, ignore_errors=True)
