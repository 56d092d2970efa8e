"""Fréchet distance of two sets of features (Heusel et al., arXiv 1706.08500).

The distance of the two normal distributions with the sets' means and covariances. It is called FID
only on the features of the paper's Inception network. Its estimate is biased upward, the more so
the fewer images there are: compare values of equal numbers of images only.
"""

import numpy as np

from ganvas.errors import GanvasError

CHUNK = 4096


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Compute the Fréchet distance of two sets of features.

    Args:
        real: Features of shape (m, d), m at least 2; may be memory-mapped.
        generated: Features of shape (n, d), n at least 2.

    Returns:
        |μ₁ - μ₂|² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂): 0 for equal means and covariances.

    Raises:
        GanvasError: A set has fewer than two images.

    Example:
        >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]))
        1.0
    """
    (real_mean, a), (generated_mean, b) = map(_mean_and_factor, (real, generated))
    mean_term = ((real_mean - generated_mean) ** 2).sum()
    traces = (a**2).sum() + (b**2).sum()
    # With Σ₁ = AᵀA and Σ₂ = BᵀB, tr √(Σ₁Σ₂) is the sum of the singular values of ABᵀ. A matrix
    # root fails for singular covariances, that is for fewer images than features.
    cross_term = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(mean_term + traces - 2 * cross_term)


def _mean_and_factor(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean (d,) and F (r, d), r ≤ d, with FᵀF the unbiased covariance, in float64."""
    count, length = features.shape
    if count < 2:
        raise GanvasError(f"A Fréchet distance needs 2 images or more on each side, not {count}.")
    mean = np.asarray(features.mean(axis=0, dtype=np.float64))
    if count <= length:
        return mean, (features - mean) / np.sqrt(count - 1)
    covariance = np.zeros((length, length))
    for start in range(0, count, CHUNK):
        centered = features[start : start + CHUNK] - mean
        covariance += centered.T @ centered
    values, vectors = np.linalg.eigh(covariance / (count - 1))
    # Rounding makes the eigenvalues of constant features slightly negative.
    return mean, np.sqrt(values.clip(0))[:, None] * vectors.T
