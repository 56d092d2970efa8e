"""Nodes that compare the features of generated and real images."""

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ganvas.ingestion.class_labels import Classes, match_classes
from ganvas.ingestion.collection import Collection
from ganvas.metrics.extractor_names import metric_names
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.inception_score import inception_score
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets
from ganvas.metrics.pairwise import mean_pairwise_distance
from ganvas.metrics.prdc import compute_prdc
from ganvas.pipelines.evaluate.metric_entry import Metrics, Value, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.project_folder import resolve_path

if TYPE_CHECKING:
    from ganvas.metrics.feature_extractors import FeatureExtractor

logger = logging.getLogger(__name__)

NEIGHBORS = 5
SUBSETS, SUBSET_SIZE = 100, 1000
# The Inception Score needs an image in each of its splits.
SPLITS = MIN_IMAGES = 10
# The kernel distance is unbiased for any number, but too noisy below this one.
MIN_CLASS_IMAGES = 30


class Features(NamedTuple):
    """Features of generated, training and validation images.

    Attributes:
        extractor: The feature extractor; None: no features were computed.
        generated: Features of generated images, float32 of shape (n, d).
        training: Features of training images in random order, (m, d).
        training_positions: Positions of these in the collection, (m,).
        validation: Features of validation images, (v, d).
        validation_positions: Positions of these in the collection, (v,).
    """

    extractor: "FeatureExtractor | None"
    generated: np.ndarray
    training: np.ndarray
    training_positions: np.ndarray
    validation: np.ndarray
    validation_positions: np.ndarray


def extract_features(
    generated: np.ndarray, collection: Collection, params: EvaluateParams
) -> Features:
    """Compute the features of generated, training and validation images."""
    # TensorFlow takes seconds to import, and Kedro imports this module for every command.
    from ganvas.metrics.feature_extractors import compute_features, load_extractor

    rng = np.random.default_rng(params.seed)
    training = rng.permutation(collection.split("train"))[: params.real]
    validation = collection.shuffled("validation")[: params.count]
    if not params.extractor:
        empty = np.empty((0, 0), np.float32)
        return Features(None, empty, empty, training, empty, validation)
    name = params.extractor
    extractor = load_extractor(
        str(resolve_path(name)) if name.endswith(".keras") else name,
        str(resolve_path(params.weights)) if params.weights else None,
    )
    return Features(
        extractor,
        compute_features(extractor, generated, "Features of generated images"),
        compute_features(extractor, collection.images[training], "Features of training images"),
        training,
        compute_features(extractor, collection.images[validation], "Features of validation images"),
        validation,
    )


def limit_comparison(generated: int, training: int, params: EvaluateParams) -> tuple[int, str]:
    """Return the number of images a side in a comparison of features, and what limits it.

    Args:
        generated: Number of generated images.
        training: Number of training images that may be compared; `evaluate.real` at most.
        params: Parameters of evaluation: real.

    Example:
        >>> limit_comparison(generated=2000, training=65, params=EvaluateParams())
        (32, 'half of the 65 training images of the collection')
    """
    if generated <= training // 2:
        return generated, f"evaluate.count={params.count}"
    if training < params.real:
        return training // 2, f"half of the {training:,} training images of the collection"
    return training // 2, f"half of evaluate.real={params.real}"


def advise_more_images(
    generated: int, training: int, params: EvaluateParams, least: int, least_training: int
) -> str:
    """Return how to have `least` generated and `least_training` training images, in words.

    Example:
        >>> advise_more_images(5, 1000, EvaluateParams(count=5), least=10, least_training=20)
        'raise evaluate.count'
    """
    remedies = ["raise evaluate.count"] if generated < least else []
    if training < least_training:
        limited = training >= params.real
        remedies.append("raise evaluate.real" if limited else "ingest more images")
    return " and ".join(remedies) or "raise evaluate.count"


