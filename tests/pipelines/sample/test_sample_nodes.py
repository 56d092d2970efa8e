"""Which classes are sampled, and how the samples are arranged."""

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.pipelines.sample.nodes import (
    GRID,
    generate_samples,
    make_samples_grid,
    select_classes,
)
from ganvas.pipelines.sample.params import SampleParams
from ganvas.visualization.image_grid import split_grid


def test_classes_are_sampled_in_the_order_requested():
    names = ["17", "18", "19"]
    assert select_classes(names, ["19", "17"]) == [2, 0]
    assert select_classes(names, None) == [0, 1, 2]
    with pytest.raises(GanvasError, match="has '20', but this generator has the classes 17, 18, 1"):
        select_classes(names, "20")
    with pytest.raises(GanvasError, match="has '20', but this generator has no classes"):
        select_classes([], "20")


def make_levels(names, count, **params):
    """Arrange samples whose gray level is their number; return the levels in the grid's cells."""
    samples = {
        f"seed0_{number:06d}": lambda number=number: np.full((8, 8, 3), number, np.uint8)
        for number in range(count)
    }
    samples[GRID] = lambda: np.zeros((50, 50, 3), np.uint8)
    grid = make_samples_grid(samples, {"names": names}, SampleParams(count=count, **params))
    return split_grid(grid, 8, 8)[:, :, 0, 0, 0].tolist()


def test_each_row_of_the_grid_is_of_one_class():
    names = ["17", "18", "19"]
    assert make_levels(names, 12, grid=9, columns=3) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert make_levels(names, 8, grid=64, columns=8) == [[0, 3, 6], [1, 4, 7], [2, 5, 255]]
    # Of more classes than rows, evenly spaced ones.
    assert make_levels([str(number) for number in range(6)], 12, grid=6, columns=2) == [
        [0, 6],
        [2, 8],
        [4, 10],
    ]


def test_samples_of_one_class_or_none_are_in_order():
    rows = [[0, 1, 2], [3, 4, 5], [6, 7, 255]]
    assert make_levels([], 8, columns=3) == rows
    assert make_levels(["17", "18"], 8, columns=3, classes="18") == rows
    assert make_levels([], 8, columns=3, grid=7) == rows[:2]
    assert make_levels([], 8, columns=3, grid=2) == [[0, 1]]


def test_fewer_images_than_classes_are_reported_with_both_numbers(caplog):
    latents, labels = keras.Input((2,)), keras.Input((3,))
    flat = keras.layers.Dense(3)(keras.layers.Concatenate()([latents, labels]))
    generator = keras.Model([latents, labels], keras.layers.Reshape((1, 1, 3))(flat))
    classes = {"names": ["a", "b", "c"]}
    for count, classes_asked in ((2, ["a", "b"]), (3, None)):
        generate_samples(generator, classes, SampleParams(count=count, classes=classes_asked))
    assert caplog.text == ""
    generate_samples(generator, classes, SampleParams(count=2))
    assert "sample.count=2 images show the first 2 of 3 classes" in caplog.text
