import logging
import unicodedata

import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, list_images
from ganvas.ingestion.artworks import COLUMNS, ArtworksParams, fix_mojibake, read_artworks

RIGHT = "Albrecht_Dürer"
# In the archive of the collection: an NFD name whose UTF-8 was decoded twice as code page 437.
WRONG = unicodedata.normalize("NFD", RIGHT)
for _ in range(2):
    WRONG = WRONG.encode("utf-8").decode("cp437")

DUERER = (0, "Albrecht Dürer", "1471 - 1528", "Northern Renaissance", "German", "A,b", "", 2)
OTHER = (1, "Ann Other", "1900 - ", "Cubism, Surrealism,", "French,British", "", "", 1)


def write_artists(folder, *rows):
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "artists.csv", index=False)


def add(folder, path, shade=0):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (shade, shade, shade)).save(file)


@pytest.fixture
def folder(tmp_path):
    write_artists(tmp_path, DUERER, OTHER)
    decomposed = unicodedata.normalize("NFD", RIGHT)
    for artist, count in ((decomposed, 2), ("Ann_Other", 1), ("Nobody_Knows", 1)):
        for number in range(1, count + 1):
            add(tmp_path, f"images/{artist}/{artist}_{number}.jpg", number)
    return tmp_path


def read(folder, images="images"):
    return read_artworks(folder, ArtworksParams(images=images))


def test_every_file_is_listed_with_its_artist(folder):
    records, skipped, _ = read(folder)
    labels = ["artist", "genre", "nationality"]
    assert list(records) == ["path", "bytes", "modified_ns", *labels]
    assert records[labels].values.tolist() == [
        ["Albrecht Dürer", "Northern Renaissance", "German"],
        ["Albrecht Dürer", "Northern Renaissance", "German"],
        ["Ann Other", "Cubism", "French"],
        ["Nobody Knows", "", ""],
    ]
    assert skipped.empty
    assert all(
        (folder / path).stat().st_size == size for path, size in records[["path", "bytes"]].values
    )


