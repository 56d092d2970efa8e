"""The node that measures diversity within classes, on noise around an image per class."""

from itertools import combinations

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.feature_extractors import FeatureExtractor
from ganvas.pipelines.evaluate import diversity
from ganvas.pipelines.evaluate.diversity import measure_class_diversity
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.report.verdict import assess_run

NAMES = ["Dada", "Op", "Pop"]
CLASS_LIST, NO_CLASSES = {"column": "kind", "names": NAMES}, {"column": None, "names": []}
EXTRACTOR = FeatureExtractor("numbers", 8, 192, keras.Sequential(), None)
PARAMS = EvaluateParams()
# Of the training images.
POSITIONS = np.random.default_rng(4).permutation(100)
SPACES = ("pixels", "features")


def make_images(labels, spread, seed):
    """Noise around an image per class, whose spread in gray levels is given per class."""
    centers = np.random.default_rng(9).integers(60, 196, (3, 8, 8, 3))
    noise = np.random.default_rng(seed).normal(size=(len(labels), 8, 8, 3))
    deviations = np.resize(spread, 3)[labels].reshape(-1, 1, 1, 1)
    return np.clip(np.rint(centers[labels] + deviations * noise), 0, 255).astype(np.uint8)


def as_features(images):
    return images.reshape(len(images), -1).astype(np.float32) ** 2


@pytest.fixture
def real():
    """A collection of 40, 50 and 10 training images of the classes, and their labels."""
    labels = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [40, 50, 10]))
    index = pd.DataFrame({"kind": np.array(NAMES)[labels], "split": "train", "hash": ""})
    return Collection(make_images(labels, 20, seed=2), index, pd.DataFrame()), labels


def measure(real, labels, spread, class_list=CLASS_LIST, extractor=EXTRACTOR):
    """Measure generated images of these classes, with so much noise."""
    generated = make_images(labels, spread, seed=3)
    metrics = measure_images(real, generated, labels, class_list, extractor)
    return metrics, generated, POSITIONS


def measure_images(real, generated, labels, class_list=CLASS_LIST, extractor=EXTRACTOR):
    collection, _ = real
    ours, theirs = as_features(generated), as_features(collection.images[POSITIONS])
    if extractor is None:
        ours = theirs = np.empty((0, 0), np.float32)
    features = Features(extractor, ours, theirs, POSITIONS, theirs[:0], POSITIONS[:0])
    targets = labels if class_list["names"] else np.zeros(len(labels), int)
    return measure_class_diversity(generated, targets, features, collection, class_list, PARAMS)


def mean_distance(vectors):
    flat = vectors.reshape(len(vectors), -1).astype(float)
    return np.mean([np.linalg.norm(a - b) for a, b in combinations(flat, 2)])


