"""List the files of a source."""

import heapq
import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

import pandas as pd
from PIL import Image

from ganvas.errors import GanvasError

FILE_STATS = {"bytes": "int64", "modified_ns": "int64"}
SURROGATES = re.compile(r"[\ud800-\udfff]")
# Formats that Pillow registers although it can only write them, reads them by external programs
# or reads nothing but their size.
NON_IMAGE_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}


def list_files(folder: Path, subfolder: str = "") -> list[tuple[str, int, int]]:
    """List all files below a subfolder except hidden ones, following links.

    Returns:
        One tuple a file: path below `folder`, size in bytes, modification time in nanoseconds.
    """
    return _walk(folder, subfolder)[0]


def _walk(folder: Path, subfolder: str) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return the files as `list_files` does, and the links to folders that are listed elsewhere.

    Each folder is listed once: at its own path if that is below `folder`, else at that of the
    first link to it. So links that lead around a circle end.
    """
    files: list[tuple[str, int, int]] = []
    repeated: list[str] = []
    listed: set[str] = set()
    top, root = subfolder.strip("/"), os.path.realpath(folder)
    # Paths with their real paths. Links wait until all folders that are no links are listed.
    pending = [(top, os.path.realpath(folder / top))]
    links: list[tuple[str, str]] = []
    while pending or links:
        if pending:
            parent, real = pending.pop()
        else:
            parent, real = heapq.heappop(links)
        # A link to a folder that contains this one, such as `/`, leads around a circle.
        if real in listed or (parent != top and f"{root}/".startswith(f"{real.rstrip('/')}/")):
            repeated.append(parent)
            continue
        listed.add(real)
        try:
            entries = list(os.scandir(folder / parent))
        except FileNotFoundError:
            continue
        except PermissionError:
            if parent == top:
                raise
            # Listed like a file, such as lost+found of a disk, so that decoding rejects it.
            files.append((parent, 0, 0))
            continue
        for entry in entries:
            # Strings, because a Path for each of 80,000 files takes a second.
            path = f"{parent}/{entry.name}" if parent else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((path, f"{real.rstrip('/')}/{entry.name}"))
            # Unlike Path.is_dir, it is false where permission is missing.
            elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                heapq.heappush(links, (path, os.path.realpath(entry.path)))
            else:
                stat = _read_stat(entry)
                files.append((path, stat.st_size, stat.st_mtime_ns))
    return files, repeated


def _read_stat(entry: os.DirEntry[str]) -> os.stat_result:
    """Return the stat of a file; of a link, that of its target, which may change."""
    try:
        if entry.is_file():
            return entry.stat()
    except OSError:
        pass  # Decoding reports what is wrong with the link.
    return entry.stat(follow_symlinks=False)


def scan(folder: Path, subfolder: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """List all files below a subfolder except hidden ones, following links.

    Returns:
        The files, sorted by path, with columns path, bytes and modified_ns; and a table of the
        skipped ones: files whose names are not valid UTF-8, and links to folders that are listed
        already.

    Raises:
        GanvasError: The folder does not exist.
    """
    if folder.is_file():
        raise GanvasError(
            f"{folder} is a file, not a folder: set ingest.source.path to the folder that holds "
            "the images, or to a ZIP or TAR archive of it."
        )
    if not folder.is_dir():
        raise GanvasError(
            f"The folder {folder} does not exist: set ingest.source.path to the folder that holds "
            "the images, or download artworks, wikiart or celeba by kedro run --pipelines=fetch."
        )
    rows, repeated = _walk(folder, subfolder)
    rows.sort()
    # Neither tables nor web pages can hold such names.
    invalid = [ascii(path)[1:-1] for path, *_ in rows if SURROGATES.search(path)]
    repeated = [path for path in sorted(repeated) if not SURROGATES.search(path)]
    valid = [row for row in rows if not SURROGATES.search(row[0])]
    files = pd.DataFrame(valid, columns=["path", *FILE_STATS])
    files = files.astype({"path": "str", **FILE_STATS})
    return files, join_skipped(
        make_skipped(invalid, "its name is not valid UTF-8: rename it"),
        make_skipped(repeated, "a link to a folder that is listed already"),
    )


def keep_image_files(files: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split files into those that may be images, by suffix, and a table of skipped ones."""
    suffixes = files["path"].map(lambda path: PurePosixPath(path).suffix.lower())
    formats = Image.registered_extensions()
    known = [suffix for suffix, name in formats.items() if name not in NON_IMAGE_FORMATS]
    others = ~suffixes.isin(["", *known])
    skipped = make_skipped(files.loc[others, "path"], "no image: ends in " + suffixes[others])
    return files[~others].reset_index(drop=True), skipped


def make_skipped(paths: list[str] | pd.Series, reason: str | list[str] | pd.Series) -> pd.DataFrame:
    """Return a table of skipped files with the text columns path and reason."""
    return pd.DataFrame({"path": paths, "reason": reason}, dtype="str")


def join_skipped(*tables: pd.DataFrame) -> pd.DataFrame:
    """Concatenate tables of skipped files, sorted by path; the first reason for a path stays."""
    joined = pd.concat(tables).drop_duplicates("path")
    return joined.sort_values("path", ignore_index=True)


def first_folder(paths: pd.Series) -> pd.Series:
    """Return the first folder of each path in NFC; "" for a file at the top."""
    return paths.map(lambda path: to_nfc(path[: path.find("/") + 1][:-1])).astype("str")


def to_nfc(text: str) -> str:
    """Normalize to Unicode form NFC, in which letters and accents are composed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def find_child(folder: Path, name: str) -> Path:
    """Return the path of a file or folder in a folder, also if only its case differs.

    Returns:
        The path with the name as it is spelled there; as given, if there is none or several.

    Example:
        >>> find_child(Path("art"), "images")  # a copy of another system
        PosixPath('art/Images')
    """
    if (folder / name).exists() or not folder.is_dir():
        return folder / name
    same = [entry for entry in folder.iterdir() if entry.name.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else folder / name