def test_the_artists_have_years_and_lists(folder):
    artists = read(folder)[2].set_index("name")
    assert list(artists["files"]) == [2, 1] and list(artists["paintings"]) == [2, 1]
    assert artists.loc["Ann Other", "genres"] == ["Cubism", "Surrealism"]
    assert artists.loc["Ann Other", "nationalities"] == ["French", "British"]
    assert list(artists["first_year"]) == [1471, 1900]
    assert artists.loc["Albrecht Dürer", "last_year"] == 1528
    assert pd.isna(artists.loc["Ann Other", "last_year"])
    assert artists.loc["Albrecht Dürer", "bio"] == "A,b"
    assert str(artists["first_year"].dtype) == str(artists["last_year"].dtype) == "Int64"


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("1471 - 1528", (1471, 1528)),
        ("1884-1920", (1884, 1920)),
        ("1887 – 1985", (1887, 1985)),
        ("1887 — 1985", (1887, 1985)),
        ("1853 â€“ 1890", (1853, 1890)),
        ("c. 1266 - 1337", (1266, 1337)),
        ("1946 - ", (1946, None)),
        ("- 1528", (None, 1528)),
        ("born 1932", (1932, None)),
        ("b. 1932", (1932, None)),
        ("", (None, None)),
    ],
)
def test_years_are_read(folder, text, years):
    write_artists(folder, (*OTHER[:2], text, *OTHER[3:]))
    artist = read(folder)[2].iloc[0]
    found = artist["first_year"], artist["last_year"]
    assert tuple(None if pd.isna(year) else year for year in found) == years


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("years", "19xx", ["'19xx'", "'1884 - 1920'", "or empty"]),
        ("years", "-", ["'-'", "'born 1932'"]),
        ("years", "1932", ["'1932'", "'1946 -'"]),
        ("years", "1980 - 1900", ["last_year can't be 1900", "before first_year"]),
        ("years", "1884 - 9999", ["last_year can't be 9999", "1 to 2100"]),
        ("paintings", "many", ["paintings can't be 'many'", "whole number"]),
        ("name", "", ["name can't be empty"]),
        ("name", "Albrecht_Dürer", ["name can't be 'Albrecht Dürer'", "row 1 has it already"]),
    ],
)
def test_an_invalid_row_is_one_error_sentence(folder, column, value, words):
    write_artists(folder, DUERER, OTHER)
    table = pd.read_csv(folder / "artists.csv", dtype="str")
    table.loc[1, column] = value
    table.to_csv(folder / "artists.csv", index=False)
    with pytest.raises(GanvasError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.startswith(f"Row 2 of {folder / 'artists.csv'}")
    assert column == "name" or "(Ann Other)" in message
    assert all(word in message for word in words), message


def test_the_misnamed_folder_of_the_archive_is_reproduced():
    assert WRONG == "Albrecht_DuΓòá├¬rer"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Albrecht_Dürer", "Joan Miró", "Édouard Manet", "Ann Other"])
def test_mojibake_is_repaired(name, form):
    for code, times in (("cp437", 1), ("cp437", 2), ("latin-1", 1), ("latin-1", 2)):
        wrong = unicodedata.normalize(form, name)
        for _ in range(times):
            wrong = wrong.encode("utf-8").decode(code)
        assert fix_mojibake(wrong) == name
        # macOS decomposes file names.
        assert fix_mojibake(unicodedata.normalize("NFD", wrong)) == name


@pytest.mark.parametrize("name", ["Dürer", "Ó’Brien", "Štyrský", "Tàpies", "Édouard Manet"])
def test_mojibake_of_code_page_1252_is_repaired(name):
    once = name.encode("utf-8").decode("cp1252")
    assert fix_mojibake(once) == fix_mojibake(once.encode("utf-8").decode("cp1252")) == name


@pytest.mark.parametrize(
    "name",
    [
        *("Ann Other", "Albrecht Dürer", "Štyrský", "Úžas", "Ó’Brien", "Weiß’ Å", "Łukasz"),
        *("Владимир", "葛飾北斎", "Αλέξης", "Ægir Þór", "İbrahim Çallı"),
    ],
)
def test_correct_names_do_not_change(name):
    assert fix_mojibake(name) == name
    assert fix_mojibake(unicodedata.normalize("NFD", name)) == name


@pytest.mark.parametrize("spelling", [WRONG, "Albrecht_DÃ¼rer"])
def test_a_misnamed_folder_belongs_to_its_artist(folder, spelling):
    add(folder, f"images/{spelling}/{spelling}_7.jpg", 7)
    add(folder, f"resized/{spelling}_7.jpg", 7)
    records, skipped, artists = read(folder)
    assert (records["artist"] == "Albrecht Dürer").sum() == 3 and skipped.empty
    assert artists["files"][0] == 3
    assert read(folder, "resized")[0]["nationality"].tolist() == ["German"]


def test_mojibake_in_the_table_is_repaired(folder):
    write_artists(folder, (0, "Albrecht DÃ¼rer", *DUERER[2:]), OTHER)
    records, _, artists = read(folder)
    assert artists["name"][0] == "Albrecht Dürer" and records["nationality"][0] == "German"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_of_duplicates_the_correctly_named_one_stays(tmp_path, form):
    write_artists(tmp_path, DUERER)
    right = unicodedata.normalize(form, RIGHT)
    for name in (right, WRONG):
        add(tmp_path, f"images/{name}/{name}_1.jpg", 1)
        add(tmp_path, f"images/{name}/{name}_2.jpg", 2)
    records, skipped, artists = read(tmp_path)
    kept = [f"images/{right}/{right}_{number}.jpg" for number in (1, 2)]
    assert list(records["path"]) == kept
    assert dict(skipped.values.tolist()) == {
        f"images/{WRONG}/{WRONG}_{number}.jpg": f"duplicate of {path}"
        for number, path in enumerate(kept, 1)
    }
    assert list(artists["files"]) == [2]


def test_a_misnamed_duplicate_that_sorts_first_is_skipped_too(tmp_path):
    write_artists(tmp_path, (0, "Éa", *DUERER[2:]))
    wrong = "Éa".encode().decode("cp1252")
    assert wrong < "Éa"
    for name in ("Éa", wrong):
        add(tmp_path, f"images/{name}/{name}_1.jpg")
    assert list(read(tmp_path)[0]["path"]) == ["images/Éa/Éa_1.jpg"]


def test_files_of_different_content_are_no_duplicates(tmp_path):
    write_artists(tmp_path, DUERER)
    for name, content in ((RIGHT, b"one"), (WRONG, b"two")):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / f"{name}_1.jpg").write_bytes(content)
    records, skipped, artists = read(tmp_path)
    assert len(records) == 2 and skipped.empty and list(artists["files"]) == [2]


