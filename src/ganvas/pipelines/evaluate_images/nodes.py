"""Nodes that evaluate images without their generator."""

import logging
import math
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.grid_layout import find_rows
from ganvas.image_shape import describe_size
from ganvas.ingestion.class_labels import label_columns, read_classes
from ganvas.ingestion.collection import Collection, open_collection
from ganvas.ingestion.color_conversion import read_color
from ganvas.ingestion.image_sets import (
    ImageSet,
    SetOptions,
    Source,
    open_image_set,
    read_image_set,
)
from ganvas.ingestion.shards import ShardedImages
from ganvas.pipelines.evaluate.feature_metrics import MIN_IMAGES, Features, name_comparison
from ganvas.pipelines.evaluate.memorization import find_nearest_training_images
from ganvas.pipelines.evaluate.metric_entry import Metrics
from ganvas.pipelines.evaluate.nodes import LEADERBOARD_COLUMNS, LEADERBOARD_ROWS
from ganvas.pipelines.evaluate.params import EvaluateParams, name_folder, stem
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.plain_text import as_cell, one_line
from ganvas.project_folder import resolve_path
from ganvas.visualization.image_grid import make_grid_of_rows
from ganvas.visualization.images_report import render_images_report
from ganvas.visualization.reduced_images import as_cells

logger = logging.getLogger(__name__)

CHANNEL_NAMES = {1: "gray", 3: "RGB", 4: "RGB with alpha"}
# Without a collection, images keep their own size up to this longer side.
MAX_SIDE = 1024


def read_images(
    collection_folder: Path, unpacked_folder: Path, params: EvaluateParams, ingest: IngestParams
) -> tuple[np.ndarray, np.ndarray, Collection, dict[str, Any], pd.DataFrame]:
    """Read the images to evaluate and those to compare them with.

    Images are decoded as those of the collection, to its shape, but without alignment; without a
    collection to a shape that both sets can have, see `choose_shape`. Of more than
    `evaluate.count` images as many are chosen at random.

    Returns:
        The images, uint8 of shape (N, H, W, C); their classes, if they are in folders with
        the names of classes; the collection, or the images of `evaluate.against` as one of training
        images alone; the label column with its classes; and a table of rejected files.

    Raises:
        GanvasError: Images or collection are missing or damaged, or too few.
    """
    assert params.images
    path = resolve_path(params.images)
    source = open_image_set(path, unpacked_folder, "evaluate.images")
    if not min(source.size):
        raise GanvasError(f"No image of {path} can be opened: set evaluate.images to others.")
    if params.against:
        other = resolve_path(params.against)
        reference = open_image_set(other, unpacked_folder, "evaluate.against")
        shape = choose_shape(source, reference)
    else:
        collection = _open(collection_folder)
        shape = collection.images.shape[1:]
    options = SetOptions(
        shape,
        ingest.crop,
        ingest.max_megapixels * 1e6,
        ingest.max_rejected_share,
        ingest.workers,
        read_color(ingest.background),
    )
    least = MIN_IMAGES if params.protocol == "all" else 2 * MIN_IMAGES
    images = _read(source, path, params.count, params, options)
    _check_number(len(images.images), MIN_IMAGES, path, "evaluate.images")
    rejected = [images.rejected]
    if params.against:
        most = params.real if params.protocol == "halves" else reference.total
        others = _read(reference, other, most, params, options)
        _check_number(len(others.images), least, other, "evaluate.against")
        rejected.append(others.rejected)
        collection = _as_collection(others)
    class_list, classes = _match_classes(images, collection.index)
    table = pd.concat(rejected, ignore_index=True)
    return images.images, classes, collection, class_list, _make_printable(table)


def choose_shape(source: Source, other: Source) -> tuple[int, int, int]:
    """Return the shape (H, W, C) in which the images of two sets are compared.

    It is that of the first image of `source`, if the first one of `other` has the same aspect ratio
    within 1 % and the same channels. Otherwise the images become squares of the shorter side of the
    first set, or RGB. The longer side has 1,024 pixels at most.
    """
    width, height = source.size
    if not math.isclose(width / height, other.size[0] / max(1, other.size[1]), rel_tol=0.01):
        width = height = min(source.size)
    scale = min(1, MAX_SIDE / max(width, height))
    channels = source.channels if source.channels == other.channels else 3
    return max(1, round(height * scale)), max(1, round(width * scale)), channels


def find_nearest_to_images(
    images: np.ndarray, features: Features, reference: Collection, params: EvaluateParams
) -> tuple[Metrics, np.ndarray]:
    """Measure distances to the nearest training images, as `find_nearest_training_images`.

    Images of `evaluate.against` need not be those of a training: there is no metric then, and an
    empty sheet.
    """
    if params.against:
        return {}, np.empty((0, 0, 3), np.uint8)
    return find_nearest_training_images(images, features, reference)


def join_image_metrics(params: EvaluateParams, ingest: IngestParams, *parts: Metrics) -> Metrics:
    """Merge the metrics of all nodes, and add to each the images that it belongs to."""
    images, against = _describe(params, ingest)
    note = f"; in place of training images: {against}" if params.against else ""
    return {
        name: metric | {"protocol": metric["protocol"] + note, "run": f"the images of {images}"}
        for part in parts
        for name, metric in part.items()
    }


