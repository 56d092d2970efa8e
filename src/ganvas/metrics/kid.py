"""Kernel distance of two sets of features: KID (Bińkowski et al., arXiv 1801.01401).

The squared maximum mean discrepancy under the kernel k(x, y) = (x·y / d + 1)³. Its estimate is
unbiased at any number of images, so it may be slightly negative, and sets of different sizes
can be compared.
"""

import numpy as np

from ganvas.errors import GanvasError

CHUNK = 1024


def kernel_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Estimate the squared maximum mean discrepancy without bias, from all pairs of images.

    Kernels are computed in float64 and in chunks, so memory stays bounded.

    Args:
        real: Features of shape (m, d), m at least 2; may be memory-mapped.
        generated: Features of shape (n, d), n at least 2.

    Returns:
        The estimate; its expectation is 0 for sets of one distribution.

    Raises:
        GanvasError: A set has fewer than two images.

    Example:
        >>> kernel_distance(np.ones((3, 2)), np.zeros((4, 2)))
        7.0
    """
    smallest = min(len(real), len(generated))
    if smallest < 2:
        raise GanvasError(f"A kernel distance needs 2 images or more on each side, not {smallest}.")
    cross_mean = _kernel_sum(real, generated) / (len(real) * len(generated))
    return float(_mean_off_diagonal(real) + _mean_off_diagonal(generated) - 2 * cross_mean)


def kernel_distance_subsets(
    real: np.ndarray, generated: np.ndarray, subsets: int, size: int, seed: int
) -> tuple[float, float]:
    """Estimate the kernel distance on random subsets, as in the paper.

    Args:
        real: Features of shape (m, d).
        generated: Features of shape (n, d).
        subsets: Number of subsets.
        size: Images drawn from each side, without replacement: 2 to min(m, n).
        seed: Random seed of the subsets.

    Returns:
        Mean and standard deviation (divided by the number of subsets) over the subsets. Subsets
        overlap, so the deviation is that of one subset, not of the mean.

    Raises:
        GanvasError: A set has fewer than `size` images.

    Example:
        >>> kernel_distance_subsets(np.ones((9, 2)), np.zeros((9, 2)), subsets=4, size=5, seed=0)
        (7.0, 0.0)
    """
    smallest = min(len(real), len(generated))
    if size > smallest:
        raise GanvasError(
            f"Subsets of {size} images can't be drawn from {smallest}: "
            "choose smaller subsets or generate more images."
        )
    rng = np.random.default_rng(seed)
    distances = [
        kernel_distance(
            real[rng.choice(len(real), size, replace=False)],
            generated[rng.choice(len(generated), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances))


def _mean_off_diagonal(features: np.ndarray) -> float:
    """Average the kernel over all pairs of different images of one set."""
    count = len(features)
    total = 0.0
    for start in range(0, count, CHUNK):
        rows = features[start : start + CHUNK]
        kernel = _kernel(rows, rows)
        total += kernel.sum() - np.trace(kernel)
        # The kernel is symmetric: only pairs with later chunks are computed.
        total += 2 * _kernel_sum(rows, features[start + CHUNK :])
    return total / (count * (count - 1))


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    """Sum the kernel over all pairs of one row of each set."""
    total = 0.0
    for i in range(0, len(a), CHUNK):
        rows = np.asarray(a[i : i + CHUNK], np.float64)
        for j in range(0, len(b), CHUNK):
            total += _kernel(rows, b[j : j + CHUNK]).sum()
    return float(total)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products = np.asarray(a, np.float64) @ np.asarray(b, np.float64).T
    base = products / a.shape[1] + 1
    # Faster than base**3.
    return base * base * base