def test_hidden_files_are_not_listed_and_other_formats_skipped(folder):
    (folder / "images" / ".DS_Store").touch()
    (folder / "images" / "Ann_Other" / "notes.txt").touch()
    records, skipped, artists = read(folder)
    assert len(records) == 4 and list(artists["files"]) == [2, 1]
    assert skipped.values.tolist() == [["images/Ann_Other/notes.txt", "no image: ends in .txt"]]
    listing = list_images(folder, SourceParams(name="artworks"))
    assert listing.skipped.equals(skipped) and list(listing.artists)[:2] == ["name", "files"]


def test_in_the_flat_folder_artists_come_from_file_names(folder):
    add(folder, "resized/Ann_Other_12.jpg")
    records, _, _ = read(folder, "resized")
    assert list(records["artist"]) == ["Ann Other"]
    assert list(records["nationality"]) == ["French"]


def test_the_archives_folder_in_a_folder_of_the_same_name(folder):
    (folder / "images").rename(folder / "once")
    (folder / "images").mkdir()
    (folder / "once").rename(folder / "images" / "images")
    add(folder, "resized/resized/Ann_Other_12.jpg")
    records = read(folder)[0]
    assert list(records["artist"]) == ["Albrecht Dürer"] * 2 + ["Ann Other", "Nobody Knows"]
    assert list(read(folder, "resized")[0]["artist"]) == ["Ann Other"]


def test_differences_between_table_and_files_are_logged_in_one_line(folder, caplog):
    more = [(number, f"Absent {number}", *DUERER[2:]) for number in range(7)]
    write_artists(folder, (*DUERER[:-1], 328), OTHER, *more)
    read(folder)
    assert [record.getMessage() for record in caplog.records] == [
        "artists.csv has a different count than files found for 1 artist: Albrecht Dürer 328 "
        "(found 2); has no files for 7 artists: Absent 0, Absent 1, Absent 2, Absent 3, Absent 4, "
        "…; has no row for 1 artist: Nobody Knows"
    ]


def test_nothing_is_logged_if_table_and_files_agree(folder, caplog):
    write_artists(folder, DUERER, (*OTHER[:-1], ""), (2, "Nobody Knows", *OTHER[2:]))
    with caplog.at_level(logging.DEBUG):
        read(folder)
    assert not caplog.records


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: folder.rename(folder.with_name("elsewhere")), ["does not exist"]),
        (lambda folder: (folder / "artists.csv").unlink(), ["no artists.csv"]),
        (lambda folder: (folder / "artists.csv").write_text("id,name\n1,A\n"), ["years", "genre"]),
        (lambda folder: (folder / "artists.csv").write_bytes(b"\xff\xfe\x00\x01"), ["CSV"]),
        (lambda folder: (folder / "artists.csv").write_text(""), ["CSV"]),
        (lambda folder: (folder / "images").rename(folder / "other"), ["No image", "images"]),
    ],
)
def test_an_invalid_folder_is_one_error_sentence(folder, spoil, words):
    spoil(folder)
    with pytest.raises(GanvasError) as caught:
        read(folder)
    message = str(caught.value)
    assert str(folder) in message and all(word in message for word in words)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_table_of_another_spreadsheet_is_read(folder, encoding):
    before = read(folder)
    table = pd.read_csv(folder / "artists.csv", dtype="str", keep_default_na=False)
    table.columns = [f" {name.title()} " for name in table.columns]
    (folder / "artists.csv").unlink()
    table.to_csv(folder / "Artists.CSV", sep=";", index=False, encoding=encoding)
    (folder / "images").rename(folder / "Images")
    records, _, artists = read(folder)
    assert artists.equals(before[2])
    assert records["path"].str.replace("Images/", "images/").tolist() == before[0]["path"].tolist()
    assert records["artist"].tolist() == before[0]["artist"].tolist()


def test_a_source_one_folder_too_high_is_read(folder, tmp_path_factory):
    before = list_images(folder, SourceParams(name="artworks"))
    above = tmp_path_factory.mktemp("above")
    folder.rename(above / "archive")
    (above / "notes").mkdir()
    listing = list_images(above, SourceParams(name="artworks"))
    assert listing.records["path"].tolist() == [f"archive/{p}" for p in before.records["path"]]
    assert listing.artists.equals(before.artists)
    (above / "notes" / "artists.csv").touch()
    with pytest.raises(GanvasError, match=r"no artists\.csv in .*above"):
        list_images(above, SourceParams(name="artworks"))
