import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image, ImageFile
from pydantic import ValidationError

from ganvas.errors import GanvasError
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.file_formats import NON_IMAGE_FORMATS
from ganvas.ingestion.image_folder import FolderParams, read_folder
from ganvas.ingestion.rejection import Rejection


@pytest.fixture
def folder(tmp_path):
    for path in ("top.png", "cats/a.JPG", "cats/deep/b.webp", "dogs/no_suffix", "cats/a.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"qoif\0")
    (tmp_path / ".hidden.png").touch()
    return tmp_path


def write_table(folder, text, name="labels.csv"):
    (folder / name).write_bytes(text.encode())


def test_the_first_folder_is_the_class(folder):
    records, skipped = read_folder(folder, FolderParams())
    assert list(records) == ["path", "bytes", "modified_ns", "class"]
    assert records[["path", "class"]].values.tolist() == [
        ["cats/a.JPG", "cats"],
        ["cats/deep/b.webp", "cats"],
        ["dogs/no_suffix", "dogs"],
        ["top.png", ""],
    ]
    assert skipped.values.tolist() == [["cats/a.txt", "no image: ends in .txt"]]
    assert set(records["bytes"]) == {5}
    assert records["modified_ns"][3] == (folder / "top.png").stat().st_mtime_ns


def test_files_of_other_formats_are_skipped(folder):
    names = ["dump.h5", "film.mpg", "page.pdf", "drawing.wmf"]
    for name in names:
        (folder / name).write_bytes(b"no image")
    (folder / "two.mpo").touch()
    records, skipped = read_folder(folder, FolderParams())
    assert "two.mpo" in set(records["path"]) and not set(names) & set(records["path"])
    assert dict(skipped.values.tolist())["dump.h5"] == "no image: ends in .h5"


def test_non_image_formats_are_those_that_pillow_can_not_decode():
    Image.init()
    readers = {name: reader for name, (reader, _) in Image.OPEN.items()}
    stubs = {
        name
        for name, reader in readers.items()
        if isinstance(reader, type) and issubclass(reader, ImageFile.StubImageFile)
    }
    # An MPO file is read as the JPEG file at its start.
    only_written = set(Image.SAVE) - set(readers) - {"MPO"}
    assert {"EPS", "MPEG"} | stubs | only_written == NON_IMAGE_FORMATS


def test_classes_do_not_depend_on_the_unicode_form_of_accents(folder):
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Dürer")
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"{form}.png").touch()
    records, _ = read_folder(folder, FolderParams())
    assert list(records["class"]).count("Dürer") == 2


def test_without_labels_the_table_is_not_listed_either(folder):
    write_table(folder, "anything")
    records, skipped = read_folder(folder, FolderParams(labels="none"))
    assert list(records) == ["path", "bytes", "modified_ns"] and len(records) == 4
    assert "labels.csv" not in set(skipped["path"])


def test_columns_of_a_table_become_labels(folder):
    name = unicodedata.normalize("NFD", "cats/ü.png")
    (folder / name).touch()
    rows = [
        "top.png,red,big",
        './cats/a.JPG,"blue, dark",',
        "cats/ü.png,green,big",
        "x.png,red,big",
    ]
    write_table(folder, "\ufeff" + "\r\n".join(["path,color,size", *rows, "", ""]))
    records, skipped = read_folder(folder, FolderParams(labels="csv"))
    assert records.drop(columns=["bytes", "modified_ns"]).values.tolist() == [
        ["cats/a.JPG", "blue, dark", ""],
        [name, "green", "big"],
        ["top.png", "red", "big"],
    ]
    assert dict(skipped.values.tolist()) == {
        "cats/a.txt": "no label: not in labels.csv",
        "cats/deep/b.webp": "no label: not in labels.csv",
        "dogs/no_suffix": "no label: not in labels.csv",
        "x.png": "named in labels.csv but not found",
    }


def test_a_table_may_have_another_path_and_a_split(folder):
    write_table(folder, "split,path,kind\ntrain,top.png,a\ntest,cats/a.JPG,b\n", "cats/my.csv")
    records, skipped = read_folder(folder, FolderParams(labels="csv", csv="cats/my.csv"))
    assert records[["path", "kind", "split"]].values.tolist() == [
        ["cats/a.JPG", "b", "test"],
        ["top.png", "a", "train"],
    ]
    assert "cats/my.csv" not in set(skipped["path"])


def test_an_image_with_two_labels_is_skipped(folder):
    write_table(folder, "path,kind\ntop.png,a\ntop.png,b\ncats/a.JPG,a\ncats/a.JPG,a\n")
    records, skipped = read_folder(folder, FolderParams(labels="csv"))
    assert list(records["path"]) == ["cats/a.JPG"]
    twice = "named twice with different labels in labels.csv"
    assert dict(skipped.values.tolist())["top.png"] == twice


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, ["no labels.csv"]),
        ("", ["lacks the column path"]),
        ("name,kind\ntop.png,a\n", ["lacks the column path", "name,kind", "commas"]),
        ("path,split\ntop.png,train\n", ["lacks a label column"]),
        ("path,kind,kind\ntop.png,a,b\n", ["can't have the column 'kind'"]),
        ("path,bytes\ntop.png,a\n", ["can't have the column 'bytes'"]),
        ("path,(key)\ntop.png,a\n", ["can't have the column '(key)'"]),
        ("path,(list)\ntop.png,a\n", ["can't have the column '(list)'"]),
        ("path,kind\ntop.png,a\ncats/a.JPG,a,b\n", ["Line 3", "2 fields, path, kind"]),
        ("path,kind,split\ntop.png,a,some\n", ["Line 2", "train, validation, test"]),
        ("path,kind\n,a\n", ["Line 2", "a path is not empty"]),
        ("path,kind\ntop.png,a\rcats/a.JPG,b\n", ["Line 2", "lines must end in line feeds"]),
        ('path,kind\n\ntop.png,"a\ncats/a.JPG,b\n', ["Line 3", "quotation mark must end"]),
        ('path,kind\ntop.png,"a\ncats/a.JPG,"b"\n', ["Line 2", "quotation mark must end"]),
        ("path,kind\nno.png,a\n", ["No image that labels.csv names", "'no.png'", "'cats/a.JPG'"]),
    ],
)
def test_an_invalid_table_is_one_error_sentence(folder, table, words):
    if table is not None:
        write_table(folder, table)
    with pytest.raises(GanvasError) as caught:
        read_folder(folder, FolderParams(labels="csv"))
    message = str(caught.value)
    assert str(folder) in message and all(word in message for word in words)


