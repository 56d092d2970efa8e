"""Any folder of images, labeled by its folders or by a table."""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    FILE_STATS,
    LIST_COLUMN,
    assign_labels,
    first_folder,
    join_skipped,
    keep_image_files,
    read_lines,
    scan,
)

SPLITS = ["train", "validation", "test"]
# Columns of the image index, which no label column may be called.
RESERVED = [*FILE_STATS, "hash"]


class FolderParams(Params):
    """Parameters of a folder of images."""

    labels: Literal["folders", "csv", "none"] = "folders"
    csv: str = Field("labels.csv", min_length=1)


def read_folder(folder: Path, params: FolderParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images of any folder and of its subfolders.

    Args:
        folder: Holds the images and, if used, the table of labels.
        params: Where the labels come from.

    Returns:
        Records and skipped files, see `SourceListing`. The label column is `class` (the first
        folder; "" for an image at the top), those of the table, or none.

    Raises:
        GanvasError: The folder, the table, one of its columns or every image is missing, or a
            line of the table can't be read.

    Example:
        >>> records, skipped = read_folder(Path("photos"), FolderParams(labels="folders"))
        >>> records["class"].value_counts()
    """
    files, skipped = scan(folder)
    files = files[files["path"] != params.csv]
    if params.labels == "csv":
        listed = _read_table(folder / params.csv)
        records, unlabeled = assign_labels(files, listed, [params.csv])
    else:
        records, unlabeled = keep_image_files(files)
    if params.labels == "folders":
        records["class"] = first_folder(records["path"])
    if records.empty:
        by_table = params.labels == "csv"
        what = f" that {params.csv} names in {folder}" if by_table else f" in {folder}"
        suffixes = "" if by_table else _describe_suffixes(files["path"])
        hint = "set ingest.source.path to a folder with images"
        raise GanvasError(f"No image{what}{suffixes}: {hint}.")
    return records, join_skipped(skipped, unlabeled)


def _describe_suffixes(paths: pd.Series) -> str:
    """Return the suffixes of the files, which may be images that Pillow can't read."""
    if paths.empty:
        return ""
    suffixes = paths.map(lambda path: PurePosixPath(path).suffix.lower()).value_counts()
    return f", whose files end in {', '.join(suffixes.index[:3])} and not as JPEG, PNG or the like"


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
    table = pd.DataFrame(rows, columns=columns, dtype="str").assign(**{LIST_COLUMN: file.name})
    return table.assign(path=table["path"].str.removeprefix("./"))


def _read_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each row that is not empty, and its fields."""
    # Strict, since an unclosed quotation mark would otherwise swallow all lines after it.
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
    wrong = [name for name in columns if columns.count(name) > 1 or name in [*RESERVED, ""]]
    if "path" not in columns or not set(columns) - {"path", "split"} or wrong:
        missing = "a label column" if "path" in columns else "the column path"
        problem = f"can't have the column '{wrong[0]}'" if wrong else f"lacks {missing}"
        raise GanvasError(
            f"{file} {problem}: its first line is '{','.join(columns)}', but must be path and one "
            "or more labels, each once, with commas between them and none of "
            f"{', '.join(RESERVED)}."
        )
