"""The evaluation's nodes that compare features, on features made up here."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from ganvas.ingestion.collection import Collection
from ganvas.metrics import class_consistency
from ganvas.metrics.extractors import load_extractor
from ganvas.metrics.features import Extractor
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.prdc import compute_prdc
from ganvas.pipelines.evaluate import feature_metrics
from ganvas.pipelines.evaluate.feature_metrics import Features, measure_classes, measure_distances
from ganvas.pipelines.evaluate.params import EvaluateParams

LENGTH = 1280


def seen(generated, training, name="efficientnet_lite0"):
    held_out = np.empty((0, LENGTH), np.float32)
    positions = np.arange(len(training))
    extractor = (
        load_extractor("efficientnet_lite0") if name == "efficientnet_lite0" else blind(name)
    )
    return Features(extractor, generated, training, positions, held_out, positions[:0])


def blind(name):
    """An extractor that knows no classes; features are made up here anyway."""
    inputs = keras.Input((8, 8, 3))
    ones = keras.layers.Dense(LENGTH)(keras.layers.GlobalAveragePooling2D()(inputs))
    return Extractor(name, 8, LENGTH, keras.Model(inputs, ones), None)


@pytest.fixture(autouse=True)
def _quick_classifier(monkeypatch):
    # How well it tells classes is not looked at here.
    monkeypatch.setattr(class_consistency, "STEPS", 10)


@pytest.fixture(scope="module")
def training():
    return np.random.default_rng(0).gamma(1, 0.5, (60, LENGTH)).astype(np.float32)


def test_as_many_of_each_side_are_compared(training):
    generated = np.random.default_rng(1).gamma(1, 0.6, (25, LENGTH)).astype(np.float32)
    found = measure_distances(seen(generated, training), EvaluateParams())
    real, others = training[:25], training[25:50]
    distance, four = found["frechet_distance"], compute_prdc(real, generated)
    assert distance["value"] == pytest.approx(frechet_distance(real, generated))
    assert distance["real"] == pytest.approx(frechet_distance(real, others))
    assert [found[name]["value"] for name in four._fields] == list(four)
    assert all("N=25" in figure["protocol"] for figure in found.values())
    assert "subsets of 12" in found["kernel_distance"]["protocol"]


def test_real_images_in_place_of_generated_ones_get_what_real_ones_get(training):
    found = measure_distances(seen(training[30:], training), EvaluateParams())
    for figure in found.values():
        assert figure["value"] == figure["real"]
    # A mean over subsets is all but exact, and each of them is not.
    assert found["kernel_distance"]["spread"] > 0


def test_too_few_images_have_no_distances(training, caplog):
    assert measure_distances(seen(training[:30], training[:19]), EvaluateParams()) == {}
    assert "9 images a side are too few" in caplog.text


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("inception", {"FID", "KID"}),
        ("InceptionV3", {"FID-keras", "KID-keras"}),
        ("efficientnet_lite2", {"FD-efficientnet_lite2", "KD-efficientnet_lite2"}),
        ("MobileNetV2", {"FD-MobileNetV2", "KD-MobileNetV2"}),
    ],
)
def test_the_names_that_papers_use_are_those_of_their_network_alone(name, allowed, training):
    found = measure_distances(seen(training, training, name), EvaluateParams())
    found |= measure_classes(*by_class(training, name), EvaluateParams())
    told = " ".join(f"{key} {each['title']} {each['protocol']}" for key, each in found.items())
    assert set(re.findall(r"\b(?:FI?D|KI?D)\b[-\w]*", told)) == allowed
    # It knows no classes, so it has no score of that kind.
    assert "class_score" not in found


def by_class(training, name):
    """Features of 60 training images, a third of class "a", each with an image generated."""
    index = pd.DataFrame({"split": "train", "kind": ["a", "b", "b"] * 20})
    images = np.zeros((60, 8, 8, 3), np.uint8)
    collection = Collection(images, index.assign(hash=""), pd.DataFrame())
    target_classes = np.array([0, 1, 1] * 20)
    return (
        seen(training, training, name),
        target_classes,
        collection,
        {"column": "kind", "names": ["a", "b"]},
    )


def test_classes_with_images_enough_have_a_distance_of_their_own(training, monkeypatch):
    monkeypatch.setattr(feature_metrics, "FEWEST_OF_A_CLASS", 15)
    found = measure_classes(*by_class(training, "efficientnet_lite0"), EvaluateParams())
    # Of 20 images of "a" half are the floor's.
    assert [each["of"] for each in found.values()] == [None, "b"]
    target_classes = np.array([0, 1, 1] * 20) == 1
    figure = found["kernel_distance_001"]
    real, others = training[target_classes][:20], training[target_classes][20:40]
    assert figure["value"] == pytest.approx(kernel_distance(real, real), abs=1e-9)
    assert figure["real"] == pytest.approx(kernel_distance(real, others))
    assert "N=20 a side" in figure["protocol"] and "KD-efficientnet_lite0" in figure["title"]


def test_the_head_tells_a_thousand_classes():
    extractor = load_extractor("efficientnet_lite0")
    features = np.random.default_rng(0).uniform(0, 1, (5, LENGTH)).astype(np.float32)
    kernel, bias = (array.astype(float) for array in extractor.head.get_weights())
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.head.predict(features, verbose=0), expected, rtol=1e-3)
    assert expected.shape == (5, 1000)


def test_class_agreement_is_what_a_judge_of_labeled_and_spoilt_images_says(monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 1000)
    taught, train = [], feature_metrics.train_classifier
    monkeypatch.setattr(
        feature_metrics, "train_classifier", lambda *a: taught.append(a) or train(*a)
    )
    shown = np.array([0, 1] * 20 + [1] * 10 + [0, 1, 0, 1])
    # Of the held-out ones the third has a wrong label, and the last has none.
    kinds = ["a", "b"] * 20 + [""] * 10 + ["a", "b", "b", ""]
    index = pd.DataFrame({"split": ["train"] * 50 + ["validation"] * 4, "kind": kinds, "hash": ""})
    colors = np.array([(180, 128, 76), (76, 128, 180)], np.uint8)
    images = colors[shown][:, None, None].repeat(8, axis=1).repeat(8, axis=2)
    told, painted = colors[shown].astype(np.float32), colors[[0, 1, 1, 1]].astype(np.float32)
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    eye, places = Extractor("colors", 8, 3, network, None), np.arange(54)
    features = Features(eye, painted, told[:50], places[:50], told[50:], places[50:])
    collection = Collection(images, index, pd.DataFrame())
    classes, target_classes = {"column": "kind", "names": ["a", "b"]}, np.array([0, 1, 0, 1])
    found = measure_classes(features, target_classes, collection, classes, EvaluateParams())
    assert found["class_agreement"]["value"] == 0.75
    assert found["class_agreement"]["real"] == pytest.approx(2 / 3)
    rows, labels = taught[0][:2]
    assert (rows[:40] == told[:40]).all() and (rows[40:] != told[:40]).any()
    np.testing.assert_array_equal(labels, np.tile([0, 1], 40))


def test_diversity_kernel_distance_and_class_score_are_of_the_generated_images(training):
    generated = np.random.default_rng(1).gamma(1, 0.6, (25, LENGTH)).astype(np.float32)
    found = measure_distances(seen(generated, training), EvaluateParams())
    kernel, bias = load_extractor("efficientnet_lite0").head.get_weights()
    for name, rows in (("value", generated), ("real", training[25:50])):
        assert found["diversity"][name] == pytest.approx(pdist(rows).mean(), rel=1e-6)
        logits = rows.astype(float) @ kernel + bias
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        parts = np.array_split(chances, 10)
        scores = [np.exp(np.mean([entropy(p, part.mean(axis=0)) for p in part])) for part in parts]
        assert found["class_score"][name] == pytest.approx(np.mean(scores), rel=1e-3)
    distance = found["kernel_distance"]
    whole = kernel_distance(training[:25], generated)
    # The mean of 100 subsets.
    assert abs(distance["value"] - whole) < 4 * distance["spread"] / 10
