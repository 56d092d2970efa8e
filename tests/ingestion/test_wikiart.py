import os
import re
import unicodedata

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import file_index
from ganvas.ingestion.wikiart import WikiartParams, read_wikiart

PINES = "Realism/vincent-van-gogh_pine-trees, at dusk-1884.jpg"
DUERER = "Art_Nouveau_Modern/albrecht-dürer_hare.jpg"
WRONGLY_DECODED = "Realism/joaqu\u00e3\u0085n-sorolla_sea.jpg"
HILL = "Realism/paul_cezanne_hill.jpg"
LOST = "Realism/nobody_lost.jpg"


def add(folder, path):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(b"image")


def write_lists(folder):
    (folder / "style_class.txt").write_bytes(b"0 Art_Nouveau\n1 Realism\n")
    train = f"{PINES},1\r\n{DUERER},0\r\n{LOST},1\r\n"
    (folder / "style_train.csv").write_bytes(train.encode())
    (folder / "style_val.csv").write_bytes(f"{WRONGLY_DECODED},1\r\n".encode())
    (folder / "artist_class").write_bytes("0 Albrecht_Dürer\n1 Vincent_van_Gogh\n".encode())
    header = "(Path to image),, (Groundtruth class) \n\n"
    (folder / "artist_train").write_bytes(f"{header}{PINES},,1\n".encode())
    (folder / "artist_val").write_bytes(f"{header}{DUERER},,0\n".encode())


@pytest.fixture
def folder(tmp_path):
    for path in (PINES, unicodedata.normalize("NFD", DUERER), WRONGLY_DECODED, HILL):
        add(tmp_path, path)
    write_lists(tmp_path)
    return tmp_path


def by_path(table):
    """Return the rows by path in NFC."""
    paths = table["path"].map(lambda path: unicodedata.normalize("NFC", path))
    return table.drop(columns="path").set_index(paths).T.to_dict()


def test_style_and_split_come_from_the_lists(folder):
    records, _ = read_wikiart(folder, WikiartParams())
    assert list(records) == ["path", "bytes", "modified_ns", "style", "artist", "split"]
    assert records["path"].is_monotonic_increasing
    rows = by_path(records)
    assert {path: (row["style"], row["split"]) for path, row in rows.items()} == {
        PINES: ("Realism", "train"),
        DUERER: ("Art_Nouveau", "train"),
        WRONGLY_DECODED: ("Realism", "validation"),
    }
    assert rows[PINES]["artist"] == "vincent van gogh" and rows[PINES]["bytes"] == 5
    assert rows[DUERER]["artist"] == "albrecht dürer"
    assert rows[PINES]["modified_ns"] == (folder / PINES).stat().st_mtime_ns


def test_paths_are_spelled_as_on_disk(folder):
    records, _ = read_wikiart(folder, WikiartParams())
    assert all((folder / path).is_file() for path in records["path"])
    assert unicodedata.normalize("NFD", DUERER) in set(records["path"])


def test_missing_and_unlisted_files_are_skipped(folder):
    records, skipped = read_wikiart(folder, WikiartParams())
    assert dict(skipped.values.tolist()) == {
        HILL: "no label: not in style_train.csv, style_val.csv",
        LOST: "named in style_train.csv but not found",
    }
    assert not set(records["path"]) & set(skipped["path"])


def test_artist_lists_have_no_suffix(folder):
    records, skipped = read_wikiart(folder, WikiartParams(labels="artist"))
    rows = by_path(records)
    assert {path: (row["artist"], row["style"], row["split"]) for path, row in rows.items()} == {
        PINES: ("Vincent_van_Gogh", "Realism", "train"),
        DUERER: ("Albrecht_Dürer", "Art_Nouveau_Modern", "validation"),
    }
    assert set(skipped["path"]) == {HILL, WRONGLY_DECODED}


def test_with_genres_style_and_artist_come_from_the_path(folder):
    (folder / "genre_class").write_bytes(b"0 abstract_painting\r\n4 landscape\r\n")
    (folder / "genre_train.csv").write_bytes(f"{PINES},4\r\n".encode())
    (folder / "genre_val.csv").write_bytes(f"{HILL},0\r\n{HILL},4\r\n{HILL},4\r\n".encode())
    records, skipped = read_wikiart(folder, WikiartParams(labels="genre"))
    assert list(records) == ["path", "bytes", "modified_ns", "genre", "style", "artist", "split"]
    assert records.iloc[0, 3:].tolist() == ["landscape", "Realism", "vincent van gogh", "train"]
    assert len(records) == 1
    reason = dict(skipped.values.tolist())[HILL]
    assert reason == "named twice with different labels in genre_train.csv, genre_val.csv"


def test_a_repeated_line_counts_once(folder):
    with (folder / "style_train.csv").open("ab") as file:
        file.write(f"{PINES},1\r\n".encode())
    records, _ = read_wikiart(folder, WikiartParams())
    assert len(records) == 3 and PINES in set(records["path"])


