"""CelebA: a folder of faces, with lists of their attributes and of their split."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    find_child,
    join_skipped,
    keep_image_files,
    scan,
)
from ganvas.ingestion.label_matching import LIST_COLUMN, assign_labels, describe_mismatch
from ganvas.ingestion.label_tables import read_lines

ATTRIBUTES = "list_attr_celeba"
PARTITION = "list_eval_partition"
ATTRIBUTE_VALUES = {"1": "yes", "-1": "no"}
SPLITS = {"0": "train", "1": "validation", "2": "test"}
# Lists of the original and of Kaggle.
SUFFIXES = [".txt", ".csv"]


class CelebaParams(Params):
    """Parameters of the CelebA layout."""

    images: Literal["img_align_celeba", "img_celeba"] = "img_align_celeba"
    lists: bool | None = None


def read_celeba(folder: Path, params: CelebaParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images of a folder in the layout of CelebA.

    Args:
        folder: Holds the folder of images and the lists `list_attr_celeba` and
            `list_eval_partition`, as .txt or as Kaggle's .csv.
        params: Which images to list, and whether to read the lists.

    Returns:
        Records and skipped files, see `SourceListing`. Label columns are the attributes, such as
        `Smiling`, with the values yes and no.

    Raises:
        GanvasError: The folder, a required list or every image is missing, or a line of a list
            can't be read.
    """
    images = find_child(folder, params.images).name
    files, skipped = scan(folder, images)
    lists = _find_lists(folder, params)
    if lists:
        records, unlabeled = _match_lists(folder, files, lists, images)
    else:
        records, unlabeled = keep_image_files(files, folder)
    if records.empty:
        named = "".join(f" that {file.name} names" for file in lists[:1])
        found = [
            f" ({describe_mismatch(read_list(file)['path'], files, file.name)})"
            for file in lists[:1]
        ]
        raise GanvasError(
            f"No image{named} below {folder / params.images}{''.join(found)}: "
            f"ingest.source.path must name the folder that holds {params.images}/ and the lists "
            "that belong to it."
        )
    return records, join_skipped(skipped, unlabeled)


def list_attributes(folder: Path) -> list[str]:
    """Return the names of the attributes in a folder's list; empty if it has none.

    Raises:
        GanvasError: The list has no header that can be read.
    """
    files = [
        file for file in _find_lists(folder, CelebaParams()) if file.stem.lower() == ATTRIBUTES
    ]
    return _read_header(files[0], read_lines(files[0]))[0] if files else []


def is_attribute_list(file: Path) -> bool:
    """Return whether a file is CelebA's original list of attributes, which starts with a count."""
    if file.suffix.lower() != ".txt":
        return False
    lines = read_lines(file)
    return bool(lines) and lines[0].strip().isdigit()


def _match_lists(
    folder: Path, files: pd.DataFrame, lists: list[Path], images: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the files with the labels of all lists; skip those that any list leaves out."""
    # Kaggle's archive has the folder in a folder of the same name.
    prefix = f"{images}/" * (2 if (folder / images / images).is_dir() else 1)
    records, skipped = files, []
    for file in lists:
        listed = read_list(file)
        listed["path"] = prefix + listed["path"]
        # Each list is compared with all files, so that "not found" means missing on disk.
        matched, unmatched = assign_labels(files, listed, [file.name])
        records = records.merge(matched, on=list(files.columns))
        skipped.append(unmatched)
    return records, join_skipped(*skipped)


def _find_lists(folder: Path, params: CelebaParams) -> list[Path]:
    """Return the existing lists, attributes first."""
    if params.lists is False:
        return []
    lists = []
    for stem in (ATTRIBUTES, PARTITION):
        files = [find_child(folder, f"{stem}{suffix}") for suffix in SUFFIXES]
        existing = [file for file in files if file.is_file()]
        if params.lists and not existing:
            raise GanvasError(
                f"There is no {stem}.txt or {stem}.csv in {folder}: put it there, or leave "
                "ingest.source.celeba.lists unset to do without."
            )
        lists += existing[:1]
    return lists


def read_list(file: Path) -> pd.DataFrame:
    """Read one list into the columns path (name of the file), labels and LIST_COLUMN.

    Raises:
        GanvasError: A line of it can't be read.
    """
    lines = read_lines(file)
    if file.stem.lower() == PARTITION:
        columns, meanings = ["split"], SPLITS
        # Kaggle's list has a header, the original has none.
        start = int(_fields(lines[0])[-1:] == ["partition"])
    else:
        columns, start = _read_header(file, lines)
        meanings = ATTRIBUTE_VALUES
    rows = list(_read_rows(file, lines, start, len(columns), meanings))
    table = pd.DataFrame(rows, columns=["path", *columns], dtype="str")
    return table.assign(**{LIST_COLUMN: file.name})


def _read_header(file: Path, lines: list[str]) -> tuple[list[str], int]:
    """Return the names of the attributes and the number of header lines."""
    if file.suffix.lower() == ".csv":
        names, start = _fields(lines[0])[1:], 1
    else:
        has_count = lines[0].strip().isdigit() and len(lines) > 1
        names, start = _fields(lines[1]) if has_count else [], 2
    if not names or len({"path", "split", *names}) < len(names) + 2:
        form = "a count, then the attributes' names" if start == 2 else "image_id,…"
        raise GanvasError(
            f"{file} has no header that can be read: it must start with {form}, each name once."
        )
    return names, start


def _read_rows(
    file: Path, lines: list[str], start: int, labels: int, meanings: dict[str, str]
) -> Iterator[list[str]]:
    """Yield the name of a file and the meanings of its labels, from line `start` on."""
    for number, line in enumerate(lines[start:], start + 1):
        name, *values = _fields(line) or [""]
        if not name:
            continue
        if len(values) != labels or not meanings.keys() >= set(values):
            raise GanvasError(
                f"Line {number} of {file} can't be read: it must name an image and {labels} "
                f"number{'s' * (labels > 1)}, each one of {', '.join(meanings)}, but is "
                f"'{line[:80]}'."
            )
        yield [name, *map(meanings.__getitem__, values)]


def _fields(line: str) -> list[str]:
    # Separated by a comma, semicolon or tab, or by one or two spaces.
    return re.sub("[,;]", " ", line).split()