def test_a_missing_or_empty_folder_is_one_error_sentence(tmp_path):
    with pytest.raises(GanvasError, match="does not exist: set ingest"):
        read_folder(tmp_path / "gone", FolderParams())
    with pytest.raises(GanvasError, match=f"No image in {tmp_path}: set ingest"):
        read_folder(tmp_path, FolderParams())
    for name in ("a.JXL", "b.jxl", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(GanvasError, match=r"whose files end in \.jxl, \.txt and not as JPEG"):
        read_folder(tmp_path, FolderParams())


def test_parquet_files_and_other_files_are_told_from_folders(tmp_path):
    (tmp_path / "train.parquet").touch()
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "train.parquet"):
        with pytest.raises(GanvasError, match=r"[Pp]arquet.*: write the images .* to a folder"):
            read_folder(path, FolderParams())
    with pytest.raises(GanvasError, match=r"notes\.txt is a file, not a folder: set .*archive"):
        read_folder(tmp_path / "notes.txt", FolderParams())


def test_a_folder_that_can_not_be_listed_does_not_affect_others(folder, monkeypatch):
    before, _ = read_folder(folder, FolderParams())
    (folder / "lost+found").mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("ganvas.ingestion.file_index.os.scandir", refuse)
    records, _ = read_folder(folder, FolderParams())
    assert set(records["path"]) == set(before["path"])
    with pytest.raises(Rejection, match="a folder that can't be listed"):
        decode_image(folder / "lost+found", (32, 32, 3))


def labels_of(folder, **params):
    records, _ = read_folder(folder, FolderParams(labels="csv", **params))
    return dict(records[["path", "kind"]].values.tolist())


@pytest.mark.parametrize(
    "content",
    [
        "path,kind\rtop.png,grün\r".encode(),
        "path;kind;\r\ntop.png;grün;\r\n;;\r\n".encode("cp1252"),
        "sep=;\r\nPath;kind\r\ntop.png;grün\r\n".encode("utf-8-sig"),
        "Path\tkind\ntop.png\tgrün\n".encode("utf-16"),
        "PATH | kind\n top.png | grün\n".encode("utf-16-le"),
        ',path,kind\n0,top.png,"grün"\n1,gone.png,rot\n'.encode(),
        'File Name, kind\n"top.png", "grün"\n'.encode(),
        "kind,filename,split\ngrün,TOP.PNG,Train\n".encode(),
    ],
)
def test_tables_of_spreadsheets_are_read(folder, content):
    (folder / "labels.csv").write_bytes(content)
    assert labels_of(folder) == {"top.png": "grün"}


@pytest.mark.parametrize(
    "name", ["LABELS.CSV", "cats/labels.csv", "labels.tsv", "metadata.csv", "cats/metadata.csv"]
)
def test_the_only_table_is_found(folder, name):
    write_table(folder, "file_name,kind\na.JPG,x\n", name)
    assert labels_of(folder) == {"cats/a.JPG": "x"}


def test_of_several_tables_one_has_to_be_chosen(folder):
    for name in ("cats/metadata.csv", "dogs/metadata.csv"):
        write_table(folder, "file_name,kind\na.JPG,x\n", name)
    with pytest.raises(GanvasError, match=r"but cats/metadata\.csv and dogs/metadata\.csv: set"):
        labels_of(folder)
    assert labels_of(folder, csv="cats/metadata.csv") == {"cats/a.JPG": "x"}


def test_labels_of_stylegan_and_of_hugging_face_are_read(folder):
    write_table(folder, '{"labels": [["cats/a.JPG", 3], ["top.png", 0]]}', "dataset.json")
    records, _ = read_folder(folder, FolderParams(labels="csv"))
    assert dict(records[["path", "class"]].values.tolist()) == {"cats/a.JPG": "3", "top.png": "0"}
    (folder / "dataset.json").unlink()
    lines = [
        '{"file_name": "top.png", "kind": "a", "boxes": [1]}',
        '{"file_name": "dogs/no_suffix"}',
    ]
    write_table(folder, "\n".join(lines), "metadata.jsonl")
    records, _ = read_folder(folder, FolderParams(labels="csv"))
    assert records.drop(columns=["bytes", "modified_ns"]).values.tolist() == [
        ["dogs/no_suffix", ""],
        ["top.png", "a"],
    ]


def test_an_unknown_kind_of_labels_is_an_error():
    with pytest.raises(ValidationError):
        FolderParams(labels="files")