@pytest.mark.parametrize("lists", [None, False])
def test_without_lists_labels_come_from_folders_and_file_names(folder, lists):
    if lists is None:
        for name in ("style_class.txt", "style_train.csv", "style_val.csv"):
            (folder / name).unlink()
    add(folder, "readme.txt")
    add(folder, "Realism/untitled.jpg")
    add(folder, "Realism/caption.txt")
    records, skipped = read_wikiart(folder, WikiartParams(lists=lists))
    assert list(records) == ["path", "bytes", "modified_ns", "style", "artist"]
    rows = by_path(records)
    assert {path: (row["style"], row["artist"]) for path, row in rows.items()} == {
        PINES: ("Realism", "vincent van gogh"),
        DUERER: ("Art_Nouveau_Modern", "albrecht dürer"),
        WRONGLY_DECODED: ("Realism", "joaqu\u00e3\u0085n sorolla"),
        HILL: ("Realism", "paul"),
        "Realism/untitled.jpg": ("Realism", ""),
    }
    assert dict(skipped.values.tolist()) == {
        "Realism/caption.txt": "no image: ends in .txt",
        "readme.txt": "no label: in no style's folder",
    }


def test_a_file_name_that_is_not_utf8_is_skipped(folder):
    raw = os.fsencode(folder / "Realism") + b"/jos\xe9_a.jpg"
    try:
        os.close(os.open(raw, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    _, skipped = read_wikiart(folder, WikiartParams())
    assert dict(skipped.values.tolist())["Realism/jos\\udce9_a.jpg"].startswith("its name is not")


def test_listed_paths_are_not_stat_called_one_by_one(folder, monkeypatch):
    stat_calls, scanned = [], []
    stat, scandir = os.stat, os.scandir

    def spy(path, *args, **kwargs):
        stat_calls.append(str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", spy)
    spy_scan = lambda path: scanned.append(path) or scandir(path)  # noqa: E731
    monkeypatch.setattr(file_index.os, "scandir", spy_scan)
    read_wikiart(folder, WikiartParams())
    assert not [path for path in stat_calls if path.endswith(".jpg")]
    assert len(scanned) <= 4


def replace(name, old, new):
    def spoil(folder):
        raw = (folder / name).read_bytes()
        assert old in raw
        (folder / name).write_bytes(raw.replace(old, new))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "params", "words"),
    [
        (lambda folder: folder.rename(folder.with_name("gone")), {}, ["does not exist"]),
        (replace("style_val.csv", b",1", b",7"), {}, ["Line 1", "style_val.csv", "7", "0 to 1"]),
        (replace("style_val.csv", b",1", b""), {}, ["Line 1", "style_val.csv", "path,index"]),
        (replace("style_train.csv", b".jpg,0", b".jpg,x"), {}, ["Line 2", "style_train.csv"]),
        (replace("artist_val", b",,0", b",,"), {"labels": "artist"}, ["Line 3", "artist_val"]),
        (replace("style_train.csv", "ü".encode(), b"\x81"), {}, ["Line 2", "UTF-8"]),
        (replace("style_class.txt", b"1 R", b"R"), {}, ["Line 2", "style_class.txt"]),
        (replace("style_class.txt", b"1 R", b"0 R"), {}, ["Line 2", "index 0 again"]),
        (lambda folder: (folder / "style_class.txt").write_text(""), {}, ["is empty"]),
        (lambda folder: (folder / "style_val.csv").unlink(), {}, ["lacks", "list style_val"]),
        (lambda folder: None, {"labels": "genre"}, ["genre_train.csv", "labels to style"]),
        (lambda folder: None, {"labels": "genre", "lists": True}, ["genre_train", "genre_class"]),
    ],
)
def test_an_invalid_folder_is_one_error_sentence(folder, spoil, params, words):
    spoil(folder)
    with pytest.raises(GanvasError) as caught:
        read_wikiart(folder, WikiartParams(**params))
    message = str(caught.value)
    assert str(folder) in message and all(word in message for word in words)


def test_a_folder_without_images_is_one_error_sentence(tmp_path):
    with pytest.raises(GanvasError, match=r"No image in a style's folder in"):
        read_wikiart(tmp_path, WikiartParams())


def test_lists_of_other_images_are_one_error_sentence(folder):
    for style in ("Realism", "Art_Nouveau_Modern"):
        (folder / style).rename(folder / f"Other_{style}")
    sentence = r"No image that style_train\.csv or style_val\.csv.*names '.*', and not .*'Other_"
    with pytest.raises(GanvasError, match=sentence):
        read_wikiart(folder, WikiartParams())
    assert len(read_wikiart(folder, WikiartParams(lists=False))[0]) == 4


def test_lists_of_other_systems_are_read(folder):
    before, _ = read_wikiart(folder, WikiartParams())
    for name in ("style_train.csv", "style_val.csv"):
        text = (folder / name).read_text(encoding="utf-8").replace("/", "\\")
        text = re.sub(r",(\d)", r" ; \1", text)
        (folder / name).write_bytes(text.encode("utf-16"))
    (folder / "style_class.txt").write_text("0,Art_Nouveau\n1;Realism\n")
    after, _ = read_wikiart(folder, WikiartParams())
    assert after.equals(before) and len(before)
