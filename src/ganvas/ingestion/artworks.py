"""Best Artworks of All Time: `artists.csv`, and one folder of images an artist."""

import filecmp
import logging
import re
from pathlib import Path
from typing import Literal

import pandas as pd

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.file_index import (
    find_child,
    join_skipped,
    keep_image_files,
    make_skipped,
    scan,
    to_nfc,
)
from ganvas.ingestion.label_tables import find_column, read_table
from ganvas.table_schemas import check_artists, require

logger = logging.getLogger(__name__)

ARTISTS = "artists.csv"
COLUMNS = ["id", "name", "years", "genre", "nationality", "bio", "wikipedia", "paintings"]
# `1884 - 1920` with any dash, and `1946 -` or `born 1932` for the living.
YEARS = re.compile(r"(?:c\. *)?(\d{1,4})? *[-‐‑‒–—] *(?:c\. *)?(\d{1,4})?", re.ASCII)
BORN = re.compile(r"(?:born|b\.) *(\d{1,4})", re.ASCII)
YEARS_RULE = "it must be like '1884 - 1920', '1946 -' or 'born 1932', or empty"
# Names listed in a log message, at most.
MAX_NAMES = 5

CODE_PAGE_437 = {bytes([byte]).decode("cp437"): byte for byte in range(256)}
# Latin-1, and code page 1252 where it has a character.
CODE_PAGE_1252 = {chr(byte): byte for byte in range(256)} | {
    letter: byte for byte in range(256) for letter in bytes([byte]).decode("cp1252", "ignore")
}
# Characters of names repaired with the latter: Latin letters, accents, quotation marks and dashes.
# A correct name such as `Ó’Brien` can be valid UTF-8 in it too, but decodes to other scripts.
LATIN = re.compile(r"[\x00-\x7f\xa1-\u017f\u0300-\u033f\u2010-\u201f]*")


class ArtworksParams(Params):
    """Parameters of the layout of Best Artworks of All Time."""

    images: Literal["images", "resized"] = "images"


