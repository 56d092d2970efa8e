import unicodedata

import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.sources.artworks import COLUMNS, ArtworksParams, read_artworks


@pytest.fixture
def folder(tmp_path):
    rows = [
        (0, "Albrecht Dürer", "1471 - 1528", "Northern Renaissance", "German", "", "", 2),
        (1, "Ann Other", "1900 - 1980", "Cubism,Surrealism", "French", "", "", 1),
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "artists.csv", index=False)
    decomposed = unicodedata.normalize("NFD", "Albrecht_Dürer")
    for artist, count in ((decomposed, 2), ("Ann_Other", 1), ("Nobody_Knows", 1)):
        (tmp_path / "images" / artist).mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new("RGB", (9, 9)).save(tmp_path / "images" / artist / f"{artist}_{number}.jpg")
    return tmp_path


def test_every_file_is_listed_with_its_artist(folder):
    records, artists = read_artworks(folder, ArtworksParams())
    assert list(records["artist"]) == ["Albrecht Dürer"] * 2 + ["Ann Other", "Nobody Knows"]
    assert list(records["nationality"]) == ["German", "German", "French", ""]
    assert records["genre"][2] == "Cubism,Surrealism"
    assert all(
        (folder / path).stat().st_size == size for path, size in records[["path", "bytes"]].values
    )
    assert list(artists["name"]) == ["Albrecht Dürer", "Ann Other"]


def test_hidden_files_are_left_out(folder):
    (folder / "images" / ".DS_Store").touch()
    assert len(read_artworks(folder, ArtworksParams())[0]) == 4


def test_the_flat_folder_names_artists_by_files(folder):
    (folder / "resized").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "resized" / "Ann_Other_12.jpg")
    records, _ = read_artworks(folder, ArtworksParams(pictures="resized"))
    assert list(records["artist"]) == ["Ann Other"]
    assert list(records["nationality"]) == ["French"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: folder.rename(folder.with_name("elsewhere")), ["does not exist"]),
        (lambda folder: (folder / "artists.csv").unlink(), ["no artists.csv"]),
        (lambda folder: (folder / "artists.csv").write_text("id,name\n1,A\n"), ["years", "genre"]),
        (lambda folder: (folder / "artists.csv").write_bytes(b"\xff\xfe\x00\x01"), ["CSV"]),
        (lambda folder: (folder / "artists.csv").write_text(""), ["CSV"]),
        (lambda folder: (folder / "images").rename(folder / "pictures"), ["No picture", "images"]),
    ],
)
def test_a_wrong_folder_is_told_in_one_sentence(folder, spoil, words):
    spoil(folder)
    with pytest.raises(GanvasError) as caught:
        read_artworks(folder, ArtworksParams())
    message = str(caught.value)
    assert str(folder) in message and all(word in message for word in words)
