"""The nodes that compare features, on synthetic features."""

import re

import keras
import numpy as np
import pytest
from prdc import compute_prdc as published_prdc
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from ganvas.metrics.feature_extractors import FeatureExtractor, load_extractor
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.prdc import compute_prdc
from ganvas.pipelines.evaluate import feature_metrics
from ganvas.pipelines.evaluate.feature_metrics import Features, measure_distances
from ganvas.pipelines.evaluate.params import EvaluateParams

LENGTH = 1280


def make_features(generated, training, name="efficientnet_lite0"):
    validation = np.empty((0, LENGTH), np.float32)
    positions = np.arange(len(training))
    extractor = (
        load_extractor(name) if name == "efficientnet_lite0" else make_headless_extractor(name)
    )
    return Features(extractor, generated, training, positions, validation, positions[:0])


def make_headless_extractor(name):
    """An extractor that predicts no ImageNet classes; its own features are not used here."""
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Dense(LENGTH)(keras.layers.GlobalAveragePooling2D()(inputs))
    return FeatureExtractor(name, 8, LENGTH, keras.Model(inputs, features), None)


@pytest.fixture(scope="module")
def training():
    return np.random.default_rng(0).gamma(1, 0.5, (60, LENGTH)).astype(np.float32)


@pytest.mark.slow
def test_both_sides_have_the_same_number_of_images(training):
    generated = np.random.default_rng(1).gamma(1, 0.6, (25, LENGTH)).astype(np.float32)
    metrics = measure_distances(make_features(generated, training), EvaluateParams())
    real, baseline = training[:25], training[25:50]
    distance, prdc = metrics["frechet_distance"], compute_prdc(real, generated)
    assert distance["value"] == pytest.approx(frechet_distance(real, generated))
    assert distance["real"] == pytest.approx(frechet_distance(real, baseline))
    assert [metrics[name]["value"] for name in prdc._fields] == list(prdc)
    assert all("N=25" in metric["protocol"] for metric in metrics.values())
    assert "subsets of 12" in metrics["kernel_distance"]["protocol"]


@pytest.mark.slow
def test_real_images_in_place_of_generated_ones_have_the_baseline(training):
    metrics = measure_distances(make_features(training[30:], training), EvaluateParams())
    for metric in metrics.values():
        assert metric["value"] == metric["real"]
    # A mean over subsets is all but exact, and each of them is not.
    assert metrics["kernel_distance"]["spread"] > 0


def test_too_few_images_have_no_distances(training, caplog):
    assert measure_distances(make_features(training[:30], training[:19]), EvaluateParams()) == {}
    assert "9 images a side (half of the 19 training images" in caplog.text
    assert caplog.messages[-1].endswith("which needs 10: ingest more images.")


@pytest.mark.parametrize(
    ("generated", "training", "real", "limited", "advice"),
    [
        (500, 1000, 1000, (500, "evaluate.count=500"), "raise evaluate.count"),
        (2000, 65, 1000, (32, "half of the 65 training images"), "raise evaluate.count"),
        (2000, 60, 60, (30, "half of evaluate.real=60"), "raise evaluate.count"),
        (500, 10, 10, (5, "half of evaluate.real=10"), "raise evaluate.real"),
        (5, 10, 10, (5, "evaluate.count=5"), "raise evaluate.count and raise evaluate.real"),
        (500, 10, 99, (5, "half of the 10 training images"), "ingest more images"),
    ],
)
def test_what_limits_a_comparison_is_named_and_is_what_the_advice_raises(
    generated, training, real, limited, advice
):
    params = EvaluateParams(count=generated, real=real)
    count, limit = feature_metrics.limit_comparison(generated, training, params)
    assert count == limited[0] and limit.startswith(limited[1])
    assert feature_metrics.advise_more_images(generated, training, params, 10, 20) == advice


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("inception", {"FID", "KID"}),
        ("InceptionV3", {"FID-keras", "KID-keras"}),
        ("efficientnet_lite2", {"FD-efficientnet_lite2", "KD-efficientnet_lite2"}),
        ("MobileNetV2", {"FD-MobileNetV2", "KD-MobileNetV2"}),
    ],
)
def test_metrics_are_called_fid_and_kid_with_the_original_network_only(name, allowed, training):
    metrics = measure_distances(make_features(training, training, name), EvaluateParams())
    text = " ".join(
        f"{key} {metric['title']} {metric['protocol']}" for key, metric in metrics.items()
    )
    assert set(re.findall(r"\b(?:FI?D|KI?D)\b[-\w]*", text)) == allowed
    # Without predicted classes there is no class score.
    assert "class_score" not in metrics


