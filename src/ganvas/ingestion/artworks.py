"""Best Artworks of All Time: artists.csv beside one folder of images an artist."""

import filecmp
import logging
import re
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import compose, drop_other_files, join_skipped, make_skipped, scan
from ganvas.table_schemas import check_artists, require

logger = logging.getLogger(__name__)

ARTISTS = "artists.csv"
COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]
# `1884 - 1920`, with any dash; `1946 -` for the living, and `born 1932`.
YEARS = re.compile(r"(?:c\. *)?(\d{1,4})? *[-‐‑‒–—] *(?:c\. *)?(\d{1,4})?", re.ASCII)
BORN = re.compile(r"(?:born|b\.) *(\d{1,4})", re.ASCII)
YEARS_RULE = "it must be like '1884 - 1920', '1946 -' or 'born 1932', or empty"
NAMED = 5

CODE_PAGE_437 = {bytes([byte]).decode("cp437"): byte for byte in range(256)}
# Latin-1, and code page 1252 where that has a character.
WINDOWS = {chr(byte): byte for byte in range(256)} | {
    letter: byte for byte in range(256) for letter in bytes([byte]).decode("cp1252", "ignore")
}
# What a repair by the latter may lead to: Latin letters, accents, quotation marks and dashes.
# A right name can happen to be UTF-8 in it, as `Ó’Brien` is, and would lead to other scripts.
LATIN = re.compile(r"[\x00-\x7f\xa1-\u017f\u0300-\u033f\u2010-\u201f]*")


class ArtworksParams(Params):
    """Parameters of the layout of Best Artworks of All Time."""

    images: Literal["images", "resized"] = "images"


