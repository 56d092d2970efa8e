"""Checks of tables, run whenever the catalog saves or loads one.

Tables may have been edited by hand. Errors name the first invalid row.
"""

from typing import Any

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError

SPLITS = ["train", "validation", "test"]
YEARS = (1, 2100)
LOSSES = ["loss_g", "loss_d"]
SCORES = ["real_score", "fake_score"]
TIMING = ["seconds", "images_per_second"]
# Characters of an invalid value that an error message contains.
MAX_VALUE_LENGTH = 80


def check_artists(artists: pd.DataFrame, where: str = "artists") -> None:
    """Check a table of artists.

    Args:
        artists: One row an artist: name, files and, optionally, first_year and last_year.
        where: Name of the table in error messages.

    Raises:
        GanvasError: A column is missing, or a row is invalid.

    Example:
        >>> check_artists(pd.DataFrame({"name": ["Ann"], "files": [-1]}))
        Traceback (most recent call last):
        ganvas.errors.GanvasError: Row 1 of artists (Ann): files can't be -1: it must be a whole
        number from 0 on.
    """
    _require_columns(artists, where, ["name", "files"])
    _require_unique(artists, where, "name")
    if "first_year" in artists:
        _check_years(artists, where)
    files = _to_numbers(artists["files"])
    rule = "it must be a whole number from 0 on"
    require(artists, where, "files", _is_whole(files) & (files >= 0), rule, key="name")


def _check_years(artists: pd.DataFrame, where: str) -> None:
    _require_columns(artists, where, ["first_year", "last_year"])
    first, last = _to_numbers(artists["first_year"]), _to_numbers(artists["last_year"])
    rule = f"it must be a year from {YEARS[0]} to {YEARS[1]}, or empty"
    for column, years in (("first_year", first), ("last_year", last)):
        valid = (_is_whole(years) & years.between(*YEARS)) | _is_empty(artists[column])
        require(artists, where, column, valid, rule, key="name")
    # Comparisons with an empty year are false.
    rule = "it must not lie before first_year"
    require(artists, where, "last_year", ~(first > last), rule, key="name")


def check_index(index: pd.DataFrame, where: str = "image_index") -> None:
    """Check the index of a collection: unique paths and hashes, and splits.

    Args:
        index: One row an image: path, hash, split and labels; with `face_number`, which counts the
            faces of a file, a path has several rows.
        where: Name of the table in error messages.

    Raises:
        GanvasError: A column is missing, or a row is invalid.

    Example:
        >>> rows = {"path": ["a.jpg"], "split": ["train"], "hash": ["0" * 32]}
        >>> check_index(pd.DataFrame(rows))
    """
    _require_columns(index, where, ["path", "split", "hash"])
    if "face_number" in index:
        _check_faces(index, where)
    else:
        _require_unique(index, where, "path")
    hashes = index["hash"].astype("str")
    valid = hashes.str.fullmatch(r"[0-9a-f]{32}")
    require(index, where, "hash", valid, "it must be 32 hexadecimal digits, 0 to f", key="path")
    _require_unique(index, where, "hash", key="path")
    rule = f"it must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}"
    require(index, where, "split", index["split"].isin(SPLITS), rule, key="path")


def _check_faces(index: pd.DataFrame, where: str) -> None:
    require(index, where, "path", ~_is_empty(index["path"]), "each row must have one")
    numbers = _to_numbers(index["face_number"])
    rule = "the faces of a file must be numbered from 1 on, each once"
    right = numbers == index.groupby("path", sort=False).cumcount() + 1
    require(index, where, "face_number", right, rule, key="path")


def check_rejected(rejected: pd.DataFrame, where: str = "rejected") -> None:
    """Check a table of rejected files: unique paths, each with a reason.

    Args:
        rejected: One row a file: path and reason.
        where: Name of the table in error messages.

    Raises:
        GanvasError: A column is missing, or a row is invalid.
    """
    _require_columns(rejected, where, ["path", "reason"])
    _require_unique(rejected, where, "path")
    rule = "each rejected file must have a reason"
    require(rejected, where, "reason", ~_is_empty(rejected["reason"]), rule, key="path")


def check_history(history: pd.DataFrame, where: str = "history") -> None:
    """Check a training history: consecutive epochs and finite metrics.

    A run that diverged records only its epochs before that, so no value may be missing.

    Args:
        history: One row an epoch: epoch, losses, scores, seconds, images_per_second.
        where: Name of the table in error messages.

    Raises:
        GanvasError: A column is missing, there is no row, or a row is invalid.
    """
    _require_columns(history, where, ["epoch", *LOSSES, *SCORES, *TIMING])
    if history.empty:
        raise GanvasError(f"The table {where} has no row: it must have one for each epoch.")
    consecutive = _to_numbers(history["epoch"]) == np.arange(1, len(history) + 1)
    require(history, where, "epoch", consecutive, "epochs must count 1, 2, 3 and so on")
    for column in LOSSES:
        finite = np.isfinite(_to_numbers(history[column]))
        require(history, where, column, finite, "it must be a finite number")
    for column in SCORES:
        scores = _to_numbers(history[column])
        require(history, where, column, scores.between(0, 1), "it must be a number from 0 to 1")
    for column in TIMING:
        values = _to_numbers(history[column])
        valid = np.isfinite(values) & (values >= 0)
        require(history, where, column, valid, "it must be a finite number from 0 on")


def require(
    table: pd.DataFrame, where: str, column: str, valid: pd.Series, rule: str, key: str = ""
) -> None:
    """Raise an error for the first invalid row.

    Args:
        table: Table to check.
        where: Name of the table in the message.
        column: Column that is checked.
        valid: Whether each row is valid.
        rule: What is allowed; the end of the message.
        key: Column that identifies the row in the message, if any.

    Raises:
        GanvasError: A row is invalid.
    """
    invalid = ~valid.to_numpy(dtype=bool)
    if not invalid.any():
        return
    row = int(invalid.argmax())
    named = f" ({table[key].iloc[row]})" if key not in ("", column) else ""
    value = _format(table[column].iloc[row])
    raise GanvasError(f"Row {row + 1} of {where}{named}: {column} can't be {value}: {rule}.")


def _require_columns(table: pd.DataFrame, where: str, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise GanvasError(
            f"The table {where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            f"it must have {', '.join(columns)}."
        )


def _require_unique(table: pd.DataFrame, where: str, column: str, key: str = "") -> None:
    values = table[column]
    require(table, where, column, ~_is_empty(values), "each row must have one", key)
    repeated = values.duplicated()
    if repeated.any():
        first = int((values == values[repeated].iloc[0]).to_numpy().argmax())
        require(table, where, column, ~repeated, f"row {first + 1} has it already", key)


def _is_empty(values: pd.Series) -> pd.Series:
    # Not stripped, since a file may be called " ".
    return values.isna() | (values.astype("str") == "")


def _to_numbers(values: pd.Series) -> pd.Series:
    """Convert to float64, with NaN for values that are no numbers."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _is_whole(numbers: pd.Series) -> pd.Series:
    return numbers % 1 == 0


def _format(value: Any) -> str:
    if pd.isna(value) or value == "":
        return "empty"
    if not isinstance(value, str):
        return str(value)
    return f"'{value[:MAX_VALUE_LENGTH]}…'" if len(value) > MAX_VALUE_LENGTH else f"'{value}'"
