"""Label columns, rows of class weights, and their form in class_list.json."""

import json

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.label_columns import (
    MAX_LENGTH,
    MAX_NAMED,
    find_fault,
    make_columns,
    make_rows,
    make_table,
    name_combination,
    read_class_list,
    write_class_list,
)
from ganvas.record_schemas import check_class_list

SHAPES = [("shape", ["disk", "square", "star"]), ("red", ["no", "yes"])]
VALUES = np.array([[0, 1], [2, 0], [1, 1]])


def test_rows_are_those_of_a_naive_loop():
    table, labels = make_table(SHAPES, VALUES), np.array([2, 0, -1, 1])
    expected = np.zeros((4, 5), np.float32)
    for row, label in enumerate(labels):
        if label >= 0:
            shape, red = VALUES[label]
            expected[row, shape] = expected[row, 3 + red] = 0.5
    np.testing.assert_array_equal(table.weigh(labels), expected)
    assert table.weigh(labels).dtype == np.float32
    assert table.num_weights == 5
    assert table.value_positions(labels).tolist() == [[1, 4], [0, 4], [-1, -1], [2, 3]]


def test_rows_sum_to_one_for_any_number_of_columns():
    for count in (1, 2, 3, 7, 40):
        positions = 2 * np.arange(count)[None] + np.random.default_rng(0).integers(2, size=count)
        assert make_rows(positions, 2 * count).sum() == pytest.approx(1, abs=1e-6)


def test_names_of_several_columns_are_those_of_combinations():
    table = make_table(SHAPES, VALUES)
    assert table.names == [
        "shape=disk, red=yes",
        "shape=star, red=no",
        "shape=square, red=yes",
    ]
    assert table.column == "shape, red"
    assert table.value_names == ["shape=disk", "shape=square", "shape=star", "red=no", "red=yes"]
    assert [(x.column, x.first) for x in table.columns] == [("shape", 0), ("red", 3)]


def test_one_column_has_one_hot_rows():
    table = make_table([("genre", ["nights", "waves", "sea"])], np.arange(3)[:, None])
    np.testing.assert_array_equal(table.weigh(np.arange(3)), np.eye(3, dtype=np.float32))
    assert table.names == table.value_names == ["nights", "waves", "sea"]
    assert write_class_list(table) == {"column": "genre", "names": ["nights", "waves", "sea"]}


def test_no_columns_have_no_weights():
    table = make_table([], np.zeros((0, 0), int))
    assert table.weigh(np.zeros(4, int)).shape == (4, 0)
    assert write_class_list(table) == {"column": None, "names": []}
    assert read_class_list({"column": None, "names": []}).weigh(np.zeros(4, int)).shape == (4, 0)


@pytest.mark.parametrize("count", [2, 3, 40])
def test_class_list_is_read_as_it_was_written(count):
    named = [(f"Attribute_{i}", ["no", "yes"]) for i in range(count)]
    values = np.unique(np.random.default_rng(1).integers(2, size=(90, count)), axis=0)
    table = make_table(named, values)
    content = json.loads(json.dumps(write_class_list(table)))
    check_class_list(content)
    read = read_class_list(content)
    assert read.names == table.names
    assert len(set(read.names)) == len(read.names) == min(len(values), MAX_NAMED)
    assert read.columns == table.columns
    labels = np.arange(len(read.names))
    np.testing.assert_array_equal(read.weigh(labels), table.weigh(labels))


def test_names_of_many_columns_have_what_is_there():
    columns = make_columns([(f"Attribute_{i}", ["no", "yes"]) for i in range(40)])
    absent = [column.first for column in columns]
    assert name_combination(columns, absent) == "all no"
    present = [x + (i in (3, 7)) for i, x in enumerate(absent)]
    assert name_combination(columns, present) == "Attribute_3=yes, Attribute_7=yes"
    table = make_table([(c.column, c.values) for c in columns], np.ones((1, 40), int))
    assert len(table.names[0]) <= MAX_LENGTH


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "shape"}, "two columns or more"),
        ({"labels": [{"column": "shape"}] * 2}, "lists of texts as 'values'"),
        ({"rows": [[0.5, 0, 0, 0, 0.5]]}, "5 weights for each of the 3 names"),
        ({"rows": [[0.5, 0, 0, 0.5]] * 3}, "5 weights for each of the 3 names"),
        ({"rows": [[0.5, 0.5, 0, 0, 0]] * 3}, "one weight of 0.5 for each column"),
        ({"rows": None}, "5 weights"),
        ({"labels": None}, "two columns or more"),
    ],
)
def test_damaged_lists_are_refused(changes, message):
    content = write_class_list(make_table(SHAPES, VALUES))
    assert find_fault(content["names"], content["labels"], content["rows"]) is None
    with pytest.raises(GanvasError, match=message):
        check_class_list(content | changes)
