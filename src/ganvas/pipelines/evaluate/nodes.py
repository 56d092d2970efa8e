"""Nodes of evaluation, other than those that compare features."""

import importlib.util
import logging
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ganvas.arrays import Images, SelectedImages
from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.grid_layout import find_rows
from ganvas.image_shape import CHANNEL_COUNTS, describe_size
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.face_alignment import find_landmarks
from ganvas.keras_types import Model
from ganvas.label_columns import read_class_list
from ganvas.metrics.discriminator_accuracy import compute_logits, discriminator_accuracy
from ganvas.metrics.parzen import parzen
from ganvas.metrics.transparency import (
    describe_for_extractor,
    describe_for_pixels,
    for_extractor,
    for_pixels,
)
from ganvas.networks.sampling import generate_images, sample_labels, sample_latents
from ganvas.pipelines.evaluate.feature_metrics import (
    Features,
    describe_comparison,
    name_comparison,
)
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry, name_run
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.progress import track
from ganvas.training.config import LOSSES_IN_NATS, LossParams
from ganvas.visualization.comparison import sample_history
from ganvas.visualization.image_grid import make_grid_of_rows
from ganvas.visualization.reduced_images import as_cells
from ganvas.visualization.report import list_parameters, reproduction_command

logger = logging.getLogger(__name__)

PARZEN_VALIDATION_IMAGES = 1000
LEADERBOARD_ROWS, LEADERBOARD_COLUMNS = 8, 8
# Epochs of a leaderboard entry's history at most.
HISTORY_POINTS = 200
HISTORY_TITLES = {
    "loss_g": "Generator loss",
    "loss_d": "Discriminator loss",
    "real_score": "Score of real images",
    "fake_score": "Score of generated images",
}


