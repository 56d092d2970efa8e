"""Nodes of evaluation."""

from typing import Any

import keras
import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.metrics.discriminator_accuracy import accuracy, compute_logits
from ganvas.metrics.parzen import parzen
from ganvas.networks.sampling import generate_images, one_hot, sample_labels, sample_latents
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry, name_run
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.training.losses import IN_NATS, LossParams, decision_threshold
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.report import list_parameters

PARZEN_VALIDATION = 1000
LEADERBOARD_IMAGES, LEADERBOARD_COLUMNS = 48, 8
HISTORY_TITLES = {
    "loss_g": "Generator loss",
    "loss_d": "Discriminator loss",
    "real_score": "Score of real images",
    "fake_score": "Score of generated images",
}


def generate_for_evaluation(
    generator: keras.Model,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint images from the evaluation's own seed.

    Classes are asked for as often as training images have them.

    Returns:
        uint8 of shape (count, H, W, 3), and the number of each image's class, (count,).

    Raises:
        GanvasError: The generator's images and the collection's differ in size or classes.
    """
    painted, packed = generator.output_shape[1:3], collection.images.shape[1:3]
    if painted != packed:
        raise GanvasError(
            f"The generator paints {painted[0]}×{painted[1]} pixels, but the collection was packed "
            f"at {packed[0]}×{packed[1]}: set ingest.size to {painted[0]} and run ingest, or train "
            "again."
        )
    return _paint(generator, collection, classes, params.count, params.seed)


def summarize_history(history: pd.DataFrame, training_summary: dict[str, Any]) -> Metrics:
    """Give the losses and scores of the epoch whose networks were saved, the last or the best."""
    keep = training_summary["parameters"]["train"].get("judge", {}).get("keep")
    best = training_summary.get("best") if keep == "best" else None
    # A run that was broken off right after its best epoch has forgotten that epoch's row.
    epoch = min(best["epoch"], len(history)) if best else training_summary["epochs"]
    saved = history.iloc[epoch - 1] if best else history.iloc[-1]
    protocol = f"mean over epoch {epoch}, training images"
    unit = "nats" if _loss(training_summary).name in IN_NATS else ""
    return {
        name: metric_entry(title, saved[name], protocol, unit if "loss" in name else "")
        for name, title in HISTORY_TITLES.items()
    }


def measure_discriminator_accuracy(
    discriminator: keras.Model,
    generated: np.ndarray,
    target_classes: np.ndarray,
    collection: Collection,
    classes: dict[str, Any],
    training_summary: dict[str, Any],
) -> Metrics:
    """Give the share of images that the discriminator takes for what they are.

    After a loss that gives meaning to differences of logits alone there is no such figure.

    Raises:
        GanvasError: The collection has other classes than the discriminator.
    """
    boundary = decision_threshold(_loss(training_summary))
    if boundary is None:
        return {}
    known = match_classes(collection.index, classes["column"], classes["names"])
    count = len(generated)
    # An image without a class can't be judged by a discriminator that looks at classes.
    groups = {
        name: (title, collection.images[there], known.labels[there], True)
        for name, title, split in (
            ("held_out", "real, held-out", "validation"),
            ("training", "real, training", "train"),
        )
        for there in [known.in_split(collection.shuffled(split))[:count]]
    }
    groups["generated"] = ("generated", generated, target_classes, False)
    return {
        f"discriminator_accuracy_{name}": metric_entry(
            f"Discriminator accuracy on {title} images",
            accuracy(
                compute_logits(discriminator, images, one_hot(labels, len(known.names))),
                real,
                boundary,
            ),
            f"N={len(images)}, inference mode, real above {boundary:g}",
        )
        for name, (title, images, labels, real) in groups.items()
        if len(images)
    }


def measure_likelihood(
    generator: keras.Model,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Give the Parzen-window log-likelihood of held-out images, where it is asked for.

    Raises:
        GanvasError: Too few images are held out.
    """
    if not params.parzen:
        return {}
    validation, test = collection.shuffled("validation"), collection.shuffled("test")
    if not len(test):
        # A source with lists of its own has two parts alone.
        half = min(len(validation) // 2, PARZEN_VALIDATION)
        validation, test = validation[:half], validation[half:]
    validation = validation[:PARZEN_VALIDATION]
    if not len(validation) or len(test) < 2:
        raise GanvasError(
            "A Parzen window needs held-out images, and the collection has too few: raise "
            "ingest.validation_share, or set evaluate.parzen=0."
        )
    samples, _ = _paint(generator, collection, classes, params.parzen, params.seed)
    found = parzen(samples, collection.images[validation], collection.images[test])
    edge = ", the edge of what was tried" if found.at_edge else ""
    protocol = (
        f"mean ± {found.error:.0f} (standard error) of {found.images} held-out images, window "
        f"of {found.samples} generated ones, σ={found.sigma:.3g} chosen on {found.validation} "
        f"others{edge}, D={found.dimensions}, range 0 to 1"
    )
    return {
        "parzen_log_likelihood": metric_entry(
            "Parzen-window log-likelihood", found.mean, protocol, "nats"
        )
    }


def join_metrics(training_summary: dict[str, Any], *parts: Metrics) -> Metrics:
    """Put all figures into one table, each with the training that it is of."""
    run = {"run": name_run(training_summary)}
    return {name: figure | run for part in parts for name, figure in part.items()}


def make_leaderboard_entry(
    metrics: Metrics,
    training_summary: dict[str, Any],
    generated: np.ndarray,
    features: Features,
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Give the run's row of the leaderboard, and a grid of what it paints, under the run's name.

    The same run, evaluated again by the same network, takes the place of its earlier row.
    """
    told = training_summary
    judge = features.extractor.name if features.extractor else "no network"
    run = f"{told['dataset']}-{told['network']}-{told['started']}-{judge.replace(' ', '-')}"
    row = {
        "run": run,
        "judge": judge,
        "seed": told["parameters"]["train"]["seed"],
        "minutes": told["seconds"] / 60,
        "version": told["versions"]["ganvas"],
        "parameters": list_parameters(told["parameters"]),
        "metrics": metrics,
    }
    row |= {name: told[name] for name in ("dataset", "network", "started", "epochs", "images_seen")}
    return {run: row}, {run: make_grid(generated[:LEADERBOARD_IMAGES], LEADERBOARD_COLUMNS)}


def _loss(training_summary: dict[str, Any]) -> LossParams:
    return LossParams(**training_summary["parameters"]["train"]["loss"])


def _paint(
    generator: keras.Model, collection: Collection, classes: dict[str, Any], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Paint images of classes drawn as often as training images have them."""
    known = match_classes(collection.index, classes["column"], classes["names"])
    there = known.labels[known.in_split(collection.split("train"))]
    target_classes = sample_labels(there, count, seed)
    latents = sample_latents(generator, count, seed)
    return generate_images(
        generator, latents, one_hot(target_classes, len(known.names))
    ), target_classes
