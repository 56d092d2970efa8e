"""Tables of images whose rows and columns have a meaning."""

import numpy as np
import pytest

from ganvas.visualization.image_tables import (
    draw_style_mixing,
    draw_truncation_sweep,
    split_style_mixing,
    split_truncation_sweep,
)

LEVELS = np.arange(1, 25, dtype=np.uint8) * 8


def make_cells(rows, columns, height, width, first=0):
    """Images of one gray each, different ones."""
    levels = LEVELS[first : first + rows * columns].reshape(rows, columns, 1, 1, 1)
    return np.broadcast_to(levels, (rows, columns, height, width, 3))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 48), (300, 400)])
def test_a_truncation_sweep_is_split_into_what_it_was_drawn_of(height, width):
    cells = make_cells(3, 4, height, width)
    sweep = draw_truncation_sweep(cells, [-1, 0, 0.5, 1.25], ["a", "", "c"])
    split = split_truncation_sweep(sweep, (height, width), 4)
    np.testing.assert_array_equal(split[..., 0, 0, 0], cells[..., 0, 0, 0])
    assert (split == split[:, :, :1, :1]).all()
    assert split_truncation_sweep(sweep, (height, width), 5) is None


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 48), (300, 400)])
def test_a_style_mixing_table_is_split_into_what_it_was_drawn_of(height, width):
    (rows,), (columns,) = make_cells(1, 2, height, width), make_cells(1, 3, height, width, first=2)
    coarse, fine = (make_cells(2, 3, height, width, first=first) for first in (5, 11))
    table = draw_style_mixing(rows, columns, {"coarse": coarse, "fine": fine})
    left, right = split_style_mixing(table, (height, width), 3)
    assert left.shape[:2] == (5, 1) and right.shape[:2] == (5, 3)
    level = rows[:, 0, 0, 0].tolist()
    assert left[:, 0, 0, 0, 0].tolist() == [255, *level, *level]
    expected = np.concatenate([columns[None], coarse, fine])
    np.testing.assert_array_equal(right[..., 0, 0, 0], expected[..., 0, 0, 0])
    assert split_style_mixing(table, (height + 1, width), 3) is None


def test_transparent_images_are_on_a_checkerboard():
    clear = np.zeros((1, 1, 32, 32, 4), np.uint8)
    sweep = split_truncation_sweep(draw_truncation_sweep(clear, [1], [""]), (32, 32), 1)
    assert len(np.unique(sweep)) == 2


def test_headings_fit_into_the_table():
    rows, columns = np.full((1, 32, 32, 3), 90, np.uint8), np.full((6, 32, 32, 3), 90, np.uint8)
    for count in (1, 6):
        mixed = {"coarse": np.full((1, count, 32, 32, 3), 90, np.uint8)}
        table = draw_style_mixing(rows, columns[:count], mixed)
        # The last column of pixels beside a heading is white: nothing is cut off.
        assert (table[:22, -1] == 255).all()
