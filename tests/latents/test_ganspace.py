"""GANSpace finds the directions of largest variance, which are known for linear generators."""

import keras
import numpy as np
import pytest

from ganvas.latents.directions import find_scale
from ganvas.latents.ganspace import find_components, orient
from ganvas.latents.latent_samples import LatentSamples, sample_w
from ganvas.networks.latent_prior import LatentPrior, add_prior
from linear_generators import build_linear, make_matrix

NO_CLASSES = np.zeros((0, 0), np.float32)


def unit(vector: np.ndarray) -> np.ndarray:
    flat = np.asarray(vector, np.float64)
    return flat / np.linalg.norm(flat)


def test_of_a_linear_generator_they_are_its_singular_vectors():
    matrix = make_matrix()
    generator = build_linear(matrix)
    samples = sample_w(generator, NO_CLASSES, 4096, seed=1)
    found = find_components(generator, samples, 3)
    # Of normally distributed latents, the variance along singular vector k is its value squared.
    vectors, sizes, _ = np.linalg.svd(matrix)
    for number, (vector, about) in enumerate(found):
        expected = orient(vectors[:, number])
        assert unit(vector) @ expected > 0.98
        assert about["variance"] == pytest.approx(sizes[number] ** 2 / (sizes**2).sum(), abs=0.03)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.05)
        assert (about["component"], about["space"]) == (number + 1, "first feature maps")


def test_classes_are_no_directions():
    generator = build_linear(make_matrix(), classes=3)
    samples = sample_w(generator, np.eye(3, dtype=np.float32), 3000, seed=1)
    vectors, *_ = np.linalg.svd(make_matrix())
    (vector, _), *_ = find_components(generator, samples, 1)
    assert unit(vector) @ orient(vectors[:, 0]) > 0.98


def test_with_a_prior_they_are_components_of_w_itself():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    anchors = (rng.standard_normal((400, 4)) * [5, 2, 1, 0.5]) @ rotation.T
    anchors = anchors.astype(np.float32)
    inner = build_linear(make_matrix(4))
    generator = add_prior(inner, LatentPrior(anchors, anchors.std(axis=0), 0.3))
    samples = sample_w(generator, NO_CLASSES, 1000, seed=0)
    centered = samples.w - samples.w.mean(axis=0)
    _, sizes, components = np.linalg.svd(centered, full_matrices=False)
    for number, (vector, about) in enumerate(find_components(generator, samples, 2)):
        np.testing.assert_allclose(unit(vector), orient(components[number]), atol=1e-3)
        deviation = sizes[number] / np.sqrt(len(centered))
        assert np.linalg.norm(vector) == pytest.approx(deviation, rel=1e-3)
        assert about["space"] == "w"


def test_there_are_no_more_directions_than_dimensions():
    matrix = np.zeros((6, 16))
    matrix[:2] = make_matrix(2)
    generator = build_linear(matrix)
    samples = sample_w(generator, NO_CLASSES, 500, seed=1)
    assert len(find_components(generator, samples, 10)) == 2


def test_layers_limit_where_a_direction_acts():
    w = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    samples = LatentSamples(w, np.zeros((10, 0)), np.zeros(10, int), (4, 3))
    assert samples.full_w().shape == (10, 4, 3)
    expanded = samples.expand(np.ones(3), range(1, 3))
    np.testing.assert_array_equal(expanded, [[0] * 3, [1] * 3, [1] * 3, [0] * 3])
    np.testing.assert_array_equal(samples.expand(np.ones(3)), np.ones((4, 3)))


def test_scale_is_the_deviation_along_a_vector_of_any_length():
    w = np.random.default_rng(0).standard_normal((5000, 2)) * [3, 1]
    assert find_scale(w, np.array([10, 0])) == pytest.approx(3, rel=0.05)
    assert find_scale(w, np.array([0.1, 0.1])) == pytest.approx(np.sqrt(5), rel=0.05)


def test_of_a_network_without_feature_maps_images_are_decomposed():
    latent = keras.Input((3,))
    matrix = np.diag([0.5, 0.2, 0.1])
    dense = keras.layers.Dense(3, use_bias=False)
    generator = keras.Model(latent, keras.layers.Reshape((1, 1, 3))(dense(latent)))
    dense.set_weights([matrix])
    samples = sample_w(generator, NO_CLASSES, 1000, seed=1)
    (vector, _), *_ = find_components(generator, samples, 1)
    assert unit(vector)[0] > 0.99
