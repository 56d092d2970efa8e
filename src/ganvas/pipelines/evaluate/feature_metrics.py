"""Nodes that compare the features of generated and real images."""

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ganvas.arrays import SelectedImages
from ganvas.image_shape import describe_size
from ganvas.ingestion.collection import Collection
from ganvas.metrics.extractor_names import metric_names
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.inception_score import inception_score
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets
from ganvas.metrics.pairwise import mean_pairwise_distance
from ganvas.metrics.prdc import compute_prdc
from ganvas.metrics.transparency import describe_for_extractor
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
# Metrics whose expectation does not depend on the number of generated images.
WITHOUT_BIAS = ("kernel_distance", "precision", "density", "diversity")


class Features(NamedTuple):
    """Features of generated, training and validation images.

    Attributes:
        extractor: The feature extractor; None: no features were computed.
        generated: Features of generated images, float32 of shape (n, d).
        training: Features of training images in random order, (m, d).
        training_positions: Positions of these in the collection, (m,).
        validation: Features of validation images, (v, d).
        validation_positions: Positions of these in the collection, (v,).
        protocol: Which training images are compared, see `choose_sides`.
        image_shape: H, W and C of the images.
    """

    extractor: "FeatureExtractor | None"
    generated: np.ndarray
    training: np.ndarray
    training_positions: np.ndarray
    validation: np.ndarray
    validation_positions: np.ndarray
    protocol: str = "halves"
    image_shape: tuple[int, int, int] = (64, 64, 3)

    def with_at_most(self, count: int) -> "Features":
        """Return the same with so many training images at most.

        It is for metrics whose protocol does not depend on `evaluate.protocol`.
        """
        return self._replace(
            training=self.training[:count], training_positions=self.training_positions[:count]
        )


class Sides(NamedTuple):
    """Which images a distance compares.

    Attributes:
        generated: Number of generated images, of which the first are taken.
        real: Number of training images, of which the first are taken.
        baseline: Real images in their place for the baseline: training images that follow those
            first ones, or validation images.
        split: Of which split these are, train or validation.
        description: Both numbers, in words, for a protocol.
    """

    generated: int
    real: int
    baseline: slice
    split: str
    description: str

    @property
    def has_equal_baseline(self) -> bool:
        """Whether the baseline has as many images as are generated.

        Only then can metrics that depend on the number of images be compared with it.
        """
        return self.baseline.stop - self.baseline.start == self.generated


def extract_features(
    generated: np.ndarray, collection: Collection, params: EvaluateParams
) -> Features:
    """Compute the features of generated, training and validation images.

    Args:
        generated: uint8 of shape (N, H, W, C); may be memory-mapped.
        collection: The packed real images.
        params: Parameters of evaluation: extractor, weights, count, real, protocol, seed.
    """
    # TensorFlow takes seconds to import, and Kedro imports this module for every command.
    from ganvas.metrics.feature_extractors import compute_features, load_extractor

    rng = np.random.default_rng(params.seed)
    training = rng.permutation(collection.split("train"))
    if params.protocol == "halves":
        training = training[: params.real]
    validation = collection.shuffled("validation")[: params.count]
    height, width, channels = generated.shape[1:]
    shape = (height, width, channels)
    if not params.extractor:
        empty = np.empty((0, 0), np.float32)
        return Features(None, empty, empty, training, empty, validation, params.protocol, shape)
    name = params.extractor
    extractor = load_extractor(
        str(resolve_path(name)) if name.endswith(".keras") else name,
        str(resolve_path(params.weights)) if params.weights else None,
    )
    return Features(
        extractor,
        compute_features(extractor, generated, "Features of generated images"),
        compute_features(
            extractor,
            SelectedImages(collection.images, training),
            "Features of training images",
        ),
        training,
        compute_features(
            extractor,
            SelectedImages(collection.images, validation),
            "Features of validation images",
        ),
        validation,
        params.protocol,
        shape,
    )


def choose_sides(generated: int, training: int, validation: int, params: EvaluateParams) -> Sides:
    """Choose which images a distance compares, by `evaluate.protocol`.

    With `halves`, as many training images as generated ones, and as many others for the baseline.
    With `all`, all of them, as in papers, and validation images for the baseline.

    Args:
        generated: Number of generated images.
        training: Number of training images that may be compared.
        validation: Number of validation images.
        params: Parameters of evaluation: protocol.

    Example:
        >>> choose_sides(500, 900, 100, EvaluateParams()).description
        'N=450 a side'
        >>> choose_sides(500, 900, 100, EvaluateParams(protocol="all")).description
        'N=500 generated images and all M=900 training images'
    """
    if params.protocol == "all":
        description = f"N={generated} generated images and all M={training} training images"
        used = min(validation, generated)
        return Sides(generated, training, slice(0, used), "validation", description)
    count, _ = limit_comparison(generated, training, params)
    return Sides(count, count, slice(count, 2 * count), "train", f"N={count} a side")


def describe_comparison(generated: int, training: int, params: EvaluateParams) -> str:
    """Return how many images the distances between distributions compare, in a sentence.

    Args:
        generated: Number of generated images.
        training: Number of training images.
        params: Parameters of evaluation: count, real, protocol.

    Example:
        >>> describe_comparison(500, 900, EvaluateParams(protocol="all"))[:56]
        'Distances between distributions, precision and recall co'
    """
    metrics = "Distances between distributions, precision and recall compare"
    if params.protocol == "all":
        return f"{metrics} them with all {training:,} training images (evaluate.protocol)."
    count, limit = limit_comparison(generated, min(training, params.real), params)
    compared = f"{count:,}" if count < generated else "all"
    return (
        f"{metrics} {compared} of them with as many training images, by {limit}; other metrics use "
        "all."
    )


