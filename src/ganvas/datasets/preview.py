"""Previews in Kedro-Viz, also of data that no run has made yet."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from kedro.io import DatasetError

Arguments = ParamSpec("Arguments")
Preview = TypeVar("Preview")


class NothingToShowError(DatasetError):
    """There is nothing to preview yet."""


def empty_until_made(preview: Callable[Arguments, Preview]) -> Callable[Arguments, Preview]:
    """Let a dataset's `preview` return None where there is no data yet.

    Kedro-Viz would log a warning with the exception. It chooses how to show a preview by the return
    type in the method's annotation, which must therefore stay without None.
    """

    @functools.wraps(preview)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Preview:
        dataset: Any = args[0]
        nothing: Any = None
        try:
            return preview(*args, **kwargs) if dataset.exists() else nothing
        except NothingToShowError:
            return nothing

    return wrapped
