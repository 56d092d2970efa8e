"""Keras callbacks that connect training with plots and metrics: snapshots, warnings, KID."""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ganvas.arrays import ConvertedImages, Images, SelectedImages
from ganvas.atomic_files import atomic_path, atomic_write
from ganvas.grid_layout import describe_ignored_rows, find_rows, label_rows
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import ClassTable
from ganvas.metrics.class_diversity import (
    class_distances,
    class_diversity,
    cluster_distances,
    coarse_colors,
    count_clusters,
    fit_clusters,
    name_classes,
)
from ganvas.metrics.feature_extractors import compute_features, load_extractor
from ganvas.metrics.kid import kernel_distance
from ganvas.metrics.nearest_neighbors import find_nearest_images
from ganvas.metrics.pairwise import mean_image_distance
from ganvas.networks.sampling import generate_images, sample_labels, sample_latents
from ganvas.pipelines.train.params import KID_EXTRACTOR, PROGRESS_FILE
from ganvas.training.callbacks import (
    EarlyWarnings,
    KidValidation,
    Snapshots,
    TensorBoardLogger,
    log_tensorboard_image,
)
from ganvas.training.checkpoints import RunState
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet, count_steps
from ganvas.training.diagnostics import (
    COLLAPSED_CLASS,
    EarlyWarning,
    diagnose_run,
)
from ganvas.visualization.curves import draw_curves
from ganvas.visualization.image_grid import make_grid, write_png
from ganvas.visualization.progress_strip import snapshot_file
from ganvas.visualization.reduced_images import as_cells, reduce_images

logger = logging.getLogger(__name__)

# Added to the seed; beyond the seeds that a user can set, so that the selection of an epoch and
# the final evaluation never share images.
KID_SEED_OFFSET = 2**32
# A kernel distance needs this many images on each side.
MIN_KID_IMAGES = 2
# Number of samples that are compared, and of real images in each reference for their distances.
REFERENCE_IMAGES = 64
# Number of training images that are clustered where there are no classes.
CLUSTERED_IMAGES = 512
# Images of more pixels than this are compared at this many.
MAX_PIXELS, COMPARED_PIXELS = 128**2, 64**2
# Training images that are compared with samples, at most: reading all of a large collection after
# each epoch would take longer than the epoch.
COMPARED_TRAINING = 2000
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


def make_diagnosis(
    collection: Collection, data: TrainingSet, classes: ClassTable, params: TrainParams
) -> Callable[[list[dict[str, Any]], np.ndarray | None], list[EarlyWarning]]:
    """Return the function that diagnoses a run by its scores and, if there are any, its samples."""
    training, images = collection.split("train"), reduce_large(collection.images)
    found = np.sort(np.random.default_rng(params.seed).permutation(training)[:COMPARED_TRAINING])
    searched = images
    if images is not collection.images:
        searched, found = images[found], np.arange(len(found))

    def distance_to_training(samples: np.ndarray) -> float:
        return float(find_nearest_images(samples, searched, found)[1].mean())

    # The same measurements on real images, as references.
    validation = images[collection.shuffled("validation")[:REFERENCE_IMAGES]]
    chosen = np.random.default_rng(params.seed).permutation(training)[:REFERENCE_IMAGES]
    real_distance = mean_image_distance(images[chosen]) if len(chosen) > 1 else 0.0
    validation_distance = distance_to_training(validation) if len(validation) else 0.0
    measure_classes = make_class_measure(data, classes, params)
    steps = max(len(data.positions) // params.images_per_step, 1)

    def diagnose(rows: list[dict[str, Any]], samples: np.ndarray | None) -> list[EarlyWarning]:
        if samples is not None and len(samples) > 1:
            samples = reduce_large(samples)[:]
            # Evenly spaced, so that they are of all classes.
            some = samples[:: math.ceil(len(samples) / REFERENCE_IMAGES)]
            if real_distance:
                rows[-1]["diversity"] = mean_image_distance(some) / real_distance
            if diversity := measure_classes(samples):
                worst, lowest = next(iter(diversity.items()))
                rows[-1]["class_diversity"], rows[-1]["least_diverse_class"] = lowest, worst
                collapsed = sum(value < COLLAPSED_CLASS for value in diversity.values())
                rows[-1]["collapsed_classes"] = collapsed
            if validation_distance:
                rows[-1]["novelty"] = distance_to_training(some) / validation_distance
        return diagnose_run(rows, rows[-1]["epoch"] * steps, params.loss)

    return diagnose


def reduce_large(images: Images) -> Images:
    """Return images as they are compared: those of more than `MAX_PIXELS` reduced.

    Example:
        >>> reduce_large(np.zeros((2, 512, 256, 4), np.uint8)).shape
        (2, 90, 45, 4)
    """
    if math.prod(images.shape[1:3]) <= MAX_PIXELS:
        return images
    return ConvertedImages(images, partial(reduce_images, pixels=COMPARED_PIXELS))


def make_class_measure(
    data: TrainingSet, classes: ClassTable, params: TrainParams
) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function that measures how diverse the samples of each class are, in pixels.

    With several label columns, those of each value are measured. Without classes, clusters of
    training images with similar colors take their place. See `ganvas.metrics.class_diversity`.

    Args:
        data: The images to train on.
        classes: The classes and their names.
        params: Parameters of training: rows and columns of a snapshot, seed.

    Returns:
        A function from the samples of a snapshot to the diversity by class, the lowest first;
        empty with too few samples or training images of each class.
    """
    positions = np.random.default_rng(params.seed).permutation(data.positions)
    images = reduce_large(data.images)
    if data.labels is not None:
        labels = data.labels[positions]
        sample_labels = label_rows(data.num_shown, params.snapshot_rows, params.snapshot_columns)
        if data.rows is None:
            real = _measure_real_classes(images, positions, labels)
        else:
            real = {}
            for column in classes.value_positions(labels).T:
                real |= _measure_real_classes(images, positions, column)
            sample_labels = classes.value_positions(sample_labels)

        def measure_classes(samples: np.ndarray) -> dict[str, float]:
            distances = class_distances(samples, sample_labels, mean_image_distance)
            return name_classes(class_diversity(distances, real), classes.value_names)

        return measure_classes

    positions = positions[:CLUSTERED_IMAGES]
    count = count_clusters(params.snapshot_rows * params.snapshot_columns, len(positions))
    if count < 2:
        # Of one, the diversity is that of all samples.
        return lambda samples: {}
    clusters = fit_clusters(coarse_colors(images[positions]), count, params.seed)
    names = [f"color cluster {number + 1} of {count}" for number in range(count)]
    real = _measure_real_classes(images, positions, clusters.labels_)

    def measure_clusters(samples: np.ndarray) -> dict[str, float]:
        labels = clusters.predict(coarse_colors(samples))
        distances = cluster_distances(samples, labels, clusters.labels_, mean_image_distance)
        return name_classes(class_diversity(distances, real), names)

    return measure_clusters


def _measure_real_classes(
    images: Images, positions: np.ndarray, labels: np.ndarray
) -> dict[int, float]:
    """Compute the mean distances within each class of images at positions, of 64 a class."""
    limited = np.full(len(images), -1)
    for row in find_rows(labels, len(np.unique(labels)), REFERENCE_IMAGES):
        limited[positions[row]] = labels[row]
    return class_distances(images, limited, mean_image_distance)


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
