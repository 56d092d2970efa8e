"""Lock a folder against other processes, of this machine and of others that share the disk."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)


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
    if sys.platform == "win32":
        yield
        return
    import fcntl

    # Never deleted, since a lock on a deleted file has no effect. Opened without truncating it: it
    # names the process that holds the lock.
    file = folder.with_name(f".{folder.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip()
            by = f" ({holder})" if holder else ""
            raise GanvasError(f"Another run{by} {task}: wait for it, or {advice}.") from error
        except OSError as error:
            logger.warning("%s can't be locked against other runs (%s).", folder, error)
        else:
            _write(stream.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n")
        yield


def _write(descriptor: int, text: str) -> None:
    """Replace the content of the lock file; it is only information, so a full disk is ignored."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())
    except OSError as error:
        logger.debug("The lock can't name its holder: %s", error)
