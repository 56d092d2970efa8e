"""What looks at a run: figures of samples and of epochs, by real images of one gray each."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.feature_extractors import Extractor
from ganvas.metrics.kid import kernel_distance
from ganvas.networks.sampling import generate_images
from ganvas.pipelines.train import callbacks
from ganvas.training.batches import TrainingSet
from ganvas.training.config import TrainParams


def grays(levels):
    return np.full((len(levels), 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)


def collect(train, validation):
    splits = ["train"] * len(train) + ["validation"] * len(validation)
    # Hashes go against the order of the list.
    hashes = [f"{number:03d}" for number in range(len(splits))][::-1]
    index = pd.DataFrame({"split": splits, "hash": hashes})
    return Collection(grays([*train, *validation]), index, pd.DataFrame())


def test_samples_are_measured_by_real_images():
    rows = [{"epoch": 1, "real_score": 0.5, "fake_score": 0.5}]
    watch = callbacks.make_watch(collect([0, 100], [30, 40]), TrainParams())
    assert watch(rows, grays([10, 60])) == []
    # 50 apart instead of 100; 10 and 40 from the nearest, where held-out ones keep 30 and 40.
    assert rows[-1]["diversity"] == pytest.approx(0.5)
    assert rows[-1]["novelty"] == pytest.approx(25 / 35)
    assert [each.name for each in watch(rows, grays([0, 100]))] == ["memorizing"]


def test_epochs_are_judged_by_held_out_images_from_latents_of_their_own(monkeypatch):
    inputs, latents = keras.Input((8, 8, 3)), keras.Input((2,))
    eye = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    monkeypatch.setattr(callbacks, "load_extractor", lambda name: Extractor(name, 8, 3, eye, None))
    gray = keras.layers.Reshape((1, 1, 1))(keras.ops.tanh(latents[:, :1]))
    images = keras.layers.UpSampling2D(8)(gray)
    generator = keras.Model(latents, keras.ops.repeat(images, 3, axis=-1))
    collection = collect([250] * 20, range(20, 140, 10))
    data = TrainingSet(collection.images, collection.split("train"))
    params = TrainParams(seed=4, kid_validation={"interval": 1, "images": 10})
    # No evaluation can have this seed.
    drawn = np.random.default_rng(2**32 + 4).standard_normal((10, 2), dtype=np.float32)
    painted = generate_images(generator, drawn)[:, 0, 0].astype(np.float32)
    # By their hashes the ten that come last in the list.
    real = np.repeat(np.arange(130, 30, -10, dtype=np.float32)[:, None], 3, axis=1)
    found = callbacks.make_judge(collection, data, params)(generator)
    assert found == pytest.approx(kernel_distance(real, painted), rel=1e-5)
