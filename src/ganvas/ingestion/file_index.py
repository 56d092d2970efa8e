"""Listing files, and giving them the labels of lists: what sources share."""

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

import pandas as pd
from PIL import Image

from ganvas.errors import GanvasError

# Column of a table of listed images: the list that names each. No label can be called so.
LIST, KEY = "(list)", "(key)"
FACTS = {"bytes": "int64", "modified_ns": "int64"}
NOT_TEXT = re.compile(r"[\ud800-\udfff]")
# Formats whose endings Pillow knows, though it only writes them, hands them to other programs or
# tells no more than a film's size.
NO_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}


def list_files(folder: Path, below: str) -> list[tuple[str, int, int]]:
    """List every file below a subfolder but hidden ones: path, bytes, modification time in ns."""
    found: list[tuple[str, int, int]] = []
    pending = [below.strip("/")]
    while pending:
        here = pending.pop()
        try:
            entries = list(os.scandir(folder / here))
        except FileNotFoundError:
            continue
        except PermissionError:
            if here == below.strip("/"):
                raise
            # Such as lost+found of a disk: it is told of, and keeps nothing else out.
            found.append((here, 0, 0))
            continue
        for entry in entries:
            # Joined as text: building a Path for each of 80,000 files takes a second.
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                stat = _read_stat(entry)
                found.append((path, stat.st_size, stat.st_mtime_ns))
    return found


def _read_stat(entry: os.DirEntry[str]) -> os.stat_result:
    """Of a link the file that it leads to counts, which can become another under the same link."""
    try:
        if entry.is_file():
            return entry.stat()
    except OSError:
        # Reading will say what is wrong with the link.
        pass
    return entry.stat(follow_symlinks=False)


def scan(folder: Path, below: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """List every file of a folder but hidden ones, with one look at each directory.

    Returns:
        The files, sorted by path: path below the folder, bytes, modified_ns; and remarks on
        files whose names are not text.
    """
    if not folder.is_dir():
        raise GanvasError(
            f"The folder {folder} does not exist: set ingest.source.path to the folder that holds "
            "the images, or bring artworks, wikiart or celeba by kedro run --pipelines=fetch."
        )
    found = sorted(list_files(folder, below))
    # Neither a table nor a web page can hold a name that is not UTF-8.
    bad = [ascii(name)[1:-1] for name, *_ in found if NOT_TEXT.search(name)]
    good = [row for row in found if not NOT_TEXT.search(row[0])]
    files = pd.DataFrame(good, columns=["path", *FACTS]).astype({"path": "str", **FACTS})
    return files, make_skipped(bad, "its name is not valid UTF-8: rename it")


def match_listed(
    files: pd.DataFrame, listed: pd.DataFrame, lists: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give files the labels of the lists that name them.

    Names match whether accents are composed or not: macOS may decompose what a list composes.

    Args:
        files: One row a file: path and more.
        listed: One row a line: path, LIST (the list's name) and label columns.
        lists: The lists' names, for remarks.

    Returns:
        The files with their labels; and remarks on missing files and on those that no line
        names or that two lines label differently.
    """
    labels = [column for column in listed.columns if column not in ("path", LIST)]
    listed = listed.assign(**{KEY: listed["path"].map(compose)})
    repeated = listed[listed[KEY].duplicated(keep=False)].drop_duplicates([KEY, *labels])
    listed = listed.drop_duplicates(KEY)
    keys = files["path"].map(compose).rename(KEY)
    unclear = _among(keys, repeated.loc[repeated[KEY].duplicated(), KEY])
    known = _among(keys, listed[KEY]) & ~unclear
    records = files.join(keys)[known].join(listed.set_index(KEY)[labels], on=KEY)
    missing = listed[~_among(listed[KEY], keys)]
    names = ", ".join(lists)
    remarks = join_skipped(
        make_skipped(files.loc[unclear, "path"], f"named twice with different labels in {names}"),
        make_skipped(files.loc[~known & ~unclear, "path"], f"no label: not in {names}"),
        make_skipped(missing["path"], "named in " + missing[LIST] + " but not found"),
    )
    return records.drop(columns=KEY).reset_index(drop=True), remarks


def drop_other_files(files: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the files that may be images; captions and tables beside them become remarks."""
    suffixes = files["path"].map(lambda path: PurePosixPath(path).suffix.lower())
    forms = Image.registered_extensions()
    known = [suffix for suffix, form in forms.items() if form not in NO_IMAGES]
    others = ~suffixes.isin(["", *known])
    remarks = make_skipped(files.loc[others, "path"], "no image: ends in " + suffixes[others])
    return files[~others].reset_index(drop=True), remarks


def _among(texts: pd.Series, others: pd.Series) -> pd.Series:
    return texts.map(set(others).__contains__).astype(bool)  # Series.isin is slow on texts


def make_skipped(paths: list[str] | pd.Series, reason: str | list[str] | pd.Series) -> pd.DataFrame:
    """Give each path its reason: columns path and reason, both text."""
    return pd.DataFrame({"path": paths, "reason": reason}, dtype="str")


def join_skipped(*remarks: pd.DataFrame) -> pd.DataFrame:
    """Join remarks, sorted by path; of several on one path the first stays."""
    joined = pd.concat(remarks).drop_duplicates("path")
    return joined.sort_values("path", ignore_index=True)


def first_folder(paths: pd.Series) -> pd.Series:
    """The first folder of each path, accents composed; "" for a file at the top."""
    return paths.map(lambda path: compose(path[: path.find("/") + 1][:-1])).astype("str")


def compose(text: str) -> str:
    """The text with every accent composed with its letter (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def read_lines(file: Path) -> list[str]:
    """Read a text file's lines, ended by line feeds alone.

    `str.splitlines` also splits at U+0085, which stands in names that were once decoded wrongly.
    """
    raw = file.read_bytes()
    try:
        return [line.removesuffix("\r") for line in raw.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        raise GanvasError(f"Line {number} of {file} is not UTF-8: save it as UTF-8.") from error
