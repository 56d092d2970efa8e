"""Texts by which users choose classes: names, and values of label columns."""

import numpy as np
import pytest

from ganvas.class_requests import add_rare_values, find_classes, find_labels, read_values
from ganvas.errors import GanvasError
from ganvas.label_columns import make_columns, make_table, name_all, read_class_list

SHAPES = [("shape", ["disk", "square", "star"]), ("red", ["no", "yes"])]
TABLE = make_table(SHAPES, np.array([[0, 1], [2, 0], [1, 1]]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shape=disk", [0]),
        ("red=no,shape=star", [3, 2]),
        ("shape=star, red=no", [2, 3]),
        ("shape=moon", None),
        ("shape=disk, shape=star", None),
        ("disk", None),
        ("shape=disk; red=no", None),
        ("", []),
    ],
)
def test_values_are_read(text, expected):
    assert read_values(TABLE.columns, text) == expected


def test_values_may_have_commas_and_signs():
    columns = make_columns([("place", ["Rome", "Rome, old", "a=b"]), ("red", ["no", "yes"])])
    assert read_values(columns, "place=Rome, old, red=yes") == [1, 4]
    assert read_values(columns, "place=Rome,red=yes") == [0, 4]
    assert read_values(columns, "place=a=b") == [2]


def test_a_value_stands_for_the_combinations_that_have_it():
    assert find_classes(TABLE, None, "x").names == TABLE.names
    assert find_classes(TABLE, ["red=yes"], "x").names == [TABLE.names[0], TABLE.names[2]]
    # No image is a red star, so all combinations get these values.
    found = find_classes(TABLE, ["shape=star, red=yes", "shape=disk"], "x")
    assert found.names == ["shape=star, red=yes", TABLE.names[0]]
    np.testing.assert_array_equal(
        found.weigh(np.arange(2)), [[0, 0, 0.5, 0, 0.5], [0.5, 0, 0, 0, 0.5]]
    )


def test_unknown_classes_and_values_are_named_with_what_there_is():
    with pytest.raises(GanvasError, match=r"sample.classes has 'red', but .*red \(no, yes\): name"):
        find_classes(TABLE, ["red"], "sample.classes")
    genres = read_class_list({"column": "genre", "names": ["nights", "waves"]})
    with pytest.raises(GanvasError, match=r"has 'genre=waves', but .* the classes nights, waves"):
        find_classes(genres, ["genre=waves"], "sample.classes")
    assert find_classes(genres, ["waves"], "x").weigh(np.arange(1)).tolist() == [[0, 1]]


def test_values_that_no_named_combination_has_are_found_too():
    table = make_table(SHAPES, np.array([[0, 0], [1, 0]]))
    assert find_labels(table, "red=yes").tolist() == []
    more = add_rare_values(table)
    assert more.names == table.names
    # Stars and red ones, of each named combination.
    assert name_all(more)[2:] == [
        "shape=star, red=no",
        "shape=disk, red=yes",
        "shape=square, red=yes",
    ]
    assert find_labels(more, "red=yes").tolist() == [3, 4]
    assert find_labels(more, "shape=disk").tolist() == [0]
