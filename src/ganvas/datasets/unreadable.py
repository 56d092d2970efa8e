"""Errors of files that can't be read: which file, why, and what creates it again."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import AbstractVersionedDataset
from kedro.validation.exceptions import DataValidationError

from ganvas.errors import GanvasError

# Characters of another package's message that a sentence contains.
MAX_REASON = 200


def explain_unreadable(
    dataset: AbstractDataset[Any, Any], error: DatasetError, pipeline: str | None
) -> GanvasError:
    """Return the sentence for a dataset that can't be loaded.

    Args:
        dataset: The dataset.
        error: Kedro's error.
        pipeline: Pipeline that creates the dataset; None if none does.
    """
    cause = find_cause(error)
    # An error of one of our own datasets is complete; one of a validator names no file.
    if isinstance(cause, GanvasError) and not isinstance(error, DataValidationError):
        return cause
    return explain_unreadable_file(find_path(dataset), cause, pipeline)


def explain_unreadable_file(path: str, error: BaseException, pipeline: str | None) -> GanvasError:
    """Return the sentence for a file that can't be read.

    Args:
        path: The file.
        error: What reading it raised, or a `GanvasError` with what is wrong in it.
        pipeline: Pipeline that creates it; None if none does.

    Example:
        >>> str(explain_unreadable_file("a.json", ValueError("no JSON"), "train"))
        "a.json can't be read (no JSON): it may be cut off by a full disk or an incomplete copy, or
        edited. Delete it, and create it again by `kedro run --pipelines=train` with the same --env
        and --params."
    """
    create = "create it again by the command that saved it"
    if pipeline:
        command = f"`kedro run --pipelines={pipeline}` with the same --env and --params"
        create = f"create it again by {command}"
    if isinstance(error, FileNotFoundError):
        return GanvasError(f"There is no {path}: {create}.")
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError):
        return GanvasError(f"{path} can't be read ({error.strerror}): check what it is.")
    reason = _describe(path, error)
    if isinstance(error, GanvasError):
        return GanvasError(f"{path} can't be used. {reason} Correct it, or delete it and {create}.")
    if "://" in path and not isinstance(error, ValueError):
        # Each object store raises its own errors.
        return GanvasError(
            f"{path} can't be read ({reason}): check its path in the catalog, and 'object_store' "
            "in conf/local/credentials.yml."
        )
    return GanvasError(
        f"{path} can't be read ({reason}): it may be cut off by a full disk or an incomplete copy, "
        f"or edited. Delete it, and {create}."
    )


def find_path(dataset: AbstractDataset[Any, Any]) -> str:
    """Return the path of a dataset's file or folder, of a versioned one that of its version."""
    description = dataset._describe()
    path = description.get("filepath") or description.get("path") or str(dataset)
    if isinstance(dataset, AbstractVersionedDataset):
        with suppress(DatasetError):
            path = dataset._get_load_path()
    protocol = getattr(dataset, "_protocol", "file")
    return str(path) if protocol == "file" or "://" in str(path) else f"{protocol}://{path}"


def find_cause(error: BaseException) -> BaseException:
    """Return the exception that Kedro has wrapped in its own."""
    while isinstance(error, DatasetError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _describe(path: str, error: BaseException) -> str:
    with suppress(OSError):
        if Path(path).stat().st_size == 0:
            return "it is empty"
    if isinstance(error, GanvasError):
        return str(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    text = f"it is no JSON: {text}" if isinstance(error, json.JSONDecodeError) else text
    if "set_int_max_str_digits" in text:
        return "it has a number of thousands of digits"
    return text[:MAX_REASON].rstrip(" .:")
