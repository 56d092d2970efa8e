import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from ganvas.errors import GanvasError
from ganvas.metrics import pairwise
from ganvas.metrics.pairwise import mean_pairwise_distance, squared_distances


def test_squared_distances_are_scipys():
    rng = np.random.default_rng(0)
    some, others = rng.normal(3, 1, (9, 6)), rng.normal(3, 1, (11, 6)).astype(np.float32)
    expected = cdist(some, others, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(some, others), expected, rtol=1e-10)


@pytest.mark.parametrize("chunk", [1, 8, 2048])
def test_the_mean_of_all_pairs_is_scipys(monkeypatch, chunk):
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    features = np.random.default_rng(0).normal(size=(33, 5))
    assert mean_pairwise_distance(features) == pytest.approx(pdist(features).mean(), rel=1e-10)


def test_images_that_are_alike_lie_at_no_distance():
    image = np.random.default_rng(0).normal(100, 1, (1, 1283))
    assert mean_pairwise_distance(image.repeat(5, axis=0)) == 0


def test_a_single_image_has_no_pairs():
    with pytest.raises(GanvasError, match="2 images or more, not 1"):
        mean_pairwise_distance(np.zeros((1, 4)))
