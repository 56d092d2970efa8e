"""Best Artworks of All Time: artists.csv beside one folder of pictures an artist."""

import re
import unicodedata
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.errors import GanvasError
from ganvas.params import Params
from ganvas.sources.listing import FACTS, list_files

ARTISTS = "artists.csv"
COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]
LABELS = ["artist", "genre", "nationality"]


class ArtworksParams(Params):
    """Parameters of the layout of Best Artworks of All Time."""

    pictures: Literal["images", "resized"] = "images"


def read_artworks(folder: Path, params: ArtworksParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the pictures of a folder in this layout.

    Args:
        folder: Holds `artists.csv` and `images/<Artist_Name>/` or `resized/`.
        params: Which of the two to take.

    Returns:
        The records, one row a file, sorted by path: path below the folder, bytes, modified_ns,
        artist, genre, nationality; and the artists' table as it stands in the file.

    Raises:
        GanvasError: The folder, the table, one of its columns or every picture is missing.
    """
    artists = read_artists(folder)
    files = list_files(folder, params.pictures)
    if not files:
        raise GanvasError(
            f"No picture below {folder / params.pictures}: ingest.source.path must name a folder "
            f"with pictures in {params.pictures}/."
        )
    records = pd.DataFrame(files, columns=["path", *FACTS])
    records = records.sort_values("path", ignore_index=True)
    records["artist"] = records["path"].map(_artist_of)
    known = artists.assign(name=artists["name"].map(_plain)).drop_duplicates("name")
    known = known.set_index("name")[["genre", "nationality"]]
    labelled = records.join(known, on="artist")
    labelled[LABELS] = labelled[LABELS].fillna("").astype("str")
    return labelled, artists


def read_artists(folder: Path) -> pd.DataFrame:
    """Read `artists.csv`, all columns as text but `id` and `paintings`."""
    if not folder.is_dir():
        raise GanvasError(
            f"The folder {folder} does not exist: set ingest.source.path to the folder that "
            f"holds {ARTISTS} and images/."
        )
    file = folder / ARTISTS
    if not file.is_file():
        raise GanvasError(
            f"There is no {ARTISTS} in {folder}: ingest.source.path must name a folder in the "
            f"layout of Best Artworks of All Time, with {ARTISTS} and images/ in it."
        )
    try:
        table = pd.read_csv(file)
    except (ValueError, UnicodeDecodeError) as error:
        raise GanvasError(f"{file} can't be read as a CSV table: {error}.") from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise GanvasError(
            f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: it "
            f"must have {', '.join(COLUMNS)}."
        )
    return table


def _artist_of(path: str) -> str:
    """The artist's name, from `images/<Artist>/file` or `resized/<Artist>_<number>.jpg`."""
    parts = path.split("/")
    if len(parts) > 2:
        return _plain(parts[1])
    return _plain(re.sub(r"_\d+$", "", parts[-1].rsplit(".", 1)[0]))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("_", " ")).strip()
