import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import label_columns, match_classes, read_classes
from ganvas.label_columns import read_class_list

STYLES = ["Op", "Pop", "Op", "", "Dada", "Pop", "Op", None]
SPLITS = ["train"] * 4 + ["validation"] + ["train"] * 3


def saved(names):
    """The classes of a generator of styles."""
    return read_class_list({"column": "style", "names": names})


@pytest.fixture
def index():
    paths = [f"{number}.png" for number in range(8)]
    return pd.DataFrame(
        {"path": paths, "style": STYLES, "title": paths, "hash": paths, "split": SPLITS}
    )


def test_classes_are_the_values_of_training_images(index, caplog):
    caplog.set_level("INFO")
    classes = read_classes(index, "style")
    assert classes.names == ["Op", "Pop"]
    # Dada occurs in the validation split alone, so it can't be learned.
    assert classes.labels.tolist() == [0, 1, 0, -1, -1, 1, 0, -1]
    assert classes.in_split(np.array([0, 3, 4, 5])).tolist() == [0, 5]
    assert "2 training images have no style" in caplog.text


def test_without_a_column_there_are_no_classes(index):
    classes = read_classes(index, None)
    assert (classes.column, classes.names) == (None, [])
    assert classes.in_split(np.arange(8)).tolist() == list(range(8))


def test_an_unknown_column_is_an_error_that_lists_the_others(index):
    assert label_columns(index) == ["style", "title"]
    with pytest.raises(GanvasError, match=r"network.label is 'genre'.* has style, title"):
        read_classes(index, "genre")
    with pytest.raises(GanvasError, match="no label columns"):
        read_classes(index.drop(columns=["style", "title"]), "genre")


@pytest.mark.parametrize("split", ["path", "hash", "split"])
def test_file_columns_are_no_labels(index, split):
    with pytest.raises(GanvasError, match=f"network.label is .{split}."):
        read_classes(index, split)


def test_a_column_with_too_many_or_too_few_values_has_no_classes(index):
    with pytest.raises(GanvasError, match=r"'title' has 7 values for 7 labeled"):
        read_classes(index, "title")
    index["style"] = "Op"
    with pytest.raises(GanvasError, match=r"'style' has 1 value.* another column \(title\), or to"):
        read_classes(index, "style")
    with pytest.raises(GanvasError, match=r"'style' has 1 value.*: set network\.label to null, w"):
        read_classes(index.drop(columns="title"), "style")


def test_a_generator_with_other_classes_is_an_error(index):
    assert match_classes(index, saved(["Op", "Pop"])).names == ["Op", "Pop"]
    with pytest.raises(GanvasError, match="has 3 classes of 'style'"):
        match_classes(index, saved(["Dada", "Op", "Pop"]))


def test_names_become_one_line(index):
    index["style"] = [
        "Op\nart",
        "Pop\u2028 art",
        " Op art",
        "\x1b",
        "Op",
        "Pop art",
        "Op\tart",
        None,
    ]
    classes = read_classes(index, "style")
    assert classes.names == ["Op art", "Pop art"]
    assert classes.labels.tolist() == [0, 1, 0, -1, -1, 1, 0, -1]


def test_a_generator_of_an_earlier_version_keeps_its_classes(index):
    # It was trained with names of several lines, in the order of these.
    index["style"] = ["a\nz", "a b", "a\nz", "a b", "a b", "a\nz", "a b", "a b"]
    classes = match_classes(index, saved(["a\nz", "a b"]))
    assert classes.names == ["a z", "a b"] and classes.labels.tolist() == [0, 1, 0, 1, 1, 0, 1, 1]
