"""Draw the sample collection: eight fictional artists, in the layout of Best Artworks."""

import csv
import filecmp
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.sample_collection import (
    circles,
    color_fields,
    cutouts,
    grids,
    landscape,
    night_sky,
    still_life,
    waves,
)
from ganvas.sample_collection.artists import ARTISTS
from ganvas.sample_collection.canvas import Composition, choose

Work = tuple[str, int]
Progress = Callable[[Iterable[Work], int], Iterable[Work]]

# The compositions of each style: one of them draws an image. The position of a style is part of
# its images' seeds, so new styles go at the end.
STYLES: dict[str, list[Composition]] = {
    "Colour Fields": color_fields.COMPOSITIONS,
    "Neoplastic Grids": grids.COMPOSITIONS,
    "Pointillist Landscapes": landscape.COMPOSITIONS,
    "Ink Waves": waves.COMPOSITIONS,
    "Concentric Circles": circles.COMPOSITIONS,
    "Paper Cut-outs": cutouts.COMPOSITIONS,
    "Night Skies": night_sky.COMPOSITIONS,
    "Still Lifes": still_life.COMPOSITIONS,
}

COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]
IMAGE_SIZE = 160
RESIZED_SIZE = 64
JPEG: dict[str, Any] = {"format": "JPEG", "quality": 92, "subsampling": 0}


def draw_image(style: str, index: int, seed: int, size: int = IMAGE_SIZE) -> np.ndarray:
    """Draw one image of a style.

    Args:
        style: A key of `STYLES`.
        index: Number of the image within its style, from 1.
        seed: Seed of the collection. Style, index and seed alone determine the image.
        size: Side in pixels; it changes the level of detail, not the content.

    Returns:
        uint8 of shape (size, size, 3).

    Raises:
        ValueError: There is no such style.

    Example:
        >>> draw_image("Night Skies", index=1, seed=0, size=64).shape
        (64, 64, 3)
    """
    if style not in STYLES:
        raise ValueError(f"There is no style {style!r}; the styles are {', '.join(STYLES)}.")
    rng = np.random.default_rng([seed, list(STYLES).index(style), index])
    return choose(rng, STYLES[style])(rng, size)


def images_per_style(count: int) -> dict[str, int]:
    """Divide `count` images evenly among the styles; the first styles take the remainder."""
    if count < len(STYLES):
        raise ValueError(
            f"A sample collection needs at least {len(STYLES)} images, one of each style, "
            f"but count is {count} here."
        )
    share, rest = divmod(count, len(STYLES))
    return {style: share + (k < rest) for k, style in enumerate(STYLES)}


def draw_collection(
    folder: Path, count: int = 600, seed: int = 0, progress: Progress | None = None
) -> None:
    """Draw a collection into a new folder, in the layout of Best Artworks of All Time.

    The folder holds `artists.csv` (one row an artist), `images/<Name>/<Name>_<k>.jpg` (160×160,
    k from 1) and `resized/<Name>_<k>.jpg` (the same images, 64×64). The same seed draws the same
    bytes. Everything is written to a hidden folder and renamed at the end, so `folder` is always
    complete.

    Args:
        folder: Folder to create.
        count: Number of images, at least one per style.
        seed: Seed of the collection.
        progress: Wraps the iterable of images to draw, called with it and its length.

    Raises:
        ValueError: `count` leaves a style without an image.
        FileExistsError: The folder exists.

    Example:
        >>> draw_collection(Path("data/01_raw/sample"), count=64, seed=1)
    """
    counts = images_per_style(count)
    folder = Path(folder).absolute()
    if folder.exists():
        raise FileExistsError(f"{folder} exists already, so no sample collection is drawn there.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        _draw_into(partial, counts, seed, progress)
        try:
            partial.rename(folder)
        except OSError:
            # Another process may have finished the same collection first.
            if not _same_collection(partial, folder):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _draw_into(folder: Path, counts: dict[str, int], seed: int, progress: Progress | None) -> None:
    (folder / "resized").mkdir(parents=True)
    for style in counts:
        (folder / "images" / _file_stem(style)).mkdir(parents=True)
    works = [(style, k) for style, count in counts.items() for k in range(1, count + 1)]
    for style, k in works if progress is None else progress(works, len(works)):
        stem = _file_stem(style)
        image = Image.fromarray(draw_image(style, k, seed))
        image.save(folder / "images" / stem / f"{stem}_{k}.jpg", **JPEG)
        small = image.resize((RESIZED_SIZE, RESIZED_SIZE), Image.Resampling.LANCZOS)
        small.save(folder / "resized" / f"{stem}_{k}.jpg", **JPEG)
    with (folder / "artists.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for k, (style, count) in enumerate(counts.items()):
            writer.writerow({"id": k, **ARTISTS[style], "wikipedia": "", "paintings": count})


def _file_stem(style: str) -> str:
    return ARTISTS[style]["name"].replace(" ", "_")


def _same_collection(a: Path, b: Path) -> bool:
    """Return whether two folders hold the same artists and the same first image."""
    stem = _file_stem(next(iter(STYLES)))
    names = ["artists.csv", f"resized/{stem}_1.jpg"]
    return not any(filecmp.cmpfiles(a, b, names, shallow=False)[1:])


def _remove_leftovers(folder: Path) -> None:
    """Remove the hidden folders that killed processes left, but none of a running process."""
    pattern = re.compile(re.escape(f".{folder.name}.partial-") + r"(\d+)")
    for path in folder.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _is_other_process(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_other_process(process: int) -> bool:
    # Outside POSIX, os.kill with signal 0 ends the process: leftovers count as stale there.
    if process == os.getpid() or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
