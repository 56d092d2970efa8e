"""List the files of a source."""

import heapq
import mimetypes
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.ingestion.file_formats import (
    RAW,
    RAW_SUFFIXES,
    START,
    explain_format,
    image_suffixes,
    recognize,
)
from ganvas.ingestion.file_reading import UNREADABLE, read_file
from ganvas.ingestion.rejection import Rejection

FILE_STATS = {"bytes": "int64", "modified_ns": "int64"}
SURROGATES = re.compile(r"[\ud800-\udfff]")
# Folders and files, in lower case, that systems add to those of their users: copies of images
# (thumbnails, versions, deleted files) and metadata. Hidden ones are skipped as well.
SYSTEM_NAMES = {
    *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@synoresource"),
    *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "zbthumbnail.info"),
    *("__macosx", "icon\r", "network trash folder", "temporary items", "lost.dir"),
    *("lost+found", "__pycache__", "picasa.ini", "_vti_cnf"),
}
# Suffixes of files that are not read to find out whether they are images, since there may be one
# beside each image.
SIDECAR_SUFFIXES = {
    *(".aae", ".caption", ".json", ".jsonl", ".npy", ".npz", ".tags", ".xml", ".xmp", ".yaml"),
}
# Time to wait for the first bytes of a file.
LISTING_SECONDS = 5
NON_IMAGE_TYPES = ("text/", "audio/", "video/")
KNOWN_TYPES = mimetypes.MimeTypes().types_map[True]
SYSTEM_SUFFIXES = ("@synoeastream", ":zone.identifier")
PARQUET_HINT = (
    "write the images that it holds to a folder, for example in Python by `import datasets` and "
    "`for number, row in enumerate(datasets.load_dataset('parquet', data_files=FILE, split='train')"
    "): row['image'].save(f'FOLDER/{number}.png')`, and set ingest.source.path to that folder"
)


def list_files(folder: Path, subfolder: str = "") -> list[tuple[str, int, int]]:
    """List all files below a subfolder except hidden ones and those of systems, following links.

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
            # Listed like a file, so that decoding rejects it.
            files.append((parent, 0, 0))
            continue
        for entry in entries:
            # Strings, because a Path for each of 80,000 files takes a second.
            path = f"{parent}/{entry.name}" if parent else entry.name
            if _is_of_system(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((path, f"{real.rstrip('/')}/{entry.name}"))
            # Unlike Path.is_dir, it is false where permission is missing.
            elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                heapq.heappush(links, (path, os.path.realpath(entry.path)))
            else:
                # What has vanished since the folder was read is left out.
                with suppress(FileNotFoundError):
                    stat = _read_stat(entry)
                    files.append((path, stat.st_size, stat.st_mtime_ns))
    return files, repeated


def _is_of_system(name: str) -> bool:
    lower = name.lower()
    return name.startswith(".") or lower in SYSTEM_NAMES or lower.endswith(SYSTEM_SUFFIXES)


def _read_stat(entry: os.DirEntry[str]) -> os.stat_result:
    """Return the stat of a file; of a link, that of its target, which may change."""
    try:
        if entry.is_file():
            return entry.stat()
    except OSError:
        pass  # Decoding reports what is wrong with the link.
    return entry.stat(follow_symlinks=False)


def scan(folder: Path, subfolder: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """List all files below a subfolder, see `list_files`, reading each directory once.

    Returns:
        The files, sorted by path, with columns path, bytes and modified_ns; and a table of the
        skipped ones: files whose names are not valid UTF-8, and links to folders that are listed
        already.

    Raises:
        GanvasError: The folder does not exist.
    """
    if folder.is_file():
        if folder.suffix.lower() == ".parquet":
            raise GanvasError(f"{folder} is a Parquet file, not a folder: {PARQUET_HINT}.")
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


def keep_image_files(files: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split files into those that may be images and a table of skipped ones.

    The suffix of an image format is taken at its word until the file is decoded. Files with
    others, such as `photo.jpg?w=600`, and without one are recognized by their first bytes. Raw
    photographs are skipped by their suffix, since they begin like TIFF files.

    Args:
        files: One row a file: path, and more columns.
        folder: Folder that the paths are below.
    """
    known = image_suffixes()
    reasons = [
        ""
        if (suffix := PurePosixPath(path).suffix.lower()) in known
        else _explain_skipping(folder / path, suffix)
        for path in files["path"]
    ]
    others = np.array([bool(reason) for reason in reasons], bool)
    skipped = make_skipped(files.loc[others, "path"], [reason for reason in reasons if reason])
    return files[~others].reset_index(drop=True), skipped


def _explain_skipping(file: Path, suffix: str) -> str:
    """Return why a file without the suffix of an image format is skipped; "" if it is an image."""
    if suffix in RAW_SUFFIXES:
        return explain_format(RAW).with_hint
    ending = f"no image: ends in {suffix}" if suffix else "no image: has no suffix"
    if suffix in SIDECAR_SUFFIXES or KNOWN_TYPES.get(suffix, "").startswith(NON_IMAGE_TYPES):
        return ending
    try:
        form = recognize(read_file(file, START, LISTING_SECONDS))
    except Rejection as rejection:
        return str(rejection)
    except OSError as error:
        return f"{UNREADABLE}: {error.strerror or error}"
    if form is None or not form.is_image:
        return ending
    return "" if form.is_readable else explain_format(form).with_hint


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
