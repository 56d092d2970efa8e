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

    Kernels are computed in float64, chunk against chunk, so memory stays bounded.

    Args:
        real: Features of shape (m, d), m at least 2; may be memory-mapped.
        generated: Features of shape (n, d), n at least 2.

    Returns:
        0 on average for sets of one distribution, more the more they differ.

    Raises:
        GanvasError: A set has fewer than two images.
    """
    least = min(len(real), len(generated))
    if least < 2:
        raise GanvasError(f"A kernel distance needs 2 images or more on each side, not {least}.")
    across = _sum_across(real, generated) / (len(real) * len(generated))
    return _mean_within(real) + _mean_within(generated) - 2 * across


def kernel_distance_subsets(
    real: np.ndarray, generated: np.ndarray, subsets: int, size: int, seed: int
) -> tuple[float, float]:
    """Estimate the kernel distance on random subsets, as the paper does.

    Args:
        real: Features of shape (m, d).
        generated: Features of shape (n, d).
        subsets: How many times both sides are drawn from.
        size: How many images are drawn from each side, without replacement: 2 to min(m, n).
        seed: Decides which are drawn.

    Returns:
        Mean and standard deviation (divided by the number of subsets) over the subsets. Subsets
        overlap, so the deviation is that of one subset, not of the mean.

    Raises:
        GanvasError: A set has fewer than `size` images.
    """
    least = min(len(real), len(generated))
    if size > least:
        raise GanvasError(
            f"Subsets of {size} images can't be drawn from {least}: "
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


def _mean_within(features: np.ndarray) -> float:
    """Mean kernel of all pairs of different rows."""
    count = len(features)
    total = 0.0
    for start in range(0, count, CHUNK):
        rows = features[start : start + CHUNK]
        square = _kernel(rows, rows)
        total += square.sum() - np.trace(square)
        # The kernel is symmetric: only pairs with later chunks are computed.
        total += 2 * _sum_across(rows, features[start + CHUNK :])
    return total / (count * (count - 1))


def _sum_across(some: np.ndarray, others: np.ndarray) -> float:
    """Sum of the kernels of all pairs with one row of each."""
    total = 0.0
    for start in range(0, len(some), CHUNK):
        rows = np.asarray(some[start : start + CHUNK], np.float64)
        for begin in range(0, len(others), CHUNK):
            total += _kernel(rows, others[begin : begin + CHUNK]).sum()
    return float(total)


def _kernel(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    products = np.asarray(some, np.float64) @ np.asarray(others, np.float64).T
    base = products / some.shape[1] + 1
    # Faster than base**3.
    return base * base * base
