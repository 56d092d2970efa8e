"""Nodes of the report pipeline."""

import logging
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ganvas.errors import GanvasError
from ganvas.grid_layout import (
    describe_ignored_rows,
    divide_rows,
    fill_rows,
    find_rows,
    label_rows,
)
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection, count_reasons
from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable, read_class_list
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import (
    generate_images,
    latent_dim,
    sample_latents,
    slerp,
)
from ganvas.networks.styles import (
    find_class_means,
    group_layers,
    map_latents,
    mix_styles,
    repeat_styles,
    synthesize,
)
from ganvas.pipelines.evaluate.memorization import COLUMNS as NEIGHBOR_COLUMNS
from ganvas.pipelines.evaluate.metric_entry import name_run
from ganvas.pipelines.evaluate.nodes import check_shapes
from ganvas.pipelines.report.params import ReportParams
from ganvas.pipelines.report.verdict import assess_run
from ganvas.recorded_command import set_params
from ganvas.training.kept_epochs import (
    HIGHER_IS_BETTER,
    find_started,
    read_kept,
    write_select_command,
)
from ganvas.visualization.contact_sheet import draw_sheets
from ganvas.visualization.curves import draw_curves, plot_curves
from ganvas.visualization.epochs_page import EpochRow, render_epochs
from ganvas.visualization.image_cells import LOSSLESS_PIXELS
from ganvas.visualization.image_grid import make_grid, make_grid_of_rows
from ganvas.visualization.image_tables import draw_style_mixing, draw_truncation_sweep
from ganvas.visualization.label_fonts import replace_undrawable
from ganvas.visualization.model_card import render_card
from ganvas.visualization.progress_strip import collect_frames, draw_strip, read_strip
from ganvas.visualization.reduced_images import as_cells
from ganvas.visualization.report import ReportImages, recorded_command, render_report

logger = logging.getLogger(__name__)

# The grids of real and of generated images, which stand side by side, without and with classes.
PAIRED_COLUMNS, PAIRED_ROWS, PAIRED_CLASSES = 6, 6, 8
SHEET_GENERATED, SHEET_REAL = 8, 3
INTERPOLATIONS, INTERPOLATION_STEPS = 4, 9
SWEEP_ROWS = 4
# Folder of files at full size, beside the report, and pixels of all together.
FULL_SIZE = "full_size"
FULL_SIZE_PIXELS = 2**26


