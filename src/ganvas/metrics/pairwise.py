"""Pairwise distances of features and images, in chunks so that memory stays bounded."""

from collections.abc import Callable

import numpy as np

from ganvas.errors import GanvasError

CHUNK = 2048
# Relative to the squared distances from the mean: smaller distances are rounding errors, and become
# 0.
TOLERANCE = 1e-12
PIXEL_CHUNK = 16_384


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute squared Euclidean distances, float64 (m, n), of vectors (m, d) and (n, d).

    Vectors are centered first, so that those far from the origin lose no precision.

    Example:
        >>> squared_distances(np.array([[0, 0]]), np.array([[3, 4], [1, 0]])).tolist()
        [[25.0, 1.0]]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    center = b.mean(axis=0)
    a, b = a - center, b - center
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)
    distances = squares - 2 * (a @ b.T)
    distances[distances < TOLERANCE * squares] = 0
    return distances


def in_chunks(count: int) -> list[slice]:
    """Split the indices below `count` into slices.

    Example:
        >>> in_chunks(3000)
        [slice(0, 2048, None), slice(2048, 3000, None)]
    """
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def mean_pairwise_distance(features: np.ndarray) -> float:
    """Compute the mean Euclidean distance of all pairs of different images of one set.

    Args:
        features: (n, d), n at least 2; may be memory-mapped.

    Returns:
        The mean distance; 0 if all images are equal.

    Raises:
        GanvasError: There are fewer than two images.

    Example:
        >>> mean_pairwise_distance(np.array([[0.0], [1.0], [2.0]]))
        1.3333333333333333
    """
    count = len(features)
    if count < 2:
        raise GanvasError(f"A pairwise distance needs 2 images or more, not {count}.")
    chunks, total = in_chunks(count), 0.0
    for i, rows in enumerate(chunks):
        total += np.sqrt(squared_distances(features[rows], features[rows])).sum()
        # The distance is symmetric: pairs of two chunks are computed once and count twice.
        for columns in chunks[i + 1 :]:
            total += 2 * np.sqrt(squared_distances(features[rows], features[columns])).sum()
    return float(total / (count * (count - 1)))


def mean_image_distance(images: np.ndarray) -> float:
    """Return the mean over all pairs of the root mean squared difference in gray levels, 0 to 255.

    Args:
        images: uint8 of shape (n, H, W, C), n at least 2 and some thousands at most; may be
            memory-mapped.

    Example:
        >>> mean_image_distance(np.array([0, 10], np.uint8).reshape(2, 1, 1, 1))
        10.0
    """
    squares = _mean_squared_differences(images)
    return float(np.sqrt(squares[np.triu_indices(len(images), 1)]).mean())


def mean_nearest_distance(features: np.ndarray, size: int) -> float:
    """Compute the mean Euclidean distance to the nearest other image among `size` images.

    It falls as the number of images grows, so sets are compared at one size: a larger set is
    divided into subsets of this size, whose means are averaged. A rest is left out.

    Args:
        features: (n, d); may be memory-mapped.
        size: Number of images in a subset, from 2 to n, some thousands at most.

    Raises:
        GanvasError: There are fewer images, or the size is below 2.

    Example:
        >>> mean_nearest_distance(np.array([[0.0], [1.0], [3.0], [7.0], [9.0], [9.0]]), size=3)
        1.0
    """
    return _mean_nearest(features, size, lambda part: squared_distances(part, part))


def mean_nearest_image_distance(images: np.ndarray, size: int) -> float:
    """Return the same as `mean_nearest_distance` in gray levels, see `mean_image_distance`.

    Example:
        >>> images = np.array([0, 10, 12], np.uint8).reshape(3, 1, 1, 1)
        >>> round(mean_nearest_image_distance(images, size=3), 3)
        4.667
    """
    return _mean_nearest(images, size, _mean_squared_differences)


def _mean_nearest(
    vectors: np.ndarray, size: int, square: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Return the mean distance to the nearest other vector in subsets, by all squared distances."""
    if not 2 <= size <= len(vectors):
        raise GanvasError(
            f"The nearest of {size} images can't be found in {len(vectors)}: the size must be from "
            "2 to their number."
        )
    nearest = []
    for start in range(0, len(vectors) - size + 1, size):
        squares = square(vectors[start : start + size])
        np.fill_diagonal(squares, np.inf)
        nearest.append(np.sqrt(squares.min(axis=1)))
    return float(np.mean(nearest))


def _mean_squared_differences(images: np.ndarray) -> np.ndarray:
    """Return the mean squared differences of n images' pixels, float64 (n, n)."""
    flat = images.reshape(len(images), -1)
    products = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], PIXEL_CHUNK):
        # Sums of whole numbers, which float64 holds exactly.
        part = flat[:, start : start + PIXEL_CHUNK].astype(np.float64)
        products += part @ part.T
    norms = products.diagonal()
    return (norms[:, None] + norms - 2 * products) / flat.shape[1]