def test_the_head_predicts_a_thousand_classes():
    extractor = load_extractor("efficientnet_lite0")
    features = np.random.default_rng(0).uniform(0, 1, (5, LENGTH)).astype(np.float32)
    kernel, bias = (array.astype(float) for array in extractor.head.get_weights())
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.head.predict(features, verbose=0), expected, rtol=1e-3)
    assert expected.shape == (5, 1000)


def test_diversity_kernel_distance_and_class_score_are_of_the_generated_images(training):
    generated = np.random.default_rng(1).gamma(1, 0.6, (25, LENGTH)).astype(np.float32)
    metrics = measure_distances(make_features(generated, training), EvaluateParams())
    kernel, bias = load_extractor("efficientnet_lite0").head.get_weights()
    for key, features in (("value", generated), ("real", training[25:50])):
        assert metrics["diversity"][key] == pytest.approx(pdist(features).mean(), rel=1e-6)
        logits = features.astype(float) @ kernel + bias
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        splits = np.array_split(probabilities, 10)
        scores = [
            np.exp(np.mean([entropy(p, split.mean(axis=0)) for p in split])) for split in splits
        ]
        assert metrics["class_score"][key] == pytest.approx(np.mean(scores), rel=1e-3)
    distance = metrics["kernel_distance"]
    whole = kernel_distance(training[:25], generated)
    # The mean of 100 subsets.
    assert abs(distance["value"] - whole) < 4 * distance["spread"] / 10


def make_all(generated, training, validation):
    """Features for the protocol of papers."""
    features = make_features(generated, training, "numbers")
    return features._replace(validation=validation, protocol="all")


@pytest.mark.parametrize("count", [30, 12])
def test_papers_compare_all_training_images_with_any_number(training, count):
    rng = np.random.default_rng(1)
    generated = rng.gamma(1, 0.6, (30, LENGTH)).astype(np.float32)
    validation = rng.gamma(1, 0.5, (count, LENGTH)).astype(np.float32)
    # It doesn't limit the training images.
    params = EvaluateParams(protocol="all", real=20)
    metrics = measure_distances(make_all(generated, training, validation), params)
    assert all("N=30 generated images and all M=60" in x["protocol"] for x in metrics.values())
    assert all(f"baseline: {count} validation" in x["protocol"] for x in metrics.values())
    prdc = {key: metrics[key]["value"] for key in ("precision", "recall", "density", "coverage")}
    assert prdc == pytest.approx(published_prdc(training, generated, nearest_k=5), abs=1e-6)

    def kernel(a, b):
        return (a.astype(np.float64) @ b.T.astype(np.float64) / LENGTH + 1) ** 3

    within = [(kernel(x, x).sum() - kernel(x, x).trace()) for x in (training, generated)]
    expected = (
        within[0] / (60 * 59) + within[1] / (30 * 29) - 2 * kernel(training, generated).mean()
    )
    assert metrics["kernel_distance"]["value"] == pytest.approx(expected, rel=1e-6)
    # Only with as many validation images can all metrics be compared with theirs.
    baselines = {key for key, metric in metrics.items() if metric["real"] is not None}
    unbiased = {"kernel_distance", "precision", "density", "diversity"}
    assert baselines == (set(metrics) if count == 30 else unbiased)
    real = metrics["precision"]["real"]
    assert real == pytest.approx(published_prdc(training, validation, nearest_k=5)["precision"])


def test_the_protocol_of_papers_names_its_limits(training, caplog):
    empty = np.empty((0, LENGTH), np.float32)
    params = EvaluateParams(protocol="all", count=9)
    assert measure_distances(make_all(training[:9], training, empty), params) == {}
    assert "9 images a side (9 generated and 60 training images) are too few" in caplog.text
    assert caplog.messages[-1].endswith("raise evaluate.count.")
    metrics = measure_distances(make_all(training[:20], training, empty), params)
    assert all(metric["real"] is None for metric in metrics.values())
    features = make_all(training[:20], training, empty)
    assert feature_metrics.name_comparison(features) == "numbers with all training images"
