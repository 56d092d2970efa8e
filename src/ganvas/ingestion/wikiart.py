"""WikiArt in the layout of cs-chan/ArtGAN: one folder a style, and lists of labels."""

import re
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    FILE_STATS,
    first_folder,
    join_skipped,
    keep_image_files,
    make_skipped,
    scan,
    to_nfc,
)
from ganvas.ingestion.label_matching import LIST_COLUMN, assign_labels, describe_mismatch
from ganvas.ingestion.label_tables import read_lines

SPLITS = {"train": "train", "val": "validation"}
# Copies of the lists exist with and without suffixes; the original artist lists have none.
LIST_NAME = re.compile(r"(style|genre|artist)_(train|val|class)(\.csv|\.txt)?")
# First line of the artist lists; an empty one follows.
HEADER = "(Path to image)"
# `path,index`, or `path,,index` for artists; other copies have semicolons or tabs. A path may
# contain commas.
LISTED_LINE = re.compile(r" *(.+?) *[,;\t]+ *(\d+)\s*", re.ASCII)
CLASS_LINE = re.compile(r"(\d+)[ ,;\t]+(.+?) *", re.ASCII)


class WikiartParams(Params):
    """Parameters of the WikiArt layout."""

    labels: Literal["style", "genre", "artist"] = "style"
    lists: bool | None = None


def read_wikiart(folder: Path, params: WikiartParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images of a folder in the layout of WikiArt.

    Args:
        folder: Holds `<Style>/<artist-name>_<title>.jpg` and, for labels such as `style`, the
            lists `style_train.csv`, `style_val.csv` and `style_class.txt`.
        params: Which labels to read, and whether from lists.

    Returns:
        Records and skipped files, see `SourceListing`. Label columns are the chosen label, then
        `style` (the folder) and `artist` (from the file name).

    Raises:
        GanvasError: The folder, a required list or every image is missing, or a line of a list
            can't be read.
    """
    files, skipped = scan(folder)
    lists = _find_lists(folder, params)
    files = files[~files["path"].str.fullmatch(LIST_NAME)]
    if lists:
        names = [lists[role].name for role in SPLITS]
        listed = _read_lists(lists, params.labels)
        records, unlabeled = assign_labels(files, listed, names)
    else:
        records, unlabeled = _files_in_styles(files, folder)
    if records.empty:
        what, found = " in a style's folder", ""
        if lists:
            what = f" that {' or '.join(names)} names"
            found = f" ({describe_mismatch(listed['path'], files, names[0])})"
        raise GanvasError(
            f"No image{what} in {folder}{found}: ingest.source.path must name the folder that "
            "holds the styles' folders."
        )
    return _add_labels(records, params.labels), join_skipped(skipped, unlabeled)


def _find_lists(folder: Path, params: WikiartParams) -> dict[str, Path]:
    """Return the chosen lists by role: train, val and class; empty to do without lists."""
    lists: dict[str, Path] = {}
    if params.lists is not False:
        existing = [path for path in sorted(folder.iterdir()) if LIST_NAME.fullmatch(path.name)]
        roles = [(role, f"{params.labels}_{role}") for role in (*SPLITS, "class")]
        lists = {role: path for role, stem in roles for path in existing if path.stem == stem}
        missing = [stem for role, stem in roles if role not in lists]
        if missing and (lists or params.lists):
            raise GanvasError(
                f"{folder} lacks the list{'s' * (len(missing) > 1)} {', '.join(missing)} (.csv, "
                ".txt or no suffix): put them there, or set ingest.source.wikiart.lists=false to "
                "do without lists."
            )
    if not lists and params.labels == "genre":
        raise GanvasError(
            "Genres need genre_train.csv, genre_val.csv and genre_class in "
            f"{folder}: put them there and leave ingest.source.wikiart.lists unset, or set "
            "ingest.source.wikiart.labels to style or artist."
        )
    return lists


def _read_lists(lists: dict[str, Path], label: str) -> pd.DataFrame:
    """Read the training and the validation list: path, label, split and LIST_COLUMN."""
    classes = _read_classes(lists["class"])
    rows = []
    for role, split in SPLITS.items():
        for number, line in enumerate(read_lines(lists[role]), 1):
            if not line.strip() or (number == 1 and line.startswith(HEADER)):
                continue
            path, index = _read_line(lists[role], number, line, LISTED_LINE, "path,index")
            if int(index) not in classes:
                raise GanvasError(
                    f"Line {number} of {lists[role]} has the index {index}, which "
                    f"{lists['class'].name} does not name: it names {min(classes)} to "
                    f"{max(classes)}; use the class file that belongs to the list."
                )
            rows.append((path, classes[int(index)], split, lists[role].name))
    return pd.DataFrame(rows, columns=["path", label, "split", LIST_COLUMN], dtype="str")


def _read_classes(file: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    for number, line in enumerate(read_lines(file), 1):
        if line.strip():
            index, name = _read_line(file, number, line, CLASS_LINE, "index name")
            if int(index) in classes:
                raise GanvasError(
                    f"Line {number} of {file} names the index {index} again: each class must "
                    "have its own index."
                )
            classes[int(index)] = to_nfc(name)
    if not classes:
        raise GanvasError(f"{file} is empty: each of its lines must be 'index name'.")
    return classes


def _read_line(
    file: Path, number: int, line: str, pattern: re.Pattern[str], form: str
) -> tuple[str, str]:
    match = pattern.fullmatch(line)
    if match is None:
        raise GanvasError(
            f"Line {number} of {file} can't be read: it must be '{form}', but is '{line[:80]}'."
        )
    return match[1], match[2]


def _files_in_styles(files: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    inside = files["path"].str.contains("/")
    records, others = keep_image_files(files[inside], folder)
    outside = make_skipped(files.loc[~inside, "path"], "no label: in no style's folder")
    return records, join_skipped(others, outside)


def _add_labels(records: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Add the labels that the lists lack; the chosen label comes first, the split last."""
    artists = records["path"].map(_artist_of).astype("str")
    derived = {"style": first_folder(records["path"]), "artist": artists}
    others = [name for name in derived if name != chosen]
    labeled = pd.DataFrame(derived).assign(**records)
    split = [name for name in labeled if name == "split"]
    return labeled[["path", *FILE_STATS, chosen, *others, *split]]


def _artist_of(path: str) -> str:
    """Return the artist of `<Style>/<artist-name>_<title>.jpg`; "" if there is no underscore."""
    artist, _, title = path.rpartition("/")[2].partition("_")
    return to_nfc(artist).replace("-", " ") if title else ""
