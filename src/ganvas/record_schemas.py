"""Checks of JSON files, run whenever the catalog saves or loads one.

Files may have been cut off, edited, or written by an earlier version of Ganvas, whose keys are
enough. Errors name the first wrong key.
"""

import re
from typing import Any, NamedTuple

from ganvas.errors import GanvasError
from ganvas.label_columns import find_fault
from ganvas.saved_json import FOLDER_NAME

# Characters of a folder's name that all file systems allow, and what a number may be at most.
MAX_NAME, MAX_NUMBER = 255, 1e300


class _Type(NamedTuple):
    """What a value must be, and its name in messages."""

    types: type | tuple[type, ...]
    name: str


_TEXT = _Type(str, "text")
_NUMBER = _Type((int, float), "a number")
_AMOUNT = _Type((int, float), "a number from 0")
_OBJECT = _Type(dict, "an object, {…}")
_LIST = _Type(list, "a list, […]")
_NUMBER_OR_NULL = _Type((int, float, type(None)), "a number or null")
_TEXT_OR_NULL = _Type((str, type(None)), "text or null")

_METRIC = {
    "title": _TEXT,
    "value": _NUMBER,
    "spread": _NUMBER_OR_NULL,
    "unit": _TEXT,
    "protocol": _TEXT,
    "real": _NUMBER_OR_NULL,
}
_RUN = {"dataset": _TEXT, "network": _TEXT, "started": _TEXT, "epochs": _AMOUNT}
_RUN |= {"images_seen": _AMOUNT, "parameters": _OBJECT}
_SUMMARY = _RUN | {
    "finished": _TEXT,
    "ended_by": _TEXT,
    "message": _TEXT,
    "seconds": _AMOUNT,
    "snapshots": _TEXT,
    "warnings": _LIST,
    "held_out": _AMOUNT,
    "classes": _OBJECT,
    "versions": _OBJECT,
}
_ENTRY = _RUN | {
    "run": _TEXT,
    "minutes": _AMOUNT,
    "seed": _AMOUNT,
    "version": _TEXT,
    "metrics": _OBJECT,
}


def check_object(content: Any) -> None:
    """Check that a JSON file holds an object.

    Raises:
        GanvasError: It holds anything else.
    """
    _check_type(content, _OBJECT, "The file")


def check_class_list(classes: Any) -> None:
    """Check a class list: the label column, and the names of its classes.

    Raises:
        GanvasError: It is no such object.

    Example:
        >>> check_class_list({"column": "genre", "names": "waves"})
        Traceback (most recent call last):
        ganvas.errors.GanvasError: 'names' must be a list, […], not 'waves'.
    """
    _check_keys(classes, {"column": _TEXT_OR_NULL, "names": _LIST})
    for name in classes["names"]:
        _check_type(name, _TEXT, "A name in 'names'")
    if "labels" in classes or "rows" in classes:
        # Several label columns; lists of one have neither key.
        fault = find_fault(classes["names"], classes.get("labels"), classes.get("rows"))
        if fault:
            raise GanvasError(f"{fault}.")


def check_summary(summary: Any) -> None:
    """Check a training summary; folders and files are named by some of its values.

    Raises:
        GanvasError: It is no object, a value is missing or of another type, or a name leads to
            another folder.
    """
    _check_keys(summary, _SUMMARY)
    check_class_list(summary["classes"])
    _check_keys(summary["parameters"], {"train": _OBJECT}, "parameters.")
    for key in ("dataset", "network", "started", "snapshots"):
        name = summary[key]
        if not re.match(FOLDER_NAME, name) or not name.isprintable() or len(name) > MAX_NAME:
            raise GanvasError(f"'{key}' can't be {_shorten(name)}, which is no name of a folder.")


def check_metrics(metrics: Any, prefix: str = "") -> None:
    """Check the metrics of a run, by their names.

    Args:
        metrics: Entries as of `ganvas.pipelines.evaluate.metric_entry.metric_entry`.
        prefix: Path of the metrics in the file, for messages.

    Raises:
        GanvasError: It is no object, or a value is missing or of another type.
    """
    _check_type(metrics, _OBJECT, f"'{prefix.rstrip('.')}'" if prefix else "The file")
    for name, metric in metrics.items():
        _check_type(metric, _OBJECT, f"'{prefix}{name}'")
        _check_keys(metric, _METRIC, f"{prefix}{name}.")


def check_leaderboard_entry(entry: Any) -> None:
    """Check a row of the leaderboard.

    Raises:
        GanvasError: It is no object, or a value is missing or of another type.
    """
    _check_keys(entry, _ENTRY)
    check_metrics(entry["metrics"], "metrics.")


def _check_keys(record: Any, keys: dict[str, _Type], prefix: str = "") -> None:
    _check_type(record, _OBJECT, "The file")
    for key, kind in keys.items():
        if key not in record:
            raise GanvasError(f"'{prefix}{key}' is missing.")
        _check_type(record[key], kind, f"'{prefix}{key}'")


def _check_type(value: Any, kind: _Type, what: str) -> None:
    # In Python, true is a number.
    is_right = isinstance(value, kind.types) and not isinstance(value, bool)
    if is_right and isinstance(value, int | float):
        # Neither a page nor a table can be made of integers with hundreds of digits.
        is_huge = isinstance(value, int) and abs(value) > MAX_NUMBER
        is_right = not is_huge and (kind is not _AMOUNT or 0 <= value < MAX_NUMBER)
    if not is_right:
        raise GanvasError(f"{what} must be {kind.name}, not {_shorten(value)}.")


def _shorten(value: Any) -> str:
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        # Python refuses to write integers of thousands of digits.
        return "one of hundreds of digits"
    text = repr(value)
    return f"{text[:40]}…" if len(text) > 40 else text
