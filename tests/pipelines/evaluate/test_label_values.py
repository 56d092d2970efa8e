"""Metrics of generators with several label columns, by column and by value."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.class_labels import read_classes
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import write_class_list
from ganvas.metrics import class_consistency
from ganvas.metrics.feature_extractors import FeatureExtractor
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.pairwise import mean_image_distance
from ganvas.pipelines.evaluate.class_metrics import measure_classes
from ganvas.pipelines.evaluate.diversity import measure_class_diversity
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.nodes import draw_classes
from ganvas.pipelines.evaluate.params import EvaluateParams

COUNT, REAL = 120, 200
COLUMNS = ["bright", "red"]
VALUES = ["bright=no", "bright=yes", "red=no", "red=yes"]


def make_images(bright, red, seed, spread=8):
    """Flat images, brighter or redder by their labels, with noise."""
    images = np.full((len(bright), 8, 8, 3), 80.0)
    images += 60 * bright[:, None, None, None]
    images[..., 0] += 60 * red[:, None, None]
    images += np.random.default_rng(seed).normal(0, spread, images.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def made():
    """Generated and real images by two labels, and what they were asked to have."""
    rng = np.random.default_rng(0)
    bright, red = rng.integers(2, size=(2, REAL + 40))
    index = pd.DataFrame(
        {
            "bright": np.where(bright, "yes", "no"),
            "red": np.where(red, "yes", "no"),
            "split": ["train"] * REAL + ["validation"] * 40,
            "hash": [f"{i:03d}" for i in range(REAL + 40)],
        }
    )
    collection = Collection(make_images(bright, red, 1), index, pd.DataFrame())
    class_list = write_class_list(read_classes(index, COLUMNS).table)
    targets, rows = draw_classes(collection, class_list, COUNT, seed=0)
    asked = rows[:, [1, 3]] > 0
    # The first 20 are never red, whatever was asked for.
    generated = make_images(asked[:, 0], asked[:, 1] & (np.arange(COUNT) >= 20), 2, spread=2)
    return collection, class_list, targets, asked, generated


def make_features(collection, generated):
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    extractor = FeatureExtractor("colors", 8, 3, network, None)
    ours, theirs = (x.mean(axis=(1, 2)).astype(np.float32) for x in (generated, collection.images))
    positions = np.arange(len(theirs))
    return Features(
        extractor, ours, theirs[:REAL], positions[:REAL], theirs[REAL:], positions[REAL:]
    )


@pytest.mark.exhaustive
def test_accuracy_is_the_mean_over_the_labels(made, monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 800)
    collection, class_list, targets, asked, generated = made
    features = make_features(collection, generated)
    metrics = measure_classes(features, targets, collection, class_list, EvaluateParams())
    accuracy = metrics.pop("class_agreement")
    right = 1 - (asked[:20, 1]).sum() / COUNT
    assert accuracy["by_label"]["bright"]["value"] > 0.97
    assert accuracy["by_label"]["red"]["value"] == pytest.approx(right, abs=0.03)
    for key in ("value", "real"):
        parts = [accuracy["by_label"][name][key] for name in COLUMNS]
        assert accuracy[key] == pytest.approx(np.mean(parts))
    assert accuracy["real"] > 0.97
    assert "2 label columns with 4 values, the lowest red with 0.9" in accuracy["protocol"]

    # A kernel distance for each value, of the images that have it.
    assert [metric["of"] for metric in metrics.values()] == VALUES
    real = np.stack([collection.index[name] == "yes" for name in COLUMNS], axis=1)[:REAL]
    for number, metric in enumerate(metrics.values()):
        column, value = divmod(number, 2)
        ours = features.generated[asked[:, column] == value]
        theirs = features.training[real[:, column] == value]
        count = min(len(ours), len(theirs) // 2)
        expected = kernel_distance(theirs[:count], ours[:count])
        assert metric["value"] == pytest.approx(expected, rel=1e-5)


def test_diversity_is_that_of_the_worst_value(made):
    collection, class_list, targets, asked, generated = made
    features = make_features(collection, generated)._replace(extractor=None)
    metrics = measure_class_diversity(
        generated, targets, features, collection, class_list, EvaluateParams()
    )
    assert metrics.keys() == {"class_diversity_pixels", "class_nearest_pixels"}
    metric = metrics["class_diversity_pixels"]
    real = np.stack([collection.index[name] == "yes" for name in COLUMNS], axis=1)[:REAL]
    expected = {
        f"{name}={'yes' if value else 'no'}": mean_image_distance(
            generated[asked[:, column] == value]
        )
        / mean_image_distance(collection.images[:REAL][real[:, column] == value])
        for column, name in enumerate(COLUMNS)
        for value in (0, 1)
    }
    assert metric["by_class"] == pytest.approx(expected, rel=1e-5)
    assert metric["value"] == min(expected.values())
    assert "the worst of 4 values of bright, red" in metric["protocol"]
    assert 0.7 < metric["real"] <= 1.1
    assert metrics["class_nearest_pixels"]["by_class"].keys() == expected.keys()
