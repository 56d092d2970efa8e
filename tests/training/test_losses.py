import numpy as np
import pytest

from ganvas.training.losses import (
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
)

REAL, FAKE = np.array([[1.5], [-0.2]], np.float32), np.array([[-3.0], [0.4]], np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_non_saturating_losses_are_cross_entropies():
    expected = -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()
    assert float(non_saturating_discriminator_loss(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    expected = -np.log(sigmoid(FAKE)).mean()
    assert float(non_saturating_generator_loss(FAKE)) == pytest.approx(expected, rel=1e-6)


def test_large_logits_stay_finite():
    far = np.array([[1e4]], np.float32)
    assert float(non_saturating_generator_loss(-far)) == pytest.approx(1e4)
    assert float(non_saturating_discriminator_loss(far, -far)) == 0
