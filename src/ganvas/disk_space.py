"""Explain errors of a file system, a full disk above all, and estimate whether a disk suffices."""

import errno
import logging
import shutil
from pathlib import Path

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)

AGAIN = "run the same command again, which resumes where it stopped"


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that a disk is full or a quota is exceeded."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def explain_disk_error(error: OSError, folder: Path, done: str) -> str:
    """Return a sentence that says what failed and how to continue.

    Args:
        error: Error of the operating system.
        folder: Folder that could not be used.
        done: Participle of what can't be done with it, such as packed.
    """
    if is_disk_full(error):
        return explain_full_disk(error, folder)
    return f"{folder} can't be {done} ({error}): fix that, then {AGAIN}."


def explain_full_disk(error: OSError, *paths: Path) -> str:
    """Return a sentence that says which disk is full and how to continue.

    Args:
        error: Error of the operating system.
        paths: Files or folders that may have been written to; the one with the least free space
            is named.
    """
    path = min(paths, key=free_space)
    free = f"is full ({format_bytes(free_space(path))} are free)"
    problem = "has no quota left" if error.errno == errno.EDQUOT else free
    return (
        f"The disk of {path} {problem}: free space on it, then {AGAIN}; everything that was saved "
        "before is intact."
    )


def find_full_disk(error: BaseException) -> OSError | None:
    """Return the error that an exception was raised for, if that is a full disk.

    Libraries raise their own exceptions for those of the operating system.
    """
    cause: BaseException | None = error
    while cause is not None and not is_disk_full(cause):
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, OSError) else None


def check_free_space(folder: Path, least: float, likely: float, content: str) -> None:
    """Compare the free space of a disk with what is going to be written.

    Args:
        folder: Folder that is written to; it need not exist.
        least: Bytes without which writing certainly fails.
        likely: Bytes that are probably needed; a warning is logged if fewer are free.
        content: What is written, such as "packed images".

    Raises:
        GanvasError: Fewer than `least` bytes are free.
    """
    try:
        free = free_space(folder)
    except OSError as error:
        logger.debug("The free space of %s is unknown: %s", folder, error)
        return
    if free < least:
        raise GanvasError(
            f"The disk of {folder} has {format_bytes(free)} free, but the {content} need at least "
            f"{format_bytes(least)}, and probably {format_bytes(max(least, likely))}: free space "
            "on it, or use a folder on another disk."
        )
    if free < likely:
        logger.warning(
            "The disk of %s has %s free, and the %s may need %s.",
            *(folder, format_bytes(free), content, format_bytes(likely)),
        )


def format_bytes(count: float) -> str:
    """Return a number of bytes as text.

    Example:
        >>> format_bytes(20_500_000)
        '20.5 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def free_space(path: Path) -> int:
    """Return the free bytes of the disk of a path, which need not exist."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free
