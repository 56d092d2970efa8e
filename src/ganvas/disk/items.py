"""Measure everything below data/, and make items of files and folders that belong together."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

RAW, UNPACKED, COLLECTION = "raw images", "unpacked archive", "collection"
VERSION, CHECKPOINTS, EXPORTED = "models", "checkpoints", "exported files"
SNAPSHOTS, SAMPLES, FILMS, REPORT = "snapshots", "samples", "films", "report"
LEADERBOARD, TRACKING = "leaderboard", "MLflow"
TEMPORARY, OTHER = "temporary", "other"

# What processes leave when they are killed while they write, download or delete.
TEMPORARY_NAME = re.compile(
    r"\.(.+\.)?(partial|old|fetching|deleting)|.+\.npz\.unreadable", re.DOTALL
)
DELETING = ".deleting"


@dataclass(frozen=True)
class Item:
    """Something that takes space, and goes as a whole unless a rule thins it out.

    Attributes:
        kind: One of the constants of this module, such as VERSION.
        owner: `<dataset>/<network>`, `<dataset>`, or empty.
        name: Name within its kind and owner: a version, a run.
        paths: Its files and folders.
        size: Bytes.
        files: Number of files.
        used: When any of it was last changed, Unix seconds; of a version, when it was saved.
        details: What it is, in words.
        kept: Why it is never deleted; empty if it may be.
        state: Of checkpoints: finished, unfinished or set-aside; of collections: unused.
        surplus: Files that a rule may thin out, with their sizes.
    """

    kind: str
    owner: str
    name: str
    paths: tuple[Path, ...]
    size: int
    files: int
    used: float
    details: str = ""
    kept: str = ""
    state: str = ""
    surplus: tuple[tuple[Path, int], ...] = ()


class Size(NamedTuple):
    """Bytes and number of files, and when any of them was last changed, Unix seconds."""

    size: int
    files: int
    used: float


class Tree(NamedTuple):
    """Sizes of all folders, temporary files and folders, and links."""

    sizes: dict[Path, Size]
    temporary: list[Path]
    links: list[Path]


def measure_folders(data: Path) -> Tree:
    """Measure all folders below a data folder, and find temporary files and links in it."""
    sizes: dict[Path, Size] = {}
    temporary, links = [], []
    raw = data / "01_raw"
    for name, folders, files in [*os.walk(data)][::-1]:
        folder = Path(name)
        size = count = 0
        used = 0.0
        # Names in a folder of raw images are the user's.
        is_users = folder.is_relative_to(raw) and folder != raw and not _has_archives(folder, raw)
        for child in folders:
            if (found := sizes.get(folder / child)) is not None:
                size, count = size + found.size, count + found.files
                used = max(used, found.used)
            else:  # a link, or gone meanwhile
                files.append(child)
        for child in files:
            try:
                # Much faster than a Path for each of a million images.
                status = os.lstat(f"{name}/{child}")
            except OSError:  # gone meanwhile
                continue
            size, count, used = size + status.st_size, count + 1, max(used, status.st_mtime)
            if stat.S_ISLNK(status.st_mode):
                links.append(folder / child)
        if not is_users:
            found_names = filter(TEMPORARY_NAME.fullmatch, {*folders, *files})
            temporary += [folder / child for child in sorted(found_names)]
        sizes[folder] = Size(size, count, used or _changed(folder))
    # Of a temporary folder, not also what is in it.
    inside = set(temporary)
    links_too = inside & set(links)
    outermost = [path for path in inside - links_too if not inside & set(path.parents)]
    return Tree(sizes, sorted(outermost), links)


def _has_archives(folder: Path, raw: Path) -> bool:
    """Return whether a folder has folders of unpacked archives, or those of all archives."""
    parts = folder.relative_to(raw).parts
    return parts[:1] == (".unpacked",) and len(parts) <= 2


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def measure_paths(tree: Tree, *paths: Path) -> Size:
    """Measure files and folders; missing ones have nothing."""
    size = count = 0
    used = 0.0
    for path in paths:
        found = tree.sizes.get(path)
        if found is None:
            try:
                status = path.lstat()
            except OSError:
                continue
            found = Size(status.st_size, 1, status.st_mtime)
        size, count, used = size + found.size, count + found.files, max(used, found.used)
    return Size(size, count, used)


def make_item(tree: Tree, kind: str, owner: str, name: str, *paths: Path, **more: Any) -> Item:
    """Make an item of files and folders, with their size; `more` are its other attributes."""
    return Item(kind, owner, name, paths, *measure_paths(tree, *paths), **more)


def list_folders(parent: Path, tree: Tree, hidden: bool = False) -> list[Path]:
    """List the folders in a folder, without links."""
    try:
        children = sorted(parent.iterdir()) if parent in tree.sizes else []
    except OSError:
        return []
    return [path for path in children if path in tree.sizes and (hidden or path.name[:1] != ".")]
