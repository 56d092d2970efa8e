"""Decode chunks of image files in worker processes, and encode the images that are stored so."""

from pathlib import Path
from typing import Any, NamedTuple

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
from ganvas.ingestion.encoded_shards import EncodedImages, encode_pixels
from ganvas.ingestion.file_reading import UNREADABLE, read_file, read_files
from ganvas.ingestion.rejection import NoAnswer, Rejection
from ganvas.ingestion.storage import Storage

# Files per chunk, of large images fewer: enough to outweigh the overhead of a task, few enough to
# bound the memory of a worker and the work lost when it is killed.
CHUNK_SIZE = 64
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
        storage: How to store the images.
    """

    target: Path
    paths: tuple[str, ...]
    options: DecodeOptions
    storage: Storage = "raw"


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
    images = _Images(task.storage, len(task.paths), options.shape)
    results, files, sizes = [], [], []
    unanswered = 0
    contents = read_files([options.raw / path for path in task.paths])
    for file, (path, content) in enumerate(zip(task.paths, contents, strict=True)):
        try:
            decoded = _decode(options.raw / path, content, options)
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
        for image in decoded:
            images.add(image.pixels)
            results.append((image.hash, "", image.note))
            files.append(file)
            sizes.append(image.size)
        unanswered = 0
    # A scheduler may run the same task on several workers.
    with (
        atomic_path(task.target, shared=True, durable=True) as partial,
        partial.open("wb") as stream,
    ):
        np.savez(stream, results=results, files=files, sizes=sizes, **images.arrays())


class _Images:
    """Images of a chunk; raw or, so that they take less memory too, encoded one by one.

    Args:
        storage: How to store them.
        expected: How many there are, unless files have several.
        shape: Shape (H, W, C) of each.
    """

    def __init__(self, storage: Storage, expected: int, shape: tuple[int, int, int]) -> None:
        self._raw = None if storage == "encoded" else np.empty((expected, *shape), np.uint8)
        self._encoded: list[bytes] = []
        self._count = 0

    def add(self, pixels: np.ndarray) -> None:
        """Add an image."""
        if self._raw is None:
            self._encoded.append(encode_pixels(pixels))
            return
        if self._count == len(self._raw):
            more = np.empty((max(1, self._count), *self._raw.shape[1:]), np.uint8)
            self._raw = np.concatenate([self._raw, more])
        self._raw[self._count] = pixels
        self._count += 1

    def arrays(self) -> dict[str, Any]:
        """Return the arrays to save."""
        if self._raw is not None:
            return {"images": self._raw[: self._count]}
        return {
            "content": np.frombuffer(b"".join(self._encoded), np.uint8),
            "lengths": np.array([len(content) for content in self._encoded], np.int64),
        }


def _decode(path: Path, content: bytes | Rejection, options: DecodeOptions) -> list[DecodedImage]:
    if isinstance(content, Rejection):
        raise content
    if options.align == "all_faces":
        return decode_faces(
            path, options.shape, options.crop, options.max_pixels, options.background, content
        )
    return [decode_image(path, *options[1:], content)]


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
    """Read one array of a chunk: results, or raw images, uint8 of shape (n, H, W, C)."""
    with np.load(chunk, allow_pickle=False) as arrays:
        return arrays[name]


def read_chunk_encoded(chunk: Path) -> EncodedImages:
    """Read the encoded images of a chunk."""
    with np.load(chunk, allow_pickle=False) as arrays:
        return EncodedImages(arrays["content"], arrays["lengths"])
