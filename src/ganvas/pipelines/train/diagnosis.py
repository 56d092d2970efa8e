"""The diagnosis of a run after each epoch: its samples compared with training images, in pixels."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ganvas.arrays import ConvertedImages, Images, take
from ganvas.grid_layout import label_rows
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import ClassTable
from ganvas.metrics.class_diversity import (
    MIN_IMAGES,
    class_distances,
    class_diversity,
    class_nearest_distances,
    cluster_distances,
    coarse_colors,
    count_clusters,
    count_common,
    fit_clusters,
    name_classes,
)
from ganvas.metrics.nearest_neighbors import find_nearest_images
from ganvas.metrics.pairwise import mean_image_distance, mean_nearest_image_distance
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.diagnostics import COLLAPSED_CLASS, EarlyWarning, diagnose_run
from ganvas.visualization.reduced_images import reduce_images

# Number of samples that are compared, and of real images in each reference for their distances.
REFERENCE_IMAGES = 64
# Number of training images that are clustered where there are no classes.
CLUSTERED_IMAGES = 512
# Images of more pixels than this are compared at this many.
MAX_PIXELS, COMPARED_PIXELS = 128**2, 64**2
# Training images that are compared with samples, at most: reading all of a large collection after
# each epoch would take longer than the epoch.
COMPARED_TRAINING = 2000


def make_diagnosis(
    collection: Collection, data: TrainingSet, classes: ClassTable, params: TrainParams
) -> Callable[[list[dict[str, Any]], np.ndarray | None], list[EarlyWarning]]:
    """Return the function that diagnoses a run by its scores and, if there are any, its samples."""
    training, images = collection.split("train"), reduce_large(collection.images)
    found = np.sort(np.random.default_rng(params.seed).permutation(training)[:COMPARED_TRAINING])
    searched = images
    if images is not collection.images:
        searched, found = images[found], np.arange(len(found))

    def distance_to_training(samples: np.ndarray) -> float:
        return float(find_nearest_images(samples, searched, found)[1].mean())

    # The same measurements on real images, as references.
    validation = images[collection.shuffled("validation")[:REFERENCE_IMAGES]]
    chosen = np.random.default_rng(params.seed).permutation(training)[:REFERENCE_IMAGES]
    real_distance = mean_image_distance(images[chosen]) if len(chosen) > 1 else 0.0
    validation_distance = distance_to_training(validation) if len(validation) else 0.0
    measure_classes = make_class_measure(data, classes, params)
    steps = max(len(data.positions) // params.images_per_step, 1)

    def diagnose(rows: list[dict[str, Any]], samples: np.ndarray | None) -> list[EarlyWarning]:
        if samples is not None and len(samples) > 1:
            samples = reduce_large(samples)[:]
            # Evenly spaced, so that they are of all classes.
            some = samples[:: math.ceil(len(samples) / REFERENCE_IMAGES)]
            if real_distance:
                rows[-1]["diversity"] = mean_image_distance(some) / real_distance
            measured = measure_classes(samples)
            if measured.nearest is not None:
                rows[-1]["class_nearest"] = measured.nearest
            if measured.diversity:
                worst, lowest = next(iter(measured.diversity.items()))
                rows[-1]["class_diversity"], rows[-1]["least_diverse_class"] = lowest, worst
                collapsed = sum(value < COLLAPSED_CLASS for value in measured.diversity.values())
                rows[-1]["collapsed_classes"] = collapsed
            if validation_distance:
                rows[-1]["novelty"] = distance_to_training(some) / validation_distance
        return diagnose_run(rows, rows[-1]["epoch"] * steps, params.loss)

    return diagnose


def reduce_large(images: Images) -> Images:
    """Return images as they are compared: those of more than `MAX_PIXELS` reduced.

    Example:
        >>> reduce_large(np.zeros((2, 512, 256, 4), np.uint8)).shape
        (2, 90, 45, 4)
    """
    if math.prod(images.shape[1:3]) <= MAX_PIXELS:
        return images
    return ConvertedImages(images, partial(reduce_images, pixels=COMPARED_PIXELS))


class ClassMeasures(NamedTuple):
    """How much the samples of a snapshot differ within each class, relative to real images.

    Attributes:
        diversity: Share of the mean distance, by class, the lowest first.
        nearest: Share of the distance to the nearest of `MIN_IMAGES` samples of the class, 1 at
            most, the mean of all classes; None with too few samples or training images of each.
    """

    diversity: dict[str, float]
    nearest: float | None


def make_class_measure(
    data: TrainingSet, classes: ClassTable, params: TrainParams
) -> Callable[[np.ndarray], ClassMeasures]:
    """Return the function that measures how diverse the samples of each class are, in pixels.

    With several label columns, those of each value are measured. Without classes, clusters of
    training images with similar colors take their place. See `ganvas.metrics.class_diversity`.

    Args:
        data: The images to train on.
        classes: The classes and their names.
        params: Parameters of training: rows and columns of a snapshot, seed.

    Returns:
        A function from the samples of a snapshot to what was measured, of classes with enough
        samples and training images.
    """
    positions = np.random.default_rng(params.seed).permutation(data.positions)
    images = reduce_large(data.images)
    if data.labels is None:
        return _make_cluster_measure(images[positions[:CLUSTERED_IMAGES]], params)
    labels = data.labels[positions]
    sample_labels = label_rows(data.num_shown, params.snapshot_rows, params.snapshot_columns)
    if data.rows is not None:
        labels, sample_labels = map(classes.value_positions, (labels, sample_labels))
    # Of very many classes, snapshots show some.
    chosen, numbers = _choose_real(labels, np.unique(sample_labels))
    real = take(images, positions[chosen])
    distances = class_distances(real, numbers, mean_image_distance)
    sizes = count_common(sample_labels, numbers, MIN_IMAGES)
    nearest = class_nearest_distances(real, numbers, sizes, mean_nearest_image_distance)

    def measure_classes(samples: np.ndarray) -> ClassMeasures:
        ours = class_distances(samples, sample_labels, mean_image_distance)
        return ClassMeasures(
            name_classes(class_diversity(ours, distances), classes.value_names),
            _compare_nearest(samples, sample_labels, nearest, sizes),
        )

    return measure_classes


def _make_cluster_measure(
    real: np.ndarray, params: TrainParams
) -> Callable[[np.ndarray], ClassMeasures]:
    """Return the function that measures samples within clusters of training images."""
    count = count_clusters(params.snapshot_rows * params.snapshot_columns, len(real))
    if count < 2:
        # Of one, the diversity is that of all samples.
        return lambda samples: ClassMeasures({}, None)
    clusters = fit_clusters(coarse_colors(real), count, params.seed)
    names = [f"color cluster {number + 1} of {count}" for number in range(count)]
    chosen, numbers = _choose_real(clusters.labels_, np.arange(count))
    real = real[chosen]
    distances = class_distances(real, numbers, mean_image_distance)

    def measure_clusters(samples: np.ndarray) -> ClassMeasures:
        labels = clusters.predict(coarse_colors(samples))
        ours = cluster_distances(samples, labels, clusters.labels_, mean_image_distance)
        # Other than those of classes, the sizes of clusters change with the samples.
        sizes = count_common(labels, numbers, MIN_IMAGES)
        nearest = class_nearest_distances(real, numbers, sizes, mean_nearest_image_distance)
        return ClassMeasures(
            name_classes(class_diversity(ours, distances), names),
            _compare_nearest(samples, labels, nearest, sizes),
        )

    return measure_clusters


def _choose_real(labels: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the first `REFERENCE_IMAGES` of some classes.

    Args:
        labels: Class numbers of training images, (n,), or of several label columns (n, C).
        wanted: The numbers of the classes, or of the columns' values, (k,).

    Returns:
        Positions in labels, and the class number of each, (m,).
    """
    columns = labels.reshape(len(labels), -1)
    positions = [
        np.flatnonzero((columns == number).any(axis=1))[:REFERENCE_IMAGES] for number in wanted
    ]
    return np.concatenate(positions), np.repeat(wanted, list(map(len, positions)))


def _compare_nearest(
    samples: np.ndarray, labels: np.ndarray, real: dict[int, float], sizes: dict[int, int]
) -> float | None:
    """Return the share of the distance to the nearest sample, the mean of all classes."""
    ours = class_nearest_distances(samples, labels, sizes, mean_nearest_image_distance)
    shares = class_diversity(ours, real)
    # Real images of one class that are nearly alike must not hide the other classes.
    return float(np.minimum(list(shares.values()), 1).mean()) if shares else None
