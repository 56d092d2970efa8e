"""The node that measures classes: accuracy, and kernel distances within classes."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics import class_consistency
from ganvas.metrics.feature_extractors import FeatureExtractor
from ganvas.metrics.kid import kernel_distance
from ganvas.pipelines.evaluate import class_metrics
from ganvas.pipelines.evaluate.class_metrics import measure_classes
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.params import EvaluateParams


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("inception", "Kernel distance (KID)"),
        ("InceptionV3", "Kernel distance (KID-keras)"),
        ("efficientnet_lite0", "Kernel distance (KD-efficientnet_lite0)"),
        ("MobileNetV2", "Kernel distance (KD-MobileNetV2)"),
    ],
)
def test_classes_with_enough_images_have_a_kernel_distance(name, title, monkeypatch):
    monkeypatch.setattr(class_metrics, "MIN_CLASS_IMAGES", 15)
    monkeypatch.setattr(class_consistency, "STEPS", 10)
    # A third of 60 training images is of class "a"; each has a generated image.
    index = pd.DataFrame({"split": "train", "kind": ["a", "b", "b"] * 20, "hash": ""})
    collection = Collection(np.zeros((60, 8, 8, 3), np.uint8), index, pd.DataFrame())
    training = np.random.default_rng(0).gamma(1, 0.5, (60, 32)).astype(np.float32)
    inputs = keras.Input((8, 8, 3))
    network = keras.layers.Dense(32)(keras.layers.GlobalAveragePooling2D()(inputs))
    extractor = FeatureExtractor(name, 8, 32, keras.Model(inputs, network), None)
    positions = np.arange(60)
    features = Features(extractor, training, training, positions, training[:0], positions[:0])
    target_classes = np.array([0, 1, 1] * 20)
    class_list = {"column": "kind", "names": ["a", "b"]}
    metrics = measure_classes(features, target_classes, collection, class_list, EvaluateParams())
    # Half of the 20 images of "a" are for the baseline, so 10 are left.
    assert [metric["of"] for metric in metrics.values()] == [None, "b"]
    metric = metrics["kernel_distance_001"]
    in_class = training[target_classes == 1]
    real, baseline = in_class[:20], in_class[20:40]
    assert metric["value"] == pytest.approx(kernel_distance(real, real), abs=1e-9)
    assert metric["real"] == pytest.approx(kernel_distance(real, baseline))
    assert "N=20 a side" in metric["protocol"] and metric["title"] == title


@pytest.mark.slow
def test_class_accuracy_is_that_of_a_classifier_of_labeled_and_degraded_images(monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 1000)
    calls, train = [], class_consistency.train_classifier
    monkeypatch.setattr(
        class_consistency, "train_classifier", lambda *args: calls.append(args) or train(*args)
    )
    color_numbers = np.array([0, 1] * 20 + [1] * 10 + [0, 1, 0, 1])
    # Of the validation images the third has a wrong label, and the last has none.
    kinds = ["a", "b"] * 20 + [""] * 10 + ["a", "b", "b", ""]
    index = pd.DataFrame({"split": ["train"] * 50 + ["validation"] * 4, "kind": kinds, "hash": ""})
    colors = np.array([(180, 128, 76), (76, 128, 180)], np.uint8)
    images = colors[color_numbers][:, None, None].repeat(8, axis=1).repeat(8, axis=2)
    real = colors[color_numbers].astype(np.float32)
    generated = colors[[0, 1, 1, 1]].astype(np.float32)
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    extractor, positions = FeatureExtractor("colors", 8, 3, network, None), np.arange(54)
    features = Features(extractor, generated, real[:50], positions[:50], real[50:], positions[50:])
    collection = Collection(images, index, pd.DataFrame())
    class_list, target_classes = {"column": "kind", "names": ["a", "b"]}, np.array([0, 1, 0, 1])
    metrics = measure_classes(features, target_classes, collection, class_list, EvaluateParams())
    assert metrics["class_agreement"]["value"] == 0.75
    assert metrics["class_agreement"]["real"] == pytest.approx(2 / 3)
    inputs, labels = calls[0][:2]
    assert (inputs[:40] == real[:40]).all() and (inputs[40:] != real[:40]).any()
    np.testing.assert_array_equal(labels, np.tile([0, 1], 40))
