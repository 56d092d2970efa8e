"""Decode chunks of image files in worker processes."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.atomic_files import atomic_path
from ganvas.channels import WHITE
from ganvas.errors import GanvasError
from ganvas.ingestion.color_conversion import Color
from ganvas.ingestion.cropping import Crop
from ganvas.ingestion.decode import (
    MAX_PIXELS,
    Align,
    DecodedImage,
    decode_faces,
    decode_image,
)
from ganvas.ingestion.file_reading import UNREADABLE, read_file
from ganvas.ingestion.rejection import NoAnswer, Rejection

# Files per chunk, and bytes of their images: enough to outweigh the overhead of a task, few enough
# to bound the memory of a worker and the work lost when it is killed.
CHUNK_SIZE, CHUNK_BYTES = 256, 2**26
# Types of the columns of a table of results.
RESULT_TYPES = {
    "path": "str",
    "hash": "str",
    "reason": "str",
    "note": "str",
    "width": "int64",
    "height": "int64",
}
# Seconds to wait for a file that could not be read before, to find out whether it can be now.
RETRY_SECONDS = 5
# Files in a row that are waited for in vain before ingestion ends: each costs a minute.
MAX_UNANSWERED = 3


class DecodeOptions(NamedTuple):
    """How to decode each image.

    Attributes:
        raw: Folder of the source, absolute, since a worker may have another working directory.
        shape: Shape (H, W, C) of the packed images.
        crop: Part to keep.
        align: Whether to align faces.
        max_pixels: Maximum number of pixels to decode.
        background: Color behind transparent parts and padding.
    """

    raw: Path
    shape: tuple[int, int, int]
    crop: Crop
    align: Align
    max_pixels: float = MAX_PIXELS
    background: Color = WHITE


class ChunkTask(NamedTuple):
    """Input of a worker, in another process or on another machine.

    Attributes:
        target: File to write, absolute.
        paths: Image files, below the folder of the source.
        options: How to decode them.
    """

    target: Path
    paths: tuple[str, ...]
    options: DecodeOptions


def chunk_size(shape: tuple[int, int, int]) -> int:
    """Return the number of files of a chunk for images of a shape.

    Example:
        >>> chunk_size((64, 64, 3)), chunk_size((1024, 1024, 3))
        (256, 21)
    """
    return max(1, min(CHUNK_SIZE, CHUNK_BYTES // math.prod(shape)))


def make_chunk(task: ChunkTask) -> None:
    """Decode the files of a chunk and write images and results, unless they exist.

    The file is written atomically, and its bytes do not depend on the worker.

    Raises:
        GanvasError: The face detector is needed, but not installed, or the file system does not
            answer.
    """
    options = task.options
    if task.target.exists() and not has_recovered(read_chunk_results(task), options.raw):
        return
    images = np.empty((len(task.paths), *options.shape), np.uint8)
    results, files, sizes = [], [], []
    count = unanswered = 0
    for file, path in enumerate(task.paths):
        try:
            decoded = _decode(options.raw / path, options)
        except Rejection as rejection:
            results.append(("", str(rejection), ""))
            files.append(file)
            sizes.append((0, 0))
            unanswered = unanswered + 1 if isinstance(rejection, NoAnswer) else 0
            if unanswered == MAX_UNANSWERED:
                raise GanvasError(
                    f"The disk of {options.raw} does not answer, in the end for {path}: connect "
                    "it again, and repeat the command, which resumes where it stopped."
                ) from rejection
            continue
        if count + len(decoded) > len(images):
            images = np.concatenate([images, np.empty((len(decoded), *images.shape[1:]), np.uint8)])
        for image in decoded:
            images[count] = image.pixels
            count += 1
            results.append((image.hash, "", image.note))
            files.append(file)
            sizes.append(image.size)
        unanswered = 0
    # A scheduler may run the same task on several workers.
    with (
        atomic_path(task.target, shared=True, durable=True) as partial,
        partial.open("wb") as stream,
    ):
        np.savez(stream, images=images[:count], results=results, files=files, sizes=sizes)


def _decode(path: Path, options: DecodeOptions) -> list[DecodedImage]:
    if options.align == "all_faces":
        return decode_faces(
            path, options.shape, options.crop, options.max_pixels, options.background
        )
    return [decode_image(path, *options[1:])]


def has_recovered(results: pd.DataFrame, raw: Path) -> bool:
    """Return whether any file that could not be read before can be read now.

    Its size and modification time need not have changed, so reading is tried.

    Args:
        results: Columns path and reason.
        raw: Folder of the source.
    """
    unreadable = results.loc[results["reason"].str.startswith(UNREADABLE), "path"]
    return any(_is_readable(raw / path) for path in unreadable)


def _is_readable(file: Path) -> bool:
    try:
        read_file(file, seconds=RETRY_SECONDS)
    except (OSError, Rejection):
        return False
    return True


def read_chunk_results(task: ChunkTask) -> pd.DataFrame:
    """Read the results of a chunk.

    Returns:
        One row an image or a rejected file: path, hash of its content ("" if rejected), reason
        ("" if decoded), note, and width and height before it was cropped, see `DecodedImage`; 0 of
        rejected files and of chunks of earlier versions.
    """
    with np.load(task.target, allow_pickle=False) as arrays:
        results = arrays["results"].tolist()
        # Chunks of earlier versions have one row a file.
        files = arrays["files"] if "files" in arrays else range(len(results))
        sizes = arrays["sizes"] if "sizes" in arrays else np.zeros((len(results), 2), np.int64)
    table = pd.DataFrame(results, columns=["hash", "reason", "note"], dtype="str")
    table["path"] = pd.Series([task.paths[file] for file in files], dtype="str")
    table["width"], table["height"] = sizes.reshape(-1, 2).T.astype(np.int64)
    return table[list(RESULT_TYPES)]


def read_chunk_array(chunk: Path, name: str) -> np.ndarray:
    """Read one array of a chunk: results, or images, uint8 of shape (n, H, W, C)."""
    with np.load(chunk, allow_pickle=False) as arrays:
        return arrays[name]
