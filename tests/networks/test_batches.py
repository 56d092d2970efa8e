import numpy as np

from ganvas.networks.batches import to_float, to_uint8


def test_uint8_to_float_conversion_is_invertible():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)
    assert to_float(levels)[[0, -1]].tolist() == [-1, 1]


def test_values_outside_the_range_are_clipped():
    assert to_uint8(np.array([-1.2, 1.2])).tolist() == [0, 255]
