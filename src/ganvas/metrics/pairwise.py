"""Distances of all pairs of features, chunk against chunk, so that memory stays bounded."""

import numpy as np

from ganvas.errors import GanvasError

CHUNK = 2048
# Of the squared norms: what is closer than this is taken for the same, since it may be rounding.
SAME = 1e-12


def squared_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Give squared Euclidean distances in float64, (m, n), of features (m, d) and (n, d)."""
    some, others = np.asarray(some, np.float64), np.asarray(others, np.float64)
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    distances = squares - 2 * (some @ others.T)
    distances[distances < SAME * squares] = 0
    return distances


def in_chunks(count: int) -> list[slice]:
    """Cut so many rows into slices."""
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def mean_pairwise_distance(features: np.ndarray) -> float:
    """Measure how different the images of one set are from each other.

    Args:
        features: (n, d), n at least 2; may be memory-mapped.

    Returns:
        The mean Euclidean distance of all pairs of different images; 0 where all are alike.

    Raises:
        GanvasError: There are fewer than two images.
    """
    count = len(features)
    if count < 2:
        raise GanvasError(f"A distance of pairs needs 2 images or more, not {count}.")
    chunks, total = in_chunks(count), 0.0
    for number, rows in enumerate(chunks):
        total += np.sqrt(squared_distances(features[rows], features[rows])).sum()
        # Pairs of two chunks are computed once, and count twice.
        for columns in chunks[number + 1 :]:
            total += 2 * np.sqrt(squared_distances(features[rows], features[columns])).sum()
    return float(total / (count * (count - 1)))
