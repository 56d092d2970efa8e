"""Nodes of the report pipeline."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ganvas.errors import GanvasError
from ganvas.grid_layout import divide_rows, find_rows, label_rows
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection, count_reasons
from ganvas.networks.sampling import (
    count_classes,
    generate_images,
    latent_dim,
    one_hot,
    sample_latents,
    slerp,
)
from ganvas.pipelines.evaluate.metric_entry import name_run
from ganvas.pipelines.report.params import ReportParams
from ganvas.training.diagnostics import (
    COLLAPSED_CLASS,
    EarlyWarning,
    warn_of_collapsed_classes,
)
from ganvas.visualization.contact_sheet import draw_sheets
from ganvas.visualization.curves import draw_curves, plot_curves
from ganvas.visualization.image_grid import make_grid, make_grid_of_rows
from ganvas.visualization.model_card import render_card
from ganvas.visualization.progress_strip import collect_frames, draw_strip
from ganvas.visualization.report import render_report

# The grids of real and of generated images, which stand side by side, without and with classes.
PAIRED_COLUMNS, PAIRED_ROWS, PAIRED_CLASSES = 6, 6, 8
SHEET_GENERATED, SHEET_REAL = 8, 3
INTERPOLATIONS, INTERPOLATION_STEPS = 4, 9


def make_sample_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange generated images in a grid; with classes, each row is of one, see `label_rows`."""
    labels = label_rows(count_classes(generator), params.rows, params.columns)
    return make_grid(_generate(generator, labels, params.seed), params.columns)


def make_interpolation_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange interpolations between latents in a grid, one row and one class each."""
    ends = sample_latents(generator, 2 * INTERPOLATIONS, params.seed + 2)
    latents = slerp(ends[:INTERPOLATIONS], ends[INTERPOLATIONS:], INTERPOLATION_STEPS)
    classes = count_classes(generator)
    rows = np.resize(divide_rows(classes, INTERPOLATIONS), INTERPOLATIONS)
    one_hot_labels = one_hot(np.repeat(rows, INTERPOLATION_STEPS), classes)
    images = generate_images(generator, latents.reshape(-1, latents.shape[-1]), one_hot_labels)
    return make_grid(images, INTERPOLATION_STEPS, gap=0)


def make_class_sheets(
    generator: keras.Model, classes: dict[str, Any], collection: Collection, params: ReportParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw sheets of real and generated images by class.

    Returns:
        Names and sheets; none without classes.

    Raises:
        GanvasError: The collection has other classes than the generator.
    """
    names = classes["names"]
    known = match_classes(collection.index, classes["column"], names)
    training = collection.shuffled("train")
    real, generated = [], []
    for number in range(len(names)):
        chosen = training[known.labels[training] == number][:SHEET_REAL]
        real.append(collection.images[chosen])
    if names:
        labels = np.repeat(np.arange(len(names)), SHEET_GENERATED)
        generated = np.split(_generate(generator, labels, params.seed), len(names))
    # Not a generator function: Kedro would save such a node's sheets one by one.
    sheets = draw_sheets(names, real, generated) if names else iter(())
    return ((f"sheet{number:02d}", sheet) for number, sheet in enumerate(sheets))


def make_real_grid(
    collection: Collection, classes: dict[str, Any], params: ReportParams
) -> np.ndarray:
    """Arrange validation images in a grid, or training images where there are none.

    With classes, each row is of one class, the same as in the grid of generated images; a class
    without validation images has a row of training images.

    Raises:
        GanvasError: The collection has other classes than the generator.
    """
    labels = match_classes(collection.index, classes["column"], classes["names"]).labels
    rng = np.random.default_rng(params.seed)
    validation, training = (rng.permutation(collection.split(x)) for x in ("validation", "train"))
    missing = ~np.isin(labels[training], labels[validation])
    chosen = np.concatenate([validation, training[missing]])
    chosen = chosen[labels[chosen] >= 0]
    rows = find_rows(labels[chosen], _count_paired_rows(len(classes["names"])), PAIRED_COLUMNS)
    return make_grid_of_rows([collection.images[chosen[row]] for row in rows])


