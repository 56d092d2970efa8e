"""Lock a folder against other processes, of this machine and of others that share the disk."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_ATTEMPTS = 0.5
_held: dict[Path, ExitStack] = {}


@contextmanager
def exclusive_lock(folder: Path, task: str, advice: str) -> Iterator[None]:
    """Hold the lock of a folder while a block runs.

    The operating system releases the lock when the process ends, however it ends, so none is left
    behind. Where the file system has no locks, a warning is logged and the block runs without one.

    Args:
        folder: Folder to lock; it need not exist. The lock is the hidden file `.NAME.lock` beside
            it.
        task: What the holder does, such as "packs data/03_primary/sample/collection".
        advice: What can be done instead of waiting, such as "set ingest.dataset".

    Raises:
        GanvasError: Another process holds the lock; the message names it.

    Example:
        >>> with exclusive_lock(Path("out"), "writes out", "choose another folder"):
        ...     write_files(Path("out"))
    """
    with _open_lock(folder) as stream:
        if stream is not None and not _try_to_lock(stream, folder):
            raise GanvasError(
                f"Another run{_describe_holder(stream)} {task}: wait for it, or {advice}."
            )
        yield


@contextmanager
def waiting_lock(folder: Path, task: str) -> Iterator[None]:
    """Hold the lock of a folder while a block runs; wait as long as another process holds it.

    A signal ends the waiting by the exception that its handler raises.

    Args:
        folder: As in `exclusive_lock`, whose holders it waits for too.
        task: What the holder does, for the log.
    """
    with _open_lock(folder) as stream:
        if stream is not None and not _try_to_lock(stream, folder):
            logger.info("Waiting for another run%s, which %s.", _describe_holder(stream), task)
            while not _try_to_lock(stream, folder):
                # Not a lock that blocks, which some network file systems don't interrupt.
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        yield


@contextmanager
def shared_lock(folder: Path, task: str, advice: str) -> Iterator[None]:
    """Hold a lock of a folder that others may share, against an `exclusive_lock` of it.

    Args:
        folder: As in `exclusive_lock`.
        task: What an exclusive holder does.
        advice: What can be done instead of waiting.

    Raises:
        GanvasError: Another process holds the folder's exclusive lock.
    """
    with _open_lock(folder) as stream:
        if stream is not None and not _try_to_lock(stream, folder, shared=True):
            raise GanvasError(
                f"Another run{_describe_holder(stream)} {task}: wait for it, or {advice}."
            )
        yield


def in_use(folder: Path) -> Path:
    """Return what is locked by those that use a folder, beside the lock of those that write it."""
    return folder.with_name(f"{folder.name}.in-use")


def hold_lock(folder: Path, task: str, advice: str) -> None:
    """Hold the exclusive lock of a folder until `release_locks`, or the end of the process.

    Args:
        folder: As in `exclusive_lock`. One that this process holds already is left as it is.
        task: As in `exclusive_lock`.
        advice: As in `exclusive_lock`.

    Raises:
        GanvasError: Another process holds the lock.
    """
    if folder.absolute() not in _held:
        with ExitStack() as stack:
            stack.enter_context(exclusive_lock(folder, task, advice))
            _held[folder.absolute()] = stack.pop_all()


def release_locks() -> None:
    """Release all locks of `hold_lock`."""
    while _held:
        _held.popitem()[1].close()


@contextmanager
def _open_lock(folder: Path) -> Iterator[IO[str] | None]:
    """Yield the lock file of a folder; None where there are no locks."""
    if sys.platform == "win32":
        yield None
        return
    # Never deleted, since a lock on a deleted file has no effect. Opened without truncating it: it
    # names the process that holds the lock.
    file = folder.with_name(f".{folder.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        yield stream


def _try_to_lock(stream: IO[str], folder: Path, shared: bool = False) -> bool:
    """Lock a file and write who holds it; return False if another process holds it."""
    import fcntl

    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.warning("%s can't be locked against other runs (%s).", folder, error)
    else:
        _write(stream.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n")
    return True


def _describe_holder(stream: IO[str]) -> str:
    stream.seek(0)
    holder = stream.read().strip()
    return f" ({holder})" if holder else ""


def _write(descriptor: int, text: str) -> None:
    """Replace the content of the lock file; it is only information, so a full disk is ignored."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())
    except OSError as error:
        logger.debug("The lock can't name its holder: %s", error)
