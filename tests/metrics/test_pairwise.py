import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from ganvas.errors import GanvasError
from ganvas.metrics import pairwise
from ganvas.metrics.pairwise import mean_pairwise_distance, squared_distances


def test_squared_distances_agree_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(3, 1, (9, 6)), rng.normal(3, 1, (11, 6)).astype(np.float32)
    expected = cdist(a, b, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-10)


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
