"""Labels of real images: columns of a collection's index, or of a table of one's own."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.ingestion.celeba import is_attribute_list, read_list
from ganvas.ingestion.class_labels import label_columns
from ganvas.ingestion.image_folder import PATH_NAMES
from ganvas.ingestion.label_matching import LIST_COLUMN, assign_labels
from ganvas.ingestion.label_tables import find_column, read_table
from ganvas.names import suggest_names
from ganvas.plain_text import one_line
from ganvas.project_folder import resolve_path

# Column of the position in the collection, which no table can have.
POSITION = "(position)"


def read_labels(
    index: pd.DataFrame, columns: Iterable[str], table: str | None
) -> dict[str, np.ndarray]:
    """Return the values of label columns, text of shape (N,) by the name of the column.

    Images without a label have an empty text.

    Args:
        index: One row an image of the collection.
        columns: Names of label columns.
        table: Path of a table with a column of file names; None: columns are those of the index.

    Raises:
        GanvasError: There is no such column or file, or the table names no image of the
            collection.
    """
    labels = index if table is None else _join_table(index, resolve_path(table))
    allowed = label_columns(labels)
    where = "the collection" if table is None else table
    found = {}
    for column in columns:
        if column not in allowed:
            has = ", ".join(allowed) or "none"
            advice = "" if allowed or table else ", or name a table of labels in directions.table"
            raise GanvasError(
                f"directions.column is '{column}'{suggest_names(column, allowed)}, but the label "
                f"columns of {where} are {has}: choose among them{advice}, or set "
                "directions.measure for a property by formula."
            )
        texts = labels[column].fillna("").astype(str)
        found[column] = np.array([one_line(text) for text in texts], dtype=object)
    return found


def _join_table(index: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Return a row of labels for each image of a collection, empty where the table has none."""
    if not file.is_file():
        raise GanvasError(
            f"directions.table is '{file}', and there is no such file: write the path of a CSV "
            "table with a column of file names and columns of labels."
        )
    listed = read_list(file) if is_attribute_list(file) else _read_listed(file)
    files = pd.DataFrame({"path": index["path"].astype(str), POSITION: np.arange(len(index))})
    records, _ = assign_labels(files, listed, [file.name])
    if records.empty:
        raise GanvasError(
            f"{file} names no image of the collection, whose first is "
            f"'{index['path'].iloc[0]}': write file names as they are there."
        )
    return (
        records.drop(columns="path").set_index(POSITION).reindex(np.arange(len(index))).fillna("")
    )


def _read_listed(file: Path) -> pd.DataFrame:
    """Read a table into the columns path, labels and LIST_COLUMN."""
    (_, columns), *lines = [*read_table(file, PATH_NAMES)] or [(0, [])]
    path = find_column(columns, PATH_NAMES)
    if path is None:
        raise GanvasError(
            f"{file} has the columns {', '.join(columns) or 'none'}: one must have the names of "
            f"the images, and be called {', '.join(PATH_NAMES[:4])} or {PATH_NAMES[-1]}."
        )
    names = ["path" if name == path else name for name in columns]
    if len(set(names)) < len(names):
        raise GanvasError(f"{file} has two columns of the same name: rename one of them.")
    listed = pd.DataFrame([row for _, row in lines], columns=names, dtype="str")
    return listed.assign(**{LIST_COLUMN: file.name})
