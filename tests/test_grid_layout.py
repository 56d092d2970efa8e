import numpy as np
import pytest

from ganvas.grid_layout import (
    MAX_CLASS_ROWS,
    describe_ignored_rows,
    divide_rows,
    find_rows,
    label_rows,
    round_columns,
)


def test_classes_share_the_rows_equally():
    assert divide_rows(0, 3).tolist() == divide_rows(1, 3).tolist() == [0, 0, 0]
    assert divide_rows(3, 8).tolist() == [0, 0, 1, 1, 2, 2]
    assert divide_rows(8, 8).tolist() == list(range(8))


@pytest.mark.parametrize(("classes", "rows"), [(9, 8), (59, 32), (1000, 7)])
def test_of_more_classes_than_rows_evenly_spaced_ones_are_shown(classes, rows):
    chosen = divide_rows(classes, rows)
    steps = np.diff([*chosen, classes])
    assert len(chosen) == rows and chosen[0] == 0
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1


def test_generated_images_have_one_row_a_class():
    labels = label_rows(5, rows=2, columns=3).reshape(-1, 3)
    np.testing.assert_array_equal(labels, np.arange(5)[:, None].repeat(3, axis=1))
    assert label_rows(0, rows=2, columns=3).tolist() == [0] * 6
    many = label_rows(100, rows=2, columns=3).reshape(-1, 3)
    assert len(many) == MAX_CLASS_ROWS == len(np.unique(many[:, 0]))


def test_rows_hold_the_first_images_of_their_class():
    labels = np.random.default_rng(0).integers(0, 5, 60)
    labels[labels == 3] = 4
    rows = find_rows(labels, rows=9, columns=4)
    # Four classes are left, with two rows each of nine.
    assert [set(labels[row]) for row in rows] == [{0}, {0}, {1}, {1}, {2}, {2}, {4}, {4}]
    for number, label in enumerate((0, 1, 2, 4)):
        first = [i for i in range(60) if labels[i] == label][:8]
        assert np.concatenate(rows[2 * number : 2 * number + 2]).tolist() == first


def test_without_classes_images_are_in_order_and_no_row_is_empty():
    rows = find_rows(np.zeros(7, int), rows=4, columns=3)
    assert [row.tolist() for row in rows] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("classes", range(1, 17))
def test_alternating_classes_have_a_column_each(classes):
    columns = round_columns(classes, 8)
    grid = (np.arange(4 * columns) % classes).reshape(4, columns)
    assert (grid == grid[0]).all() and columns <= 16
    assert round_columns(17, 8) == round_columns(0, 8) == 8


@pytest.mark.parametrize(
    ("rows", "classes", "text"),
    [
        (10, 8, "report.rows=10 is not used: with classes a grid has one row for each of the 8."),
        (10, 59, "one row for each of 32 of the 59."),
        (8, 8, None),
        (6, 8, None),
        (10, 0, None),
    ],
)
def test_a_number_of_rows_that_classes_replace_is_reported(rows, classes, text):
    described = describe_ignored_rows("report.rows", rows, default=6, classes=classes)
    assert described is None if text is None else described.endswith(text)
