import base64
import io

import numpy as np
import pytest
from PIL import Image

from ganvas.visualization.contact_sheet import draw_neighbors, draw_sheets, split_sheet
from ganvas.visualization.image_cells import (
    narrow_columns,
    stack_neighbors,
    tabulate_blocks,
    tabulate_sheet,
)


def decode(uris):
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(x.split(",")[1])))) for x in uris]


def make_images(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 24, 32, 3), np.uint8)


@pytest.mark.parametrize(("real", "generated"), [(3, 8), (1, 8), (2, 1)])
def test_images_of_a_class_sheet_are_found_whatever_its_labels(real, generated):
    names = ["Night Skies", "i", "A name that is longer than some images are wide"]
    reals, fakes = make_images(3, real), make_images(3, generated)
    (sheet,) = draw_sheets(names, list(reals), list(fakes))
    blocks = split_sheet(sheet, 24, 32, [real, generated], has_headings=True)
    np.testing.assert_array_equal(blocks[0], reals)
    np.testing.assert_array_equal(blocks[1], fakes)
    table = tabulate_sheet(sheet, (24, 32), (3, generated), names)
    assert [row.label for row in table.rows] == names
    np.testing.assert_array_equal(decode(table.rows[2].blocks[0]), reals[2])
    np.testing.assert_array_equal(decode(table.rows[1].blocks[1]), fakes[1])


@pytest.mark.parametrize("count", [1, 5, 12])
def test_each_generated_image_is_in_a_stack_with_its_neighbors(count):
    images = make_images(3, count)
    rows = dict(zip(("generated", "nearest in pixels", "in features"), images, strict=True))
    stacks = stack_neighbors(draw_neighbors(rows), (24, 32), most=12)
    assert len(stacks) == count
    np.testing.assert_array_equal(decode(stacks[-1].images), images[:, -1])


def test_a_sheet_that_is_laid_out_in_another_way_is_not_cut():
    sheet = make_images(1)[0]
    assert stack_neighbors(sheet, (24, 32), most=12) == []
    assert tabulate_sheet(sheet, (24, 32), (3, 8), ["one"]) is None
    # A row of a class too few.
    (sheet,) = draw_sheets(["a"], [make_images(3)], [make_images(8)])
    assert tabulate_sheet(sheet, (24, 32), (3, 8), ["a", "b"]) is None
    with pytest.raises(ValueError, match="white lines"):
        split_sheet(sheet, 24, 31, [3, 8], has_headings=True)


def test_white_cells_at_the_end_of_a_row_are_no_images():
    block = make_images(2, 3)
    block[0, 1:] = 255
    table = tabulate_blocks([block], ["a", "b"], [])
    assert [len(row.blocks[0]) for row in table.rows] == [1, 3] and table.columns == [3]


def test_blocks_with_rows_missing_have_no_labels():
    table = tabulate_blocks([make_images(1, 3), make_images(2, 3)], ["a", "b"], ["x", "y"])
    assert [row.label for row in table.rows] == [""]
    assert [len(block) for block in table.rows[0].blocks] == [3, 6]


def test_lines_on_a_phone_are_equally_long():
    assert [narrow_columns([count]) for count in range(1, 14)] == [
        *range(1, 7),
        4,
        4,
        5,
        5,
        6,
        6,
        5,
    ]
    assert narrow_columns([6, 6]) == 6 and narrow_columns([3, 8]) == 4
