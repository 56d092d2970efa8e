"""Kernel distances of epochs during a run, on real images of one gray level each."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.feature_extractors import FeatureExtractor
from ganvas.metrics.kid import kernel_distance
from ganvas.networks.sampling import generate_images
from ganvas.pipelines.train import callbacks
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet


def make_collection(train, validation):
    levels = [*train, *validation]
    images = np.full((len(levels), 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)
    # Hashes in the reverse order of the images.
    hashes = [f"{i:03d}" for i in range(len(levels))][::-1]
    splits = ["train"] * len(train) + ["validation"] * len(validation)
    return Collection(images, pd.DataFrame({"split": splits, "hash": hashes}), pd.DataFrame())


def test_kid_is_measured_on_validation_images_with_separate_latents(monkeypatch):
    inputs, latents = keras.Input((8, 8, 3)), keras.Input((2,))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    monkeypatch.setattr(
        callbacks, "load_extractor", lambda name: FeatureExtractor(name, 8, 3, network, None)
    )
    gray = keras.layers.Reshape((1, 1, 1))(keras.ops.tanh(latents[:, :1]))
    images = keras.layers.UpSampling2D(8)(gray)
    generator = keras.Model(latents, keras.ops.repeat(images, 3, axis=-1))
    collection = make_collection([250] * 20, range(20, 140, 10))
    data = TrainingSet(collection.images, collection.split("train"))
    params = TrainParams(seed=4, kid_validation={"interval": 1, "images": 10})
    # No evaluation can have this seed.
    sampled = np.random.default_rng(2**32 + 4).standard_normal((10, 2), dtype=np.float32)
    fake = generate_images(generator, sampled)[:, 0, 0].astype(np.float32)
    # Ordered by their hashes, the first ten are the last ten of the list.
    real = np.repeat(np.arange(130, 30, -10, dtype=np.float32)[:, None], 3, axis=1)
    distance = callbacks.make_kid_measure(collection, data, params)(generator)
    assert distance == pytest.approx(kernel_distance(real, fake), rel=1e-5)


@pytest.mark.parametrize(
    ("validation", "split", "text"),
    [
        (1, "train", "has 1 validation image(s) and 2 are needed: set a higher"),
        (0, "train", "favors copies of them"),
        (12, "validation", "compares 20 generated images with 12 validation images"),
        (20, "validation", ""),
    ],
)
def test_the_images_of_kid_validation_are_named_where_there_are_too_few(
    validation, split, text, caplog
):
    collection = make_collection(range(5), range(validation))
    params = TrainParams(kid_validation={"interval": 1, "images": 20})
    with caplog.at_level("INFO"):
        assert callbacks.choose_kid_split(collection, params) == split
    assert text in caplog.text and bool(caplog.text) == bool(text)