def name_comparison(features: Features) -> str:
    """Return what a leaderboard calls the extractor; only metrics of one name are comparable.

    Example:
        >>> name_comparison(Features(None, *[np.empty(0)] * 5, protocol="all"))
        'no network with all training images'
    """
    name = features.extractor.name if features.extractor else "no network"
    return f"{name} with all training images" if features.protocol == "all" else name


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
        limited = params.protocol == "halves" and training >= params.real
        remedies.append("raise evaluate.real" if limited else "ingest more images")
    return " and ".join(remedies) or "raise evaluate.count"


def measure_distances(features: Features, params: EvaluateParams) -> Metrics:
    """Compute Fréchet and kernel distance, PRDC, diversity and the class score.

    The protocol `halves` splits training images in two halves: generated images are compared with
    the first, and the second, in place of generated images, yields the real-data baseline at the
    same N. The protocol `all` compares with all of them, and validation images yield the baseline:
    where there are fewer than generated images, of those metrics only that don't depend on their
    number.
    """
    if not features.extractor:
        return {}
    generated, training = len(features.generated), len(features.training)
    sides = choose_sides(generated, training, len(features.validation), params)
    if min(sides.generated, sides.real) < MIN_IMAGES:
        warn_too_few(sides, generated, training, params)
        return {}
    real, ours = features.training[: sides.real], features.generated[: sides.generated]
    others = features.training if sides.split == "train" else features.validation
    baseline = others[sides.baseline]
    values = _compare(features.extractor, real, ours, params)
    real_values: dict[str, Value] = {}
    if len(baseline) >= MIN_IMAGES:
        real_values = _compare(features.extractor, real, baseline, params)
        if not sides.has_equal_baseline:
            real_values = {key: real_values[key] for key in WITHOUT_BIAS}
    name = features.extractor.name
    fd_name, kd_name, score_name = metric_names(name)
    split = "training split" if sides.split == "train" else describe_baseline(sides)
    resized = _describe_resizing(features.image_shape, features.extractor.side)
    protocol = f"{sides.description}, {split}, features of {name}, {resized}, seed {params.seed}"
    nearest = f"k={NEIGHBORS}, {protocol}"
    subsets = "from all pairs of images"
    if params.protocol == "halves":
        size = _subset_size(sides.generated)
        subsets = f"mean ± standard deviation of {SUBSETS} subsets of {size}"
    entries = {
        "frechet_distance": (f"Fréchet distance ({fd_name})", protocol),
        "kernel_distance": (f"Kernel distance ({kd_name})", f"{subsets}, {protocol}"),
        "precision": ("Precision", nearest),
        "recall": ("Recall", nearest),
        "density": ("Density", nearest),
        "coverage": ("Coverage", nearest),
        "diversity": ("Diversity", f"mean distance of all pairs of images, {protocol}"),
        "class_score": (
            f"Inception Score formula ({score_name})",
            f"on ImageNet's classes, mean ± standard deviation of {SPLITS} splits, "
            f"N={sides.generated}, seed {params.seed}",
        ),
    }
    return {
        key: metric_entry(title, values[key], how, real=real_values.get(key))
        for key, (title, how) in entries.items()
        if key in values
    }


def _describe_resizing(shape: tuple[int, int, int], side: int) -> str:
    """Return how an extractor's input is made from images of a shape, in words."""
    height, width, channels = shape
    size = f"{side} pixels"
    if height != width:
        size = f"{side}×{side} pixels, from {describe_size(height, width)} by stretching"
    return f"images resized as clean-fid does to {size}{describe_for_extractor(channels)}"


def describe_baseline(sides: Sides) -> str:
    """Return which validation images are the baseline of the protocol `all`, in words.

    Example:
        >>> describe_baseline(choose_sides(500, 900, 100, EvaluateParams(protocol="all")))
        'baseline: 100 validation images'
    """
    count = sides.baseline.stop
    return f"baseline: {count} validation images" if count >= MIN_IMAGES else "no baseline"


def warn_too_few(sides: Sides, generated: int, training: int, params: EvaluateParams) -> None:
    """Warn that there are too few images to compare, and of what limits them."""
    least_training = MIN_IMAGES if params.protocol == "all" else 2 * MIN_IMAGES
    limit = f"{generated} generated and {training} training images"
    if params.protocol == "halves":
        _, limit = limit_comparison(generated, training, params)
    logger.warning(
        "%d images a side (%s) are too few to compare their distributions, which needs %d: %s.",
        min(sides.generated, sides.real),
        limit,
        MIN_IMAGES,
        advise_more_images(generated, training, params, MIN_IMAGES, least_training),
    )


def _compare(
    extractor: "FeatureExtractor", real: np.ndarray, generated: np.ndarray, params: EvaluateParams
) -> dict[str, Value]:
    distance: Value = 0.0
    if params.protocol == "all":
        distance = kernel_distance(real, generated)
    else:
        size = _subset_size(len(real))
        distance = kernel_distance_subsets(real, generated, SUBSETS, size, params.seed)
    values: dict[str, Value] = {
        "frechet_distance": frechet_distance(real, generated),
        "kernel_distance": distance,
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
