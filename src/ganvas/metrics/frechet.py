"""Fréchet distance of two sets of features (Heusel et al., arXiv 1706.08500).

That of the two normal distributions with the sets' means and covariances. It is called FID only on
the features of the Inception network that the paper used. At a finite number of images it is too
large, and more so the fewer there are: compare figures of equal numbers alone.
"""

from typing import NamedTuple

import numpy as np

from ganvas.errors import GanvasError

CHUNK = 4096


class Moments(NamedTuple):
    """What the distance needs to know of a set.

    Attributes:
        mean: Of the features, (d,).
        factor: F, (r, d) with r at most d, so that FᵀF is the covariance with n - 1 in its
            denominator.
    """

    mean: np.ndarray
    factor: np.ndarray


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Measure how far two sets of features lie apart.

    Args:
        real: Features of shape (m, d), m at least 2; may be memory-mapped.
        generated: Features of shape (n, d), n at least 2.

    Returns:
        |μ₁ - μ₂|² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂): 0 for equal moments, more the more they differ.

    Raises:
        GanvasError: A set has fewer than two images.
    """
    return distance_of_moments(find_moments(real), find_moments(generated))


def find_moments(features: np.ndarray) -> Moments:
    """Find mean and covariance in float64, chunk by chunk.

    Args:
        features: (n, d), n at least 2; may be memory-mapped.

    Raises:
        GanvasError: There are fewer than two.
    """
    count, length = features.shape
    if count < 2:
        raise GanvasError(f"A Fréchet distance needs 2 images or more on each side, not {count}.")
    mean = np.asarray(features.mean(axis=0, dtype=np.float64))
    if count <= length:
        return Moments(mean, (features - mean) / np.sqrt(count - 1))
    covariance = np.zeros((length, length))
    for start in range(0, count, CHUNK):
        centered = features[start : start + CHUNK] - mean
        covariance += centered.T @ centered
    values, vectors = np.linalg.eigh(covariance / (count - 1))
    # Where a feature never moves, rounding leaves eigenvalues a little below 0.
    return Moments(mean, np.sqrt(values.clip(0))[:, None] * vectors.T)


def distance_of_moments(one: Moments, other: Moments) -> float:
    """Give the distance of two sets whose moments are known."""
    apart = ((one.mean - other.mean) ** 2).sum()
    spread = (one.factor**2).sum() + (other.factor**2).sum()
    # With Σ₁ = AᵀA and Σ₂ = BᵀB the trace of √(Σ₁Σ₂) is the sum of the singular values of ABᵀ: no
    # matrix root, which fails for singular covariances, that is for fewer images than features.
    shared = np.linalg.svd(one.factor @ other.factor.T, compute_uv=False).sum()
    return float(apart + spread - 2 * shared)
