"""Keras callbacks that connect training with plots and metrics: snapshots, warnings, KID."""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ganvas.arrays import SelectedImages
from ganvas.atomic_files import atomic_path, atomic_write
from ganvas.grid_layout import describe_ignored_rows
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import ClassTable
from ganvas.metrics.feature_extractors import compute_features, load_extractor
from ganvas.metrics.kid import kernel_distance
from ganvas.networks.sampling import generate_images, sample_labels, sample_latents
from ganvas.pipelines.train.diagnosis import make_diagnosis
from ganvas.pipelines.train.params import KID_EXTRACTOR, PROGRESS_FILE
from ganvas.training.callbacks import (
    EarlyWarnings,
    KidValidation,
    Snapshots,
    TensorBoardLogger,
    log_tensorboard_image,
)
from ganvas.training.checkpoint_contents import RunState
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet, count_steps
from ganvas.visualization.curves import draw_curves
from ganvas.visualization.image_grid import make_grid, write_png
from ganvas.visualization.progress_strip import snapshot_file
from ganvas.visualization.reduced_images import as_cells

logger = logging.getLogger(__name__)

# Added to the seed; beyond the seeds that a user can set, so that the selection of an epoch and
# the final evaluation never share images.
KID_SEED_OFFSET = 2**32
# A kernel distance needs this many images on each side.
MIN_KID_IMAGES = 2
# Drawing curves takes part of a second, and an epoch of a small collection not much longer.
SECONDS_BETWEEN_CURVES = 30


def make_callbacks(
    collection: Collection,
    data: TrainingSet,
    classes: ClassTable,
    params: TrainParams,
    snapshots: Path,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that parameters choose, in their order.

    Args:
        collection: All images, with their splits.
        data: The images to train on.
        classes: The classes and their names.
        params: Parameters of training.
        snapshots: Folder of the runs' folders for snapshots, live curves and logs.
    """
    default = TrainParams.model_fields["snapshot_rows"].default
    ignored = describe_ignored_rows(
        "train.snapshot_rows", params.snapshot_rows, default, data.num_shown
    )
    if ignored:
        logger.info("%s", ignored)
    class_rows = None if data.rows is None else data.rows[: data.num_shown]
    snapshot_callback = Snapshots(params, make_snapshot_saver(snapshots, params), class_rows)
    callbacks = [
        snapshot_callback,
        EarlyWarnings(snapshot_callback, make_diagnosis(collection, data, classes, params)),
    ]
    if params.kid_validation.interval:
        split = choose_kid_split(collection, params)
        measure = make_kid_measure(collection, data, params, split)
        real = "training" if split == "train" else split
        callbacks.append(KidValidation(params, measure, KID_EXTRACTOR, real))
    if file := os.environ.get(PROGRESS_FILE):
        callbacks.append(ProgressFile(Path(file), params, count_steps(len(data.positions), params)))
    if params.tensorboard:
        callbacks.append(TensorBoardLogger(lambda run: _tensorboard_folder(snapshots, run)))
    return callbacks


class ProgressFile(keras.callbacks.Callback):
    """Write which epochs are done, and the kernel distances so far, after each epoch.

    The file has `epoch`, `epochs`, all of the run or null if time alone limits it, and
    `kernel_distances` by epoch.

    Args:
        file: The JSON file.
        params: Parameters of training.
        steps_per_epoch: Steps of a whole epoch.
    """

    def __init__(self, file: Path, params: TrainParams, steps_per_epoch: int) -> None:
        super().__init__()
        total = params.total_steps(steps_per_epoch)
        self.file, self.epochs = file, total and math.ceil(total / steps_per_epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file."""
        measured = {
            row["epoch"]: row["kernel_distance"]
            for row in self.model.run_state.rows
            if math.isfinite(row.get("kernel_distance", math.nan))
        }
        progress = {"epoch": epoch + 1, "epochs": self.epochs, "kernel_distances": measured}
        atomic_write(self.file, json.dumps(progress).encode())


def make_snapshot_saver(
    snapshots: Path, params: TrainParams
) -> Callable[[RunState, int, np.ndarray], None]:
    """Return the function that saves snapshots and, at intervals, the history and its curves."""
    last_drawn = -np.inf

    def save(run_state: RunState, epoch: int, images: np.ndarray) -> None:
        nonlocal last_drawn
        folder = snapshots / run_state.started
        grid = make_grid(as_cells(images), params.snapshot_columns)
        write_png(snapshot_file(folder, epoch), grid)
        if params.tensorboard:
            log_tensorboard_image(_tensorboard_folder(snapshots, run_state), epoch, grid)
        if time.monotonic() - last_drawn >= SECONDS_BETWEEN_CURVES:
            last_drawn = time.monotonic()
            _save_live_curves(folder, pd.DataFrame(run_state.rows))

    return save


def _save_live_curves(folder: Path, history: pd.DataFrame) -> None:
    with atomic_path(folder / "history.csv") as partial:
        history.to_csv(partial, index=False)
    write_png(folder / "curves.png", draw_curves(history))


def _tensorboard_folder(snapshots: Path, run_state: RunState) -> Path:
    return snapshots / run_state.started / "tensorboard"


def choose_kid_split(collection: Collection, params: TrainParams) -> str:
    """Return the split that `train.kid_validation` compares with, and log what limits it.

    It is validation, or train with fewer than 2 validation images.
    """
    asked, found = params.kid_validation.images, len(collection.split("validation"))
    if found < MIN_KID_IMAGES:
        logger.warning(
            "train.kid_validation compares epochs by their distance to training images, which "
            "favors copies of them, since the collection has %d validation image(s) and %d are "
            "needed: set a higher ingest.validation_share, or train.kid_validation.interval=null.",
            found,
            MIN_KID_IMAGES,
        )
        return "train"
    if found < asked:
        logger.info(
            "train.kid_validation compares %d generated images with %d validation images: the "
            "collection has no more, though train.kid_validation.images=%d.",
            asked,
            found,
            asked,
        )
    return "validation"


def make_kid_measure(
    collection: Collection, data: TrainingSet, params: TrainParams, split: str = "validation"
) -> Callable[[keras.Model], float]:
    """Return the function that measures a generator's kernel distance to images of a split."""
    extractor = load_extractor(KID_EXTRACTOR)
    positions = collection.shuffled(split)
    count, seed = params.kid_validation.images, KID_SEED_OFFSET + params.seed
    real = SelectedImages(collection.images, positions[:count])
    real_features = compute_features(extractor, real)
    labels = None
    if data.labels is not None:
        targets = sample_labels(data.labels[data.positions], count, seed)
        labels = data.weigh(targets)

    def measure(generator: keras.Model) -> float:
        images = generate_images(generator, sample_latents(generator, count, seed), labels)
        return kernel_distance(real_features, compute_features(extractor, images))

    return measure
