"""Arrays of numbers in uploaded and returned .npy files, without pickles."""

import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy

# Of rows, layers and numbers: more axes no latent has.
MAX_AXES = 3


def read_npy(content: bytes, most: int) -> np.ndarray:
    """Return the array of numbers of a .npy file, as float64.

    The header is checked first: it could name an array of any size.

    Args:
        content: The file's bytes.
        most: Numbers that it may have.

    Raises:
        ValueError: It is no such file; the message says why.

    Example:
        >>> read_npy(write_npy(np.ones((2, 3), np.float32)), most=6).shape
        (2, 3)
    """
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read_header: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, is_fortran, dtype = read_header[version](stream)
    # NumPy raises errors of many types for odd headers.
    except Exception as error:
        raise ValueError("it is no .npy file of version 1 or 2") from error
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise ValueError(f"it has values of type {dtype}, and only float and int are allowed")
    if not 1 <= len(shape) <= MAX_AXES or min(shape) < 1:
        raise ValueError(f"its shape {shape} must have one to {MAX_AXES} axes of at least 1")
    if math.prod(shape) > most:
        raise ValueError(f"its shape {shape} has more than {most:,} numbers")
    if len(content) - stream.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"its length does not fit its shape {shape}")
    values = np.frombuffer(content, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if is_fortran else "C").astype(np.float64)


def write_npy(array: np.ndarray) -> bytes:
    """Return an array as a .npy file."""
    stream = io.BytesIO()
    npy.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()
