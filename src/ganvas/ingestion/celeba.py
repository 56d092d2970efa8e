"""CelebA: faces in one folder, lists of their attributes and of their split beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    LIST,
    drop_other_files,
    join_skipped,
    match_listed,
    read_lines,
    scan,
)

ATTRIBUTES = "list_attr_celeba"
PARTITION = "list_eval_partition"
ANSWERS = {"1": "yes", "-1": "no"}
SPLITS = {"0": "train", "1": "validation", "2": "test"}
# The original's lists, and Kaggle's.
SUFFIXES = [".txt", ".csv"]


class CelebaParams(Params):
    """Parameters of the CelebA layout.

    Attributes:
        images: The folder of the images: the aligned faces, or the unaligned originals.
        lists: True: both lists must be there; False: they are not read; None: each is read if
            it is there.
    """

    images: Literal["img_align_celeba", "img_celeba"] = "img_align_celeba"
    lists: bool | None = None


def read_celeba(folder: Path, params: CelebaParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images of a folder in this layout.

    Args:
        folder: Holds the folder of the images and, as .txt or as Kaggle's .csv,
            `list_attr_celeba` and `list_eval_partition`.
        params: Which images, and whether to read the lists.

    Returns:
        The records, one row a file, sorted by path: path below the folder, bytes, modified_ns;
        with the list of attributes a column each, such as `Smiling`, that says yes or no; with
        the list of the partition `split`: train, validation or test. And the remarks, path and
        reason, on each file that is no record and on each listed image that is missing.

    Raises:
        GanvasError: The folder, a list that must be there or every image is missing, or a
            line of a list can't be read.
    """
    records, remarks = scan(folder, params.images)
    lists = _find_lists(folder, params)
    if lists:
        records, more = _match_lists(folder, records, lists, params.images)
    else:
        records, more = drop_other_files(records)
    if records.empty:
        named = "".join(f" that {file.name} names" for file in lists[:1])
        raise GanvasError(
            f"No image{named} below {folder / params.images}: ingest.source.path must name the "
            f"folder that holds {params.images}/ and the lists that belong to it."
        )
    return records, join_skipped(remarks, more)


def _match_lists(
    folder: Path, files: pd.DataFrame, lists: list[Path], images: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the files what each list says; one that a list leaves out becomes a remark."""
    # Kaggle's archive has the folder in a folder of the same name.
    below = f"{images}/" * (2 if (folder / images / images).is_dir() else 1)
    records, remarks = files, []
    for file in lists:
        listed = _read_list(file)
        listed["path"] = below + listed["path"]
        # Each list sees all files: one that another list lacks is not missing on the disk.
        matched, more = match_listed(files, listed, [file.name])
        records = records.merge(matched, on=list(files.columns))
        remarks.append(more)
    return records, join_skipped(*remarks)


def _find_lists(folder: Path, params: CelebaParams) -> list[Path]:
    """The lists that are there, attributes first."""
    if params.lists is False:
        return []
    found = []
    for stem in (ATTRIBUTES, PARTITION):
        there = [file for suffix in SUFFIXES if (file := folder / f"{stem}{suffix}").is_file()]
        if params.lists and not there:
            raise GanvasError(
                f"There is no {stem}.txt or {stem}.csv in {folder}: put it there, or leave "
                "ingest.source.celeba.lists unset to do without."
            )
        found += there[:1]
    return found


def _read_list(file: Path) -> pd.DataFrame:
    """Read one list, columns path (the file's name), the labels and LIST."""
    lines = read_lines(file)
    if file.stem == PARTITION:
        columns, meanings = ["split"], SPLITS
        # Kaggle's list has a header, the original has none.
        start = int(_words(lines[0])[-1:] == ["partition"])
    else:
        columns, start = _read_header(file, lines)
        meanings = ANSWERS
    rows = list(_read_rows(file, lines, start, len(columns), meanings))
    table = pd.DataFrame(rows, columns=["path", *columns], dtype="str")
    return table.assign(**{LIST: file.name})


def _read_header(file: Path, lines: list[str]) -> tuple[list[str], int]:
    """Read the attributes' names; return them and how many lines come before the images."""
    if file.suffix == ".csv":
        names, start = _words(lines[0])[1:], 1
    else:
        counted = lines[0].strip().isdigit() and len(lines) > 1
        names, start = _words(lines[1]) if counted else [], 2
    if not names or len({"path", "split", *names}) < len(names) + 2:
        form = "a count, then the attributes' names" if start == 2 else "image_id,…"
        raise GanvasError(
            f"{file} has no header that can be read: it must start with {form}, each name once."
        )
    return names, start


def _read_rows(
    file: Path, lines: list[str], start: int, labels: int, meanings: dict[str, str]
) -> Iterator[list[str]]:
    """Read the lines from `start` on: a file's name, then one word for each label's number."""
    for number, line in enumerate(lines[start:], start + 1):
        name, *values = _words(line) or [""]
        if not name:
            continue
        if len(values) != labels or not meanings.keys() >= set(values):
            raise GanvasError(
                f"Line {number} of {file} can't be read: it must name an image and {labels} "
                f"number{'s' * (labels > 1)}, each one of {', '.join(meanings)}, but is "
                f"'{line[:80]}'."
            )
        yield [name, *map(meanings.__getitem__, values)]


def _words(line: str) -> list[str]:
    """Split at commas, or at spaces, of which there are two before a number without a minus."""
    return line.replace(",", " ").split()
