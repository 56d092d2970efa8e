"""The sample collection: eight invented painters, written out like a folder of scanned works."""

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

from ganvas.sample_collection.abstract import paint_color_fields, paint_neoplastic_grid
from ganvas.sample_collection.circles import paint_concentric_circles
from ganvas.sample_collection.cutouts import paint_paper_cutouts
from ganvas.sample_collection.landscape import paint_pointillist_landscape
from ganvas.sample_collection.night_sky import paint_night_sky
from ganvas.sample_collection.painters import PAINTERS
from ganvas.sample_collection.still_life import paint_still_life
from ganvas.sample_collection.waves import paint_ink_waves

Painter = Callable[[np.random.Generator, int], np.ndarray]
Work = tuple[str, int]
Progress = Callable[[Iterable[Work], int], Iterable[Work]]

# The order is part of every image's seed: a new style belongs at the end.
STYLES: dict[str, Painter] = {
    "Colour Fields": paint_color_fields,
    "Neoplastic Grids": paint_neoplastic_grid,
    "Pointillist Landscapes": paint_pointillist_landscape,
    "Ink Waves": paint_ink_waves,
    "Concentric Circles": paint_concentric_circles,
    "Paper Cut-outs": paint_paper_cutouts,
    "Night Skies": paint_night_sky,
    "Still Lifes": paint_still_life,
}

COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]
IMAGE_SIZE = 160
RESIZED_SIZE = 64
JPEG: dict[str, Any] = {"format": "JPEG", "quality": 92, "subsampling": 0}


def paint_image(style: str, index: int, seed: int, size: int = IMAGE_SIZE) -> np.ndarray:
    """Paint image number ``index`` of a style: uint8 (size, size, 3), values 0 to 255.

    It depends on the style, the index and the seed alone, so any image of a collection can be
    painted again by itself; ``size`` changes how finely it is drawn.
    """
    if style not in STYLES:
        raise ValueError(f"There is no style {style!r}; the styles are {', '.join(STYLES)}.")
    number = list(STYLES).index(style)
    return STYLES[style](np.random.default_rng([seed, number, index]), size)


def images_per_style(count: int) -> dict[str, int]:
    """Share ``count`` images among the styles; the first ones get what does not divide."""
    if count < len(STYLES):
        raise ValueError(
            f"A sample collection needs at least {len(STYLES)} images, one of each style, "
            f"but {count} were asked for."
        )
    share, rest = divmod(count, len(STYLES))
    return {style: share + (k < rest) for k, style in enumerate(STYLES)}


def paint_collection(
    folder: Path, count: int = 600, seed: int = 0, progress: Progress | None = None
) -> None:
    """Paint ``count`` images into a new folder, laid out like a collection of famous artworks.

    The folder then holds ``artists.csv`` (one row for each painter),
    ``images/<Name>/<Name>_<k>.jpg`` (160x160, k from 1) and ``resized/<Name>_<k>.jpg`` (the same
    images, 64x64). The same seed gives the same bytes. ``progress(works, total)`` wraps the works
    while they are painted, so the caller decides how to show how far it is.

    All is painted into a hidden folder beside ``folder`` and renamed at the very end, so a folder
    of that name is always whole. Raises ValueError if ``count`` leaves a style without an image,
    and FileExistsError if the folder is there already.
    """
    shares = images_per_style(count)
    folder = Path(folder).absolute()
    if folder.exists():
        raise FileExistsError(f"{folder} exists already, so no sample collection is painted there.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        _paint_into(partial, shares, seed, progress)
        _move_into_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _paint_into(folder: Path, shares: dict[str, int], seed: int, progress: Progress | None) -> None:
    """Write the whole layout into a folder that does not exist yet."""
    (folder / "resized").mkdir(parents=True)
    for style in shares:
        (folder / "images" / _file_stem(style)).mkdir(parents=True)
    works = [(style, k) for style, share in shares.items() for k in range(1, share + 1)]
    for style, k in works if progress is None else progress(works, len(works)):
        stem = _file_stem(style)
        image = Image.fromarray(paint_image(style, k, seed))
        image.save(folder / "images" / stem / f"{stem}_{k}.jpg", **JPEG)
        small = image.resize((RESIZED_SIZE, RESIZED_SIZE), Image.Resampling.LANCZOS)
        small.save(folder / "resized" / f"{stem}_{k}.jpg", **JPEG)
    _write_artists(folder / "artists.csv", shares)


def _file_stem(style: str) -> str:
    return PAINTERS[style]["name"].replace(" ", "_")


def _write_artists(path: Path, shares: dict[str, int]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for k, (style, share) in enumerate(shares.items()):
            writer.writerow({"id": k, **PAINTERS[style], "wikipedia": "", "paintings": share})


def _move_into_place(partial: Path, folder: Path) -> None:
    """Give the finished collection its name, unless another process was faster with the same."""
    try:
        partial.rename(folder)
    except OSError:
        if not _same_collection(partial, folder):
            raise


def _same_collection(one: Path, other: Path) -> bool:
    """Tell whether two folders hold the same list of painters and the same first image."""
    stem = _file_stem(next(iter(STYLES)))
    names = ["artists.csv", f"resized/{stem}_1.jpg"]
    return not any(filecmp.cmpfiles(one, other, names, shallow=False)[1:])


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left beside the folder, but not what others are painting now."""
    pattern = re.compile(re.escape(f".{folder.name}.partial-") + r"(\d+)")
    for path in folder.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _is_painting(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _is_painting(process: int) -> bool:
    """Tell whether another process of this number is still running."""
    if process == os.getpid():
        return False
    if os.name != "posix":
        # Elsewhere signal 0 is no harmless question, so there every leftover counts as dead.
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
