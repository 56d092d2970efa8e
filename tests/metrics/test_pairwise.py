import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from ganvas.errors import GanvasError
from ganvas.metrics import pairwise
from ganvas.metrics.pairwise import (
    mean_image_distance,
    mean_nearest_distance,
    mean_nearest_image_distance,
    mean_pairwise_distance,
    squared_distances,
)


def test_squared_distances_agree_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(3, 1, (9, 6)), rng.normal(3, 1, (11, 6)).astype(np.float32)
    expected = cdist(a, b, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-10)


def test_distances_far_from_the_origin_are_not_taken_for_rounding_errors():
    rng = np.random.default_rng(0)
    a, b = 1e6 + rng.normal(0, 0.1, (2, 9, 6))
    expected = cdist(a, b, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-6)
    assert (squared_distances(a, a).diagonal() == 0).all()


@pytest.mark.parametrize("chunk", [1, 8, 2048])
def test_the_mean_of_all_pairs_agrees_with_scipy(monkeypatch, chunk):
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    features = np.random.default_rng(0).normal(size=(33, 5))
    assert mean_pairwise_distance(features) == pytest.approx(pdist(features).mean(), rel=1e-10)


def test_equal_images_have_distance_zero():
    image = np.random.default_rng(0).normal(100, 1, (1, 1283))
    assert mean_pairwise_distance(image.repeat(5, axis=0)) == 0


def test_a_single_image_is_rejected():
    with pytest.raises(GanvasError, match="2 images or more, not 1"):
        mean_pairwise_distance(np.zeros((1, 4)))


@pytest.mark.parametrize("chunk", [1, 7, 16_384])
def test_the_mean_distance_of_images_is_that_of_a_naive_loop(monkeypatch, chunk):
    monkeypatch.setattr(pairwise, "PIXEL_CHUNK", chunk)
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype=np.uint8)
    pairs = [
        np.sqrt(((images[i].astype(float) - images[j]) ** 2).mean())
        for i in range(7)
        for j in range(i)
    ]
    assert mean_image_distance(images) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert mean_image_distance(np.stack([images[0]] * 3)) == 0


def naive_nearest(vectors, size):
    """Return the mean distance to the nearest other vector in consecutive subsets."""
    vectors, nearest = vectors.reshape(len(vectors), -1).astype(float), []
    for start in range(0, len(vectors) // size * size, size):
        part = range(start, start + size)
        nearest += [
            min(np.linalg.norm(vectors[i] - vectors[j]) for j in part if j != i) for i in part
        ]
    return np.mean(nearest)


@pytest.mark.parametrize("size", [2, 7, 16, 33])
def test_the_mean_distance_to_the_nearest_is_that_of_a_naive_loop(size):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(33, 5))
    expected = naive_nearest(features, size)
    assert mean_nearest_distance(features, size) == pytest.approx(expected, rel=1e-10)
    images = rng.integers(0, 256, (33, 2, 3, 1), dtype=np.uint8)
    expected = naive_nearest(images, size) / np.sqrt(6)
    assert mean_nearest_image_distance(images, size) == pytest.approx(expected, rel=1e-10)


def test_the_nearest_of_uniform_numbers_is_as_far_as_in_theory():
    size = 20
    numbers = np.random.default_rng(0).random((4000 * size, 1))
    # The size + 1 spacings of sorted uniform numbers are exchangeable, with sum 1. Both outer
    # numbers have one neighbor, at a mean spacing; the others the smaller of two spacings, which is
    # half of that in the mean.
    expected = (2 + (size - 2) / 2) / size / (size + 1)
    assert mean_nearest_distance(numbers, size) == pytest.approx(expected, rel=0.01)


def test_images_that_are_there_twice_have_a_nearest_at_distance_zero():
    rng = np.random.default_rng(0)
    # Their squares have rounding errors.
    features = rng.normal(100, 1, (6, 1283)).repeat(2, axis=0)
    assert mean_nearest_distance(features, 12) == 0
    images = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8).repeat(2, axis=0)
    assert mean_nearest_image_distance(images, 12) == 0
    assert mean_nearest_image_distance(images[::2], 6) > 50


@pytest.mark.parametrize("size", [1, 5])
def test_the_nearest_of_too_few_images_is_rejected(size):
    with pytest.raises(GanvasError, match=f"nearest of {size} images can't be found in 4"):
        mean_nearest_distance(np.zeros((4, 2)), size)
    with pytest.raises(GanvasError, match="from 2 to their number"):
        mean_nearest_image_distance(np.zeros((4, 2, 2, 3), np.uint8), size)
