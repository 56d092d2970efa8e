"""Nodes that judge images by what a trained network sees in them."""

import logging
from typing import Any, NamedTuple

import numpy as np

from ganvas.ingestion.class_labels import Classes, match_classes
from ganvas.ingestion.collection import Collection
from ganvas.metrics.class_consistency import blur_and_noise, predict_classes, train_classifier
from ganvas.metrics.extractors import load_extractor, metric_names
from ganvas.metrics.features import Extractor, extract
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.inception_score import inception_score
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets
from ganvas.metrics.pairwise import mean_pairwise_distance
from ganvas.metrics.prdc import compute_prdc
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams

logger = logging.getLogger(__name__)

NEAREST = 5
SUBSETS, SUBSET = 100, 1000
PARTS = FEWEST = 10
# The estimate is unbiased at any number, but below this it says little.
FEWEST_OF_A_CLASS = 30


class Features(NamedTuple):
    """What the extractor sees.

    Attributes:
        extractor: The network itself; None: not asked for, and nothing has features.
        generated: Features of generated images, float32 (n, d).
        training: Of training images, (m, d), in an order that chance has made.
        training_positions: Which they are in the collection, (m,).
        held_out: Of held-out images, (h, d).
        held_out_positions: Which they are, (h,).
    """

    extractor: Extractor | None
    generated: np.ndarray
    training: np.ndarray
    training_positions: np.ndarray
    held_out: np.ndarray
    held_out_positions: np.ndarray


def extract_features(
    generated: np.ndarray, collection: Collection, params: EvaluateParams
) -> Features:
    """Compute the features of generated, training and held-out images."""
    rng = np.random.default_rng(params.seed)
    training = rng.permutation(collection.split("train"))[: params.real]
    held_out = collection.shuffled("validation")[: params.count]
    if not params.extractor:
        nothing = np.empty((0, 0), np.float32)
        return Features(None, nothing, nothing, training, nothing, held_out)
    extractor = load_extractor(params.extractor, params.weights)
    return Features(
        extractor,
        extract(extractor, generated, "features of generated images"),
        extract(extractor, collection.images[training], "features of training images"),
        training,
        extract(extractor, collection.images[held_out], "features of held-out images"),
        held_out,
    )


def measure_distances(features: Features, params: EvaluateParams) -> Metrics:
    """Compare the features of generated images with those of real ones.

    Training images are halved: one half is what generated images are compared with, and as many
    of the other half give the floor, what real images themselves get at the same number.
    """
    if not features.extractor:
        return {}
    count = min(len(features.generated), len(features.training) // 2)
    if count < FEWEST:
        logger.warning(
            "%d images a side are too few to compare features: raise evaluate.count, or ingest "
            "more images.",
            count,
        )
        return {}
    real, others = features.training[:count], features.training[count : 2 * count]
    painted = _compare(features.extractor, real, features.generated[:count], params.seed)
    own = _compare(features.extractor, real, others, params.seed)
    seen = (
        f"N={count} a side, training split, features of {features.extractor.name}, images "
        f"resized as clean-fid does to {features.extractor.side} pixels, seed {params.seed}"
    )
    distance, kernel, score = metric_names(features.extractor.name)
    told = {
        "frechet_distance": (f"Fréchet distance ({distance})", seen),
        "kernel_distance": (
            f"Kernel distance ({kernel})",
            f"mean ± standard deviation of {SUBSETS} subsets of {_subset(count)}, {seen}",
        ),
        "precision": ("Precision", f"k={NEAREST}, {seen}"),
        "recall": ("Recall", f"k={NEAREST}, {seen}"),
        "density": ("Density", f"k={NEAREST}, {seen}"),
        "coverage": ("Coverage", f"k={NEAREST}, {seen}"),
        "diversity": ("Diversity", f"mean distance of all pairs of images, {seen}"),
        "class_score": (
            f"Sureness and variety of subjects ({score})",
            f"the Inception Score's formula on ImageNet's classes, mean ± standard deviation of "
            f"{PARTS} parts, N={count}, seed {params.seed}",
        ),
    }
    return {
        key: metric_entry(title, painted[key], protocol, real=own[key])
        for key, (title, protocol) in told.items()
        if key in painted
    }


def measure_classes(
    features: Features,
    target_classes: np.ndarray,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Judge the images of a generator that paints by class; one without has no such figures.

    The first figure is the share of images in which a classifier of real ones sees the target
    class. Held-out images, told by the same classifier, are what can be hoped for. Then comes
    the kernel distance of each class that has images enough.

    Raises:
        GanvasError: The collection has other classes than the generator.
    """
    known = match_classes(collection.index, classes["column"], classes["names"])
    if not known.names or not features.extractor:
        return {}
    found = _measure_agreement(
        features, features.extractor, target_classes, collection, known, params.seed
    )
    labels = known.labels[features.training_positions]
    _, kernel, _ = metric_names(features.extractor.name)
    for number, name in enumerate(known.names):
        generated = features.generated[target_classes == number]
        training = features.training[labels == number]
        count = min(len(generated), len(training) // 2)
        if count < FEWEST_OF_A_CLASS:
            continue
        real, others = training[:count], training[count : 2 * count]
        found[f"kernel_distance_{number:03d}"] = metric_entry(
            f"Kernel distance ({kernel})",
            kernel_distance(real, generated[:count]),
            f"from all pairs, N={count} a side, training split, seed {params.seed}",
            real=kernel_distance(real, others),
            of=name,
        )
    return found


def _measure_agreement(
    features: Features,
    extractor: Extractor,
    target_classes: np.ndarray,
    collection: Collection,
    known: Classes,
    seed: int,
) -> Metrics:
    training, held_out = features.training_positions, features.held_out_positions
    there, shown = known.labels[training] >= 0, known.labels[held_out] >= 0
    labels, count = known.labels[training[there]], len(known.names)
    degraded = blur_and_noise(collection.images[training[there]], seed)
    learnt = [features.training[there], extract(extractor, degraded, "features of spoilt images")]
    judge = train_classifier(np.concatenate(learnt), np.tile(labels, 2), count, seed)
    groups = {"value": (features.generated, target_classes)}
    if shown.any():
        groups["real"] = features.held_out[shown], known.labels[held_out[shown]]
    shares = {
        name: float(np.mean(predict_classes(judge, seen) == labels))
        for name, (seen, labels) in groups.items()
    }
    protocol = (
        f"N={len(target_classes)} and {shown.sum()} held-out ones, {count} classes of "
        f"{known.column}, softmax on the features of {extractor.name}, trained on {there.sum()} "
        f"training images as they are and made soft and grainy, seed {seed}"
    )
    title = "Images that look like the target class"
    seen = metric_entry(title, shares["value"], protocol, real=shares.get("real"))
    return {"class_agreement": seen}


def _compare(
    extractor: Extractor, real: np.ndarray, others: np.ndarray, seed: int
) -> dict[str, float | tuple[float, float]]:
    """Compare two sets of features; single values, or values with their standard deviations."""
    found = {
        "frechet_distance": frechet_distance(real, others),
        "kernel_distance": kernel_distance_subsets(real, others, SUBSETS, _subset(len(real)), seed),
        **compute_prdc(real, others, NEAREST)._asdict(),
        "diversity": mean_pairwise_distance(others),
    }
    if extractor.head:
        classes = extractor.head.predict(others, batch_size=1024, verbose=0)
        found["class_score"] = inception_score(classes, PARTS)
    return found


def _subset(count: int) -> int:
    # Subsets of all images would all be the same.
    return min(count // 2, SUBSET)
