"""Chunks: the small pieces of a shard that workers make, each kept in a file of its own."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.atomic_files import atomic_path
from ganvas.ingestion.decode import REFUSED, Align, Crop, Rejection, decode_image

# Files a chunk: enough to be worth a task, few enough to bound a worker's memory and to lose
# little when it is killed.
CHUNK = 256


class DecodeOptions(NamedTuple):
    """What is done to every image.

    Attributes:
        raw: The source's folder, absolute: a worker may have another working directory.
        size: Side of the packed images in pixels.
        crop: The square to keep.
        align: What to put upright first.
    """

    raw: Path
    size: int
    crop: Crop
    align: Align


class ChunkTask(NamedTuple):
    """What a worker needs to know, in another process or on another machine.

    Attributes:
        target: The file to write, absolute.
        paths: The images' files, below the source's folder.
        recipe: What to do to them.
    """

    target: Path
    paths: tuple[str, ...]
    recipe: DecodeOptions


def make_chunk(task: ChunkTask) -> None:
    """Decode a chunk's files and write what came of them, unless that is there already.

    The file is never seen half written, and does not depend on who writes it.

    Raises:
        GanvasError: Faces are to be aligned, but the detector is not installed.
    """
    if task.target.exists() and not has_recovered(_look_back(task), task.recipe.raw):
        return
    recipe = task.recipe
    images = np.empty((len(task.paths), recipe.size, recipe.size, 3), np.uint8)
    answers = []
    count = 0
    for path in task.paths:
        try:
            pixels, content_hash = decode_image(recipe.raw / path, *recipe[1:])
        except Rejection as rejection:
            answers.append(("", str(rejection)))
            continue
        images[count] = pixels
        count += 1
        answers.append((content_hash, ""))
    # A scheduler may have given the same task to somebody else too.
    with (
        atomic_path(task.target, shared=True, durable=True) as partial,
        partial.open("wb") as stream,
    ):
        np.savez(stream, images=images[:count], answers=answers)


def has_recovered(rows: pd.DataFrame, raw: Path) -> bool:
    """Say whether a file that the system refused to read can be read now.

    Neither its size nor its time would tell.

    Args:
        rows: Columns path and reason.
        raw: The source's folder.
    """
    refused = rows.loc[rows["reason"].str.startswith(REFUSED), "path"]
    return any(_can_be_read(raw / path) for path in refused)


def _look_back(task: ChunkTask) -> pd.DataFrame:
    return read_chunk_results(task.target).assign(path=pd.Series(task.paths, dtype="str"))


def _can_be_read(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True


def read_chunk_results(chunk: Path) -> pd.DataFrame:
    """Read what became of each file of a chunk.

    Returns:
        Columns hash, of the file's content ("" for a rejected one), and reason ("" for an image).
    """
    with np.load(chunk, allow_pickle=False) as arrays:
        return pd.DataFrame(arrays["answers"].tolist(), columns=["hash", "reason"], dtype="str")


def read_images(chunk: Path) -> np.ndarray:
    """Read a chunk's images, uint8 of shape (n, size, size, 3), without the rejected."""
    with np.load(chunk, allow_pickle=False) as arrays:
        return arrays["images"]
