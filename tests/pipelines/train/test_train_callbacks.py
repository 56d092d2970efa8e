"""Metrics of samples and of epochs during a run, on real images of one gray level each."""

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


def gray_images(levels):
    return np.full((len(levels), 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)


def make_collection(train, validation):
    splits = ["train"] * len(train) + ["validation"] * len(validation)
    # Hashes in the reverse order of the images.
    hashes = [f"{i:03d}" for i in range(len(splits))][::-1]
    index = pd.DataFrame({"split": splits, "hash": hashes})
    return Collection(gray_images([*train, *validation]), index, pd.DataFrame())


def test_samples_are_compared_with_real_images():
    rows = [{"epoch": 1, "real_score": 0.5, "fake_score": 0.5}]
    diagnose = callbacks.make_diagnosis(make_collection([0, 100], [30, 40]), TrainParams())
    assert diagnose(rows, gray_images([10, 60])) == []
    # 50 apart instead of 100; 10 and 40 from the nearest, while validation images keep 30 and 40.
    assert rows[-1]["diversity"] == pytest.approx(0.5)
    assert rows[-1]["novelty"] == pytest.approx(25 / 35)
    warnings = diagnose(rows, gray_images([0, 100]))
    assert [warning.name for warning in warnings] == ["memorization"]


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
