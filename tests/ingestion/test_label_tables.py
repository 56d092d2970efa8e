"""Tables of labels, as other programs write them."""

import os

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.label_tables import find_column, read_lines, read_table


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_the_same_in_every_encoding(tmp_path, caplog, encoding, end):
    lines = ["path,kind", "Dürer.png,Öl – é", "b.png,x"]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode(encoding))
    assert read_lines(tmp_path / "t.csv") == lines
    # Another code page can't be told from 1252, so the line is shown.
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == (encoding == "cp1252") and all("'Dürer.png" in text for text in warned)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"path,kind\na.png,\x81\n", "Line 2 of .* is not UTF-8: save it as UTF-8"),
        (b"PK\x03\x04rest", "is an Excel workbook, not a text: save its table as CSV"),
        (b"PAR1rest", "is a Parquet file, not a text"),
        (b"path\0kind\n", "is not a text"),
        (b"\xff\xfea", "is not UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(GanvasError, match=sentence):
        read_lines(tmp_path / "t.csv")


def test_line_numbers_are_those_of_the_file(tmp_path):
    (tmp_path / "t.csv").write_text('sep=;\n\npath;bio\na;"one\ntwo"\n\nb;x\n')
    rows = list(read_table(tmp_path / "t.csv", ["path"]))
    assert rows == [(3, ["path", "bio"]), (4, ["a", "one\ntwo"]), (7, ["b", "x"])]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", "path,kind\na\n", "Line 2 of .* must have 2 fields, path, kind, but has 1"),
        ("t.csv", ",path,kind\na,b\n", "Line 2 of .* must have 2 fields"),
        ("t.json", "{", "Line 1 of .* can't be read as JSON"),
        ("t.jsonl", '{"a": 1}\n{"a"\n', "Line 2 of .* can't be read as JSON"),
        ("dataset.json", '{"labels": null}', "has no labels: it must have a list 'labels'"),
        ("dataset.json", '{"labels": [["a.png", [0, 2]]]}', "are no class"),
        ("dataset.json", '{"labels": [["a.png", ["x", 1]]]}', "are no class"),
        ("dataset.json", '{"labels": [["a.png", [null, [1]]]]}', "are no class"),
        ("dataset.json", '{"labels": [["a.png", {"x": 1}]]}', "are no class"),
        ("dataset.json", '[{"file_name": "a.png"}, 5]', "has the entry 5: each must be an object"),
        ("dataset.json", "[" * 100_000, "nested too deeply, or a number is too long.: mend"),
        ("dataset.json", f"[1{'0' * 5000}]", "nested too deeply, or a number is too long.: mend"),
        ("dataset.json", '{"labels": [["a.png"]]}', "each must be a path and a class"),
        ("dataset.json", "3", "has no labels"),
    ],
)
def test_mistakes_are_one_error_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(GanvasError, match=sentence):
        list(read_table(tmp_path / name, ["path"]))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"labels": [["a.png", 2], ["b.png", [0, 1]]]}', [["a.png", "2"], ["b.png", "1"]]),
        ('{"a.png": "cat", "b.png": null}', [["a.png", "cat"], ["b.png", ""]]),
        ('[["a.png", true]]', [["a.png", "yes"]]),
    ],
)
def test_labels_in_json_are_read(tmp_path, content, rows):
    (tmp_path / "dataset.json").write_text(content)
    table = [row for _, row in read_table(tmp_path / "dataset.json", [])]
    assert table == [["path", "class"], *rows]


def test_columns_are_found_however_they_are_spelled():
    assert find_column(["kind", "File-Name "], ["path", "file_name"]) == "File-Name "
    assert find_column(["file", "PATH"], ["path", "file"]) == "PATH"
    assert find_column(["kind"], ["path"]) is None


def test_tables_that_are_no_files_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(GanvasError, match=r"labels.csv can't be read as a table \(not a file\)"):
        read_lines(tmp_path / "labels.csv")


def test_halves_of_characters_in_json_become_replacement_characters(tmp_path):
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a\\ud800.png", "k\\udfff": "b\\ud800"}'
    )
    rows = [row for _, row in read_table(tmp_path / "metadata.jsonl", [])]
    assert rows == [["file_name", "k\ufffd"], ["a\ufffd.png", "b\ufffd"]]
