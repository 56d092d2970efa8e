import numpy as np
import prdc
import pytest

from ganvas.errors import GanvasError
from ganvas.metrics import pairwise
from ganvas.metrics.prdc import compute_prdc


def point_sets(m=70, n=50, d=12):
    rng = np.random.default_rng(2)
    return rng.normal(0, 1, (m, d)), rng.normal(0.4, 0.8, (n, d))


@pytest.mark.slow
@pytest.mark.parametrize("nearest_k", [1, 3, 5])
@pytest.mark.parametrize("chunk", [1, 16, 2048])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_authors_package(monkeypatch, nearest_k, chunk, dtype):
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    real, generated = (points.astype(dtype) for points in point_sets())
    expected = prdc.compute_prdc(real, generated, nearest_k=nearest_k)
    result = compute_prdc(real, generated, nearest_k)._asdict()
    assert result == pytest.approx(expected, abs=1e-12)
    # None of the four is trivial here.
    assert all(0.05 < value < 2 and value != 1 for value in result.values())


def test_sets_of_one_distribution_have_density_1_and_high_coverage():
    real, generated = np.random.default_rng(0).normal(size=(2, 600, 4))
    result = compute_prdc(real, generated)
    assert result.density == pytest.approx(1, abs=0.1)
    # 1 - Π over the k nearest: the expectation for m = n is 1 - 2^-k, about.
    assert result.coverage == pytest.approx(1 - 2**-5, abs=0.03)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_recall_counts_training_images_that_are_repeated_exactly(offset):
    """Balls include their surface (equation 1 of arXiv 1904.06991), and theirs have radius 0."""
    real = offset + np.random.default_rng(0).normal(size=(500, 8))
    result = compute_prdc(real, np.repeat(real[:50], 10, axis=0))
    assert result.precision == 1
    assert result.recall == pytest.approx(50 / 500)
    assert result.coverage < 0.5


def test_precision_and_recall_agree_with_their_definition_where_distances_are_equal():
    real, generated = np.random.default_rng(0).integers(0, 4, (2, 40, 2)).astype(float)

    def share_inside(points, manifold, nearest_k=3):
        inside = 0
        for point in points:
            for center in manifold:
                radius = sorted(np.square(manifold - center).sum(axis=1))[nearest_k]
                if np.square(point - center).sum() <= radius:
                    inside += 1
                    break
        return inside / len(points)

    result = compute_prdc(real, generated, nearest_k=3)
    assert result.precision == share_inside(generated, real)
    assert result.recall == share_inside(real, generated)


def test_copies_of_one_image_are_only_on_the_surface_of_balls():
    """Rounding must not make their distances differ from 0."""
    point = np.full((20, 300), 1e3) + np.random.default_rng(0).normal(size=300)
    result = compute_prdc(point, point)
    assert result == (1, 1, 0, 0)


def test_too_few_images_are_rejected():
    with pytest.raises(GanvasError, match="need 6 images or more on each side, not 5"):
        compute_prdc(np.zeros((9, 2)), np.zeros((5, 2)))
