"""Errors of commands that a user can mend, in one sentence and without a traceback."""

import functools
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import KedroCliError
from kedro.io import DatasetError, DatasetNotFoundError
from omegaconf.errors import OmegaConfBaseException

from ganvas.disk_space import explain_full_disk, find_full_disk
from ganvas.errors import Finished, GanvasError
from ganvas.stop_signals import exit_interrupted, interrupt, on_signal


def in_one_sentence(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Print an error that a user can mend, or that a signal came, without its traceback.

    Finished ends the command normally.
    """

    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            with on_signal(interrupt):
                return callback(*args, **kwargs)
        except KeyboardInterrupt as error:
            exit_interrupted(error)
        except Exception as error:
            cause = _find_cause(error)
            if isinstance(cause, Finished):
                click.echo(str(cause))
                return None
            sentence = _translate(error) if cause is None else str(cause)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error

    return wrapped


def _find_cause(error: BaseException) -> BaseException | None:
    """Return the error of Ganvas that one was raised for, if there is any."""
    # Kedro wraps the exceptions of datasets in its own, OmegaConf those of resolvers.
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, GanvasError | Finished):
        from_omegaconf = isinstance(cause, OmegaConfBaseException)
        cause = cause.__context__ if from_omegaconf else cause.__cause__
    return cause


def _translate(error: Exception) -> str | None:
    """Return what a user can do about a full disk or an error of Kedro; None if it is neither."""
    text = str(error)
    # TensorFlow passes on the text alone of an error on reading images.
    if passed := re.search(r"^ganvas\.errors\.GanvasError: (.+)$", text, re.MULTILINE):
        return passed[1]
    if full := find_full_disk(error):
        named = [Path(os.fsdecode(full.filename))] if full.filename else []
        return explain_full_disk(full, *(named or [Path("data"), Path(tempfile.gettempdir())]))
    if isinstance(error, KedroCliError):
        # Kedro would print the name of the class too, and ask for --verbose.
        return error.message
    if isinstance(error, DatasetNotFoundError) and "load_versions" in text:
        names = text.partition("[")[2].partition("]")[0]
        return f"--load-versions names {names}, which the catalog doesn't have: check the names."
    if isinstance(error, DatasetError):
        return _translate_entry(text)
    if isinstance(error, KeyError) and "Unable to find credentials" in text:
        name = text.partition("'")[2].partition("'")[0]
        return (
            f"The catalog refers to the credentials '{name}', which are not in "
            "conf/local/credentials.yml: add them there, or remove them from the catalog."
        )
    if isinstance(error, ValueError) and "contains no nodes" in text:
        return (
            "No node is left to run by all the options together: leave out one of --nodes, "
            "--from-nodes, --to-nodes, --from-inputs, --to-outputs, --tags and --namespaces."
        )
    return None


def _translate_entry(text: str) -> str | None:
    """Return which entry of the catalog can't be used, if an error of a dataset is about one."""
    if re.search("parsing config|valid dataset config|Incorrect dataset config|constructor", text):
        name = re.search(r"(?:[Dd]ataset|entry|name) '?([^\s':]+)", text)
        where = f"The entry '{name[1]}'" if name else "An entry"
        if "not found" in text or "No module" in text or "type" in text.partition(":")[2][:9]:
            reason = "its type is none that can be imported, such as json.JSONDataset"
        elif "not a valid" in text:
            reason = "it must have a type and what that needs, such as filepath"
        else:
            reason = "its type doesn't take these keys and values, or needs others, as filepath"
        return f"{where} of the catalog in conf can't be used: {reason}."
    return None
