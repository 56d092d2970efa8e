"""What a disk refuses, told in one sentence, and how runs keep out of each other's way on it."""

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)

# What the system answers where there is no room left.
FULL = (errno.ENOSPC, errno.EDQUOT)


def explain(error: OSError, folder: Path, done: str, pipeline: str) -> str:
    """Say what the system has refused, and what to do.

    Args:
        error: Its answer.
        folder: What was worked on.
        done: What can't be done with it, such as packed.
        pipeline: What to run again; it goes on where it stopped.
    """
    again = f"then run `kedro run --pipelines={pipeline}` again, which goes on where it stopped"
    if error.errno in FULL:
        return f"The disk of {folder} is full: make room on it, {again}."
    return f"{folder} can't be {done} ({error}): mend that, {again}."


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Keep other runs from packing to the same folder, also when this one is killed.

    Raises:
        GanvasError: Another run packs there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The file stays: a lock on one that was deleted keeps nobody out.
    with folder.with_name(f".{folder.name}.lock").open("w") as stream:
        _lock(stream, folder)
        yield


def _lock(stream: TextIO, folder: Path) -> None:
    if sys.platform == "win32":
        # It has no such locks.
        return
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise GanvasError(
            f"Another run is packing {folder}: wait for it, or set ingest.dataset to pack to "
            "another folder."
        ) from error
    except OSError as error:
        logger.warning("Nothing keeps other runs from packing %s meanwhile (%s).", folder, error)
