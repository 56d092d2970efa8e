"""Nodes of reporting."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection, count_reasons
from ganvas.networks.sampling import (
    cycle_classes,
    generate_images,
    latent_length,
    one_hot,
    sample_latents,
    slerp,
)
from ganvas.pipelines.evaluate.metric_entry import name_run
from ganvas.visualization.animation import collect_frames
from ganvas.visualization.contact_sheet import draw_sheets
from ganvas.visualization.curves import draw_curves
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.interactive_curves import plot_curves
from ganvas.visualization.model_card import render_card
from ganvas.visualization.progress_strip import draw_strip
from ganvas.visualization.report import render_report

PAIR = 36
SHEET_COLUMNS, SHEET_REAL = 8, 3
WALKS, WALK_STEPS = 4, 9


class PublishedParams(Params):
    """A figure that others have published.

    Attributes:
        figure: Name of the figure in metrics.json that measures the same.
        value: Theirs.
        source: Whose it is and how it was measured, in a few words.
    """

    figure: str
    value: float
    source: str = Field(min_length=1)


class ReportParams(Params):
    """Parameters of the report.

    Attributes:
        rows: Rows of the sample grid.
        columns: Columns of the sample grid.
        seed: Of the sample grid's latents, and of the choice of real images.
        published: What others have published of the same system, to stand beside our figures.
    """

    rows: int = Field(6, ge=1, le=64)
    columns: int = Field(12, ge=1, le=64)
    seed: int = Field(1, ge=0)
    published: list[PublishedParams] = Field(default_factory=list)


def draw_samples(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Lay generated images in a grid."""
    latents = sample_latents(generator, params.rows * params.columns, params.seed)
    return make_grid(generate_images(generator, latents), params.columns)


def draw_walk(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Lay walks from latent to latent in a grid, a row for each, all of one class."""
    latents = sample_latents(generator, 2 * WALKS, params.seed + 2)
    walks = slerp(latents[:WALKS], latents[WALKS:], WALK_STEPS)
    classes = np.repeat(cycle_classes(generator, WALKS), WALK_STEPS, axis=0)
    images = generate_images(generator, walks.reshape(-1, walks.shape[-1]), classes)
    return make_grid(images, WALK_STEPS, gap=0)


def draw_classes(
    generator: keras.Model, classes: dict[str, Any], collection: Collection, params: ReportParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw what the generator paints for each class, each column from one latent.

    A generator without classes has no sheets.

    Raises:
        GanvasError: The collection has other classes than the generator.
    """
    names = classes["names"]
    known = match_classes(collection.index, classes["column"], names)
    latents = sample_latents(generator, SHEET_COLUMNS, params.seed)
    training = collection.shuffled("train")
    real, generated = [], []
    for number in range(len(names)):
        shown = training[known.labels[training] == number][:SHEET_REAL]
        real.append(collection.images[shown])
        asked = one_hot(np.full(SHEET_COLUMNS, number), len(names))
        generated.append(generate_images(generator, latents, asked))
    sheets = draw_sheets(names, real, generated) if names else iter(())
    return ((f"sheet{number:02d}", sheet) for number, sheet in enumerate(sheets))


def draw_real(collection: Collection, params: ReportParams) -> np.ndarray:
    """Lay held-out images in a square grid, or where there are none, training ones."""
    candidates = collection.split("validation")
    if not len(candidates):
        candidates = collection.split("train")
    chosen = np.random.default_rng(params.seed).permutation(candidates)[:PAIR]
    return make_grid(collection.images[chosen], columns=_side(len(chosen)))


def draw_generated(generator: keras.Model, params: ReportParams) -> np.ndarray:
    """Lay generated images in a square grid, to stand beside the real ones."""
    latents = sample_latents(generator, PAIR, params.seed + 1)
    return make_grid(generate_images(generator, latents), columns=_side(PAIR))


def draw_progress(
    snapshots: Path, training_summary: dict[str, Any], generator: keras.Model
) -> np.ndarray:
    """Draw the progress strip of the run that made the generator."""
    height, width = generator.output_shape[1:3]
    return draw_strip(snapshots / training_summary["snapshots"], height, width)


def animate_progress(snapshots: Path, training_summary: dict[str, Any]) -> np.ndarray:
    """Collect the frames of the progress animation, uint8 of shape (n, H, W, 3)."""
    return collect_frames(snapshots / training_summary["snapshots"])


def draw_history(history: pd.DataFrame) -> np.ndarray:
    """Draw the curves of losses and scores."""
    return draw_curves(history)


def plot_history(history: pd.DataFrame) -> go.Figure:
    """Plot the curves so that they can be zoomed."""
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
    """Put everything on one page.

    Raises:
        GanvasError: The figures are of another training.
    """
    _check_same_run(metrics, training_summary)
    images = {
        "samples": sample_grid,
        "real": real_grid,
        "generated": generated_grid,
        "progress": progress_strip,
        "curves": curves,
        "neighbours": neighbors,
        "walk": latent_walk,
    }
    return render_report(
        images,
        [load() for load in class_sheets.values()],
        progress_animation,
        curves_plot,
        metrics,
        [each.model_dump() for each in params.published],
        training_summary,
        count_reasons(collection.rejected),
    )


def write_card(
    generator: keras.Model, metrics: dict[str, Any], training_summary: dict[str, Any]
) -> str:
    """Write the model card that stands beside the saved generator.

    Raises:
        GanvasError: The figures are of another training.
    """
    _check_same_run(metrics, training_summary)
    height, width = generator.output_shape[1:3]
    return render_card(metrics, training_summary, (height, width), latent_length(generator))


def _check_same_run(metrics: dict[str, Any], training_summary: dict[str, Any]) -> None:
    """Refuse to show a model with another one's figures."""
    newest = name_run(training_summary)
    for found in metrics.values():
        # Older evaluations don't tell whose they are.
        if found.get("run", newest) != newest:
            raise GanvasError(
                f"metrics.json is of {found['run']}, but the newest model is of {newest}: run "
                "evaluate first, as in kedro run --pipelines=evaluate,report."
            )


def _side(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))