def generate_for_evaluation(
    generator: Model,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the images to evaluate, with the class frequencies of the training set.

    Returns:
        Images, uint8 of shape (count, H, W, C), and their target classes, int of shape (count,).
        Many large ones are in a temporary file, see `ganvas.arrays.allocate`.

    Raises:
        GanvasError: The generator's image size, channels or classes differ from the collection's.
    """
    check_shapes(generator, collection)
    logger.info(
        "Generating %s images (evaluate.count). %s",
        f"{params.count:,}",
        describe_comparison(params.count, len(collection.split("train")), params),
    )
    return _generate(generator, collection, class_list, params.count, params.seed)


def summarize_history(history: pd.DataFrame, training_summary: dict[str, Any]) -> Metrics:
    """Return losses and scores of the epoch whose networks were saved, the last or the best.

    Raises:
        GanvasError: The history has other epochs than the training.
    """
    if len(history) != training_summary["epochs"]:
        raise GanvasError(
            f"history.csv has {len(history)} epoch(s), but training.json "
            f"{training_summary['epochs']}: one of them is cut off or of another run. Create "
            "both again by `kedro run --pipelines=train` with the same --env and --params."
        )
    train = training_summary["parameters"]["train"]
    # Runs of earlier versions have the parameter under its old name.
    keep = train.get("kid_validation", train.get("judge", {})).get("keep")
    best = training_summary.get("best") if keep == "best" else None
    # A run interrupted right after its best epoch has lost the row of that epoch.
    epoch = min(best["epoch"], len(history)) if best else training_summary["epochs"]
    saved = history.iloc[epoch - 1] if best else history.iloc[-1]
    protocol = f"mean over epoch {epoch}, training images"
    unit = "nats" if _loss_params(training_summary).name in LOSSES_IN_NATS else ""
    return {
        name: metric_entry(title, saved[name], protocol, unit if "loss" in name else "")
        for name, title in HISTORY_TITLES.items()
    }


def measure_discriminator_accuracy(
    discriminator: Model,
    generated: np.ndarray,
    target_classes: np.ndarray,
    collection: Collection,
    class_list: dict[str, Any],
    training_summary: dict[str, Any],
) -> Metrics:
    """Compute the share of validation, training and generated images classified correctly.

    Empty after a loss that only compares logits, such as Wasserstein's, since there is no
    threshold between real and fake.

    Raises:
        GanvasError: The collection's classes differ from the discriminator's.
    """
    threshold = _loss_params(training_summary).decision_threshold
    if threshold is None:
        return {}
    classes = match_classes(collection.index, read_class_list(class_list))
    groups: dict[str, tuple[Images, np.ndarray]] = {}
    for key, split in (("held_out", "validation"), ("training", "train")):
        # A conditional discriminator can't score an image without a class.
        positions = classes.in_split(collection.shuffled(split))[: len(generated)]
        groups[key] = (SelectedImages(collection.images, positions), classes.labels[positions])
    groups["generated"] = (generated, target_classes)
    metrics = {}
    for key, (images, labels) in groups.items():
        if len(images):
            logits = compute_logits(discriminator, images, classes.table.weigh(labels))
            name = "validation" if key == "held_out" else key
            metrics[f"discriminator_accuracy_{key}"] = metric_entry(
                f"Discriminator accuracy on {name} images",
                discriminator_accuracy(logits, key != "generated", threshold),
                f"N={len(images)}, inference mode, real above {threshold:g}",
            )
    return metrics


def measure_likelihood(
    generator: Model,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Compute the Parzen-window log-likelihood of test images; empty if `params.parzen` is 0.

    Raises:
        GanvasError: There are too few validation and test images.
    """
    if not params.parzen:
        return {}
    validation, test = collection.shuffled("validation"), collection.shuffled("test")
    if not len(test):
        # A source with published lists has a training and a validation split only.
        half = min(len(validation) // 2, PARZEN_VALIDATION_IMAGES)
        validation, test = validation[:half], validation[half:]
    validation = validation[:PARZEN_VALIDATION_IMAGES]
    if not len(validation) or len(test) < 2:
        raise GanvasError(
            "The Parzen-window log-likelihood needs validation and test images, and the "
            "collection has too few: raise ingest.validation_share, or set evaluate.parzen=0."
        )
    samples, _ = _generate(generator, collection, class_list, params.parzen, params.seed)
    images = for_pixels(collection.images)
    result = parzen(
        for_pixels(samples), SelectedImages(images, validation), SelectedImages(images, test)
    )
    edge = ", at the edge of the tried range" if result.at_edge else ""
    protocol = (
        f"mean ± {result.error:.0f} (standard error) of {result.images} test images, window "
        f"of {result.samples} generated images, σ={result.sigma:.3g} chosen on "
        f"{result.validation} validation images{edge}, D={result.dimensions}"
        f"{describe_for_pixels(samples.shape[3])}, range 0 to 1"
    )
    return {
        "parzen_log_likelihood": metric_entry(
            "Parzen-window log-likelihood", result.mean, protocol, "nats"
        )
    }


def measure_faces(generated: np.ndarray, collection: Collection, params: EvaluateParams) -> Metrics:
    """Compute the share of images in which MTCNN detects a face; empty if `params.faces` is 0.

    The real-data baseline comes from validation images, or training images if there are none.
    """
    if not params.faces:
        return {}
    if not importlib.util.find_spec("mtcnn"):
        logger.warning(
            "Face detection is skipped, because the package mtcnn is not installed: run %s and "
            "evaluate again, or set evaluate.faces=0.",
            install_command("faces"),
        )
        return {}
    kind, positions = "validation", collection.shuffled("validation")
    if not len(positions):
        kind, positions = "training", collection.shuffled("train")
    generated = generated[: params.faces]
    real = SelectedImages(collection.images, positions[: params.faces])
    if min(len(generated), len(real)) < params.faces:
        logger.info(
            "Faces are detected in %d generated images (evaluate.count) and %d %s images (all of "
            "the collection) at most, fewer than evaluate.faces=%d.",
            len(generated),
            len(real),
            kind,
            params.faces,
        )
    return {
        "faces": metric_entry(
            "Images with a detected face",
            _detection_rate(generated, "Faces of generated images"),
            f"MTCNN, N={len(generated)} generated and {len(real)} {kind} images, not resized"
            f"{describe_for_extractor(generated.shape[3])}",
            real=_detection_rate(real, "Faces of real images"),
        )
    }


def join_metrics(training_summary: dict[str, Any], *parts: Metrics) -> Metrics:
    """Merge the metrics of all nodes, and add to each the training run it belongs to."""
    run = {"run": name_run(training_summary)}
    return {name: metric | run for part in parts for name, metric in part.items()}


def make_leaderboard_entry(
    metrics: Metrics,
    training_summary: dict[str, Any],
    generated: np.ndarray,
    target_classes: np.ndarray,
    features: Features,
    history: pd.DataFrame,
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Return the leaderboard row of the run and a grid of its images, both by the run's name.

    With classes, each row of the grid is of one class, see `find_rows`. The row has the history of
    training, of 200 epochs at most.

    Evaluating the same run again with the same feature extractor replaces its row.
    """
    summary = training_summary
    extractor = name_comparison(features)
    run = "-".join(
        [summary["dataset"], summary["network"], summary["started"], extractor.replace(" ", "-")]
    )
    chosen = {key: summary[key] for key in ("chosen_epoch", "message") if "chosen_epoch" in summary}
    if chosen:
        run += f"-epoch-{summary['chosen_epoch']}"
    row = {
        "run": run,
        "extractor": extractor,
        "seed": summary["parameters"]["train"]["seed"],
        "minutes": summary["seconds"] / 60,
        "version": summary["versions"]["ganvas"],
        "model_version": summary.get("version"),
        "command": reproduction_command(summary),
        "history": _make_curves(history, summary),
        "parameters": list_parameters(summary["parameters"]),
        "metrics": metrics,
    }
    keys = ("dataset", "network", "started", "epochs", "images_seen")
    row |= chosen | {key: summary[key] for key in keys}
    row["ended_by"] = summary.get("ended_by")
    rows = find_rows(target_classes, LEADERBOARD_ROWS, LEADERBOARD_COLUMNS)
    return {run: row}, {run: make_grid_of_rows([as_cells(generated[row]) for row in rows])}


def _make_curves(
    history: pd.DataFrame, training_summary: dict[str, Any]
) -> dict[str, list[float | None]]:
    """Return the columns of a history that are numbers, with the images seen and minutes so far."""
    table = history.copy()
    table["images_seen"] = training_summary["images_seen"] * table["epoch"] / table["epoch"].max()
    if "seconds" in table:
        table["minutes"] = table["seconds"].cumsum() / 60
    return sample_history(table, HISTORY_POINTS)


def _loss_params(training_summary: dict[str, Any]) -> LossParams:
    saved = training_summary["parameters"]["train"]["loss"]
    # Runs of earlier versions have other names for weights, which no metric depends on.
    return LossParams(**{key: saved[key] for key in LossParams.model_fields if key in saved})


def _generate(
    generator: Model,
    collection: Collection,
    class_list: dict[str, Any],
    count: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate images of classes drawn with the frequencies of the training set."""
    target_classes, one_hot_labels = draw_classes(collection, class_list, count, seed)
    latents = sample_latents(generator, count, seed)
    return generate_images(generator, latents, one_hot_labels), target_classes


def draw_classes(
    collection: Collection, class_list: dict[str, Any], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw classes with the frequencies of the training set: numbers (N,), and rows (N, K).

    Raises:
        GanvasError: The collection's classes differ from the generator's.
    """
    classes = match_classes(collection.index, read_class_list(class_list))
    training = classes.in_split(collection.split("train"))
    target_classes = sample_labels(classes.labels[training], count, seed)
    return target_classes, classes.table.weigh(target_classes)


def check_shapes(generator: Model, collection: Collection) -> None:
    """Check that images of the generator can be compared with those of the collection.

    Raises:
        GanvasError: They have another size or other channels.
    """
    generated, packed = tuple(generator.output_shape[1:]), tuple(collection.images.shape[1:])
    if generated == packed:
        return
    height, width, channels = generated
    size = str(height) if height == width else f"[{height}, {width}]"
    names = {count: name for name, count in CHANNEL_COUNTS.items()}
    settings = {"size": size} if generated[:2] != packed[:2] else {}
    if channels != packed[2]:
        settings["channels"] = names[channels]
    wanted = " and ".join(f"ingest.{key} to {value}" for key, value in settings.items())
    ours, theirs = (
        f"{describe_size(*shape[:2])} pixels ({names[shape[2]]})" for shape in (generated, packed)
    )
    raise GanvasError(
        f"The generator's images have {ours}, but the collection was packed at {theirs}: set "
        f"{wanted} and run ingest, or train again."
    )


def _detection_rate(images: Images, description: str) -> float:
    found = []
    for number in track(range(len(images)), description):
        (image,) = for_extractor(images[number : number + 1])
        found.append(find_landmarks(Image.fromarray(image)) is not None)
    return float(np.mean(found))
