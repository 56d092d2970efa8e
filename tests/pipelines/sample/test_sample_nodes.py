"""Which classes are sampled, and how the samples are arranged."""

import json
import math

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import MANIFEST
from ganvas.pipelines.sample.nodes import (
    GRID,
    generate_samples,
    make_samples_grid,
    select_classes,
)
from ganvas.pipelines.sample.params import SampleParams
from ganvas.visualization.image_grid import split_grid
from shaped_models import build_generator


def test_classes_are_sampled_in_the_order_requested():
    names = {"column": "style", "names": ["17", "18", "19"]}
    selected = select_classes(names, ["19", "17"])
    assert selected.names == ["19", "17"]
    assert selected.weigh(np.arange(2)).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert select_classes(names, None).names == names["names"]
    with pytest.raises(GanvasError, match="has '20', but this generator has the classes 17, 18, 1"):
        select_classes(names, "20")
    with pytest.raises(GanvasError, match="has '20', but this generator has no classes"):
        select_classes({"column": None, "names": []}, "20")


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


def test_fewer_images_than_classes_are_reported_with_both_numbers(tmp_path, caplog):
    latents, labels = keras.Input((2,)), keras.Input((3,))
    flat = keras.layers.Dense(3)(keras.layers.Concatenate()([latents, labels]))
    generator = keras.Model([latents, labels], keras.layers.Reshape((1, 1, 3))(flat))
    classes = {"names": ["a", "b", "c"]}
    for count, classes_asked in ((2, ["a", "b"]), (3, None)):
        generate_samples(
            generator, classes, tmp_path, SampleParams(count=count, classes=classes_asked)
        )
    assert caplog.text == ""
    generate_samples(generator, classes, tmp_path, SampleParams(count=2))
    assert "sample.count=2 images show the first 2 of 3 classes" in caplog.text


@pytest.mark.parametrize("shape", [(96, 64, 3), (64, 64, 1), (64, 64, 4)])
def test_samples_have_the_shape_of_the_generator(shape, tmp_path):
    generator = build_generator(shape)
    samples = dict(generate_samples(generator, {"names": []}, tmp_path, SampleParams(count=2)))
    assert [image.shape for image in samples.values()] == [shape, shape]
    loads = {name: lambda image=image: image for name, image in samples.items()}
    grid = make_samples_grid(loads, {"names": []}, SampleParams(count=2))
    assert grid.shape == (shape[0] + 4, 2 * shape[1] + 6, 3)
    # Transparent parts are on a checkerboard.
    ground = split_grid(grid, *shape[:2])[0, 0][:4, 4:12]
    assert len(np.unique(ground)) == (2 if shape[2] == 4 else 1)


def test_the_grid_of_large_samples_is_reduced():
    large = np.zeros((1024, 512, 4), np.uint8)
    samples = {f"seed0_{number:06d}": lambda: large for number in range(16)}
    grid = make_samples_grid(samples, {"names": []}, SampleParams())
    assert grid.shape == (2 * 364 + 2, 8 * 183 + 2, 3)


def test_stretched_samples_get_back_their_aspect_ratio(tmp_path, caplog):
    caplog.set_level("INFO")
    generator, classes = build_generator((64, 64, 4)), {"names": []}
    params = SampleParams(count=1, unstretch=True)
    with pytest.raises(GanvasError, match=r"sample\.unstretch=true needs .* none recorded"):
        generate_samples(generator, classes, tmp_path, params)
    for damaged in (0, -1.5, math.nan):
        (tmp_path / MANIFEST).write_text(json.dumps({"aspect": damaged}))
        with pytest.raises(GanvasError, match="none recorded"):
            generate_samples(generator, classes, tmp_path, params)
    (tmp_path / MANIFEST).write_text(json.dumps({"aspect": 1.5}))
    ((_, image),) = generate_samples(generator, classes, tmp_path, params)
    assert image.shape == (64, 96, 4)
    # The disk is in the center still, and the ground transparent.
    assert image[32, 48, 3] > 230 and image[2, 2, 3] < 20
    ((_, image),) = generate_samples(generator, classes, tmp_path, SampleParams(count=1))
    assert image.shape == (64, 64, 4)
    assert "sample.unstretch=true gives it back" in caplog.text
