import numpy as np
import pytest

from ganvas.visualization.contact_sheet import draw_neighbors, draw_sheets

COLORS = [(200, 30, 30), (30, 160, 30), (30, 30, 200)]


def make_images(color, count, side=32):
    return np.full((count, side, side, 3), color, np.uint8)


def find(sheet, color):
    """Top, left, bottom, right and number of the pixels of a color."""
    rows, columns = np.nonzero((sheet == color).all(axis=-1))
    return rows.min(), columns.min(), rows.max(), columns.max(), len(rows)


def test_each_class_has_a_row_of_real_images_left_of_generated_ones():
    real = [make_images(color, 2) for color in COLORS]
    generated = [make_images(tuple(255 - value for value in color), 4) for color in COLORS]
    (sheet,) = draw_sheets(["one", "two", "three"], real, generated)
    assert sheet.dtype == np.uint8
    tops = []
    for color in COLORS:
        top, _, bottom, right, area = find(sheet, color)
        assert area == 2 * 32 * 32 and bottom - top == 31
        other = find(sheet, tuple(255 - value for value in color))
        assert other[0] == top and other[1] > right and other[4] == 4 * 32 * 32
        tops.append(top)
    assert tops == sorted(tops) and len(set(np.diff(tops))) == 1


def test_a_class_with_few_images_is_padded_with_white():
    real = [make_images(COLORS[0], 3), make_images(COLORS[1], 1), make_images(COLORS[2], 0)]
    generated = [make_images((0, 0, 0), 2)] * 3
    (sheet,) = draw_sheets(["one", "two", "three"], real, generated)
    assert find(sheet, COLORS[1])[4] == 32 * 32
    assert find(sheet, COLORS[0])[1] == find(sheet, COLORS[1])[1]


def test_many_classes_are_split_over_several_sheets():
    names = [f"class {number}" for number in range(7)]
    sheets = list(
        draw_sheets(
            names, [make_images((9, 9, 9), 1)] * 7, [make_images((99, 9, 9), 2)] * 7, rows=3
        )
    )
    assert [find(sheet, (9, 9, 9))[4] // 32**2 for sheet in sheets] == [3, 3, 1]


@pytest.mark.parametrize("side", [32, 256])
def test_a_label_is_left_of_its_row_and_truncated_if_too_long(side):
    generated = [make_images((250, 0, 0), 1, side)]
    widths = []
    for name in ("Night Skies", "A very long name of a style that fits beside no row " * 9):
        (sheet,) = draw_sheets([name], [make_images((0, 250, 0), 1, side)], generated)
        top, left, bottom, _, _ = find(sheet, (0, 250, 0))
        text = sheet[top : bottom + 1, :left]
        assert (text < 128).any()
        # No letter is cut off at the sheet's edge.
        assert (text[:, :2] > 240).all()
        widths.append(left)
    assert widths[0] < widths[1] < 6 * side


def test_generated_images_are_above_their_nearest_neighbors():
    rows = {"generated": make_images(COLORS[0], 5), "nearest": make_images(COLORS[1], 5)}
    sheet = draw_neighbors(rows)
    upper, lower = find(sheet, COLORS[0]), find(sheet, COLORS[1])
    assert upper[4] == lower[4] == 5 * 32 * 32
    assert upper[1] == lower[1] and 0 < lower[0] - upper[2] < 32
