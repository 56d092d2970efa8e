"""SeFa's closed form, for weights that are known and for those of each network."""

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.latents.latent_samples import sample_w
from ganvas.latents.sefa import factorize_weights
from ganvas.networks.latent_prior import LatentPrior, add_prior
from linear_generators import build_linear, make_matrix

NO_CLASSES = np.zeros((0, 0), np.float32)


def test_directions_are_eigenvectors_of_the_weights():
    matrix = make_matrix()
    generator = build_linear(matrix)
    samples = sample_w(generator, NO_CLASSES, 4096, seed=1)
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    for number, (vector, about) in enumerate(factorize_weights(generator, samples, 4), 1):
        expected = vectors[:, -number]
        assert abs(vector @ expected) / np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)
        assert about["variance"] == pytest.approx(values[-number] / values.sum(), rel=0.1)


def test_a_step_along_a_direction_changes_the_image_most():
    matrix = make_matrix()
    generator = build_linear(matrix)
    samples = sample_w(generator, NO_CLASSES, 2000, seed=1)
    (first, _), *_ = factorize_weights(generator, samples, 1)
    changed = np.linalg.norm(first @ matrix) / np.linalg.norm(first)
    for other in np.random.default_rng(0).standard_normal((50, 6)):
        assert np.linalg.norm(other @ matrix) / np.linalg.norm(other) <= changed * 1.001


def test_with_a_prior_steps_are_measured_in_deviations_of_w():
    rng = np.random.default_rng(0)
    anchors = (rng.standard_normal((500, 2)) * [10, 0.1]).astype(np.float32)
    matrix = np.zeros((2, 16))
    matrix[0, 0], matrix[1, 1] = 0.05, 1.0
    generator = add_prior(
        build_linear(matrix), LatentPrior(anchors, anchors.std(axis=0), noise=0.3)
    )
    samples = sample_w(generator, NO_CLASSES, 1000, seed=0)
    # The weights of the second axis are larger, but images hardly vary along it.
    (vector, _), *_ = factorize_weights(generator, samples, 1)
    assert abs(vector[0]) > 100 * abs(vector[1])
    assert vector[0] == pytest.approx(samples.w[:, 0].std(), rel=1e-3)


def test_a_network_without_such_weights_is_refused():
    latent = keras.Input((3,))
    generator = keras.Model(latent, keras.layers.Reshape((1, 1, 3))(keras.ops.tanh(latent)))
    samples = sample_w(generator, NO_CLASSES, 10, seed=0)
    with pytest.raises(GanvasError, match=r"no dense layer.*directions\.method=ganspace"):
        factorize_weights(generator, samples, 1)