def make_samples(
    generator: Model, classes: dict[str, Any], params: ReportParams
) -> tuple[np.ndarray, Iterable[tuple[str, np.ndarray]]]:
    """Generate images, and arrange them in a grid; with classes, each row is of one.

    Returns:
        The grid; and of images that pages and grids show compressed or reduced, names and pixels
        of the first ones, uint8 of shape (H, W, C), 64 of 1024×1024 pixels or as many in all.
    """
    table = read_class_list(classes)
    default, count = ReportParams.model_fields["rows"].default, len(table.names)
    if ignored := describe_ignored_rows("report.rows", params.rows, default, count):
        logger.info("%s", ignored)
    labels = label_rows(count, params.rows, params.columns)
    images = _generate(generator, table, labels, params.seed)
    pixels = images.shape[1] * images.shape[2]
    shown = images[: FULL_SIZE_PIXELS // pixels if pixels > LOSSLESS_PIXELS else 0]
    files = [(f"sample{number:03d}", image) for number, image in enumerate(shown)]
    return make_grid(as_cells(images), params.columns), files


def make_interpolation_grid(
    generator: Model, classes: dict[str, Any], params: ReportParams
) -> np.ndarray:
    """Arrange interpolations between latents in a grid, one row and one class each."""
    ends = sample_latents(generator, 2 * INTERPOLATIONS, params.seed + 2)
    latents = slerp(ends[:INTERPOLATIONS], ends[INTERPOLATIONS:], INTERPOLATION_STEPS)
    table = read_class_list(classes)
    rows = fill_rows(len(table.names), INTERPOLATIONS)
    one_hot_labels = table.weigh(np.repeat(rows, INTERPOLATION_STEPS))
    images = generate_images(generator, latents.reshape(-1, latents.shape[-1]), one_hot_labels)
    return make_grid(as_cells(images), INTERPOLATION_STEPS, gap=0)


def make_truncation_sweep(
    generator: Model, classes: dict[str, Any], params: ReportParams
) -> np.ndarray:
    """Draw a table of latents at several truncations, a row and a class each."""
    table, columns = read_class_list(classes), len(params.truncations)
    names = table.names
    rows = fill_rows(len(names), SWEEP_ROWS)
    latents = sample_latents(generator, SWEEP_ROWS, params.seed + 3).repeat(columns, axis=0)
    class_weights = table.weigh(rows.repeat(columns))
    truncations = np.tile(np.array(params.truncations, np.float32), SWEEP_ROWS)
    has_styles = is_style_based(generator)
    means = find_class_means(generator, len(table.columns)) if has_styles else None
    images = generate_images(generator, latents, class_weights, truncations, means)
    cells = images.reshape(SWEEP_ROWS, columns, *images.shape[1:])
    labels = [replace_undrawable(names)[row] for row in rows] if names else [""] * SWEEP_ROWS
    return draw_truncation_sweep(cells, params.truncations, labels)


def make_style_mixing(
    generator: Model, classes: dict[str, Any], params: ReportParams
) -> np.ndarray:
    """Draw a table of images with the styles of two; an empty array without styles.

    With classes, images on the margins have the classes in turn.
    """
    if not is_style_based(generator):
        return np.zeros((0, 0, 3), np.uint8)
    count = params.style_rows + params.style_columns
    latents = sample_latents(generator, count, params.seed + 4)
    table = read_class_list(classes)
    labels = table.weigh(np.arange(count) % max(len(table.names), 1))
    styles = repeat_styles(generator, map_latents(generator, latents, labels))
    rows, columns = np.split(styles, [params.style_rows])
    groups = group_layers(styles.shape[1])
    mixed = [mix_styles(rows[:, None], columns, layers) for layers in groups.values()]
    parts = [styles, *(x.reshape(-1, *styles.shape[1:]) for x in mixed)]
    images = synthesize(generator, np.concatenate(parts))
    shape = (len(groups), len(rows), len(columns), *images.shape[1:])
    tables = dict(zip(groups, images[count:].reshape(shape), strict=True))
    return draw_style_mixing(images[: len(rows)], images[len(rows) : count], tables)


def make_class_sheets(
    generator: Model, classes: dict[str, Any], collection: Collection, params: ReportParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw sheets of real and generated images by class.

    Returns:
        Names and sheets; none without classes.

    Raises:
        GanvasError: The collection has other classes than the generator, or images of another
            shape.
    """
    # Packed again in another size after training and evaluation.
    check_shapes(generator, collection)
    table = read_class_list(classes)
    names, known = table.names, match_classes(collection.index, table)
    training = collection.shuffled("train")
    real, generated = [], []
    for number in range(len(names)):
        chosen = training[known.labels[training] == number][:SHEET_REAL]
        real.append(as_cells(collection.images[chosen]))
    if names:
        labels = np.repeat(np.arange(len(names)), SHEET_GENERATED)
        generated = np.split(_generate(generator, table, labels, params.seed), len(names))
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
    table = read_class_list(classes)
    labels = match_classes(collection.index, table).labels
    rng = np.random.default_rng(params.seed)
    validation, training = (rng.permutation(collection.split(x)) for x in ("validation", "train"))
    missing = ~np.isin(labels[training], labels[validation])
    chosen = np.concatenate([validation, training[missing]])
    chosen = chosen[labels[chosen] >= 0]
    if table.names:
        # Of combinations, the named ones, as in the grid of generated images.
        chosen = chosen[labels[chosen] < len(table.names)]
    rows = find_rows(labels[chosen], _count_paired_rows(len(table.names)), PAIRED_COLUMNS)
    return make_grid_of_rows([as_cells(collection.images[chosen[row]]) for row in rows])


def make_generated_grid(
    generator: Model, classes: dict[str, Any], params: ReportParams
) -> np.ndarray:
    """Arrange generated images in a grid, to compare with the real ones."""
    table = read_class_list(classes)
    rows = divide_rows(len(table.names), _count_paired_rows(len(table.names)))
    labels = np.repeat(rows, PAIRED_COLUMNS)
    images = _generate(generator, table, labels, params.seed + 1)
    return make_grid(as_cells(images), PAIRED_COLUMNS)


def _count_paired_rows(classes: int) -> int:
    return min(classes, PAIRED_CLASSES) or PAIRED_ROWS


def _generate(generator: Model, table: ClassTable, labels: np.ndarray, seed: int) -> np.ndarray:
    """Generate an image of each class number in `labels`, all from different latents."""
    latents = sample_latents(generator, len(labels), seed)
    return generate_images(generator, latents, table.weigh(labels))


def draw_progress_strip(
    snapshots: Path, training_summary: dict[str, Any], generator: Model
) -> np.ndarray:
    """Draw the progress strip of the generator's training run."""
    height, width = generator.output_shape[1:3]
    folder, last = snapshots / training_summary["snapshots"], training_summary.get("chosen_epoch")
    return draw_strip(folder, height, width, last)


def collect_progress_frames(snapshots: Path, training_summary: dict[str, Any]) -> np.ndarray:
    """Collect the frames of the progress animation, uint8 of shape (n, H, W, 3)."""
    folder = snapshots / training_summary["snapshots"]
    return collect_frames(folder, training_summary.get("chosen_epoch"))


def draw_history(history: pd.DataFrame) -> np.ndarray:
    """Draw the training curves."""
    return draw_curves(history)


def plot_history(history: pd.DataFrame) -> go.Figure:
    """Plot the training curves interactively."""
    return plot_curves(history)


def write_report(
    sample_grid: np.ndarray,
    full_size_samples: dict[str, Callable[[], np.ndarray]],
    real_grid: np.ndarray,
    generated_grid: np.ndarray,
    snapshots: Path,
    progress_animation: np.ndarray,
    curves: np.ndarray,
    curves_plot: go.Figure,
    class_sheets: dict[str, Callable[[], np.ndarray]],
    neighbors: np.ndarray,
    latent_walk: np.ndarray,
    truncation_sweep: np.ndarray,
    style_mixing: np.ndarray,
    metrics: dict[str, Any],
    training_summary: dict[str, Any],
    collection: Collection,
    params: ReportParams,
) -> str:
    """Render the report page.

    Raises:
        GanvasError: The metrics belong to another training run, or there are no snapshots.
    """
    _check_same_run(metrics, training_summary)
    height, width = collection.images.shape[1:3]
    images = ReportImages(
        shape=(height, width),
        samples=sample_grid,
        seed=params.seed,
        files=[f"{FULL_SIZE}/{name}.png" for name in full_size_samples],
        real=real_grid,
        generated=generated_grid,
        sheets=[load() for load in class_sheets.values()],
        sheet_columns=(SHEET_REAL, SHEET_GENERATED),
        interpolation=latent_walk,
        sweep=truncation_sweep,
        truncations=params.truncations,
        style_mixing=style_mixing,
        style_counts=(params.style_rows, params.style_columns),
        neighbors=neighbors,
        neighbor_columns=NEIGHBOR_COLUMNS,
        strip=read_strip(
            snapshots / training_summary["snapshots"],
            height,
            width,
            training_summary.get("chosen_epoch"),
        ),
        animation=progress_animation,
        curves=curves,
    )
    return render_report(
        images,
        curves_plot,
        metrics,
        assess_run(metrics, training_summary)._asdict(),
        [result.model_dump() for result in params.published],
        training_summary,
        {name: len(collection.split(name)) for name in ("train", "validation", "test")},
        count_reasons(collection.rejected),
    )


def write_epochs_page(
    checkpoints: Path, snapshots: Path, training_summary: dict[str, Any], generator: Model
) -> str:
    """Render the page of the epochs of the run that are kept, each with its snapshot.

    Raises:
        GanvasError: The file of marked epochs can't be read.
    """
    summary = training_summary
    folder = find_started(checkpoints, summary["started"])
    keep = summary["parameters"]["train"].get("checkpoint", {}).get("keep", 1)
    run = read_kept(folder, keep) if folder else None
    kept, measures = (run.epochs, run.measures) if run else ([], [])
    rows = [
        EpochRow(
            epoch.epoch,
            epoch.reasons,
            [epoch.measure(name) for name in measures],
            epoch.size,
            _select_command(summary, epoch.epoch),
        )
        for epoch in kept
    ]
    height, width = generator.output_shape[1:3]
    return render_epochs(
        rows,
        {name: HIGHER_IS_BETTER[name] for name in measures},
        snapshots / summary["snapshots"],
        summary,
        (height, width),
    )


def _select_command(training_summary: dict[str, Any], epoch: int) -> str:
    command = recorded_command(training_summary)
    if command is None:
        # Earlier versions recorded none.
        return write_select_command(epoch)
    words = shlex.split(set_params(command, {"select.epoch": str(epoch)}))
    words = [*words[:-1], "--pipelines=select,evaluate,report", words[-1]]
    return shlex.join(words)


def write_card(
    generator: Model,
    metrics: dict[str, Any],
    training_summary: dict[str, Any],
    sample_grid: np.ndarray,
) -> tuple[str, np.ndarray]:
    """Render the model card; it and the image that it shows are saved beside the generator.

    Raises:
        GanvasError: The metrics belong to another training run.
    """
    _check_same_run(metrics, training_summary)
    shape = generator.output_shape[1:]
    verdict = assess_run(metrics, training_summary)._asdict()
    card = render_card(metrics, verdict, training_summary, shape, latent_dim(generator))
    return card, sample_grid


def _check_same_run(metrics: dict[str, Any], training_summary: dict[str, Any]) -> None:
    newest = name_run(training_summary)
    for metric in metrics.values():
        # Metrics of earlier versions name no run, or count pictures.
        if metric.get("run", newest).replace("pictures", "images") != newest:
            raise GanvasError(
                f"metrics.json belongs to {metric['run']}, but the newest model to {newest}: run "
                "evaluate first, as in kedro run --pipelines=evaluate,report."
            )
