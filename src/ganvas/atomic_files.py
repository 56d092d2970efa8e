"""Write files and replace folders so that no reader ever sees half of one."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(file: Path, shared: bool = False, durable: bool = False) -> Iterator[Path]:
    """Yield a hidden temporary path beside a file, and rename it to the file on success.

    If the block raises, the temporary file is removed and the previous file stays. A temporary
    file left by a killed process is overwritten by the next process that writes the same file.

    Args:
        file: File to write; its folder is created if it is missing.
        shared: Whether other processes may write the same file at the same time. Each then has
            a unique temporary file, which a killed process leaves behind.
        durable: Whether to flush the content to disk before renaming. Otherwise a power cut may
            leave the new name without its content.

    Example:
        >>> with atomic_path(Path("out/table.parquet")) as partial:
        ...     table.to_parquet(partial)
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unique = f".{uuid.uuid4().hex}" if shared else ""
    partial = file.with_name(f".{file.name}{unique}.partial")
    try:
        yield partial
        if durable:
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        # That of a full disk names no file.
        error.filename = error.filename or str(file)
        raise
    finally:
        partial.unlink(missing_ok=True)


def atomic_write(file: Path, content: bytes) -> None:
    """Write bytes to a file through `atomic_path`."""
    with atomic_path(file) as partial:
        partial.write_bytes(content)


def replace_folder(folder: Path, by: Path) -> None:
    """Replace a folder, if it exists, by a finished one.

    The old folder is renamed before it is deleted, so a killed process never leaves a mixture.

    Args:
        folder: Folder to replace.
        by: Complete folder on the same file system; it takes the name `folder`.
    """
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    by.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
