"""Arrays in one .npz file, without pickles."""

import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Bytes that the arrays of a file may take: far more than those beside a generator have, and few
# enough that a damaged or foreign file can't fill the memory.
MAX_BYTES = 2**30


def read_arrays(source: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file.

    Args:
        source: The file, or a stream of its content.

    Raises:
        ValueError: It is no .npz file, or has objects, or more than `MAX_BYTES` of arrays.
        OSError: It can't be read.

    Example:
        >>> write_arrays(Path("a.npz"), {"x": np.arange(3)})
        >>> read_arrays(Path("a.npz"))["x"]
        array([0, 1, 2])
    """
    try:
        with zipfile.ZipFile(source) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it would unpack to {size / 2**20:,.0f} MB")
        if not isinstance(source, Path):
            source.seek(0)
        with np.load(source, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError):
        raise
    # zipfile, zlib and the parser of headers raise a dozen kinds of errors for damaged bytes.
    except Exception as error:
        raise ValueError(f"it is no .npz file, or damaged: {error}") from error


def write_arrays(target: Path | BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to an .npz file, compressed, and equal ones to equal bytes.

    Raises:
        ValueError: An array has objects, which only a pickle could hold.
    """
    if objects := [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]:
        raise ValueError(f"{', '.join(objects)} are arrays of objects")
    np.savez_compressed(target, allow_pickle=False, **arrays)
