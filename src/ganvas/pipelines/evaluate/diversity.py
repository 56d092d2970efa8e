"""The node that measures diversity within classes."""

import logging
from typing import Any

import numpy as np

from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.metrics.class_diversity import (
    MIN_IMAGES,
    MeanDistance,
    class_distances,
    class_diversity,
    cluster_distances,
    coarse_colors,
    fit_clusters,
    halve_classes,
    name_classes,
)
from ganvas.metrics.pairwise import mean_image_distance, mean_pairwise_distance
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams

logger = logging.getLogger(__name__)

# Clusters that stand for classes where there are none: this many, and fewer of few real images.
CLUSTERS, IMAGES_PER_CLUSTER = 10, 4 * MIN_IMAGES

Labels = tuple[np.ndarray, np.ndarray]


def measure_class_diversity(
    generated: np.ndarray,
    target_classes: np.ndarray,
    features: Features,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Compare how much images of a class differ, generated and real, in pixels and in features.

    The value is that of the worst class. The real-data baseline is the same of one half of each
    class's training images relative to the other half, also of the worst class. Without classes,
    clusters of similar training images take their place.

    Args:
        generated: uint8 of shape (N, H, W, 3).
        target_classes: Their classes, int of shape (N,).
        features: Features of the same images; without an extractor only pixels are compared.
        collection: The packed real images.
        class_list: The generator's label column and class names.
        params: Parameters of evaluation: seed.

    Raises:
        GanvasError: The collection's classes differ from the generator's.
    """
    classes = match_classes(collection.index, class_list["column"], class_list["names"])
    positions = features.training_positions
    if classes.names:
        names, groups = classes.names, f"classes of {classes.column}"
        labels = target_classes, classes.labels[positions]
    else:
        labels, basis = _assign_clusters(generated, features, collection, params.seed)
        names = [f"cluster {number + 1}" for number in range(labels[1].max() + 1)]
        groups = f"k-means clusters of {basis}"
    sides: dict[str, tuple[np.ndarray, np.ndarray, MeanDistance]]
    sides = {"pixels": (generated, collection.images[positions], mean_image_distance)}
    how = {"pixels": "root mean squared differences of pixels"}
    if features.extractor:
        sides["features"] = features.generated, features.training, mean_pairwise_distance
        how["features"] = f"Euclidean, features of {features.extractor.name}"
    metrics = {}
    for key, (ours, real, mean_distance) in sides.items():
        values = _measure(ours, real, labels, mean_distance, bool(classes.names))
        if not values:
            logger.warning(
                "Diversity within classes needs %d generated and %d training images of a class: "
                "raise evaluate.count or evaluate.real.",
                MIN_IMAGES,
                MIN_IMAGES,
            )
            return {}
        by_class = name_classes(values, names)
        worst = next(iter(by_class))
        metrics[f"class_diversity_{key}"] = metric_entry(
            f"Diversity within {'classes' if classes.names else 'clusters'}, in {key}",
            by_class[worst],
            f"mean distance of generated images of a class from each other relative to that of its "
            f"training images, {how[key]}; the worst of {len(values)} {groups}, {worst}; those "
            f"with fewer than {MIN_IMAGES} images a side are left out; N={len(ours)} generated and "
            f"{len(real)} training images; baseline: one half of these relative to the other; "
            f"seed {params.seed}",
            real=_measure_baseline(real, labels[1], mean_distance),
            by_class=by_class,
        )
    return metrics


def _assign_clusters(
    generated: np.ndarray, features: Features, collection: Collection, seed: int
) -> tuple[Labels, str]:
    """Return the clusters of generated and training images, and what they are clusters of."""
    if features.extractor:
        ours, real = features.generated, features.training
        basis = "training images' features"
    else:
        ours = coarse_colors(generated)
        real = coarse_colors(collection.images[features.training_positions])
        basis = "training images' colors at 8×8 pixels"
    count = min(CLUSTERS, max(len(real) // IMAGES_PER_CLUSTER, 1))
    clusters = fit_clusters(real, count, seed)
    return (clusters.predict(ours), clusters.labels_), basis


def _measure(
    generated: np.ndarray,
    real: np.ndarray,
    labels: Labels,
    mean_distance: MeanDistance,
    has_classes: bool,
) -> dict[int, float]:
    """Return the diversity of each class or cluster by its number."""
    if has_classes:
        ours = class_distances(generated, labels[0], mean_distance)
    else:
        ours = cluster_distances(generated, *labels, mean_distance)
    return class_diversity(ours, class_distances(real, labels[1], mean_distance))


def _measure_baseline(
    real: np.ndarray, labels: np.ndarray, mean_distance: MeanDistance
) -> float | None:
    halves = [class_distances(real, half, mean_distance) for half in halve_classes(labels)]
    return min(class_diversity(*halves).values(), default=None)
