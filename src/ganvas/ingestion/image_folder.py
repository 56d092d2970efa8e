"""Any folder of images, labeled by folders or by a table."""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    FACTS,
    LIST,
    drop_other_files,
    first_folder,
    join_skipped,
    match_listed,
    read_lines,
    scan,
)

SPLITS = ["train", "validation", "test"]
# No label can be called so: columns of the collection's own.
TAKEN = [*FACTS, "hash"]


class FolderParams(Params):
    """Parameters of a folder of images.

    Attributes:
        labels: `folders`: an image's class is its first folder; `csv`: the columns of a table;
            `none`: images have no labels.
        csv: The table in the folder: columns `path`, one or more labels and, for images that
            are split, `split` with train, validation or test.
    """

    labels: Literal["folders", "csv", "none"] = "folders"
    csv: str = Field("labels.csv", min_length=1)


def read_folder(folder: Path, params: FolderParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images of any folder, however deep they lie.

    Args:
        folder: Holds the images. The table of labels in it counts as no image.
        params: Where the labels come from.

    Returns:
        The records, one row a file, sorted by path: path below the folder, bytes, modified_ns
        and the labels: `class` (the first folder; "" for an image at the top), the table's
        columns, or none. And the remarks, path and reason, on each file that is no record and
        on each image that the table names but the folder lacks.

    Raises:
        GanvasError: The folder, the table, one of its columns or every image is missing, or a
            line of the table can't be read.
    """
    files, remarks = scan(folder)
    files = files[files["path"] != params.csv]
    if params.labels == "csv":
        listed = _read_table(folder / params.csv)
        records, more = match_listed(files, listed, [params.csv])
    else:
        records, more = drop_other_files(files)
    if params.labels == "folders":
        records["class"] = first_folder(records["path"])
    if records.empty:
        by_table = params.labels == "csv"
        what = f" that {params.csv} names in {folder}" if by_table else f" in {folder}"
        why = "" if by_table else _tell_endings(files["path"])
        hint = "set ingest.source.path to a folder with images"
        raise GanvasError(f"No image{what}{why}: {hint}.")
    return records, join_skipped(remarks, more)


def _tell_endings(paths: pd.Series) -> str:
    """Say how files end, since people call more of them images than Pillow does."""
    if paths.empty:
        return ""
    endings = paths.map(lambda path: PurePosixPath(path).suffix.lower()).value_counts()
    return f", whose files end in {', '.join(endings.index[:3])} and not as JPEG, PNG or the like"


def _read_table(file: Path) -> pd.DataFrame:
    if not file.is_file():
        hint = "put a table there, or set ingest.source.folder.labels to folders or none"
        raise GanvasError(f"There is no {file.name} in {file.parent}: {hint}.")
    lines = _read_rows(file)
    columns: list[str] = next((row for _, row in lines), [])
    _check_columns(columns, file)
    rows = []
    for number, row in lines:
        named = {"split": "train"} | dict(zip(columns, row, strict=False))
        if len(row) != len(columns) or named["split"] not in SPLITS or not named["path"]:
            raise GanvasError(
                f"Line {number} of {file} can't be read: it must have {len(columns)} "
                f"fields, {', '.join(columns)}; a path is not empty, and a split is one of "
                f"{', '.join(SPLITS)}."
            )
        rows.append(row)
    table = pd.DataFrame(rows, columns=columns, dtype="str").assign(**{LIST: file.name})
    return table.assign(path=table["path"].str.removeprefix("./"))


def _read_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Give each row that is not empty with the number of the line on which it begins."""
    # Strict: else an open quotation mark would swallow all the lines after it.
    lines = csv.reader((f"{line}\n" for line in read_lines(file)), strict=True)
    while True:
        number = lines.line_num + 1
        try:
            row = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            raise GanvasError(
                f"Line {number} of {file} can't be read: a field that begins with a quotation mark "
                "must end with one, those within it must be doubled, and lines must end in line "
                "feeds."
            ) from error
        if row:
            yield number, row


def _check_columns(columns: list[str], file: Path) -> None:
    wrong = [name for name in columns if columns.count(name) > 1 or name in [*TAKEN, ""]]
    if "path" not in columns or not set(columns) - {"path", "split"} or wrong:
        lacking = "a label column" if "path" in columns else "the column path"
        problem = f"can't have the column '{wrong[0]}'" if wrong else f"lacks {lacking}"
        raise GanvasError(
            f"{file} {problem}: its first line is '{','.join(columns)}', but must be path and one "
            f"or more labels, each once, with commas between them and none of {', '.join(TAKEN)}."
        )