def measure_distances(features: Features, params: EvaluateParams) -> Metrics:
    """Compute Fréchet and kernel distance, PRDC, diversity and the class score.

    Training images are split in two halves: generated images are compared with the first, and the
    second, in place of generated images, yields the real-data baseline at the same N.
    """
    if not features.extractor:
        return {}
    generated, training = len(features.generated), len(features.training)
    count, limit = limit_comparison(generated, training, params)
    if count < MIN_IMAGES:
        logger.warning(
            "%d images a side (%s) are too few to compare features, which needs %d: %s.",
            count,
            limit,
            MIN_IMAGES,
            advise_more_images(generated, training, params, MIN_IMAGES, 2 * MIN_IMAGES),
        )
        return {}
    real, baseline = features.training[:count], features.training[count : 2 * count]
    values = _compare(features.extractor, real, features.generated[:count], params.seed)
    real_values = _compare(features.extractor, real, baseline, params.seed)
    name = features.extractor.name
    fd_name, kd_name, score_name = metric_names(name)
    protocol = (
        f"N={count} a side, training split, features of {name}, images resized as clean-fid does "
        f"to {features.extractor.side} pixels, seed {params.seed}"
    )
    nearest = f"k={NEIGHBORS}, {protocol}"
    entries = {
        "frechet_distance": (f"Fréchet distance ({fd_name})", protocol),
        "kernel_distance": (
            f"Kernel distance ({kd_name})",
            f"mean ± standard deviation of {SUBSETS} subsets of {_subset_size(count)}, {protocol}",
        ),
        "precision": ("Precision", nearest),
        "recall": ("Recall", nearest),
        "density": ("Density", nearest),
        "coverage": ("Coverage", nearest),
        "diversity": ("Diversity", f"mean distance of all pairs of images, {protocol}"),
        "class_score": (
            f"Inception Score formula ({score_name})",
            f"on ImageNet's classes, mean ± standard deviation of {SPLITS} splits, N={count}, "
            f"seed {params.seed}",
        ),
    }
    return {
        key: metric_entry(title, values[key], how, real=real_values[key])
        for key, (title, how) in entries.items()
        if key in values
    }


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

    Raises:
        GanvasError: The collection's classes differ from the generator's.
    """
    classes = match_classes(collection.index, class_list["column"], class_list["names"])
    extractor = features.extractor
    if not classes.names or not extractor:
        return {}
    accuracy = _class_accuracy(
        features, extractor, target_classes, collection, classes, params.seed
    )
    metrics = {"class_agreement": accuracy}
    labels = classes.labels[features.training_positions]
    _, kd_name, _ = metric_names(extractor.name)
    for number, name in enumerate(classes.names):
        generated = features.generated[target_classes == number]
        training = features.training[labels == number]
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


def _class_accuracy(
    features: Features,
    extractor: "FeatureExtractor",
    target_classes: np.ndarray,
    collection: Collection,
    classes: Classes,
    seed: int,
) -> dict[str, Any]:
    from ganvas.metrics.class_consistency import (
        blur_and_noise,
        predict_classes,
        train_classifier,
    )
    from ganvas.metrics.feature_extractors import compute_features

    # Train on labeled training images and on degraded copies: generated images tend to be blurred
    # or noisy, which the classifier must not mistake for a class.
    labels = classes.labels[features.training_positions]
    labeled, count = labels >= 0, len(classes.names)
    degraded = blur_and_noise(collection.images[features.training_positions[labeled]], seed)
    inputs = [
        features.training[labeled],
        compute_features(extractor, degraded, "Features of blurred and noisy images"),
    ]
    classifier = train_classifier(np.concatenate(inputs), np.tile(labels[labeled], 2), count, seed)

    def accuracy(inputs: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean(predict_classes(classifier, inputs) == labels))

    validation_labels = classes.labels[features.validation_positions]
    known = validation_labels >= 0
    real = None
    if known.any():
        real = accuracy(features.validation[known], validation_labels[known])
    return metric_entry(
        "Class accuracy",
        accuracy(features.generated, target_classes),
        f"N={len(target_classes)} generated and {known.sum()} validation images, {count} classes "
        f"of {classes.column}, softmax on the features of {extractor.name}, trained on "
        f"{labeled.sum()} training images and their blurred and noisy copies, seed {seed}",
        real=real,
    )


def _compare(
    extractor: "FeatureExtractor", real: np.ndarray, generated: np.ndarray, seed: int
) -> dict[str, Value]:
    size = _subset_size(len(real))
    values: dict[str, Value] = {
        "frechet_distance": frechet_distance(real, generated),
        "kernel_distance": kernel_distance_subsets(real, generated, SUBSETS, size, seed),
        **compute_prdc(real, generated, NEIGHBORS)._asdict(),
        "diversity": mean_pairwise_distance(generated),
    }
    if extractor.head:
        probabilities = extractor.head.predict(generated, batch_size=1024, verbose=0)
        values["class_score"] = inception_score(probabilities, SPLITS)
    return values


def _subset_size(count: int) -> int:
    # Subsets of all images would be equal.
    return min(count // 2, SUBSET_SIZE)
