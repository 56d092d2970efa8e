"""Nearest neighbors among the training images, in pixels and in features."""

from collections.abc import Iterator

import numpy as np

from ganvas.arrays import ConvertedImages, Images, take
from ganvas.metrics.pairwise import in_chunks, squared_distances

# Images of each side that are compared at once, fewer if they would take more bytes as floats.
CHUNK, CHUNK_BYTES = 512, 2**28
# Larger images are compared as averages of squares of pixels.
MAX_PIXELS = 256**2


def reduction_factor(height: int, width: int) -> int:
    """Return the side of the squares whose averages are compared in place of pixels.

    It is a power of two, and 1 up to 256×256 pixels.

    Example:
        >>> reduction_factor(256, 256), reduction_factor(1024, 512)
        (1, 4)
    """
    factor = 1
    while height * width > MAX_PIXELS * factor**2:
        factor *= 2
    return factor


def find_nearest_images(
    queries: Images, images: Images, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest image of each query, by root mean squared difference of pixels.

    Images of more than 256×256 pixels are compared by averages of squares of pixels, see
    `reduction_factor`. The search uses matrix products in float32, in chunks so that memory stays
    bounded, and reads each image once; the distance to the nearest is then computed exactly.

    Args:
        queries: uint8 of shape (n, H, W, C); may be memory-mapped.
        images: uint8 of shape (N, H, W, C); may be memory-mapped.
        positions: Which images to search, int64 of shape (m,), m at least 1.

    Returns:
        The positions of the nearest images, int64 of shape (n,), and their distances in gray
        levels (0 to 255), float64 of shape (n,).

    Example:
        >>> images = np.stack([np.full((4, 4, 3), level, np.uint8) for level in range(5)])
        >>> find_nearest_images(images[[4]], images, np.array([0, 1, 2]))
        (array([2]), array([2.]))
    """
    factor = reduction_factor(*images.shape[1:3])
    if factor > 1:
        queries, images = (
            ConvertedImages(side, lambda pixels: _average(pixels, factor))
            for side in (queries, images)
        )
    if not isinstance(queries, np.ndarray):
        # The search reads queries again and again; they are decoded and converted only once.
        queries = take(queries, np.arange(len(queries)))
    nearest = _search(queries, images, positions)
    distances = np.zeros(len(queries))
    for number, position in enumerate(nearest):
        query, image = queries[number : number + 1], images[np.array([position])]
        distances[number] = np.sqrt(((query.astype(np.float64) - image) ** 2).mean())
    return nearest, distances


def _search(queries: Images, images: Images, positions: np.ndarray) -> np.ndarray:
    """Return the positions of the images nearest to queries."""
    best = np.full(len(queries), np.inf)
    nearest = np.zeros(len(queries), np.int64)
    values = int(np.prod(images.shape[1:]))
    # Images are read from disk and may have to be decoded, so queries are what is read again.
    for columns in _in_chunks(len(positions), values):
        chunk = positions[columns]
        candidates = _flatten(images[chunk])
        norms = (candidates**2).sum(1)
        for rows in _in_chunks(len(queries), values):
            # Without the query's own norm, which is the same for all candidates.
            distances = norms - 2 * (_flatten(queries[rows]) @ candidates.T)
            closest = distances.argmin(1)
            lowest = distances[np.arange(len(distances)), closest]
            found = np.where(lowest < best[rows], chunk[closest], nearest[rows])
            best[rows], nearest[rows] = np.minimum(lowest, best[rows]), found
    return nearest


def _in_chunks(count: int, values: int) -> Iterator[slice]:
    """Split so many images of so many values each."""
    length = max(1, min(CHUNK, CHUNK_BYTES // (4 * values)))
    return (slice(start, min(start + length, count)) for start in range(0, count, length))


def _average(images: np.ndarray, factor: int) -> np.ndarray:
    """Average squares of pixels, rounded; sides that it doesn't divide lose their last pixels."""
    height, width = (side // factor for side in images.shape[1:3])
    cut = images[:, : height * factor, : width * factor]
    squares = cut.reshape(len(cut), height, factor, width, factor, -1)
    return np.rint(squares.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


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