def write_images_report(
    images: np.ndarray,
    classes: np.ndarray,
    reference: Collection,
    features: Features,
    nearest: np.ndarray,
    metrics: Metrics,
    rejected: pd.DataFrame,
    params: EvaluateParams,
    ingest: IngestParams,
) -> str:
    """Render a page of the images, those that they are compared with, and the metrics."""
    positions = features.training_positions[: LEADERBOARD_ROWS * LEADERBOARD_COLUMNS]
    names = _describe(params, ingest)
    return render_images_report(
        *names,
        images=as_cells(images[np.concatenate(_choose(classes))]),
        real=as_cells(reference.images[positions]),
        nearest=nearest,
        metrics=metrics,
        rejected=len(rejected),
    )


def make_images_entry(
    metrics: Metrics,
    images: np.ndarray,
    classes: np.ndarray,
    features: Features,
    params: EvaluateParams,
    ingest: IngestParams,
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Return a leaderboard row of the images and a grid of them, both by their name.

    It has no training, and so no parameters but the path of the images.
    """
    assert params.images
    path, extractor = resolve_path(params.images), name_comparison(features)
    dataset = ingest.dataset_name
    if params.against:
        # Metrics of a collection with the same name can't be compared.
        dataset = f"images of {one_line(stem(resolve_path(params.against)))}"
    words = [dataset, "images", name_folder(params.images), extractor]
    if params.against:
        words[0] = f"against-{name_folder(params.against)}"
    run = "-".join(words).replace(" ", "-")
    row = {
        "run": run,
        "dataset": dataset,
        "network": f"images: {one_line(stem(path))}",
        "extractor": extractor,
        "started": datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
        "epochs": 0,
        "images_seen": 0,
        "minutes": 0.0,
        "seed": params.seed,
        "version": version("ganvas"),
        "parameters": {"evaluate.images": one_line(str(path))},
        "metrics": metrics,
    }
    rows = [as_cells(images[positions]) for positions in _choose(classes)]
    return {run: row}, {run: make_grid_of_rows(rows)}


def _open(folder: Path) -> Collection:
    try:
        return open_collection(folder)
    except FileNotFoundError as error:
        raise GanvasError(
            f"There is no collection in {folder} to compare with: create it by `kedro run "
            "--pipelines=ingest` with the same --env and --params, or set evaluate.against to a "
            "folder, archive or .npz file of images."
        ) from error


def _read(
    source: Source, path: Path, most: int, params: EvaluateParams, options: SetOptions
) -> ImageSet:
    rng = np.random.default_rng(params.seed)
    positions = np.sort(rng.permutation(source.total)[:most])
    logger.info("Reading %d of the %d images of %s.", len(positions), source.total, path)
    if source.channels != options.shape[2]:
        ours, theirs = (CHANNEL_NAMES[count] for count in (source.channels, options.shape[2]))
        logger.info("The first of them is %s: all are converted to %s.", ours, theirs)
    width, height = source.size
    if (height, width) != options.shape[:2]:
        logger.info(
            "The first of them has %s pixels: such images are cropped (ingest.crop=%s) and resized "
            "to %s.",
            describe_size(height, width),
            options.crop,
            describe_size(*options.shape[:2]),
        )
    read = read_image_set(source, positions, options)
    if count := len(positions) - len(read.images):
        first = read.rejected.iloc[0]
        logger.warning(
            "%d of these images can't be used, such as %s: %s.", count, first.path, first.reason
        )
    return read


def _check_number(count: int, least: int, path: Path, key: str) -> None:
    if count < least:
        limits = "evaluate.count and evaluate.real limit these"
        images = "1 image" if count == 1 else f"{count} images"
        raise GanvasError(
            f"{key} has {images} that can be used ({path}; {limits}), and metrics need {least} or "
            "more: set it to more images."
        )


def _as_collection(images: ImageSet) -> Collection:
    numbers = [f"{number:032x}" for number in range(len(images.index))]
    index = images.index.assign(split="train", hash=numbers)
    return Collection(ShardedImages([images.images]), index, images.rejected)


def _match_classes(images: ImageSet, index: pd.DataFrame) -> tuple[dict[str, Any], np.ndarray]:
    """Find the label column whose classes are the names of the images' folders."""
    labels = images.index["class"].map(one_line)
    folders = set(labels)
    for column in label_columns(index) if len(folders) > 1 else []:
        try:
            names = read_classes(index, column).names
        except GanvasError:
            # Such as a column of titles.
            continue
        if folders <= set(names):
            logger.info("The folders of the images are taken for their classes of %s.", column)
            return {"column": column, "names": names}, labels.map(names.index).to_numpy()
    if len(folders) > 1:
        logger.info(
            "The folders of the images have no names of classes, so these are not compared."
        )
    return {"column": None, "names": []}, np.zeros(len(labels), np.int64)


def _make_printable(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(path=table["path"].map(as_cell))


def _describe(params: EvaluateParams, ingest: IngestParams) -> tuple[str, str]:
    """Return what is compared with what, in words."""
    images = one_line(str(params.images))
    against = one_line(params.against) if params.against else f"collection {ingest.dataset_name}"
    return images, against


def _choose(classes: np.ndarray) -> list[np.ndarray]:
    return find_rows(classes, LEADERBOARD_ROWS, LEADERBOARD_COLUMNS)