def naive_nearest(vectors, size):
    """Return the mean distance to the nearest other one in consecutive subsets."""
    flat, nearest = vectors.reshape(len(vectors), -1).astype(float), []
    for start in range(0, len(flat) // size * size, size):
        part = flat[start : start + size]
        for i, a in enumerate(part):
            nearest.append(min(np.linalg.norm(a - b) for j, b in enumerate(part) if j != i))
    return np.mean(nearest)


def test_the_value_is_that_of_the_worst_class(real):
    collection, real_labels = real
    labels = np.repeat([0, 1, 2], [30, 20, 7])
    metrics, generated, positions = measure(real, labels, [20, 5, 20])
    for key, convert in (("pixels", np.asarray), ("features", as_features)):
        metric = metrics[f"class_diversity_{key}"]
        expected = {
            NAMES[label]: mean_distance(convert(generated[labels == label]))
            / mean_distance(convert(collection.images[real_labels == label]))
            for label in (0, 1)
        }
        # Seven images of "Pop" are too few.
        assert metric["by_class"] == pytest.approx(expected, rel=1e-5)
        assert metric["value"] == metric["by_class"]["Op"] < 0.4
        assert "the worst of 2 classes of kind, Op;" in metric["protocol"]
        # Among as many images as the smaller side has.
        sizes = {
            label: min((labels == label).sum(), (real_labels == label).sum()) for label in (0, 1)
        }
        shares = {
            NAMES[label]: naive_nearest(convert(generated[labels == label]), size)
            / naive_nearest(
                convert(collection.images[positions][real_labels[positions] == label]), size
            )
            for label, size in sizes.items()
        }
        nearest = metrics[f"class_nearest_{key}"]
        assert nearest["by_class"] == pytest.approx(shares, rel=1e-5)
        assert nearest["value"] == nearest["by_class"]["Op"] < 0.4
        # The baseline is the worst of the classes with 8 images in each half.
        ratios, nearest_ratios = [], []
        for label in (0, 1):
            chosen = positions[real_labels[positions] == label]
            halves = np.split(convert(collection.images[chosen]), 2)
            ratios.append(mean_distance(halves[0]) / mean_distance(halves[1]))
            size = len(halves[0])
            nearest_ratios.append(naive_nearest(halves[0], size) / naive_nearest(halves[1], size))
        assert metric["real"] == pytest.approx(min(ratios), rel=1e-5)
        assert nearest["real"] == pytest.approx(min(nearest_ratios), rel=1e-5)
        assert metric["real"] == pytest.approx(1, abs=0.1)


def test_real_images_in_place_of_generated_ones_are_as_diverse(real):
    metrics, _, _ = measure(real, np.repeat([0, 1, 2], 40), 20)
    assert metrics["class_diversity_pixels"]["value"] == pytest.approx(1, abs=0.05)
    assert len(metrics["class_diversity_pixels"]["by_class"]) == 3


@pytest.mark.parametrize(
    ("repeated", "found"),
    [
        (1, "Mode collapse within classes"),
        (2, "Mode collapse within classes"),
        (8, "Repeated images within classes"),
        (None, "Varied"),
    ],
)
@pytest.mark.parametrize("class_list", [CLASS_LIST, NO_CLASSES], ids=["classes", "clusters"])
def test_one_two_or_eight_images_a_class_are_told_from_a_varied_generator(
    real, class_list, repeated, found
):
    targets = np.repeat([0, 1, 2], 48)
    count = repeated or 48
    varied = make_images(targets, 20, seed=3)
    generated = varied[48 * targets + np.arange(144) % count]
    metrics = measure_images(real, generated, targets, class_list)
    assert metrics.keys() == {
        f"class_{kind}_{space}" for kind in ("diversity", "nearest") for space in SPACES
    }
    for space in SPACES:
        # Of 47 others, 48 / count - 1 are copies.
        expected = (48 - 48 / count) / 47
        assert metrics[f"class_diversity_{space}"]["value"] == pytest.approx(expected, abs=0.1)
        nearest = metrics[f"class_nearest_{space}"]
        assert nearest["value"] == pytest.approx(0.0 if repeated else 1.0, abs=0.1)
        assert nearest["real"] == pytest.approx(1, abs=0.1)
        kind = "class" if class_list["names"] else "cluster"
        assert f"the nearest other one of their {kind} relative to" in nearest["protocol"]
    training = {"classes": class_list, "ended_by": "steps", "message": "", "steps": 9}
    summary = assess_run(metrics, training).summary
    assert summary.startswith(
        found if class_list["names"] else found.replace("classes", "groups of similar images")
    )


@pytest.mark.parametrize("extractor", [EXTRACTOR, None])
def test_without_classes_clusters_take_their_place(real, extractor):
    labels = np.repeat([0, 1, 2], [40, 50, 10])
    key = "class_diversity_features" if extractor else "class_diversity_pixels"
    for spread, expected in ((20, 1), (4, 0.2)):
        metrics, _, _ = measure(real, labels, spread, NO_CLASSES, extractor)
        assert len(metrics) == (4 if extractor else 2)
        metric = metrics[key]
        assert metric["value"] == pytest.approx(expected, abs=0.1)
        assert "within clusters" in metric["title"] and "k-means clusters" in metric["protocol"]
        # At 32 real images a cluster on average.
        assert set(metric["by_class"]) == {"cluster 1", "cluster 2", "cluster 3"}
        assert metric["real"] == pytest.approx(1, abs=0.1)
    # Of the second class, with half of the real images, there is none.
    metrics, _, _ = measure(real, np.repeat([0, 2], [90, 10]), 20, NO_CLASSES, extractor)
    assert metrics[key]["value"] == 0


def test_too_few_images_have_no_diversity(real, caplog):
    metrics, _, _ = measure(real, np.repeat([0, 1, 2], 7), 20)
    assert metrics == {} and "needs 8 generated and 8 training images" in caplog.text
    assert "have 7 and 50: raise evaluate.count." in caplog.text


@pytest.mark.parametrize(
    ("count", "limit", "advice"),
    [
        (3, 5, "raise evaluate.count and raise evaluate.real"),
        (20, 5, "have 20 and 3: raise evaluate.real"),
        (20, 1000, "have 20 and 3: ingest more images of a class"),
    ],
)
def test_the_advice_is_to_raise_what_limits_the_images(count, limit, advice):
    real = np.repeat([0, 1], [3, 2])
    groups = diversity._Groups(np.zeros(count, int), real, ["a", "b"], True, "classes of kind")
    assert advice in diversity._explain_missing(groups, EvaluateParams(real=limit))
