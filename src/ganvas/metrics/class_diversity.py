"""Diversity within classes: how much images of one class differ, relative to real images of it.

Over all images, a generator that makes one image of each class looks nearly as varied as real
images are, since images of different classes differ most. One that repeats k images of each class
keeps about (k - 1) / k of the mean distance within it, so the distance to the nearest image is
compared too. Without classes, clusters of similar real images take their place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ganvas.arrays import Images, take

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

# Of real images of one class, the mean distance of 8 varies by 4 to 10 % (standard deviation) with
# the choice of the 8, that of 4 by 9 to 15 %, which is too much for the lowest of many classes.
MIN_IMAGES = 8
# The nearest image is found among this many of a class at most. Among more it is nearer, and of
# generated images, which have fewer details of their own, more so than of real ones.
NEAREST_OF = 64
COARSE_SIDE = 8
MAX_CLUSTERS = 10

MeanDistance = Callable[[np.ndarray], float]
NearestDistance = Callable[[np.ndarray, int], float]


def class_distances(
    images: Images | np.ndarray,
    labels: np.ndarray,
    mean_distance: MeanDistance,
    least: int = MIN_IMAGES,
) -> dict[int, float]:
    """Compute the mean distance of all pairs of images of each class.

    Args:
        images: Images or features, of shape (n, ...); may be memory-mapped, and are copied class by
            class, see `ganvas.arrays.take`.
        labels: Class number of each, int of shape (n,); those below 0 are left out. Of several
            label columns (n, C): numbers of values, of which no two columns have the same.
        mean_distance: Computes the mean distance of all pairs of one class, such as
            `ganvas.metrics.pairwise.mean_pairwise_distance`.
        least: Classes with fewer images are left out; 2 or more.

    Returns:
        The mean distance by class number.

    Example:
        >>> from ganvas.metrics.pairwise import mean_pairwise_distance
        >>> features, labels = np.array([[0.0], [3.0], [5.0]]), np.array([1, 1, 0])
        >>> class_distances(features, labels, mean_pairwise_distance, least=2)
        {1: 3.0}
    """
    distances: dict[int, float] = {}
    if labels.ndim == 2:
        for column in labels.T:
            distances |= class_distances(images, column, mean_distance, least)
        return distances
    for label in np.unique(labels[labels >= 0]).tolist():
        positions = np.flatnonzero(labels == label)
        if len(positions) >= max(least, 2):
            distances[label] = mean_distance(take(images, positions))
    return distances


def class_diversity(generated: dict[int, float], real: dict[int, float]) -> dict[int, float]:
    """Divide the distances of generated images by those of real images of the same class.

    Classes that one side lacks are left out, and those whose real images are all equal.

    Args:
        generated: Mean distance by class number, see `class_distances`, or
            `class_nearest_distances`.
        real: The same of real images.

    Returns:
        Diversity by class number: about 1 for images as varied as real ones, 0 for equal images.

    Example:
        >>> class_diversity({0: 1.0, 1: 3.0, 2: 1.0}, {0: 4.0, 1: 3.0, 3: 2.0})
        {0: 0.25, 1: 1.0}
    """
    return {
        label: distance / real[label]
        for label, distance in generated.items()
        if real.get(label, 0) > 0
    }


def count_common(
    labels: np.ndarray, real_labels: np.ndarray, most: int = NEAREST_OF
) -> dict[int, int]:
    """Count the images of each class on the side that has fewer, if it has `MIN_IMAGES` or more.

    Args:
        labels: See `class_distances`.
        real_labels: The same of real images.
        most: The largest count.

    Example:
        >>> count_common(np.repeat([-1, 0, 1], 12), np.repeat([0, 1, 2], [20, 7, 20]))
        {0: 12}
    """
    ours, theirs = (Counter(side[side >= 0].tolist()) for side in (labels, real_labels))
    sizes = {label: min(count, theirs[label], most) for label, count in ours.items()}
    return {label: size for label, size in sizes.items() if size >= MIN_IMAGES}


def class_nearest_distances(
    images: Images | np.ndarray,
    labels: np.ndarray,
    sizes: dict[int, int],
    nearest_distance: NearestDistance,
) -> dict[int, float]:
    """Compute the mean distance of images to the nearest other one of their class.

    It depends on their number, so that both sides that are compared by `class_diversity` need the
    same sizes.

    Args:
        images: See `class_distances`.
        labels: See `class_distances`.
        sizes: Number of images among which the nearest is found, by class number; see
            `count_common`. Other classes are left out.
        nearest_distance: Computes the distance from images and a size, such as
            `ganvas.metrics.pairwise.mean_nearest_distance`.

    Returns:
        The distance by class number; 0 if each image is there twice.

    Example:
        >>> from ganvas.metrics.pairwise import mean_nearest_distance
        >>> features, labels = np.array([[0.0], [3.0], [5.0]]), np.array([1, 1, 0])
        >>> class_nearest_distances(features, labels, {1: 2}, mean_nearest_distance)
        {1: 3.0}
    """
    columns = labels.reshape(len(labels), -1)
    return {
        label: nearest_distance(take(images, np.flatnonzero((columns == label).any(axis=1))), size)
        for label, size in sizes.items()
    }


def fit_clusters(vectors: np.ndarray, count: int, seed: int) -> KMeans:
    """Group real images by k-means: `labels_` has their clusters, `predict` those of others.

    Args:
        vectors: Features, or `coarse_colors`, of real images, float32 of shape (n, d).
        count: Number of clusters, at most n.
        seed: Random seed of the initial centers.
    """
    # scikit-learn takes a second to import, and commands that run no node do without.
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=10, random_state=seed).fit(vectors)


def count_clusters(generated: int, real: int) -> int:
    """Return the number of clusters to divide images into; 1 if there are too few for more.

    A cluster has 16 generated and 32 real images or more on average, so that most have the
    `MIN_IMAGES` that a mean distance needs, in each half of the real ones too.

    Args:
        generated: Number of generated images.
        real: Number of real images.

    Example:
        >>> count_clusters(500, 1000), count_clusters(500, 100), count_clusters(32, 500)
        (10, 3, 2)
    """
    clusters = min(generated // (2 * MIN_IMAGES), real // (4 * MIN_IMAGES), MAX_CLUSTERS)
    return max(clusters, 1)


def cluster_distances(
    images: Images | np.ndarray,
    labels: np.ndarray,
    real_labels: np.ndarray,
    mean_distance: MeanDistance,
) -> dict[int, float]:
    """Compute the mean distance of generated images within each cluster of real images.

    Clusters are not target classes, so the number of images in one is a result: a cluster with
    fewer than 2 images is missing, and its distance is 0. Clusters that are so rare
    among real images that fewer than `MIN_IMAGES` would be expected are left out.

    Args:
        images: Generated images or their features, of shape (n, ...).
        labels: Cluster of each, int of shape (n,).
        real_labels: Cluster of each real image, int of shape (m,).
        mean_distance: See `class_distances`.

    Example:
        >>> from ganvas.metrics.pairwise import mean_pairwise_distance
        >>> features, labels = np.arange(16.0)[:, None], np.zeros(16, int)
        >>> cluster_distances(features, labels, np.array([0, 1]), mean_pairwise_distance)
        {0: 5.666666666666667, 1: 0.0}
    """
    distances = class_distances(images, labels, mean_distance, least=2)
    expected = np.bincount(real_labels) / len(real_labels) * len(images)
    return {
        cluster: distances.get(cluster, 0.0)
        for cluster in np.flatnonzero(expected >= MIN_IMAGES).tolist()
    }


def halve_classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide the images of each class into two halves: labels in one half, -1 in the other.

    Labels of several columns, (n, C), are divided column by column.

    Example:
        >>> halve_classes(np.array([0, 1, 0, 1]))
        (array([ 0,  1, -1, -1]), array([-1, -1,  0,  1]))
    """
    if labels.ndim == 2:
        halves = [halve_classes(column) for column in labels.T]
        one, other = (np.stack(columns, axis=1) for columns in zip(*halves, strict=True))
        return one, other
    first = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        first[positions[: len(positions) // 2]] = True
    return np.where(first, labels, -1), np.where(first, -1, labels)


def coarse_colors(images: Images) -> np.ndarray:
    """Reduce images, uint8 (n, H, W, C), to their colors at 8×8 pixels: float32 (n, 64 · C).

    They may be memory-mapped, and are read one by one. Those that are no squares are stretched.

    Example:
        >>> coarse_colors(np.full((2, 64, 64, 3), 7, np.uint8)).shape
        (2, 192)
    """
    size, box = (COARSE_SIDE, COARSE_SIDE), Image.Resampling.BOX
    reduced = np.empty((len(images), *size, images.shape[3]), np.float32)
    for number in range(len(images)):
        for channel, levels in enumerate(np.moveaxis(images[number : number + 1][0], 2, 0)):
            reduced[number, ..., channel] = Image.fromarray(levels).resize(size, box)
    return reduced.reshape(len(images), -1)


def name_classes(values: dict[int, float], names: Sequence[str]) -> dict[str, float]:
    """Replace class numbers by names, the class of the lowest value first.

    Example:
        >>> name_classes({0: 0.75, 2: 0.5}, ["Op", "Pop", "Dada"])
        {'Dada': 0.5, 'Op': 0.75}
    """
    return {names[label]: values[label] for label in sorted(values, key=values.__getitem__)}
