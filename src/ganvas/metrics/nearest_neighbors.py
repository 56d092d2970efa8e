"""Nearest neighbors among the training images, in pixels and in features."""

import numpy as np

from ganvas.arrays import Images
from ganvas.metrics.pairwise import in_chunks, squared_distances

CHUNK = 512


def find_nearest_images(
    queries: np.ndarray, images: Images, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest image of each query, by root mean squared difference of pixels.

    The search uses matrix products in float32, in chunks so that memory stays bounded; the
    distance to the nearest image is then computed exactly.

    Args:
        queries: uint8 of shape (n, H, W, 3).
        images: uint8 of shape (N, H, W, 3); may be memory-mapped.
        positions: Which images to search, int64 of shape (m,), m at least 1.

    Returns:
        The positions of the nearest images, int64 of shape (n,), and their distances in gray
        levels (0 to 255), float64 of shape (n,).

    Example:
        >>> images = np.stack([np.full((4, 4, 3), level, np.uint8) for level in range(5)])
        >>> find_nearest_images(images[[4]], images, np.array([0, 1, 2]))
        (array([2]), array([2.]))
    """
    nearest = np.zeros(len(queries), np.int64)
    distances = np.zeros(len(queries))
    for start in range(0, len(queries), CHUNK):
        rows = slice(start, start + CHUNK)
        nearest[rows] = _search(_flatten(queries[rows]), images, positions)
        differences = queries[rows].astype(np.float64) - images[nearest[rows]]
        distances[rows] = np.sqrt((differences**2).mean(axis=(1, 2, 3)))
    return nearest, distances


def _search(queries: np.ndarray, images: Images, positions: np.ndarray) -> np.ndarray:
    """Return the positions of the images nearest to flattened queries."""
    best = np.full(len(queries), np.inf)
    nearest = np.zeros(len(queries), np.int64)
    for start in range(0, len(positions), CHUNK):
        chunk = positions[start : start + CHUNK]
        candidates = _flatten(images[chunk])
        # Without the query's own norm, which is the same for all candidates.
        distances = (candidates**2).sum(1) - 2 * (queries @ candidates.T)
        closest = distances.argmin(1)
        lowest = distances[np.arange(len(queries)), closest]
        better = lowest < best
        best[better], nearest[better] = lowest[better], chunk[closest[better]]
    return nearest


def find_nearest_features(
    queries: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest feature vector of each query, in chunks so that memory stays bounded.

    Args:
        queries: Features of shape (n, d).
        features: Features to search, (m, d), m at least 1.

    Returns:
        Rows of the nearest features, int64 of shape (n,), and Euclidean distances, float64 (n,).

    Example:
        >>> find_nearest_features(np.array([[3.0]]), np.array([[0.0], [5.0], [9.0]]))
        (array([1]), array([2.]))
    """
    nearest, best = np.zeros(len(queries), np.int64), np.full(len(queries), np.inf)
    for rows in in_chunks(len(queries)):
        for columns in in_chunks(len(features)):
            distances = squared_distances(queries[rows], features[columns])
            lowest, closest = distances.min(axis=1), distances.argmin(axis=1) + columns.start
            nearest[rows] = np.where(lowest < best[rows], closest, nearest[rows])
            best[rows] = np.minimum(lowest, best[rows])
    return nearest, np.sqrt(best)


def _flatten(images: np.ndarray) -> np.ndarray:
    # Centered and scaled, to lose little precision to cancellation.
    return images.reshape(len(images), -1).astype(np.float32) / 255 - 0.5
