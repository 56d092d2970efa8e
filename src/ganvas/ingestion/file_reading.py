"""Read files that users name, without ever waiting for one forever."""

import stat
from pathlib import Path
from threading import Thread

from ganvas.ingestion.rejection import NoAnswer, Rejection

# Reasons that begin so may be temporary, such as a file of a disconnected disk.
UNREADABLE = "can't be read"
# The largest images in use, of 90 megapixels and four 16-bit channels, take 720 MB uncompressed.
# Files are read as a whole, so a video or a disk image would fill the memory.
MAX_BYTES = 2**30
# Each piece has to arrive within the time limit, so that large files on slow disks have longer.
PIECE = 2**26
SECONDS = 60.0


def read_file(file: Path, most: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """Read a file, or its first bytes.

    Folders, devices, pipes and files of size 0 are refused before they are opened: reading a pipe
    or one of the kernel's files, whose size is 0, may block forever. So may a file on a network
    drive that is gone, hence the time limit.

    Args:
        file: File to read.
        most: Number of bytes to read at most, if the file has more.
        seconds: Time to wait for each 64 MiB.

    Raises:
        Rejection: It is no regular file, is empty, or has more than `MAX_BYTES` bytes.
        NoAnswer: The time is over.
        OSError: The file can't be read.
    """
    pieces: list[bytes] = []
    failures: list[Exception] = []

    def read() -> None:
        try:
            _check_regular(file)
            with file.open("rb", buffering=0) as stream:
                left = most
                while left > 0 and (piece := stream.read(min(PIECE, left))):
                    pieces.append(piece)
                    left -= len(piece)
        except Exception as error:
            failures.append(error)

    # A blocked read can't be cancelled: its thread is left behind, and ends with the process.
    thread = Thread(target=read, daemon=True)
    thread.start()
    received = -1
    while thread.is_alive() and len(pieces) > received:
        received = len(pieces)
        thread.join(seconds)
    if thread.is_alive():
        raise NoAnswer(f"{UNREADABLE}: no answer within {seconds:g} seconds")
    if failures:
        raise failures[0]
    return b"".join(pieces)


def _check_regular(file: Path) -> None:
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Rejection("a folder that can't be listed, or a link to one")
    if not stat.S_ISREG(status.st_mode):
        raise Rejection("not a file")
    if status.st_size == 0:
        raise Rejection("empty file")
    if status.st_size > MAX_BYTES:
        raise Rejection(f"too large to read: {status.st_size} bytes")