def make_generated_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange generated images in a grid, to compare with the real ones."""
    classes = count_classes(generator)
    labels = np.repeat(divide_rows(classes, _count_paired_rows(classes)), PAIRED_COLUMNS)
    return make_grid(_generate(generator, labels, params.seed + 1), PAIRED_COLUMNS)


def _count_paired_rows(classes: int) -> int:
    return min(classes, PAIRED_CLASSES) or PAIRED_ROWS


def _generate(generator: keras.Model, labels: np.ndarray, seed: int) -> np.ndarray:
    """Generate an image of each class number in `labels`, all from different latents."""
    latents = sample_latents(generator, len(labels), seed)
    return generate_images(generator, latents, one_hot(labels, count_classes(generator)))


def draw_progress_strip(
    snapshots: Path, training_summary: dict[str, Any], generator: keras.Model
) -> np.ndarray:
    """Draw the progress strip of the generator's training run."""
    height, width = generator.output_shape[1:3]
    return draw_strip(snapshots / training_summary["snapshots"], height, width)


def collect_progress_frames(snapshots: Path, training_summary: dict[str, Any]) -> np.ndarray:
    """Collect the frames of the progress animation, uint8 of shape (n, H, W, 3)."""
    return collect_frames(snapshots / training_summary["snapshots"])


def draw_history(history: pd.DataFrame) -> np.ndarray:
    """Draw the training curves."""
    return draw_curves(history)


def plot_history(history: pd.DataFrame) -> go.Figure:
    """Plot the training curves interactively."""
    return plot_curves(history)


def write_report(
    sample_grid: np.ndarray,
    real_grid: np.ndarray,
    generated_grid: np.ndarray,
    progress_strip: np.ndarray,
    progress_animation: np.ndarray,
    curves: np.ndarray,
    curves_plot: go.Figure,
    class_sheets: dict[str, Callable[[], np.ndarray]],
    neighbors: np.ndarray,
    latent_walk: np.ndarray,
    metrics: dict[str, Any],
    training_summary: dict[str, Any],
    collection: Collection,
    params: ReportParams,
) -> str:
    """Render the report page.

    Raises:
        GanvasError: The metrics belong to another training run.
    """
    _check_same_run(metrics, training_summary)
    images = {
        "samples": sample_grid,
        "real": real_grid,
        "generated": generated_grid,
        "progress": progress_strip,
        "curves": curves,
        "neighbors": neighbors,
        "interpolation": latent_walk,
    }
    return render_report(
        images,
        [load() for load in class_sheets.values()],
        progress_animation,
        curves_plot,
        metrics,
        [result.model_dump() for result in params.published],
        [warning._asdict() for warning in find_collapsed_classes(metrics)],
        training_summary,
        count_reasons(collection.rejected),
    )


def find_collapsed_classes(metrics: dict[str, Any]) -> list[EarlyWarning]:
    """Return a warning if images of a class are much more alike than its real images."""
    metric = metrics.get("class_diversity_pixels")
    # Earlier versions did not measure it.
    if metric is None:
        return []
    by_class = metric["by_class"]
    count = sum(value < COLLAPSED_CLASS for value in by_class.values())
    return warn_of_collapsed_classes(metric["value"], min(by_class, key=by_class.get), count)


def write_card(
    generator: keras.Model, metrics: dict[str, Any], training_summary: dict[str, Any]
) -> str:
    """Render the model card, which is saved beside the generator.

    Raises:
        GanvasError: The metrics belong to another training run.
    """
    _check_same_run(metrics, training_summary)
    height, width = generator.output_shape[1:3]
    return render_card(metrics, training_summary, (height, width), latent_dim(generator))


def _check_same_run(metrics: dict[str, Any], training_summary: dict[str, Any]) -> None:
    newest = name_run(training_summary)
    for metric in metrics.values():
        # Metrics of earlier versions name no run, or count pictures.
        if metric.get("run", newest).replace("pictures", "images") != newest:
            raise GanvasError(
                f"metrics.json belongs to {metric['run']}, but the newest model to {newest}: run "
                "evaluate first, as in kedro run --pipelines=evaluate,report."
            )
