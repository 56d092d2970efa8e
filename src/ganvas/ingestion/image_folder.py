"""Any folder of images, labeled by its folders or by a table."""

import logging
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_formats import UNSUPPORTED
from ganvas.ingestion.file_index import (
    FILE_STATS,
    PARQUET_HINT,
    first_folder,
    join_skipped,
    keep_image_files,
    scan,
)
from ganvas.ingestion.label_matching import (
    KEY_COLUMN,
    LIST_COLUMN,
    assign_labels,
    describe_mismatch,
)
from ganvas.ingestion.label_tables import find_column, read_table

logger = logging.getLogger(__name__)

SPLITS = ["train", "validation", "test"]
OTHER_SPLITS = {"training": "train", "val": "validation", "valid": "validation"}
OTHER_SPLITS |= {"dev": "validation", "testing": "test"}
# Names of the column of paths, the first that a table has.
PATH_NAMES = ["path", "file_name", "file_path", "file", "image_path", "image_file", "image_name"]
PATH_NAMES += ["image_id", "image", "img"]
# Read if there is no other table: those of other tools.
OTHER_TABLES = ["labels.tsv", "metadata.csv", "metadata.jsonl", "dataset.json"]
# Columns of the image index, which no label column may be called.
RESERVED = [*FILE_STATS, "hash", LIST_COLUMN, KEY_COLUMN]


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
    if params.labels == "csv":
        table = _find_table(folder, params.csv, files["path"])
        files = files[files["path"] != table]
        listed = _read_table(folder / table)
        records, unlabeled = assign_labels(files, listed, [table])
        if records.empty:
            raise GanvasError(
                f"No image that {table} names is in {folder}: "
                f"{describe_mismatch(listed['path'], files, table)}: write the paths of the images "
                "below that folder into the table, or set ingest.source.path to their folder."
            )
    else:
        records, unlabeled = keep_image_files(files[files["path"] != params.csv], folder)
    if params.labels == "folders":
        records["class"] = first_folder(records["path"])
    if records.empty:
        hint = "set ingest.source.path to a folder with images"
        for row in unlabeled[unlabeled["reason"].str.contains(UNSUPPORTED)].head(1).itertuples():
            hint = f"{row.path} is {row.reason}"
        if files["path"].str.lower().str.endswith(".parquet").any():
            hint = PARQUET_HINT
        raise GanvasError(f"No image in {folder}{_describe_suffixes(files['path'])}: {hint}.")
    return records, join_skipped(skipped, unlabeled)


def _describe_suffixes(paths: pd.Series) -> str:
    """Return the suffixes of the files, which may be images that Pillow can't read."""
    if paths.empty:
        return ""
    suffixes = paths.map(lambda path: PurePosixPath(path).suffix.lower()).value_counts()
    return f", whose files end in {', '.join(suffixes.index[:3])} and not as JPEG, PNG or the like"


def _find_table(folder: Path, name: str, paths: pd.Series) -> str:
    """Return the path of the table below the folder: that of the name, or the only other one."""
    if (folder / name).is_file():
        return name
    default = FolderParams().csv
    for names in ([name], OTHER_TABLES if name == default else []):
        wanted = {other.rpartition("/")[2].casefold() for other in names}
        found = [path for path in paths if path.rpartition("/")[2].casefold() in wanted]
        depth = min((path.count("/") for path in found), default=0)
        found = [path for path in found if path.count("/") == depth]
        if len(found) > 1:
            raise GanvasError(
                f"There is no {name} in {folder}, but {found[0]} and {found[1]}: set "
                "ingest.source.folder.csv to one of them."
            )
        if found:
            logger.info("Labels are read from %s.", folder / found[0])
            return found[0]
    raise GanvasError(
        f"There is no {name} in {folder}: put a table there, or set ingest.source.folder.labels to "
        "folders or none."
    )


def _read_table(file: Path) -> pd.DataFrame:
    """Read a table of labels: path, labels as text, LIST_COLUMN and, optionally, split."""
    lines = read_table(file, [*PATH_NAMES, "split"])
    columns: list[str] = next((row for _, row in lines), [])
    # Of several, such as an image_id and a file_name, the others are labels.
    for name, names in {"path": PATH_NAMES, "split": ["split"]}.items():
        column = find_column(columns, names)
        if name not in columns and column:
            columns[columns.index(column)] = name
    _check_columns(columns, file)
    rows = []
    for number, row in lines:
        named = {"split": "train"} | dict(zip(columns, row, strict=False))
        split = OTHER_SPLITS.get(named["split"].casefold(), named["split"].casefold())
        if split not in SPLITS or not named["path"]:
            raise GanvasError(
                f"Line {number} of {file} can't be read: a path is not empty, and a split is one "
                f"of {', '.join(SPLITS)}."
            )
        rows.append([split if name == "split" else named[name] for name in columns])
    table = pd.DataFrame(rows, columns=columns, dtype="str").assign(**{LIST_COLUMN: file.name})
    return table.assign(path=table["path"].str.removeprefix("./"))


def _check_columns(columns: list[str], file: Path) -> None:
    wrong = [name for name in columns if columns.count(name) > 1 or name in [*RESERVED, ""]]
    if "path" not in columns or not set(columns) - {"path", "split"} or wrong:
        missing = "a label column" if "path" in columns else "the column path"
        problem = f"can't have the column '{wrong[0]}'" if wrong else f"lacks {missing}"
        raise GanvasError(
            f"{file} {problem}: its first line is '{','.join(columns)}', but must be path and one "
            "or more labels, each once, with commas, semicolons or tabs between them and none of "
            f"{', '.join(RESERVED)}."
        )
