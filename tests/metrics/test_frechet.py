import numpy as np
import pytest
import scipy.linalg

from ganvas.errors import GanvasError
from ganvas.metrics import frechet
from ganvas.metrics.frechet import frechet_distance


def reference_distance(real, generated):
    """Compute the distance as pytorch-fid does, by SciPy's root of the covariances' product."""
    means, covariances = zip(
        *((rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in (real, generated)),
        strict=True,
    )
    # For singular products the published code adds this to both and drops the imaginary part.
    offset = np.eye(real.shape[1]) * 1e-6
    root = scipy.linalg.sqrtm((covariances[0] + offset) @ (covariances[1] + offset)).real
    difference = means[0] - means[1]
    return difference @ difference + sum(map(np.trace, covariances)) - 2 * np.trace(root)


def correlated(count, length, seed):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(seed + 100).normal(size=(length, length)) / length**0.5
    return rng.normal(size=(count, length)) @ mixing + rng.normal(0, 0.1, length)


@pytest.mark.parametrize(
    ("m", "n", "d"), [(400, 300, 24), (20, 400, 40), (30, 25, 60), (300, 30, 64), (64, 65, 64)]
)
def test_agrees_with_the_published_formula(m, n, d):
    real, generated = correlated(m, d, 0), correlated(n, d, 1)
    expected = reference_distance(real, generated)
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-3)
    assert frechet_distance(generated, real) == pytest.approx(expected, rel=1e-3)


def test_distance_of_covariances_with_the_same_axes():
    """It is |μ₁ - μ₂|² + Σ (σ₁ - σ₂)²."""
    rng = np.random.default_rng(0)
    # Centered, uncorrelated columns of variance 1 by construction.
    columns = np.linalg.qr(rng.normal(size=(50, 7)) - 1)[0]
    columns = np.linalg.qr(columns - columns.mean(axis=0))[0] * 49**0.5
    axes = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    sigmas, means = rng.uniform(0.1, 3, (2, 7)), rng.normal(size=(2, 7))
    sets = [columns * sigma @ axes + mean for sigma, mean in zip(sigmas, means, strict=True)]
    expected = ((means[0] - means[1]) ** 2).sum() + ((sigmas[0] - sigmas[1]) ** 2).sum()
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("count", [10, 500])
def test_a_set_has_no_distance_to_itself(count):
    features = correlated(count, 32, 0).astype(np.float32)
    # A constant feature makes the covariance singular.
    features[:, 3] = 0.25
    scale = features.var(axis=0).sum()
    assert abs(frechet_distance(features, features.copy())) < 1e-8 * scale


@pytest.mark.parametrize("chunk", [7, 4096])
def test_the_result_does_not_depend_on_chunks_or_precision(monkeypatch, chunk):
    monkeypatch.setattr(frechet, "CHUNK", chunk)
    # Far from 0, where a covariance in single precision would be lost to rounding.
    real, generated = ((correlated(90, 6, seed) + 1000).astype(np.float32) for seed in (0, 1))
    expected = reference_distance(real.astype(float), generated.astype(float))
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-4)


def test_too_few_images_are_rejected():
    with pytest.raises(GanvasError, match="2 images or more on each side, not 1"):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))
