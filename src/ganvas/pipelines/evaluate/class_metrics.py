"""The node that measures how well generated images fit their classes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ganvas.arrays import ConvertedImages, Images, SelectedImages
from ganvas.ingestion.class_labels import Classes, match_classes
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import ClassTable, read_class_list
from ganvas.metrics.extractor_names import metric_names
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.transparency import for_extractor
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams

if TYPE_CHECKING:
    from ganvas.metrics.feature_extractors import FeatureExtractor

# The kernel distance is unbiased for any number, but too noisy below this one.
MIN_CLASS_IMAGES = 30


def measure_classes(
    features: Features,
    target_classes: np.ndarray,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Compute class accuracy, and the kernel distance within each class.

    Class accuracy is the share of generated images that a classifier trained on real images
    assigns to their target class; the baseline is its accuracy on validation images. Kernel
    distances are computed for classes with enough images. Empty for a generator without classes.

    With several label columns, there is a classifier for each, whose mean accuracy is the value,
    and a kernel distance for each value of a column.

    Raises:
        GanvasError: The collection's classes differ from the generator's.
    """
    features = features.with_at_most(params.real)
    classes = match_classes(collection.index, read_class_list(class_list))
    extractor, table = features.extractor, classes.table
    if not table.columns or not extractor:
        return {}
    accuracy = _measure_accuracy(
        features, extractor, target_classes, collection, classes, params.seed
    )
    metrics = {"class_agreement": accuracy}
    values = table.value_positions(classes.labels[features.training_positions])
    targets = table.value_positions(target_classes)
    _, kd_name, _ = metric_names(extractor.name)
    for number, name in enumerate(table.value_names):
        generated = features.generated[(targets == number).any(axis=1)]
        training = features.training[(values == number).any(axis=1)]
        count = min(len(generated), len(training) // 2)
        if count < MIN_CLASS_IMAGES:
            continue
        real, baseline = training[:count], training[count : 2 * count]
        metrics[f"kernel_distance_{number:03d}"] = metric_entry(
            f"Kernel distance ({kd_name})",
            kernel_distance(real, generated[:count]),
            f"from all pairs, N={count} a side, training split, seed {params.seed}",
            real=kernel_distance(real, baseline),
            of=name,
        )
    return metrics


def _measure_accuracy(
    features: Features,
    extractor: "FeatureExtractor",
    target_classes: np.ndarray,
    collection: Collection,
    classes: Classes,
    seed: int,
) -> dict[str, Any]:
    table = classes.table
    labels = classes.labels[features.training_positions]
    labeled = labels >= 0
    inputs = _add_degraded(features, labeled, extractor, collection, seed)
    predict = _train_predictor(inputs, np.tile(labels[labeled], 2), table, seed)
    validation_labels = classes.labels[features.validation_positions]
    known = validation_labels >= 0
    # The share of images with the right value, by label column.
    targets = table.value_positions(target_classes)
    parts = {"value": (predict(features.generated) == targets).mean(axis=0)}
    if known.any():
        validated = table.value_positions(validation_labels[known])
        parts["real"] = (predict(features.validation[known]) == validated).mean(axis=0)
    by_label: dict[str, dict[str, Any]] = {
        column.column: {"value": None, "real": None}
        | {key: float(shares[number]) for key, shares in parts.items()}
        for number, column in enumerate(table.columns)
    }
    means = {key: float(shares.mean()) for key, shares in parts.items()}
    return metric_entry(
        "Class accuracy",
        means["value"],
        f"N={len(target_classes)} generated and {known.sum()} validation images, "
        f"{_describe_classes(classes, by_label)}, softmax on the features of {extractor.name}, "
        f"trained on {labeled.sum()} training images and their blurred and noisy copies, seed "
        f"{seed}",
        real=means.get("real"),
        by_label=by_label if len(table.columns) > 1 else None,
    )


def _add_degraded(
    features: Features,
    labeled: np.ndarray,
    extractor: "FeatureExtractor",
    collection: Collection,
    seed: int,
) -> np.ndarray:
    """Return the features of labeled training images, and of blurred or noisy copies of them.

    Generated images tend to be blurred or noisy, which the classifier must not mistake for a class.
    """
    from ganvas.metrics.class_consistency import blur_and_noise
    from ganvas.metrics.feature_extractors import compute_features

    real: Images = SelectedImages(collection.images, features.training_positions[labeled])
    if real.shape[3] == 4:
        real = ConvertedImages(real, for_extractor)
    description = "Features of blurred and noisy images"
    degraded = compute_features(extractor, blur_and_noise(real, seed), description)
    return np.concatenate([features.training[labeled], degraded])


def _train_predictor(
    inputs: np.ndarray, labels: np.ndarray, table: ClassTable, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from features (n, d) to values as positions, (n, C)."""
    from ganvas.metrics.class_consistency import (
        predict_classes,
        predict_labels,
        train_classifier,
        train_label_classifier,
    )

    values = table.value_positions(labels)
    if len(table.columns) == 1:
        classifier = train_classifier(inputs, values[:, 0], len(table.names), seed)
        return lambda vectors: predict_classes(classifier, vectors)[:, None]
    blocks = [column.positions for column in table.columns]
    classifier = train_label_classifier(inputs, values, blocks, seed)
    return lambda vectors: predict_labels(classifier, vectors, blocks)


def _describe_classes(classes: Classes, by_label: dict[str, dict[str, Any]]) -> str:
    table = classes.table
    if len(table.columns) == 1:
        return f"{table.num_weights} classes of {classes.column}"
    lowest = min(by_label, key=lambda name: by_label[name]["value"])
    return (
        f"mean over {len(table.columns)} label columns with {table.num_weights} values, the lowest "
        f"{lowest} with {by_label[lowest]['value']:.3f}"
    )
