"""Explain errors of the file system in one sentence."""

import errno
from pathlib import Path


def is_disk_full(error: Exception) -> bool:
    """Return whether an error means that a disk is full or a quota is exceeded."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def explain_disk_error(error: OSError, folder: Path, done: str, pipeline: str) -> str:
    """Return a sentence that says what failed and how to continue.

    Args:
        error: Error of the operating system.
        folder: Folder that could not be used.
        done: Participle of what can't be done with it, such as packed.
        pipeline: Pipeline to run again; it resumes where it stopped.
    """
    again = f"then run `kedro run --pipelines={pipeline}` again, which resumes where it stopped"
    if is_disk_full(error):
        return f"The disk of {folder} is full: free space on it, {again}."
    return f"{folder} can't be {done} ({error}): fix that, {again}."
