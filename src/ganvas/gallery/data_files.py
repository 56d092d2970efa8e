"""Files of the data folder, which may be damaged or come from others."""

import zipfile
from pathlib import Path

from ganvas.ingestion.file_reading import read_file
from ganvas.ingestion.rejection import Rejection

# Bytes of a file of JSON.
MAX_JSON = 2**24
# A model's weights hardly compress, and Keras stores them as they are. A few MB of zeros could
# unpack to more than the memory.
MAX_RATIO, MAX_UNPACKED = 8, 2**26
MAX_ENTRIES = 1000
# Files that every .keras archive has.
KERAS_FILES = {"config.json", "model.weights.h5"}


def read_start(file: Path, most: int) -> bytes:
    """Read a file, or its first bytes; pipes and devices, which may block forever, are refused.

    Args:
        file: File to read.
        most: Number of bytes to read at most.

    Raises:
        OSError: It is missing, no regular file, or can't be read.
    """
    # Files of the kernel have this size, too, and reading them may block.
    if file.is_file() and file.stat().st_size == 0:
        return b""
    try:
        return read_file(file, most)
    except Rejection as rejection:
        raise OSError(str(rejection)) from rejection


def find_archive_fault(file: Path) -> str:
    """Return why a .keras archive can't be loaded, as its list of files shows; empty if it may be.

    Raises:
        OSError: It can't be read.
        ValueError, zipfile.BadZipFile, NotImplementedError: It is damaged.
    """
    if not file.is_file():
        return f"{file.name} is not a file"
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if missing := KERAS_FILES.difference(entry.filename for entry in entries):
        return f"{file.name} has no {', '.join(sorted(missing))}"
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or unpacked > MAX_RATIO * file.stat().st_size + MAX_UNPACKED:
        return f"{file.name} would unpack to {unpacked / 2**20:,.0f} MB in {len(entries):,} files"
    return ""
