"""Nodes of the report pipeline."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection, count_reasons
from ganvas.networks.sampling import (
    cycle_classes,
    generate_images,
    latent_dim,
    one_hot,
    sample_latents,
    slerp,
)
from ganvas.pipelines.evaluate.metric_entry import name_run
from ganvas.pipelines.report.params import ReportParams
from ganvas.visualization.contact_sheet import draw_sheets
from ganvas.visualization.curves import draw_curves, plot_curves
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.model_card import render_card
from ganvas.visualization.progress_strip import collect_frames, draw_strip
from ganvas.visualization.report import render_report

# Images in the grids of real and of generated images, which stand side by side.
PAIRED_IMAGES = 36
SHEET_GENERATED, SHEET_REAL = 8, 3
INTERPOLATIONS, INTERPOLATION_STEPS = 4, 9


def make_sample_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange generated images in a grid."""
    latents = sample_latents(generator, params.rows * params.columns, params.seed)
    return make_grid(generate_images(generator, latents), params.columns)


def make_interpolation_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange interpolations between latents in a grid, one row and one class each."""
    ends = sample_latents(generator, 2 * INTERPOLATIONS, params.seed + 2)
    latents = slerp(ends[:INTERPOLATIONS], ends[INTERPOLATIONS:], INTERPOLATION_STEPS)
    classes = np.repeat(cycle_classes(generator, INTERPOLATIONS), INTERPOLATION_STEPS, axis=0)
    images = generate_images(generator, latents.reshape(-1, latents.shape[-1]), classes)
    return make_grid(images, INTERPOLATION_STEPS, gap=0)


def make_class_sheets(
    generator: keras.Model, classes: dict[str, Any], collection: Collection, params: ReportParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw sheets of real and generated images by class; each column has the same latent.

    Returns:
        Names and sheets; none without classes.

    Raises:
        GanvasError: The collection has other classes than the generator.
    """
    names = classes["names"]
    known = match_classes(collection.index, classes["column"], names)
    latents = sample_latents(generator, SHEET_GENERATED, params.seed)
    training = collection.shuffled("train")
    real, generated = [], []
    for number in range(len(names)):
        chosen = training[known.labels[training] == number][:SHEET_REAL]
        real.append(collection.images[chosen])
        target = one_hot(np.full(SHEET_GENERATED, number), len(names))
        generated.append(generate_images(generator, latents, target))
    # Not a generator function: Kedro would save such a node's sheets one by one.
    sheets = draw_sheets(names, real, generated) if names else iter(())
    return ((f"sheet{number:02d}", sheet) for number, sheet in enumerate(sheets))


def make_real_grid(collection: Collection, params: ReportParams) -> np.ndarray:
    """Arrange validation images in a square grid, or training images where there are none."""
    candidates = collection.split("validation")
    if not len(candidates):
        candidates = collection.split("train")
    chosen = np.random.default_rng(params.seed).permutation(candidates)[:PAIRED_IMAGES]
    return _make_square_grid(collection.images[chosen])


def make_generated_grid(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Arrange generated images in a square grid, to compare with the real ones."""
    latents = sample_latents(generator, PAIRED_IMAGES, params.seed + 1)
    return _make_square_grid(generate_images(generator, latents))


def _make_square_grid(images: np.ndarray) -> np.ndarray:
    return make_grid(images, columns=math.ceil(math.sqrt(len(images))))


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
        training_summary,
        count_reasons(collection.rejected),
    )


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
