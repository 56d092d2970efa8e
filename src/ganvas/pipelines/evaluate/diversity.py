"""The node that measures diversity within classes."""

import logging
from typing import Any, NamedTuple

import numpy as np

from ganvas.arrays import Images, SelectedImages, take
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import read_class_list
from ganvas.metrics.class_diversity import (
    MIN_IMAGES,
    NEAREST_OF,
    MeanDistance,
    NearestDistance,
    class_distances,
    class_diversity,
    class_nearest_distances,
    cluster_distances,
    coarse_colors,
    count_clusters,
    count_common,
    fit_clusters,
    halve_classes,
    name_classes,
)
from ganvas.metrics.pairwise import (
    mean_image_distance,
    mean_nearest_distance,
    mean_nearest_image_distance,
    mean_pairwise_distance,
)
from ganvas.metrics.transparency import describe_for_pixels, for_pixels
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams

logger = logging.getLogger(__name__)


class _Groups(NamedTuple):
    """The classes, or the clusters in their place, of generated and training images.

    Attributes:
        generated: Number of each generated image's group, (n,); of several label columns the
            numbers of its values, (n, C).
        real: The same of training images; -1 for images without a class.
        names: Names of the groups.
        are_classes: Whether they are classes.
        description: What they are, in words.
    """

    generated: np.ndarray
    real: np.ndarray
    names: list[str]
    are_classes: bool
    description: str

    @property
    def kind(self) -> str:
        """What one of them is called."""
        return "class" if self.are_classes else "cluster"


class _Side(NamedTuple):
    """What is compared: images or their features, generated and of training images."""

    generated: Images | np.ndarray
    real: Images | np.ndarray
    mean_distance: MeanDistance
    nearest_distance: NearestDistance
    description: str


