"""Nearest neighbors among the training images, in pixels and in features."""

import math

import numpy as np

from ganvas.arrays import Images
from ganvas.metrics.pairwise import in_chunks, squared_distances

CHUNK = 512


def find_nearest(
    queries: np.ndarray, images: Images, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each query the image that differs least from it.

    Candidates are found by matrix products in float32, chunk by chunk, so memory stays bounded;
    the distance to the one found is then computed exactly.

    Args:
        queries: uint8 of shape (n, H, W, 3).
        images: uint8 of shape (N, H, W, 3); may be memory-mapped.
        positions: Which of them to search, int64 of shape (m,), m at least 1.

    Returns:
        The positions of the nearest images, int64 of shape (n,), and their distances, float64
        of shape (n,): the root of the mean squared difference, in gray levels (0 to 255).
    """
    nearest = np.zeros(len(queries), np.int64)
    apart = np.zeros(len(queries))
    for start in range(0, len(queries), CHUNK):
        rows = slice(start, start + CHUNK)
        nearest[rows] = _find_nearest(_flatten(queries[rows]), images, positions)
        apart[rows] = measure_distances(queries[rows], images[nearest[rows]])
    return nearest, apart


def _find_nearest(rows: np.ndarray, images: Images, positions: np.ndarray) -> np.ndarray:
    """Find the positions of the images nearest to a few flattened ones."""
    best = np.full(len(rows), np.inf)
    nearest = np.zeros(len(rows), np.int64)
    for start in range(0, len(positions), CHUNK):
        chunk = positions[start : start + CHUNK]
        columns = _flatten(images[chunk])
        # The query's own norm is the same for all candidates.
        distances = (columns**2).sum(1) - 2 * (rows @ columns.T)
        candidates = distances.argmin(1)
        lowest = distances[np.arange(len(rows)), candidates]
        better = lowest < best
        best[better], nearest[better] = lowest[better], chunk[candidates[better]]
    return nearest


def find_nearest_features(
    queries: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each query the features nearest to it, chunk by chunk.

    Args:
        queries: Features of shape (n, d).
        features: Those to search, (m, d), m at least 1.

    Returns:
        Rows of the nearest ones, int64 of shape (n,), and Euclidean distances, float64 (n,).
    """
    nearest, best = np.zeros(len(queries), np.int64), np.full(len(queries), np.inf)
    for rows in in_chunks(len(queries)):
        for columns in in_chunks(len(features)):
            apart = squared_distances(queries[rows], features[columns])
            lowest, candidates = apart.min(axis=1), apart.argmin(axis=1) + columns.start
            nearest[rows] = np.where(lowest < best[rows], candidates, nearest[rows])
            best[rows] = np.minimum(lowest, best[rows])
    return nearest, np.sqrt(best)


def measure_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean squared differences, float64 (n,), of uint8 images (n, H, W, 3), pair by pair."""
    differences = some.astype(np.float64) - others
    return np.sqrt((differences**2).mean(axis=(1, 2, 3)))


def _flatten(images: np.ndarray) -> np.ndarray:
    # Centered and scaled, so that little is lost to cancellation.
    return images.reshape(len(images), math.prod(images.shape[1:])).astype(np.float32) / 255 - 0.5
