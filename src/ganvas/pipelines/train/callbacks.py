"""Who looks on while networks are trained: snapshots, warnings, the judge, TensorBoard."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ganvas.atomic_files import atomic_path
from ganvas.ingestion.collection import Collection
from ganvas.metrics.feature_extractors import extract, load_extractor
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.nearest_neighbors import find_nearest
from ganvas.networks.sampling import generate_images, one_hot, sample_labels, sample_latents
from ganvas.training.batches import TrainingSet
from ganvas.training.board import log_image, make_board
from ganvas.training.callbacks import Watch
from ganvas.training.config import TrainParams
from ganvas.training.diagnostics import (
    EarlyWarning,
    mean_distance,
    watch_copies,
    watch_diversity,
    watch_scores,
)
from ganvas.training.loop import SaveSnapshot, Watchers
from ganvas.training.record import Record
from ganvas.visualization.curves import draw_curves
from ganvas.visualization.image_grid import make_grid, write_png
from ganvas.visualization.progress_strip import snapshot_file

# Seeds that nobody can ask for elsewhere: what is chosen by these images is judged by others.
BEYOND_OTHERS = 2**32
# The final judgment is made by another network, which no choice has looked through.
EXTRACTOR = "efficientnet_lite0"
# Real images that samples are compared with by their distances.
COMPARED = 64
# Drawing curves takes part of a second, an epoch of a small collection not much longer.
SECONDS_BETWEEN_CURVES = 30


def make_watchers(
    collection: Collection, data: TrainingSet, params: TrainParams, snapshots: Path
) -> Watchers:
    """Make everything that looks on at a run.

    Args:
        collection: The images with their splits.
        data: Those of them that are trained on.
        params: Of training.
        snapshots: Where each run has a folder for its snapshots, live curves and logs.
    """
    return Watchers(
        make_painter(snapshots, params),
        make_watch(collection, params),
        make_judge(collection, data, params) if params.kid_validation.interval else None,
        lambda record: [make_board(_board(snapshots, record))] if params.tensorboard else [],
    )


def make_painter(snapshots: Path, params: TrainParams) -> SaveSnapshot:
    """Make the function that saves snapshots, and the history and its curves beside them."""
    drawn = -np.inf

    def save(record: Record, epoch: int, images: np.ndarray) -> None:
        """Save an epoch's grid, and now and then the live curves."""
        nonlocal drawn
        folder = snapshots / record.started
        grid = make_grid(images, params.snapshot_columns)
        write_png(snapshot_file(folder, epoch), grid)
        if params.tensorboard:
            log_image(_board(snapshots, record), epoch, grid)
        if time.monotonic() - drawn >= SECONDS_BETWEEN_CURVES:
            drawn = time.monotonic()
            _draw_live(folder, pd.DataFrame(record.rows))

    return save


def _draw_live(folder: Path, history: pd.DataFrame) -> None:
    with atomic_path(folder / "history.csv") as partial:
        history.to_csv(partial, index=False)
    write_png(folder / "curves.png", draw_curves(history))


def _board(snapshots: Path, record: Record) -> Path:
    return snapshots / record.started / "tensorboard"


def make_watch(collection: Collection, params: TrainParams) -> Watch:
    """Make the function that looks for trouble: in scores always, in images where there are."""
    training, images = collection.split("train"), collection.images
    held_out = images[collection.shuffled("validation")[:COMPARED]]
    some = np.random.default_rng(params.seed).permutation(training)[:COMPARED]
    real_distance = mean_distance(images[some]) if len(some) > 1 else 0.0

    def nearest(samples: np.ndarray) -> float:
        return float(find_nearest(samples, images, training)[1].mean())

    held_out_distance = nearest(held_out) if len(held_out) else 0.0

    def watch(rows: list[dict[str, Any]], samples: np.ndarray | None) -> list[EarlyWarning]:
        if samples is not None and len(samples) > 1:
            if real_distance:
                rows[-1]["diversity"] = mean_distance(samples) / real_distance
            if held_out_distance:
                rows[-1]["novelty"] = nearest(samples) / held_out_distance
        scores = watch_scores(rows, params.loss)
        return [*scores, *watch_diversity(rows), *watch_copies(rows)]

    return watch


def make_judge(
    collection: Collection, data: TrainingSet, params: TrainParams
) -> Callable[[keras.Model], float]:
    """Make the function that measures a generator's distance to the held-out images."""
    extractor = load_extractor(EXTRACTOR)
    positions = collection.shuffled("validation")
    if len(positions) < 2:
        positions = collection.shuffled("train")
    count, seed = params.kid_validation.images, BEYOND_OTHERS + params.seed
    real = extract(extractor, collection.images[positions[:count]])
    classes = None
    if data.labels is not None:
        drawn = sample_labels(data.labels[data.positions], count, seed)
        classes = one_hot(drawn, data.classes)

    def measure(generator: keras.Model) -> float:
        latents = sample_latents(generator, count, seed)
        return kernel_distance(
            real, extract(extractor, generate_images(generator, latents, classes))
        )

    return measure
