"""Files that are never seen half written."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(file: Path, shared: bool = False, durable: bool = False) -> Iterator[Path]:
    """Give a hidden name beside a file to write to; it takes the file's place once that is done.

    Where writing fails, it is removed and the file of before stays. What a killed process leaves
    under that name is overwritten by the next one to write the file.

    Args:
        file: What is written; its folder is made if it is missing.
        shared: Whether other processes may write the same file meanwhile. Each has a hidden name
            of its own then, which stays when it is killed.
        durable: Whether the content must be on the disk before it gets its name: a power cut may
            leave a name without content otherwise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    own = f".{uuid.uuid4().hex}" if shared else ""
    partial = file.with_name(f".{file.name}{own}.partial")
    try:
        yield partial
        if durable:
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write(file: Path, content: bytes) -> None:
    """Write a file by `whole`."""
    with atomic_path(file) as partial:
        partial.write_bytes(content)
