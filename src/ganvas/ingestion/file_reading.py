"""Read files that users name, without ever waiting for one forever."""

import stat
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Condition, Thread

from ganvas.ingestion.rejection import NoAnswer, Rejection

# Reasons that begin so may be temporary, such as a file of a disconnected disk.
UNREADABLE = "can't be read"
# The largest images in use, of 90 megapixels and four 16-bit channels, take 720 MB uncompressed.
# Files are read as a whole, so a video or a disk image would fill the memory.
MAX_BYTES = 2**30
# Each piece has to arrive within the time limit, so that large files on slow disks have longer.
PIECE = 2**26
SECONDS = 60.0
# Bytes of files that are read before they are needed.
AHEAD = 2**22


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
    content = _Reader([file], most).take(seconds)
    if isinstance(content, Exception):
        raise content
    return content


def read_files(files: Sequence[Path], seconds: float = SECONDS) -> Iterator[bytes | Rejection]:
    """Read files like `read_file`, the next ones while the caller uses one.

    Args:
        files: Files to read.
        seconds: Time to wait for each 64 MiB.

    Yields:
        Of each file in turn its content, or the reason why it can't be read.

    Example:
        >>> [len(content) for content in read_files([Path("a.jpg"), Path("b.jpg")])]
        [184320, 92160]
    """
    position = 0
    while position < len(files):
        reader = _Reader(files[position:])
        try:
            is_answering = True
            while is_answering and position < len(files):
                content = reader.take(seconds)
                position += 1
                is_answering = not isinstance(content, NoAnswer)
                yield explain_error(content) if isinstance(content, Exception) else content
        finally:
            reader.stop()


def explain_error(error: Exception) -> Rejection:
    """Return why a file can't be read, from an error of reading it; other errors are raised."""
    if isinstance(error, OSError):
        return Rejection(f"{UNREADABLE}: {error.strerror or error}")
    if isinstance(error, Rejection):
        return error
    raise error


class _Reader:
    """A thread that reads files in their order, ahead of the caller.

    A blocked read can't be cancelled: its thread is left behind, and ends with the process.

    Args:
        files: Files to read.
        most: Number of bytes of each to read at most.
    """

    def __init__(self, files: Sequence[Path], most: int = MAX_BYTES) -> None:
        self._files = files
        self._most = most
        # Contents that wait to be taken, and their bytes.
        self._contents: deque[bytes | Exception] = deque()
        self._held = 0
        self._pieces = 0
        self._is_awaited = False
        self._is_stopped = False
        self._changed = Condition()
        Thread(target=self._run, daemon=True).start()

    def take(self, seconds: float) -> bytes | Exception:
        """Return the content of the next file, or the error of reading it."""
        with self._changed:
            received = -1
            self._is_awaited = True
            while not self._contents:
                if received == self._pieces:
                    return NoAnswer(f"{UNREADABLE}: no answer within {seconds:g} seconds")
                received = self._pieces
                self._changed.notify()
                self._changed.wait(seconds)
            self._is_awaited = False
            content = self._contents.popleft()
            self._held -= 0 if isinstance(content, Exception) else len(content)
            # Few wakes of many files are faster than many of one.
            if self._held < AHEAD // 2:
                self._changed.notify()
            return content

    def stop(self) -> None:
        """Let the thread end after the file that it reads."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    def _run(self) -> None:
        for file in self._files:
            content: bytes | Exception
            try:
                content = self._read(file)
            except Exception as error:
                content = error
            with self._changed:
                if self._is_stopped:
                    return
                self._contents.append(content)
                self._held += 0 if isinstance(content, Exception) else len(content)
                if self._is_awaited:
                    self._changed.notify()

    def _read(self, file: Path) -> bytes:
        size = min(self._most, _check_regular(file))
        with self._changed:
            # A large file is read once it is needed, so that memory holds one of them.
            self._changed.wait_for(lambda: self._is_stopped or self._has_space(size))
            if self._is_stopped:
                return b""
        pieces = []
        left = self._most
        with file.open("rb", buffering=0) as stream:
            # Python allocates as many bytes as it is to read. One more than the file has, since it
            # may grow.
            while left > 0 and (piece := stream.read(min(PIECE, left, size + 1))):
                pieces.append(piece)
                self._pieces += 1
                left -= len(piece)
        return b"".join(pieces)

    def _has_space(self, size: int) -> bool:
        return self._held + size <= AHEAD or (self._is_awaited and not self._contents)


def _check_regular(file: Path) -> int:
    """Return the number of bytes of a regular file."""
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Rejection("a folder that can't be listed, or a link to one")
    if not stat.S_ISREG(status.st_mode):
        raise Rejection("not a file")
    if status.st_size == 0:
        raise Rejection("empty file")
    if status.st_size > MAX_BYTES:
        raise Rejection(f"too large to read: {status.st_size} bytes")
    return status.st_size