def measure_class_diversity(
    generated: np.ndarray,
    target_classes: np.ndarray,
    features: Features,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Compare how much images of a class differ, generated and real, in pixels and in features.

    Two distances are compared, the mean one and that to the nearest image of the class. The value
    is that of the worst class, or of the worst value of several label columns. The real-data
    baseline is the same of one half of each class's training images relative to the other half,
    also of the worst class. Without classes, clusters of similar training images take their place.

    Args:
        generated: uint8 of shape (N, H, W, C); may be memory-mapped.
        target_classes: Their classes, int of shape (N,).
        features: Features of the same images; without an extractor only pixels are compared.
        collection: The packed real images.
        class_list: The generator's label column and class names.
        params: Parameters of evaluation: seed.

    Raises:
        GanvasError: The collection's classes differ from the generator's.
    """
    features = features.with_at_most(params.real)
    groups = _find_groups(generated, target_classes, features, collection, class_list, params)
    metrics = {}
    for key, side in _list_sides(generated, features, collection).items():
        values = _measure(side, groups)
        if not values:
            logger.warning("%s", _explain_missing(groups, params))
            return {}
        plural = "classes" if groups.are_classes else "clusters"
        metrics[f"class_diversity_{key}"] = _make_entry(
            f"Diversity within {plural}, in {key}",
            f"mean distance of generated images of a {groups.kind} from each other relative to "
            "that of its training images",
            values,
            _measure_baseline(side, groups.real),
            side,
            groups,
            params,
        )
        if nearest := _measure_nearest(side, groups):
            metrics[f"class_nearest_{key}"] = _make_entry(
                f"Nearest image of the same {groups.kind}, in {key}",
                "mean distance of generated images to the nearest other one of their "
                f"{groups.kind} relative to that of as many of its training images, among "
                f"{NEAREST_OF} at most",
                nearest,
                _measure_nearest_baseline(side, groups.real),
                side,
                groups,
                params,
            )
    return metrics


def _find_groups(
    generated: np.ndarray,
    target_classes: np.ndarray,
    features: Features,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> _Groups:
    """Return the classes or, without classes, clusters of similar training images."""
    classes = match_classes(collection.index, read_class_list(class_list))
    table, positions = classes.table, features.training_positions
    if len(table.columns) > 1:
        # Most combinations of many columns have too few images.
        ours, real = map(table.value_positions, (target_classes, classes.labels[positions]))
        description = f"values of {classes.column}"
        return _Groups(ours, real, table.value_names, True, description)
    if table.columns:
        description = f"classes of {classes.column}"
        return _Groups(target_classes, classes.labels[positions], classes.names, True, description)
    if features.extractor:
        ours, real = features.generated, features.training
        basis = "training images' features"
    else:
        training = SelectedImages(for_pixels(collection.images), positions)
        ours, real = coarse_colors(for_pixels(generated)), coarse_colors(training)
        basis = "training images' colors at 8×8 pixels"
    clusters = fit_clusters(real, count_clusters(len(ours), len(real)), params.seed)
    names = [f"cluster {number + 1}" for number in range(clusters.n_clusters)]
    description = f"k-means clusters of {basis}"
    return _Groups(clusters.predict(ours), clusters.labels_, names, False, description)


def _list_sides(
    generated: np.ndarray, features: Features, collection: Collection
) -> dict[str, _Side]:
    """Return what is compared by the end of its metric's key: pixels, and features if any."""
    sides = {
        "pixels": _Side(
            for_pixels(generated),
            # Read once, since several distances are computed of them.
            take(for_pixels(collection.images), features.training_positions),
            mean_image_distance,
            mean_nearest_image_distance,
            "root mean squared differences of pixels" + describe_for_pixels(generated.shape[3]),
        )
    }
    if features.extractor:
        sides["features"] = _Side(
            features.generated,
            features.training,
            mean_pairwise_distance,
            mean_nearest_distance,
            f"Euclidean, features of {features.extractor.name}",
        )
    return sides


def _make_entry(
    title: str,
    what: str,
    values: dict[int, float],
    baseline: float | None,
    side: _Side,
    groups: _Groups,
    params: EvaluateParams,
) -> dict[str, Any]:
    by_class = name_classes(values, groups.names)
    worst = next(iter(by_class))
    return metric_entry(
        title,
        by_class[worst],
        f"{what}, {side.description}; the worst of {len(by_class)} {groups.description}, {worst}; "
        f"those with fewer than {MIN_IMAGES} images a side are left out; N={len(side.generated)} "
        f"generated and {len(side.real)} training images; baseline: one half of these relative to "
        f"the other; seed {params.seed}",
        real=baseline,
        by_class=by_class,
    )


def _explain_missing(groups: _Groups, params: EvaluateParams) -> str:
    """Return why no class can be measured and what would help, in a sentence."""
    generated, real = (_largest(labels) for labels in (groups.generated, groups.real))
    remedies = ["raise evaluate.count"] if generated < MIN_IMAGES else []
    if real < MIN_IMAGES:
        limited = len(groups.real) >= params.real
        remedies.append("raise evaluate.real" if limited else "ingest more images of a class")
    return (
        f"Diversity within classes needs {MIN_IMAGES} generated and {MIN_IMAGES} training images "
        f"of a class that are not all equal, and the largest classes have {generated} and {real}: "
        f"{' and '.join(remedies) or 'raise evaluate.count'}."
    )


def _largest(labels: np.ndarray) -> int:
    """Return the number of images in the largest group."""
    return int(np.bincount(labels[labels >= 0], minlength=1).max())


def _measure(side: _Side, groups: _Groups) -> dict[int, float]:
    """Return the diversity of each class or cluster by its number."""
    if groups.are_classes:
        ours = class_distances(side.generated, groups.generated, side.mean_distance)
    else:
        ours = cluster_distances(side.generated, groups.generated, groups.real, side.mean_distance)
    return class_diversity(ours, class_distances(side.real, groups.real, side.mean_distance))


def _measure_baseline(side: _Side, labels: np.ndarray) -> float | None:
    halves = [
        class_distances(side.real, half, side.mean_distance) for half in halve_classes(labels)
    ]
    return min(class_diversity(*halves).values(), default=None)


def _measure_nearest(side: _Side, groups: _Groups) -> dict[int, float]:
    """Return the share of the distance to the nearest image by number of class or cluster."""
    ours, real = (side.generated, groups.generated), (side.real, groups.real)
    return _compare_nearest(ours, real, side.nearest_distance)


def _measure_nearest_baseline(side: _Side, labels: np.ndarray) -> float | None:
    ours, real = ((side.real, half) for half in halve_classes(labels))
    return min(_compare_nearest(ours, real, side.nearest_distance).values(), default=None)


def _compare_nearest(
    ours: tuple[Images | np.ndarray, np.ndarray],
    real: tuple[Images | np.ndarray, np.ndarray],
    nearest_distance: NearestDistance,
) -> dict[int, float]:
    sizes = count_common(ours[1], real[1])
    return class_diversity(
        *(class_nearest_distances(*side, sizes, nearest_distance) for side in (ours, real))
    )
