import numpy as np
import prdc
import pytest

from ganvas.errors import GanvasError
from ganvas.metrics import pairwise
from ganvas.metrics.prdc import compute_prdc


def clouds(m=70, n=50, d=12):
    rng = np.random.default_rng(2)
    return rng.normal(0, 1, (m, d)), rng.normal(0.4, 0.8, (n, d))


@pytest.mark.parametrize("nearest", [1, 3, 5])
@pytest.mark.parametrize("chunk", [1, 16, 2048])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_authors_package(monkeypatch, nearest, chunk, dtype):
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    real, generated = (points.astype(dtype) for points in clouds())
    expected = prdc.compute_prdc(real, generated, nearest_k=nearest)
    found = compute_prdc(real, generated, nearest)._asdict()
    assert found == pytest.approx(expected, abs=1e-12)
    # All four must have something to tell here.
    assert all(0.05 < value < 2 and value != 1 for value in found.values())


def test_sets_of_one_distribution_are_dense_and_covered():
    real, generated = np.random.default_rng(0).normal(size=(2, 600, 4))
    found = compute_prdc(real, generated)
    assert found.density == pytest.approx(1, abs=0.1)
    # 1 - Π over the k nearest: the expectation for m = n is 1 - 2^-k, about.
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.03)


def test_repeated_images_cover_little():
    real = np.random.default_rng(0).normal(size=(300, 8))
    found = compute_prdc(real, np.repeat(real[:20], 15, axis=0))
    assert found.precision == 1
    assert found.recall < 0.1 and found.coverage < 0.5


def test_copies_of_one_image_lie_at_no_distance():
    """Rounding must not make neighbors of them."""
    point = np.full((20, 300), 1e3) + np.random.default_rng(0).normal(size=300)
    found = compute_prdc(point, point)
    assert found == (0, 0, 0, 0)


def test_too_few_images_are_said():
    with pytest.raises(GanvasError, match="6 images or more are needed on each side, not 5"):
        compute_prdc(np.zeros((9, 2)), np.zeros((5, 2)))
