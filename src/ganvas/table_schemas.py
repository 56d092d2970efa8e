"""What the project's tables must hold, checked whenever the catalog saves or loads one.

Each check takes a table as it comes from its file, perhaps edited by hand, and speaks of the first
wrong row alone.
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
# Characters of a wrong value that a sentence shows.
SHOWN = 80


def check_artists(artists: pd.DataFrame, where: str = "artists") -> None:
    """Check a table of artists: names, years, and files counted.

    Args:
        artists: One row an artist: name, files and, where the source knows them, first_year and
            last_year.
        where: What the sentence calls the table.

    Raises:
        GanvasError: A column is missing, or a row is wrong.
    """
    _require_columns(artists, where, ["name", "files"])
    _require_unique(artists, where, "name")
    if "first_year" in artists:
        _check_years(artists, where)
    files = _numbers(artists["files"])
    rule = "it must be a whole number from 0 on"
    require(artists, where, "files", _whole(files) & (files >= 0), rule, key="name")


def _check_years(artists: pd.DataFrame, where: str) -> None:
    _require_columns(artists, where, ["first_year", "last_year"])
    first, last = _numbers(artists["first_year"]), _numbers(artists["last_year"])
    rule = f"it must be a year from {YEARS[0]} to {YEARS[1]}, or empty"
    for column, years in (("first_year", first), ("last_year", last)):
        good = (_whole(years) & years.between(*YEARS)) | _empty(artists[column])
        require(artists, where, column, good, rule, key="name")
    # A comparison with an empty year is false.
    rule = "it must not lie before first_year"
    require(artists, where, "last_year", ~(first > last), rule, key="name")


def check_index(index: pd.DataFrame, where: str = "image_index") -> None:
    """Check a collection's index: every image once, with its split.

    Args:
        index: One row an image: path, hash, split and labels.
        where: What the sentence calls the table.

    Raises:
        GanvasError: A column is missing, or a row is wrong.
    """
    _require_columns(index, where, ["path", "split", "hash"])
    _require_unique(index, where, "path")
    hashes = index["hash"].astype("str")
    good = hashes.str.fullmatch(r"[0-9a-f]{32}")
    require(index, where, "hash", good, "it must be 32 hexadecimal digits, 0 to f", key="path")
    _require_unique(index, where, "hash", key="path")
    rule = f"it must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}"
    require(index, where, "split", index["split"].isin(SPLITS), rule, key="path")


def check_rejected(rejected: pd.DataFrame, where: str = "rejected") -> None:
    """Check a table of rejected files: every file once, with the reason.

    Args:
        rejected: One row a file: path and reason.
        where: What the sentence calls the table.

    Raises:
        GanvasError: A column is missing, or a row is wrong.
    """
    _require_columns(rejected, where, ["path", "reason"])
    _require_unique(rejected, where, "path")
    rule = "each rejected file must have its reason"
    require(rejected, where, "reason", ~_empty(rejected["reason"]), rule, key="path")


def check_history(history: pd.DataFrame, where: str = "history") -> None:
    """Check a training history: epochs without a gap, and figures that are numbers.

    A run that diverged records its good epochs alone, so no figure may be missing.

    Args:
        history: One row an epoch: epoch, losses, scores, seconds, images_per_second.
        where: What the sentence calls the table.

    Raises:
        GanvasError: A column is missing, there is no row, or a row is wrong.
    """
    _require_columns(history, where, ["epoch", *LOSSES, *SCORES, *TIMING])
    if history.empty:
        raise GanvasError(f"The table {where} has no row: it must have one for each epoch.")
    counted = _numbers(history["epoch"]) == np.arange(1, len(history) + 1)
    require(history, where, "epoch", counted, "epochs must count 1, 2, 3 and so on")
    for column in LOSSES:
        finite = np.isfinite(_numbers(history[column]))
        require(history, where, column, finite, "it must be a finite number")
    for column in SCORES:
        scores = _numbers(history[column])
        require(history, where, column, scores.between(0, 1), "it must be a number from 0 to 1")
    for column in TIMING:
        figures = _numbers(history[column])
        good = np.isfinite(figures) & (figures >= 0)
        require(history, where, column, good, "it must be a finite number from 0 on")


def require(
    table: pd.DataFrame, where: str, column: str, good: pd.Series, rule: str, key: str = ""
) -> None:
    """Speak of the first row that is not good.

    Args:
        table: The table.
        where: What the sentence calls the table.
        column: The column that `good` judges.
        good: Of each row, whether it may stay.
        rule: What is allowed, the sentence's end.
        key: The column, if any, that tells a person which row it is.

    Raises:
        GanvasError: There is such a row.
    """
    bad = ~good.to_numpy(dtype=bool)
    if not bad.any():
        return
    row = int(bad.argmax())
    named = f" ({table[key].iloc[row]})" if key not in ("", column) else ""
    value = _show(table[column].iloc[row])
    raise GanvasError(f"Row {row + 1} of {where}{named}: {column} can't be {value}: {rule}.")


def _require_columns(table: pd.DataFrame, where: str, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise GanvasError(
            f"The table {where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            f"it must have {', '.join(columns)}."
        )


def _require_unique(table: pd.DataFrame, where: str, column: str, key: str = "") -> None:
    """No value may be empty or stand twice."""
    values = table[column]
    require(table, where, column, ~_empty(values), "each row must have one", key)
    repeated = values.duplicated()
    if repeated.any():
        first = int((values == values[repeated].iloc[0]).to_numpy().argmax())
        require(table, where, column, ~repeated, f"row {first + 1} has it already", key)


def _empty(values: pd.Series) -> pd.Series:
    # A space is no good name, but a file may have it.
    return values.isna() | (values.astype("str") == "")


def _numbers(values: pd.Series) -> pd.Series:
    """As numbers; NaN where a value is none."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _whole(numbers: pd.Series) -> pd.Series:
    return numbers % 1 == 0


def _show(value: Any) -> str:
    if pd.isna(value) or value == "":
        return "empty"
    if not isinstance(value, str):
        return str(value)
    return f"'{value[:SHOWN]}…'" if len(value) > SHOWN else f"'{value}'"