def read_artworks(
    folder: Path, params: ArtworksParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """List the images of a folder in the layout of Best Artworks of All Time.

    Args:
        folder: Holds `artists.csv`, and `images/<Artist_Name>/` or `resized/`.
        params: Which of the two folders to list.

    Returns:
        Records, skipped files and artists, see `SourceListing`. Label columns are artist, genre
        and nationality, each the first that `artists.csv` has for the artist. Columns of the
        artists are those of `read_artists`, and files, the number of files listed.

    Raises:
        GanvasError: The folder, the table, one of its columns or every image is missing, or a
            row of the table is wrong.
    """
    artists = read_artists(folder)
    files, skipped = scan(folder, find_child(folder, params.images).name)
    files, others = keep_image_files(files, folder)
    records, duplicates = _drop_mojibake_duplicates(folder, files)
    if records.empty:
        raise GanvasError(
            f"No image below {folder / params.images}: ingest.source.path must name a folder "
            f"with images in {params.images}/."
        )
    records["artist"] = records["path"].map(_artist_of).astype("str")
    counts = records.loc[records["artist"] != "", "artist"].value_counts()
    artists.insert(1, "files", artists["name"].map(counts).fillna(0).astype("int64"))
    check_artists(artists, str(folder / ARTISTS))
    _log_differences(artists, counts)
    for label, lists in {"genre": "genres", "nationality": "nationalities"}.items():
        first = artists.set_index("name")[lists].str.get(0)
        records[label] = records["artist"].map(first).fillna("").astype("str")
    return records, join_skipped(skipped, others, duplicates), artists


def read_artists(folder: Path) -> pd.DataFrame:
    """Read `artists.csv`, repairing the encoding of names.

    Returns:
        One row an artist: name, id, first_year and last_year (Int64), genres and nationalities
        (lists of texts), bio, wikipedia, paintings (Int64).

    Raises:
        GanvasError: The folder, the table or one of its columns is missing, or a row can't be
            read.
    """
    file = find_child(folder, ARTISTS)
    table = _read_table(folder, file)
    table[["name", "years"]] = table[["name", "years"]].map(fix_mojibake)
    years = table["years"].map(_parse_years)
    require(table, str(file), "years", years.notna(), YEARS_RULE, key="name")
    whole = table["paintings"].str.fullmatch(r"(\d{1,9}(\.0*)?)?")
    require(table, str(file), "paintings", whole, "it must be a whole number, or empty", "name")
    return pd.DataFrame(
        {
            "name": table["name"].map(_clean_name).astype("str"),
            "id": table["id"],
            "first_year": years.str.get(0).astype("Int64"),
            "last_year": years.str.get(1).astype("Int64"),
            "genres": table["genre"].map(_split_list),
            "nationalities": table["nationality"].map(_split_list),
            "bio": table["bio"],
            "wikipedia": table["wikipedia"],
            "paintings": pd.to_numeric(table["paintings"]).astype("Int64"),
        }
    )


def fix_mojibake(name: str) -> str:
    """Repair UTF-8 text that was decoded as code page 437, 1252 or Latin-1, also repeatedly.

    The archive of the collection holds `Albrecht_DuΓòá├¬rer`, UTF-8 decoded twice as code page
    437, beside `Albrecht_Dürer`. Correct names are only normalized to NFC.

    Example:
        >>> fix_mojibake("Albrecht DÃ¼rer")
        'Albrecht Dürer'
    """
    if name.isascii():
        return name
    # macOS also decomposes wrongly decoded letters.
    name = to_nfc(name)
    fixed = _decodings(name, CODE_PAGE_437)[-1]
    if fixed == name:
        fixed = [name, *filter(LATIN.fullmatch, _decodings(name, CODE_PAGE_1252))][-1]
    return to_nfc(fixed)


def _decodings(name: str, codes: dict[str, int]) -> list[str]:
    """Return the name and the results of decoding it as UTF-8 again and again."""
    decodings = [name]
    while True:
        try:
            decoded = bytes(codes[letter] for letter in decodings[-1]).decode("utf-8")
        except (KeyError, UnicodeDecodeError):
            return decodings
        if decoded == decodings[-1]:
            return decodings
        decodings.append(decoded)


def _read_table(folder: Path, file: Path) -> pd.DataFrame:
    """Read the needed columns as text."""
    if not folder.is_dir():
        raise GanvasError(
            f"The folder {folder} does not exist: set ingest.source.path to the folder that "
            f"holds {ARTISTS} and images/, or download it by kedro run --pipelines=fetch."
        )
    if not file.is_file():
        raise GanvasError(
            f"There is no {ARTISTS} in {folder}: ingest.source.path must name a folder in the "
            f"layout of Best Artworks of All Time, with {ARTISTS} and images/ in it."
        )
    (_, header), *rows = [*read_table(file, COLUMNS)] or [(0, [])]
    table = pd.DataFrame([row for _, row in rows], columns=header, dtype="str")
    named = {column: find_column(header, [column]) for column in COLUMNS}
    missing = [column for column, name in named.items() if name is None]
    if missing:
        raise GanvasError(
            f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: it "
            f"must be a CSV table with {', '.join(COLUMNS)}."
        )
    return table[list(named.values())].set_axis(COLUMNS, axis=1)


def _parse_years(text: str) -> tuple[int | None, int | None] | None:
    """Return first and last year, each None if absent; None if the text can't be parsed."""
    if not text:
        return None, None
    match = YEARS.fullmatch(text) or BORN.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    first, last = (*match.groups(), None)[:2]
    return int(first) if first else None, int(last) if last else None


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _drop_mojibake_duplicates(
    folder: Path, files: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Skip files that have the same content as a file at the repaired form of their path.

    Packing drops duplicates too, but keeps the first by path, which may be the misnamed one.
    """
    fixed = files["path"].map(lambda path: "/".join(map(fix_mojibake, path.split("/"))))
    duplicates: dict[str, str] = {}
    repeated = fixed.duplicated(keep=False)
    for correct, paths in files.loc[repeated, "path"].groupby(fixed[repeated]):
        kept, *others = sorted(paths, key=lambda path: (path != correct, to_nfc(path) != correct))
        reason = f"duplicate of {kept}"
        duplicates |= {path: reason for path in others if _same_bytes(folder / path, folder / kept)}
    records = files[~files["path"].isin(duplicates.keys())].reset_index(drop=True)
    return records, make_skipped(list(duplicates), list(duplicates.values()))


def _same_bytes(a: Path, b: Path) -> bool:
    try:
        return filecmp.cmp(a, b, shallow=False)
    except OSError:
        return False  # Decoding reports what is wrong with the file.


def _artist_of(path: str) -> str:
    """Return the artist of `images/<Artist>/file` or `resized/<Artist>_<number>.jpg`."""
    top, *below = path.split("/")
    # Kaggle's archive has each of the two folders in a folder of the same name.
    if len(below) > 1 and below[0] == top:
        del below[0]
    if len(below) > 1:
        return _clean_name(fix_mojibake(below[0]))
    return _clean_name(re.sub(r"_\d+$", "", fix_mojibake(below[0].rsplit(".", 1)[0])))


def _clean_name(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _log_differences(artists: pd.DataFrame, counts: pd.Series) -> None:
    """Log in one line how the table and the files differ."""
    missing = artists["files"] == 0
    differs = (artists["paintings"] != artists["files"]).fillna(False).astype(bool) & ~missing
    rows = artists[differs]
    pairs = rows["name"] + " " + rows["paintings"].astype("str")
    pairs += " (found " + rows["files"].astype("str") + ")"
    unknown = counts.index[~counts.index.isin(artists["name"])]
    parts = [
        _join_names("has a different count than files found for", pairs.tolist()),
        _join_names("has no files for", artists.loc[missing, "name"].tolist()),
        _join_names("has no row for", sorted(unknown)),
    ]
    if any(parts):
        logger.warning("%s %s", ARTISTS, "; ".join(filter(None, parts)))


def _join_names(verb: str, names: list[str]) -> str:
    if not names:
        return ""
    count = f"{len(names)} artist{'s' * (len(names) > 1)}"
    return f"{verb} {count}: {', '.join(names[:MAX_NAMES])}{', …' * (len(names) > MAX_NAMES)}"
