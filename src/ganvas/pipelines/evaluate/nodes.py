"""Nodes of evaluation."""

from typing import Any

import keras
import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.errors import GanvasError
from ganvas.metrics.neighbours import find_nearest
from ganvas.metrics.scores import accuracy, judge
from ganvas.networks.sampling import draw_labels, draw_latents, one_hot, paint
from ganvas.params import Params
from ganvas.sources.classes import match_classes
from ganvas.sources.collection import Collection

Metrics = dict[str, dict[str, Any]]

HISTORY_TITLES = {
    "loss_g": "Generator loss",
    "loss_d": "Discriminator loss",
    "real_score": "Score of real pictures",
    "fake_score": "Score of generated pictures",
}


class EvaluateParams(Params):
    """Parameters of evaluation.

    Attributes:
        count: Generated pictures that are judged.
        seed: Of their latents.
    """

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0)


def paint_for_judgement(
    generator: keras.Model,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint pictures from the evaluation's own seed.

    Classes are asked for as often as training pictures have them.

    Returns:
        uint8 of shape (count, H, W, 3), and the number of each picture's class, (count,).

    Raises:
        GanvasError: The generator's pictures and the collection's differ in size or classes.
    """
    painted, packed = generator.output_shape[1:3], collection.images.shape[1:3]
    if painted != packed:
        raise GanvasError(
            f"The generator paints {painted[0]}×{painted[1]} pixels, but the collection was packed "
            f"at {packed[0]}×{packed[1]}: set ingest.size to {painted[0]} and run ingest, or train "
            "again."
        )
    known = match_classes(collection.index, classes["column"], classes["names"])
    there = known.labels[collection.split("train")]
    asked = draw_labels(there[there >= 0], params.count, params.seed)
    latents = draw_latents(generator, params.count, params.seed)
    return paint(generator, latents, one_hot(asked, len(known.names))), asked


def summarise_history(history: pd.DataFrame, training_summary: dict[str, Any]) -> Metrics:
    """Give the losses and scores of the last epoch."""
    protocol = f"mean over epoch {training_summary['epochs']}, training pictures"
    last = history.iloc[-1]
    return {
        name: _figure(title, last[name], protocol, "nats" if "loss" in name else "")
        for name, title in HISTORY_TITLES.items()
    }


def judge_by_discriminator(
    discriminator: keras.Model,
    generated: np.ndarray,
    asked: np.ndarray,
    collection: Collection,
    classes: dict[str, Any],
) -> Metrics:
    """Give the share of pictures that the discriminator takes for what they are."""
    known = match_classes(collection.index, classes["column"], classes["names"])
    count = len(generated)
    # A picture without a class can't be judged by a discriminator that looks at classes.
    groups = {
        name: (title, collection.images[there], known.labels[there], True)
        for name, title, split in (
            ("held_out", "real, held-out", "validation"),
            ("training", "real, training", "train"),
        )
        for there in [known.in_split(collection.split(split))[:count]]
    }
    groups["generated"] = ("generated", generated, asked, False)
    return {
        f"discriminator_accuracy_{name}": _figure(
            f"Discriminator accuracy on {title} pictures",
            accuracy(judge(discriminator, pictures, one_hot(labels, len(known.names))), real=real),
            f"N={len(pictures)}, inference mode",
        )
        for name, (title, pictures, labels, real) in groups.items()
        if len(pictures)
    }


def measure_memorising(generated: np.ndarray, collection: Collection) -> Metrics:
    """Give the distance to the nearest training picture, for generated and for held-out ones."""
    training = collection.split("train")
    groups = {
        "generated": generated,
        "held_out": _first(collection, "validation", len(generated)),
    }
    return {
        f"nearest_training_distance_{name}": _figure(
            f"Distance of {name.replace('_', '-')} pictures to the nearest training picture",
            find_nearest(pictures, collection.images, training)[1].mean(),
            f"mean over N={len(pictures)} of root mean squared pixel differences to the nearest "
            f"of {len(training)}, range 0 to 255",
            "grey levels",
        )
        for name, pictures in groups.items()
        if len(pictures)
    }


def join_metrics(*parts: Metrics) -> Metrics:
    """Put all figures into one table."""
    return {name: figure for part in parts for name, figure in part.items()}


def _figure(title: str, value: float, protocol: str, unit: str = "") -> dict[str, Any]:
    return {"title": title, "value": float(value), "unit": unit, "protocol": protocol}


def _first(collection: Collection, split: str, count: int) -> np.ndarray:
    return collection.images[collection.split(split)[:count]]
