"""Nodes of evaluation."""

from typing import Any

import keras
import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.errors import GanvasError
from ganvas.metrics.classifier import agreement, degrade, tell_classes, train_classifier
from ganvas.metrics.features import extract, load_extractor
from ganvas.metrics.neighbours import find_nearest
from ganvas.metrics.parzen import parzen
from ganvas.metrics.scores import accuracy, judge
from ganvas.networks.sampling import draw_labels, draw_latents, one_hot, paint
from ganvas.params import Params
from ganvas.sources.classes import match_classes
from ganvas.sources.collection import Collection

Metrics = dict[str, dict[str, Any]]

PARZEN_VALIDATION = 1000
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
        seed: Of their latents, and of what else is drawn.
        classifier: Training pictures, at most, that the judge of classes learns from; 0: none.
        parzen: Generated pictures of the Parzen window, 10,000 in the papers; 0: no such figure.
    """

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0)
    classifier: int = Field(2000, ge=0, le=100_000)
    parzen: int = Field(0, ge=0, le=100_000)


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
    return _paint(generator, collection, classes, params.count, params.seed)


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


def measure_classes(
    generated: np.ndarray,
    asked: np.ndarray,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Give the share of pictures in which a classifier of real ones sees the asked class.

    Held-out pictures, told by the same classifier, are what can be hoped for. A generator without
    classes has no such figures.
    """
    known = match_classes(collection.index, classes["column"], classes["names"])
    if not known.names or not params.classifier:
        return {}
    rng = np.random.default_rng(params.seed)
    training = rng.permutation(known.in_split(collection.split("train")))
    training = np.sort(training[: params.classifier])
    held_out = known.in_split(collection.split("validation"))[: params.count]
    extractor, count = load_extractor("efficientnet_lite2"), len(known.names)
    pictures, labels = collection.images[training], known.labels[training]
    both = np.concatenate([pictures, degrade(pictures, params.seed)])
    learnt = extract(extractor, both, "features of training pictures")
    judge = train_classifier(learnt, np.tile(labels, 2), count, params.seed)
    groups = {
        "generated": ("Generated pictures that look like the asked class", generated, asked),
        "held_out": (
            "Held-out pictures that look like their class",
            collection.images[held_out],
            known.labels[held_out],
        ),
    }
    return {
        f"class_agreement_{name}": _figure(
            title,
            agreement(tell_classes(judge, extract(extractor, pictures)), labels, count)[0],
            f"N={len(labels)}, {count} classes of {known.column}, softmax on the features of "
            f"{extractor.name}, trained on {len(training)} training pictures as they are and made "
            "soft and grainy",
        )
        for name, (title, pictures, labels) in groups.items()
        if len(labels)
    }


def measure_likelihood(
    generator: keras.Model,
    collection: Collection,
    classes: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Give the Parzen-window log-likelihood of held-out pictures, where it is asked for."""
    if not params.parzen:
        return {}
    validation, test = collection.split("validation"), collection.split("test")
    if not len(test):
        # A source with lists of its own has two parts alone.
        half = min(len(validation) // 2, PARZEN_VALIDATION)
        validation, test = validation[:half], validation[half:]
    validation = validation[:PARZEN_VALIDATION]
    if not len(validation) or len(test) < 2:
        raise GanvasError(
            "A Parzen window needs held-out pictures, and the collection has too few: raise "
            "ingest.validation_share, or set evaluate.parzen=0."
        )
    samples, _ = _paint(generator, collection, classes, params.parzen, params.seed)
    found = parzen(samples, collection.images[validation], collection.images[test])
    edge = ", the edge of what was tried" if found.at_edge else ""
    protocol = (
        f"mean ± {found.error:.0f} (standard error) of {found.pictures} held-out pictures, window "
        f"of {found.samples} generated ones, σ={found.sigma:.3g} chosen on {found.validation} "
        f"others{edge}, D={found.dimensions}, range 0 to 1"
    )
    return {
        "parzen_log_likelihood": _figure(
            "Parzen-window log-likelihood", found.mean, protocol, "nats"
        )
    }


def join_metrics(*parts: Metrics) -> Metrics:
    """Put all figures into one table."""
    return {name: figure for part in parts for name, figure in part.items()}


def _figure(title: str, value: float, protocol: str, unit: str = "") -> dict[str, Any]:
    return {"title": title, "value": float(value), "unit": unit, "protocol": protocol}


def _paint(
    generator: keras.Model, collection: Collection, classes: dict[str, Any], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Paint pictures of classes drawn as often as training pictures have them."""
    known = match_classes(collection.index, classes["column"], classes["names"])
    there = known.labels[known.in_split(collection.split("train"))]
    asked = draw_labels(there, count, seed)
    latents = draw_latents(generator, count, seed)
    return paint(generator, latents, one_hot(asked, len(known.names))), asked


def _first(collection: Collection, split: str, count: int) -> np.ndarray:
    return collection.images[collection.split(split)[:count]]
