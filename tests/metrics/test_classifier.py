from math import erf

import numpy as np
import pytest

from ganvas.metrics.classifier import agreement, degrade, tell_classes, train_classifier


def blobs(counts, dimensions=20, distance=3.0, seed=0):
    """Clouds of points around centres of their own."""
    centres = np.random.default_rng(9).normal(0, distance, (len(counts), dimensions))
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).normal(size=(len(labels), dimensions))
    # Features come on any scale and far from 0.
    return (100 * (centres[labels] + noise) + 1000).astype(np.float32), labels


def test_what_can_be_told_is_told():
    model = train_classifier(*blobs([60] * 5), 5, seed=0)
    features, labels = blobs([40] * 5, seed=1)
    assert agreement(tell_classes(model, features), labels, 5)[0] >= 0.95


def test_what_cannot_be_told_is_told_by_chance():
    features, labels = blobs([100] * 4)
    shuffled = np.random.default_rng(0).permutation(labels)
    model = train_classifier(features, shuffled, 4, seed=0)
    features, labels = blobs([200] * 4, seed=1)
    shuffled = np.random.default_rng(1).permutation(labels)
    assert agreement(tell_classes(model, features), shuffled, 4)[0] == pytest.approx(0.25, abs=0.08)


def test_a_small_class_is_not_forgotten():
    model = train_classifier(*blobs([300, 300, 5], distance=0.7), 3, seed=0)
    features, labels = blobs([100] * 3, distance=0.7, seed=1)
    _, shares = agreement(tell_classes(model, features), labels, 3)
    assert shares[2] > 0.6


def test_the_same_seed_gives_the_same_classifier():
    features, labels = blobs([30] * 3)
    one, other = (train_classifier(features, labels, 3, seed=4) for _ in range(2))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_agreement_counts():
    rng = np.random.default_rng(0)
    told, labels = rng.integers(0, 4, 50), rng.integers(0, 3, 50)
    share, shares = agreement(told, labels, 4)
    assert share == pytest.approx(sum(a == b for a, b in zip(told, labels, strict=True)) / 50)
    for number in range(3):
        there = [a == b for a, b in zip(told, labels, strict=True) if b == number]
        assert shares[number] == pytest.approx(sum(there) / len(there))
    assert np.isnan(shares[3])


@pytest.mark.parametrize("side", [64, 128])
def test_degrading_makes_pictures_grainy_and_soft_in_turn(side):
    step = np.zeros((4, side, side, 3), np.uint8)
    step[:, :, : side // 2] = 100
    step[:, :, side // 2 :] = 140
    degraded = degrade(step, seed=0).astype(float) - step
    for grainy in degraded[::2]:
        assert grainy.std() == pytest.approx(20, rel=0.05) and abs(grainy.mean()) < 1
    for soft in degraded[1::2]:
        # A blurred step is the normal distribution: at distance d of its middle, Φ(d / σ).
        sigma = side / 64
        distances = np.array([-1.5, -0.5, 0.5, 1.5])
        expected = 120 + 20 * np.vectorize(erf)(distances / sigma / 2**0.5)
        row = (soft + step[0])[side // 2, side // 2 - 2 : side // 2 + 2, 0]
        # PIL blurs by boxes.
        np.testing.assert_allclose(row, expected, atol=2)
        assert np.abs(soft[:, : side // 4]).max() == 0
