"""Nodes of the invert pipeline, and what is checked before a run."""

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.hooks import check_inverted
from ganvas.ingestion.image_sets import ImageSet
from ganvas.latents.inversion import Inversion
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.invert.nodes import (
    Inverted,
    _find_class,
    describe_medians,
    draw_inverted,
    list_distances,
    make_inverter,
    read_label_rows,
    read_originals,
)
from ganvas.pipelines.invert.params import InvertParams

CLASSES = {"column": "genre", "names": ["sea", "sky"]}
COLUMNS = {
    "column": "hat, age",
    "names": ["hat=no, age=old", "hat=yes, age=old"],
    "labels": [{"column": "hat", "values": ["no", "yes"]}, {"column": "age", "values": ["old"]}],
    "rows": [[0.5, 0, 0.5], [0, 0.5, 0.5]],
}


@pytest.fixture
def generator():
    inputs = keras.Input((2,))
    images = keras.layers.Reshape((32, 32, 1))(keras.layers.Dense(32 * 32)(inputs))
    return keras.Model(inputs, images)


def read(folder, generator, **params) -> ImageSet:
    ingest = IngestParams(size=32, workers=1)
    invert = InvertParams(images=str(folder), **params)
    return read_originals(generator, folder / "unpacked", invert, ingest)


def test_images_are_read_in_the_shape_of_the_generator(tmp_path, generator, caplog):
    for number, side in enumerate((40, 64, 100)):
        Image.new("RGB", (side, 40), (90 * number, 90 * number, 90 * number)).save(
            tmp_path / f"{number}.png"
        )
    (tmp_path / "broken.png").write_bytes(b"no image")
    images = read(tmp_path, generator)
    assert images.images.shape == (3, 32, 32, 1)
    assert images.images.mean(axis=(1, 2, 3)).tolist() == [0, 90, 180]
    assert images.index["path"].tolist() == ["0.png", "1.png", "2.png"]
    assert "1 files can't be used, such as broken.png" in caplog.text
    assert read(tmp_path / "2.png", generator).images.mean() == 180
    assert len(read(tmp_path, generator, count=2).images) == 2
    assert "set invert.count to 4 for all" in caplog.text


@pytest.mark.parametrize("name", ["nothing", "broken.png"])
def test_what_has_no_image_is_an_error(tmp_path, generator, name):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(GanvasError) as raised:
        read(tmp_path / name, generator)
    assert name in str(raised.value)


def test_without_images_the_parameter_is_named():
    with pytest.raises(GanvasError, match=r"--pipelines=invert --params=invert.images=/path"):
        check_inverted(InvertParams())
    check_inverted(InvertParams(images="mine"))


def test_a_class_is_found_by_its_name():
    assert _find_class(CLASSES, None, 3) is None
    np.testing.assert_array_equal(_find_class(CLASSES, "sky", 2), [[0, 1], [0, 1]])
    expected = np.array([[0, 0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(_find_class(COLUMNS, "hat=yes, age=old", 1), expected)
    with pytest.raises(GanvasError, match="has the classes sea, sky: choose"):
        _find_class(CLASSES, "wood", 2)
    with pytest.raises(GanvasError, match="has no classes"):
        _find_class({"column": None, "names": []}, "wood", 2)


def test_rows_of_several_columns_are_read():
    assert read_label_rows(CLASSES) == (None, None)
    rows, blocks = read_label_rows(COLUMNS)
    assert blocks == [2, 1] and rows.tolist() == COLUMNS["rows"]


def test_a_damaged_encoder_is_an_error(generator):
    with pytest.raises(GanvasError, match=r"encoder.npz of this generator can't be used"):
        make_inverter(generator, {"matrix": np.zeros((2, 2))}, {"column": None, "names": []})


def make_inverted(nearest: bool) -> Inverted:
    images = np.zeros((3, 32, 32, 3), np.uint8)
    index = pd.DataFrame({"path": ["a.png", "b/c.png", "d.png"], "class": ["", "b", ""]})
    labels = np.array([[1, 0], [0.2, 0.8], [0, 1]], np.float32)
    values = np.array([0.1, 0.2, 0.3], np.float32)
    found = Inversion(np.zeros((3, 2)), labels, images, values, 2 * values)
    both = np.stack([values, values])
    real = ((images, both), both) if nearest else (None, None)
    return Inverted(ImageSet(images, index, pd.DataFrame()), found, found, *real)


@pytest.mark.parametrize("nearest", [False, True])
def test_distances_and_images_are_shown_side_by_side(nearest):
    inverted = make_inverted(nearest)
    table = list_distances(inverted, CLASSES)
    assert table["class"].tolist() == ["sea", "sky", "sky"]
    assert table["feature_distance"].tolist() == [0.2, 0.4, 0.6]
    assert ("nearest_training_feature_distance" in table) == nearest
    sheet = draw_inverted(inverted)
    assert sheet.shape[1] > 32 * (3 + nearest) and sheet.dtype == np.uint8


def test_medians_are_described_in_one_line():
    one = {"pixel_distance": 0.0812, "feature_distance": 0.4511}
    text = describe_medians({"images": one, "nearest_training": one})
    assert text == "images 0.45 in features and 0.081 in pixels, nearest training 0.45 and 0.081"