def read_artworks(
    folder: Path, params: ArtworksParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """List the images of a folder in this layout.

    Args:
        folder: Holds `artists.csv` and `images/<Artist_Name>/` or `resized/`.
        params: Which of the two to take.

    Returns:
        The records, one row a file, sorted by path: path below the folder, bytes, modified_ns,
        artist, and the first of the artist's genres and nationalities, genre and nationality.
        The remarks, path and reason, on each file that is no record. And the artists: name,
        files (how many were found), id, first_year, last_year, genres, nationalities, bio,
        wikipedia, paintings.

    Raises:
        GanvasError: The folder, the table, one of its columns or every image is missing, or a
            row of the table is wrong.
    """
    artists = read_artists(folder)
    files, unnamed = scan(folder, params.images)
    files, others = drop_other_files(files)
    records, twins = _drop_twins(folder, files)
    if records.empty:
        raise GanvasError(
            f"No image below {folder / params.images}: ingest.source.path must name a folder "
            f"with images in {params.images}/."
        )
    records["artist"] = records["path"].map(_artist_of).astype("str")
    counts = records.loc[records["artist"] != "", "artist"].value_counts()
    artists.insert(1, "files", artists["name"].map(counts).fillna(0).astype("int64"))
    check_artists(artists, str(folder / ARTISTS))
    _tell_differences(artists, counts)
    for label, lists in {"genre": "genres", "nationality": "nationalities"}.items():
        first = artists.set_index("name")[lists].str.get(0)
        records[label] = records["artist"].map(first).fillna("").astype("str")
    return records, join_skipped(unnamed, others, twins), artists


def read_artists(folder: Path) -> pd.DataFrame:
    """Read `artists.csv`: names mended, years as numbers, genres and nationalities as lists.

    Raises:
        GanvasError: The folder, the table or one of its columns is missing, or a row can't be
            read.
    """
    file = folder / ARTISTS
    table = _read_table(folder, file)
    table[["name", "years"]] = table[["name", "years"]].map(fix_mojibake)
    years = table["years"].map(_read_years)
    require(table, str(file), "years", years.notna(), YEARS_RULE, key="name")
    counted = table["paintings"].str.fullmatch(r"(\d{1,9}(\.0*)?)?")
    require(table, str(file), "paintings", counted, "it must be a whole number, or empty", "name")
    return pd.DataFrame(
        {
            "name": table["name"].map(_plain).astype("str"),
            "id": table["id"],
            "first_year": years.str.get(0).astype("Int64"),
            "last_year": years.str.get(1).astype("Int64"),
            "genres": table["genre"].map(_split),
            "nationalities": table["nationality"].map(_split),
            "bio": table["bio"],
            "wikipedia": table["wikipedia"],
            "paintings": pd.to_numeric(table["paintings"]).astype("Int64"),
        }
    )


def fix_mojibake(name: str) -> str:
    """Read again what was UTF-8 and was read as code page 437, 1252 or Latin-1.

    The collection's archive has `Albrecht_DuΓòá├¬rer`, UTF-8 read twice as code page 437, beside
    `Albrecht_Dürer`. Names that are right stay as they are, with their accents composed (NFC).
    """
    if name.isascii():
        return name
    # macOS decomposes wrongly read letters too.
    name = compose(name)
    mended = _readings(name, CODE_PAGE_437)[-1]
    if mended == name:
        mended = [name, *filter(LATIN.fullmatch, _readings(name, WINDOWS))][-1]
    return compose(mended)


def _readings(name: str, codes: dict[str, int]) -> list[str]:
    """The name, and what comes of undoing one wrong reading after the other."""
    readings = [name]
    while True:
        try:
            mended = bytes(codes[letter] for letter in readings[-1]).decode("utf-8")
        except (KeyError, UnicodeDecodeError):
            return readings
        if mended == readings[-1]:
            return readings
        readings.append(mended)


def _read_table(folder: Path, file: Path) -> pd.DataFrame:
    """Read `artists.csv` as text, stripped."""
    if not folder.is_dir():
        raise GanvasError(
            f"The folder {folder} does not exist: set ingest.source.path to the folder that "
            f"holds {ARTISTS} and images/, or bring it by kedro run --pipelines=fetch."
        )
    if not file.is_file():
        raise GanvasError(
            f"There is no {ARTISTS} in {folder}: ingest.source.path must name a folder in the "
            f"layout of Best Artworks of All Time, with {ARTISTS} and images/ in it."
        )
    try:
        table = pd.read_csv(file, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise GanvasError(f"{file} can't be read as a CSV table: {error}.") from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise GanvasError(
            f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: it "
            f"must have {', '.join(COLUMNS)}."
        )
    return table[COLUMNS].fillna("").apply(lambda column: column.str.strip())


def _read_years(text: str) -> tuple[int | None, int | None] | None:
    """First and last year, each None where it is not told; None where the text says neither."""
    match = YEARS.fullmatch(text) or BORN.fullmatch(text)
    if not text:
        return None, None
    if match is None or not any(match.groups()):
        return None
    first, last = (*match.groups(), None)[:2]
    return int(first) if first else None, int(last) if last else None


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _drop_twins(folder: Path, files: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out a file that lies under the mended form of its path too, byte for byte.

    Packing would keep the first by path, which may be the one with the wrong name.
    """
    mended = files["path"].map(_mend_path)
    twins: dict[str, str] = {}
    doubled = mended.duplicated(keep=False)
    for right, paths in files.loc[doubled, "path"].groupby(mended[doubled]):
        kept, *others = sorted(paths, key=lambda path: (path != right, compose(path) != right))
        reason = f"duplicate of {kept}"
        twins |= {path: reason for path in others if _same_bytes(folder / path, folder / kept)}
    stays = ~files["path"].isin(twins.keys())
    remarks = make_skipped(list(twins), list(twins.values()))
    return files[stays].reset_index(drop=True), remarks


def _mend_path(path: str) -> str:
    return path if path.isascii() else "/".join(map(fix_mojibake, path.split("/")))


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        # Packing will say what is wrong with the file.
        return False


def _artist_of(path: str) -> str:
    """The artist's name, from `images/<Artist>/file` or `resized/<Artist>_<number>.jpg`."""
    top, *below = path.split("/")
    # Kaggle's archive has each of the two folders in a folder of the same name.
    if len(below) > 1 and below[0] == top:
        del below[0]
    if len(below) > 1:
        return _plain(fix_mojibake(below[0]))
    return _plain(re.sub(r"_\d+$", "", fix_mojibake(below[0].rsplit(".", 1)[0])))


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _tell_differences(artists: pd.DataFrame, counts: pd.Series) -> None:
    """Log in one line how the table and the files differ."""
    without = artists["files"] == 0
    differ = (artists["paintings"] != artists["files"]).fillna(False).astype(bool) & ~without
    pairs = artists[differ]
    told = pairs["name"] + " " + pairs["paintings"].astype("str")
    told += " (found " + pairs["files"].astype("str") + ")"
    unknown = counts.index[~counts.index.isin(artists["name"])]
    parts = [
        _name_some("counts other paintings than there are files for", told.tolist()),
        _name_some("has no files for", artists.loc[without, "name"].tolist()),
        _name_some("has no row for", sorted(unknown)),
    ]
    if any(parts):
        logger.warning("%s %s", ARTISTS, "; ".join(filter(None, parts)))


def _name_some(verb: str, names: list[str]) -> str:
    if not names:
        return ""
    count = f"{len(names)} artist{'s' * (len(names) > 1)}"
    return f"{verb} {count}: {', '.join(names[:NAMED])}{', …' * (len(names) > NAMED)}"
