"""List what takes space below data/, and why each thing must stay or may go."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ganvas.disk.busy import (
    RUNNING,
    is_collection_busy,
    is_ingesting,
    is_locked,
    is_model_busy,
    list_with_locked,
)
from ganvas.disk.items import (
    COLLECTION,
    DELETING,
    FILMS,
    LEADERBOARD,
    OTHER,
    RAW,
    REPORT,
    SAMPLES,
    TEMPORARY,
    TRACKING,
    UNPACKED,
    Item,
    Size,
    Tree,
    list_folders,
    make_item,
    measure_folders,
)
from ganvas.disk.model_items import list_model_items
from ganvas.disk.references import Results, read_leaderboard, read_object

# Seconds after which nothing writes to a temporary file any more.
STALE_AGE = 24 * 3600


class Usage(NamedTuple):
    """What a data folder takes.

    Attributes:
        folder: The data folder, resolved.
        size: Bytes of all files below it; links are not followed.
        files: Number of all files.
        free: Free bytes of its disk; None if not known.
        items: Everything, in the order of the folders.
        links: Links below it, which are not followed.
    """

    folder: Path
    size: int
    files: int
    free: int | None
    items: list[Item]
    links: list[Path]


def measure_usage(data: Path) -> Usage:
    """List what takes space below a project's data folder.

    Args:
        data: The folder `data`; it need not exist.

    Example:
        >>> usage = measure_usage(Path("data"))
        >>> sum(item.size for item in usage.items) == usage.size
        True
    """
    data = data.resolve()
    tree = measure_folders(data)
    results = read_leaderboard(data / "08_reporting/leaderboard")
    items = [
        *_list_raw(data, tree),
        *_list_collections(data, tree, results),
        *list_model_items(data, tree, results),
        *_list_results(data, tree),
    ]
    items = _list_temporary(data, tree, items)
    total = tree.sizes.get(data, Size(0, 0, 0.0))
    rest = total.size - sum(item.size for item in items)
    if rest > 0:
        count = max(total.files - sum(item.files for item in items), 0)
        items.append(Item(OTHER, "", "", (), rest, count, total.used, "tables and the like", OTHER))
    try:
        free = shutil.disk_usage(data).free
    except OSError:
        free = None
    return Usage(data, total.size, total.files, free, items, tree.links)


# --- By stage -----------------------------------------------------------------------------------


def _list_raw(data: Path, tree: Tree) -> Iterator[Item]:
    raw = data / "01_raw"
    for folder in list_folders(raw, tree):
        kept = "raw images are never deleted"
        yield make_item(tree, RAW, folder.name, "", folder, kept=kept)
    busy = is_ingesting(data)
    for key in list_folders(raw / ".unpacked", tree, hidden=True):
        for folder in list_folders(key, tree):
            archive = _find_archive(folder)
            kept = "" if archive else "its archive is not known or not there any more"
            yield make_item(
                *(tree, UNPACKED, "", folder.name, folder),
                details=f"of {archive}" if archive else "",
                kept=RUNNING if busy else kept,
            )


def _find_archive(folder: Path) -> Path | None:
    """Return the archive that a folder was unpacked from; None if it is gone or has changed."""
    marker = read_object(folder / ".unpacked.json") or {}
    try:
        archive = Path(marker["archive"])
        status = archive.stat()
        is_same = (marker["bytes"], marker["modified_ns"]) == (status.st_size, status.st_mtime_ns)
    except (KeyError, TypeError, ValueError, OSError):  # earlier versions recorded no path
        return None
    return archive if is_same else None


def _list_collections(data: Path, tree: Tree, results: Results) -> Iterator[Item]:
    for dataset in list_folders(data / "03_primary", tree):
        collection = dataset / "collection"
        paths = [
            path
            for path in (collection, dataset / "image_index.parquet", dataset / "rejected.csv")
            if os.path.lexists(path)
        ]
        if paths:
            user = _find_user(data, tree, results, dataset.name)
            yield make_item(
                tree,
                COLLECTION,
                dataset.name,
                "",
                *paths,
                kept=_keep_collection(data, tree, collection, user),
                state="" if user else "unused",
            )


def _find_user(data: Path, tree: Tree, results: Results, dataset: str) -> str:
    """Return what refers to a collection; empty if nothing does."""
    if models := list_folders(data / "06_models" / dataset, tree):
        return f"{dataset}/{models[0].name}"
    if (data / "08_reporting" / dataset).exists():
        return f"the report of {dataset}"
    runs = [run for key, runs in results.entries.items() if key[0] == dataset for run in runs]
    return runs[0].label if runs else "".join(results.damaged[:1])


def _keep_collection(data: Path, tree: Tree, collection: Path, user: str) -> str:
    dataset = collection.parent.name
    models = list_with_locked(data / "06_models" / dataset)
    if is_collection_busy(collection.parent) or any(map(is_model_busy, models)):
        return RUNNING
    if user:
        return f"{user} refers to it"
    source = (read_object(collection / "manifest.json") or {}).get("source")
    try:
        if isinstance(source, str) and any(Path(source).iterdir()):
            return ""
    except (OSError, ValueError):
        pass
    return "the images that it was packed from are not there any more"


def _list_results(data: Path, tree: Tree) -> Iterator[Item]:
    kept = "no rule is about it"
    for dataset in list_folders(data / "07_model_output", tree):
        for model in list_folders(dataset, tree):
            owner = f"{dataset.name}/{model.name}"
            for kind in (SAMPLES, FILMS):
                if (folder := model / kind) in tree.sizes:
                    yield make_item(tree, kind, owner, "", folder, kept=kept)
    reporting = data / "08_reporting"
    for dataset in list_folders(reporting, tree):
        if dataset.name == "leaderboard":
            continue
        for model in list_folders(dataset, tree):
            owner = f"{dataset.name}/{model.name}"
            yield make_item(tree, REPORT, owner, "", model, kept=kept)
    paths = [reporting / "leaderboard", reporting / "comparison.html"]
    if found := [path for path in paths if os.path.lexists(path)]:
        yield make_item(tree, LEADERBOARD, "", "", *found, kept=kept)
    if (tracking := data / "09_tracking") in tree.sizes and tree.sizes[tracking].size:
        yield make_item(tree, TRACKING, "", "", tracking, kept=kept)


def _list_temporary(data: Path, tree: Tree, items: list[Item]) -> list[Item]:
    """Add the temporary files and folders, and subtract them from what they are in."""
    now = time.time()
    found = []
    for path in tree.temporary:
        item = make_item(tree, TEMPORARY, _owner(data, path), _shorten(path, data), path)
        if path.name.endswith(DELETING):
            item = replace(item, details="an interrupted deletion")
        found.append(item)
    for number, item in enumerate(items):
        inside = [
            other for other in found if any(path in other.paths[0].parents for path in item.paths)
        ]
        if inside:
            size = item.size - sum(other.size for other in inside)
            files = item.files - sum(other.files for other in inside)
            items[number] = replace(item, size=size, files=files)
    return [
        *(item if item.kind != TEMPORARY else _keep_recent(data, item, now) for item in items),
        *(_keep_recent(data, item, now) for item in found),
    ]


def _keep_recent(data: Path, item: Item, now: float) -> Item:
    """Keep what a process may still write to."""
    if any(map(is_locked, _locks_of(data, item.paths[0]))):
        return replace(item, kept=RUNNING)
    is_deletion = item.paths[0].name.endswith(DELETING)
    if not is_deletion and not item.kept and now - item.used < STALE_AGE:
        return replace(item, kept="it was changed less than a day ago")
    return item


def _locks_of(data: Path, path: Path) -> Iterator[Path]:
    """List the folders whose locks processes hold while they write to a temporary path."""
    # The hidden name is made of that of the folder, beside which it is.
    yield path.with_name(path.name.removeprefix(".").rpartition(".")[0] or "none")
    for parent in path.parents:
        if parent == data:
            break
        yield parent


def _owner(data: Path, path: Path) -> str:
    """Return the dataset, or dataset and network, that a path belongs to."""
    parts = path.relative_to(data).parts[1:-1]
    is_model = path.is_relative_to(data / "06_models") or path.is_relative_to(
        data / "07_model_output"
    )
    return "/".join(parts[: 2 if is_model else 1]).removeprefix(".unpacked")


def _shorten(path: Path, data: Path) -> str:
    return path.relative_to(data).as_posix()
