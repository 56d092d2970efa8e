"""The sizes that images can have, and the smallest feature maps of networks for them."""

import itertools

import pytest

from ganvas.errors import GanvasError
from ganvas.image_shape import (
    can_train,
    check_network_size,
    check_size,
    count_doublings,
    height_and_width,
    parse_size,
    smallest_map,
)

SIDES = range(32, 1025, 32)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64, 64), ([64, 64], 64), ([96, 64], (96, 64)), ((64, 96), (64, 96)), (1024, 1024)],
)
def test_equal_sizes_have_one_form(size, expected):
    assert check_size(size) == expected
    assert check_size(check_size(size)) == expected


@pytest.mark.parametrize(
    "size",
    [0, 16, 48, 1056, -64, True, 64.0, "64", None, [], [64], [64, 64, 3], [64, 48], [64, True]],
)
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="multiple of 32 from 32 to 1024"):
        check_size(size)


def test_height_comes_first():
    assert height_and_width(64) == (64, 64)
    assert height_and_width((96, 64)) == (96, 64)


def test_smallest_maps_times_doublings_are_images():
    for height, width in itertools.product(SIDES, SIDES):
        rows, columns = smallest_map(height, width)
        doublings = count_doublings(height, width)
        assert (rows << doublings, columns << doublings) == (height, width)
        assert min(rows, columns) >= 4
        # It can't be halved once more.
        assert rows % 2 or columns % 2 or min(rows, columns) < 8


def test_powers_of_two_start_from_four():
    for exponent in range(5, 11):
        assert smallest_map(2**exponent, 2**exponent) == (4, 4)
    assert smallest_map(64, 64, smallest=8) == (8, 8)


@pytest.mark.parametrize(("height", "width"), [(544, 544), (1024, 64), (992, 1024), (32, 160)])
def test_refused_sizes_come_with_near_ones(height, width):
    with pytest.raises(GanvasError, match=f"{width}×{height}") as caught:
        check_network_size(height, width)
    named = str(caught.value).split("ingest.size to ")[1].rstrip(".").split(" or ")
    for text in named:
        near = [int(side) for side in text.strip("[]").split(", ")]
        assert can_train(*near)
        assert height != width or near[0] == near[1]


def test_sizes_are_read_as_people_write_them():
    assert parse_size("128") == 128 and parse_size("64x64") == 64
    # Width comes first, as in the names of screens.
    assert parse_size("64x96") == parse_size(" 64×96") == (96, 64)
    with pytest.raises(GanvasError, match="No network can be built for images of 544×544"):
        parse_size("544")


@pytest.mark.parametrize("text", ["", "x", "64x", "50", "64x96x3", "64,96", "-64", "1056"])
def test_other_texts_are_no_sizes(text):
    with pytest.raises(GanvasError, match=r"^--size can't be .*64x96, each a multiple of 32"):
        parse_size(text)
