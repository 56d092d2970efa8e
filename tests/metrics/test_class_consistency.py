from math import erf

import numpy as np
import pytest

from ganvas.metrics import class_consistency
from ganvas.metrics.class_consistency import (
    blur_and_noise,
    predict_classes,
    predict_labels,
    train_classifier,
    train_label_classifier,
)


def blobs(counts, dimensions=20, distance=3.0, seed=0):
    """Sample a Gaussian cluster of points for each class."""
    centers = np.random.default_rng(9).normal(0, distance, (len(counts), dimensions))
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).normal(size=(len(labels), dimensions))
    # Real features have any scale and offset.
    return (100 * (centers[labels] + noise) + 1000).astype(np.float32), labels


@pytest.mark.slow
def test_separable_classes_are_predicted():
    model = train_classifier(*blobs([60] * 5), 5, seed=0)
    features, labels = blobs([40] * 5, seed=1)
    assert (predict_classes(model, features) == labels).mean() >= 0.95


@pytest.mark.slow
def test_random_labels_are_predicted_at_chance_level():
    features, labels = blobs([100] * 4)
    shuffled = np.random.default_rng(0).permutation(labels)
    model = train_classifier(features, shuffled, 4, seed=0)
    features, labels = blobs([200] * 4, seed=1)
    shuffled = np.random.default_rng(1).permutation(labels)
    correct = predict_classes(model, features) == shuffled
    assert correct.mean() == pytest.approx(0.25, abs=0.08)


@pytest.mark.slow
def test_a_rare_class_is_predicted_too():
    model = train_classifier(*blobs([300, 300, 5], distance=0.7), 3, seed=0)
    features, labels = blobs([100] * 3, distance=0.7, seed=1)
    correct = predict_classes(model, features) == labels
    assert correct[labels == 2].mean() > 0.6


@pytest.mark.slow
def test_the_same_seed_trains_the_same_classifier(monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 50)
    features, labels = blobs([30] * 3)
    first, second = (train_classifier(features, labels, 3, seed=4) for _ in range(2))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(params=[64, 128])
def edges(request) -> np.ndarray:
    """Images with a vertical edge, darker on the left."""
    images = np.full((120, request.param, request.param, 3), 100, np.uint8)
    images[:, :, request.param // 2 :] = 140
    return images


def test_noise_is_uniform_up_to_its_maximum(edges):
    noise = blur_and_noise(edges, seed=0).astype(float) - edges
    deviations = noise[:, :, : edges.shape[1] // 4].std(axis=(1, 2, 3))
    assert np.abs(noise.mean(axis=(1, 2, 3))).max() < 1
    # Uniform from 0 to 40 gray levels.
    assert deviations.min() < 4 and 36 < deviations.max() < 41
    assert deviations.mean() == pytest.approx(20, abs=3.5)


def test_blur_is_uniform_up_to_its_maximum(edges):
    middle, scale = edges.shape[1] // 2, edges.shape[1] / 64
    profile = blur_and_noise(edges, seed=0).mean(axis=(0, 1, 3))[middle - 3 : middle + 3]
    # A blurred edge is a normal distribution function, here of a width uniform from 0 to 1.6.
    widths = np.linspace(0.001, 1.6 * scale, 2000)
    distances = np.arange(-2.5, 3)
    expected = [
        120 + 20 * np.mean([erf(d / width / 2**0.5) for width in widths]) for d in distances
    ]
    # PIL approximates the Gaussian by box blurs.
    np.testing.assert_allclose(profile, expected, atol=1)


def test_the_same_seed_draws_the_same_blur_and_noise(edges):
    first, same, other = (blur_and_noise(edges[:3], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.exhaustive
def test_labels_are_classified_as_by_a_classifier_of_each():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 5)).astype(np.float32)
    # The values of the second label are of different frequencies, and hard to tell apart.
    noise = rng.normal(size=300)
    one = (features[:, 0] > 0).astype(int)
    other = np.digitize(features[:, 1] + noise, [0.5, 1.5])
    blocks = [slice(0, 2), slice(2, 5)]
    positions = np.stack([one, 2 + other], axis=1)
    joint = train_label_classifier(features, positions, blocks, seed=1)
    predicted = predict_labels(joint, features, blocks)
    assert (predicted[:, 0] == one).mean() > 0.97
    # Weights begin with other random numbers, so predictions differ at the borders of classes.
    alone = predict_classes(train_classifier(features, other, 3, seed=1), features)
    assert (predicted[:, 1] - 2 == alone).mean() > 0.93
