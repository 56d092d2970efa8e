import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.metrics import features
from ganvas.metrics.features import Extractor, extract, resize


@pytest.fixture
def averages():
    """An extractor that gives the mean of each quarter of each channel, at 8×8 pixels."""
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(inputs))
    return Extractor("averages", 8, 12, keras.Model(inputs, outputs), None)


def test_images_of_any_size_in_order(averages):
    levels = np.arange(37, dtype=np.uint8) * 5
    images = np.ones((37, 20, 13, 3), np.uint8) * levels[:, None, None, None]
    found = extract(averages, images)
    assert found.shape == (37, 12) and found.dtype == np.float32
    np.testing.assert_allclose(found, levels[:, None] * np.ones(12), rtol=1e-5)


def test_no_images(averages):
    assert extract(averages, np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 12)


def test_only_a_batch_is_read_and_computed_at_a_time(averages, images, tmp_path):
    np.save(tmp_path / "images.npy", np.concatenate([images] * 3))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    shapes = []

    class Watched:
        def predict_on_batch(self, batch):
            shapes.append(batch.shape)
            return averages.network.predict_on_batch(batch)

    found = extract(Extractor(averages.name, 8, 12, Watched(), averages.head), mapped)
    assert shapes == [(features.BATCH, 8, 8, 3)] * -(-60 // features.BATCH)
    np.testing.assert_array_equal(found, np.concatenate([extract(averages, images)] * 3))


def test_progress_only_with_a_description(averages, images, monkeypatch):
    described = []

    def track(items, description):
        described.append(description)
        return items

    monkeypatch.setattr(features, "track", track)
    silent = extract(averages, images)
    assert described == []
    np.testing.assert_array_equal(extract(averages, images, "Looking"), silent)
    assert described == ["Looking"]


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = resize(stripes, 16)
    # Away from the border; without antialiasing every column would be black or white.
    np.testing.assert_allclose(shrunk[:, 2:-2], 127.5, atol=1)


def test_resizing_keeps_fractions_and_the_range():
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    enlarged = resize(edge, 224)
    assert enlarged.dtype == np.float32 and enlarged.shape == (224, 224, 3)
    assert enlarged.min() == 0 and enlarged.max() == 255
    assert np.any(enlarged != np.round(enlarged))
    rounded = np.asarray(Image.fromarray(edge).resize((224, 224), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(enlarged, rounded, atol=1)


def test_channels_stay_apart_and_the_sides_too():
    image = np.zeros((12, 30, 3), np.uint8)
    image[:6, :, 0] = 200
    image[:, :15, 1] = 100
    found = resize(image, 6)
    assert found[0, 3].round().tolist()[0] == 200 and found[5, 3, 0] == 0
    assert found[3, 0, 1] == pytest.approx(100, abs=1) and found[3, 5, 1] == 0
    assert not found[..., 2].any()
