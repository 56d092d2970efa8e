from math import erf

import numpy as np
import pytest

from ganvas.metrics import class_consistency
from ganvas.metrics.class_consistency import blur_and_noise, predict_classes, train_classifier


def blobs(counts, dimensions=20, distance=3.0, seed=0):
    """Clouds of points around centers of their own."""
    centers = np.random.default_rng(9).normal(0, distance, (len(counts), dimensions))
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).normal(size=(len(labels), dimensions))
    # Features come on any scale and far from 0.
    return (100 * (centers[labels] + noise) + 1000).astype(np.float32), labels


def test_what_can_be_told_is_told():
    model = train_classifier(*blobs([60] * 5), 5, seed=0)
    features, labels = blobs([40] * 5, seed=1)
    assert (predict_classes(model, features) == labels).mean() >= 0.95


def test_what_cannot_be_told_is_told_by_chance():
    features, labels = blobs([100] * 4)
    shuffled = np.random.default_rng(0).permutation(labels)
    model = train_classifier(features, shuffled, 4, seed=0)
    features, labels = blobs([200] * 4, seed=1)
    shuffled = np.random.default_rng(1).permutation(labels)
    right = predict_classes(model, features) == shuffled
    assert right.mean() == pytest.approx(0.25, abs=0.08)


def test_a_small_class_is_not_forgotten():
    model = train_classifier(*blobs([300, 300, 5], distance=0.7), 3, seed=0)
    features, labels = blobs([100] * 3, distance=0.7, seed=1)
    right = predict_classes(model, features) == labels
    assert right[labels == 2].mean() > 0.6


def test_the_same_seed_gives_the_same_classifier(monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 50)
    features, labels = blobs([30] * 3)
    one, other = (train_classifier(features, labels, 3, seed=4) for _ in range(2))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(params=[64, 128])
def steps(request) -> np.ndarray:
    """Images that are darker on the left than on the right."""
    images = np.full((120, request.param, request.param, 3), 100, np.uint8)
    images[:, :, request.param // 2 :] = 140
    return images


def test_degraded_images_are_grainy_by_any_amount_up_to_the_most(steps):
    apart = blur_and_noise(steps, seed=0).astype(float) - steps
    amounts = apart[:, :, : steps.shape[1] // 4].std(axis=(1, 2, 3))
    assert np.abs(apart.mean(axis=(1, 2, 3))).max() < 1
    # Uniform from 0 to 40 gray levels.
    assert amounts.min() < 4 and 36 < amounts.max() < 41
    assert amounts.mean() == pytest.approx(20, abs=3.5)


def test_degraded_images_are_soft_by_any_amount_up_to_the_most(steps):
    middle, scale = steps.shape[1] // 2, steps.shape[1] / 64
    profile = blur_and_noise(steps, seed=0).mean(axis=(0, 1, 3))[middle - 3 : middle + 3]
    # A blurred step is the normal distribution, here with its width uniform from 0 to 1.6.
    widths = np.linspace(0.001, 1.6 * scale, 2000)
    distances = np.arange(-2.5, 3)
    expected = [
        120 + 20 * np.mean([erf(d / width / 2**0.5) for width in widths]) for d in distances
    ]
    # PIL blurs by boxes.
    np.testing.assert_allclose(profile, expected, atol=1)


def test_the_same_seed_degrades_alike(steps):
    one, again, other = (blur_and_noise(steps[:3], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
