"""Text from file names and tables."""

import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.pipelines.ingest.nodes import show_tables
from ganvas.plain_text import as_cell, escape_controls, one_line

SEPARATORS = "\t\n\v\f\r\x00\x1b\x1c\x1d\x1e\x7f\x85\x9b\xa0\u1680\u2007\u2028\u2029\u202f\u3000"


@pytest.mark.parametrize("separator", SEPARATORS)
def test_any_separator_becomes_one_space(separator):
    assert one_line(f"{separator}a{separator}{separator}b ") == "a b"
    assert separator not in escape_controls(as_cell(f"a{separator}b")) or separator.isspace()


def test_words_of_all_scripts_are_kept():
    for text in ("静物画", "한국화", "👩\u200d🎨 emoji", "مناظر", "é", "नमस्ते"):
        assert one_line(text) == text


def test_marks_that_turn_text_around_are_dropped():
    assert one_line("a\u202eb\u2066c\ufeff") == "abc"
    assert one_line("a\udcff") == "a\ufffd"


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        ("=cmd|' /C calc'!A0.jpg", "./=cmd|' /C calc'!A0.jpg"),
        ("+1.jpg", "./+1.jpg"),
        ("-1.jpg", "./-1.jpg"),
        ("@sum.jpg", "./@sum.jpg"),
        ("\t=1.jpg", "\\t=1.jpg"),
        ("red\x1b[31m\n.jpg", "red\\x1b[31m\\n.jpg"),
        ("a\u2028\u202e\udcff.jpg", "a\\u2028\\u202e\\udcff.jpg"),
        ("folder/ a b.jpg", "folder/ a b.jpg"),
    ],
)
def test_a_cell_has_neither_formulas_nor_escape_codes(path, cell):
    assert as_cell(path) == cell


def test_the_table_of_rejected_files_is_safe_to_open():
    rejected = pd.DataFrame({"path": ["=1+2.jpg", "a\x1b[31m.jpg"], "reason": ["empty file"] * 2})
    index = pd.DataFrame({"path": ["=a.jpg"], "split": ["train"]})
    shown, table = show_tables(Collection(np.zeros((1, 8, 8, 3), np.uint8), index, rejected))
    assert table["path"].tolist() == ["./=1+2.jpg", "a\\x1b[31m.jpg"]
    # Paths of the index name files.
    assert shown["path"].tolist() == ["=a.jpg"] and rejected["path"][0] == "=1+2.jpg"
