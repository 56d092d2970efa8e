"""The comparison page: the evaluated runs of each collection side by side."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from ganvas.visualization.curves import render
from ganvas.visualization.image_cells import png_uri
from ganvas.visualization.metric_table import SIGNS, format_heading, format_value, scale_value
from ganvas.visualization.report import TEMPLATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEED = "train.seed"
# The first columns of the table; runs are ranked by the first one, of which lower is better.
MAIN_METRICS = (
    *("kernel_distance", "frechet_distance"),
    *("precision", "recall", "coverage", "diversity", "class_diversity_pixels"),
)
COLUMNS = ("dataset", "extractor", "network", "started", "epochs", "minutes")
DOT_COLOR, RANGE_COLOR, REAL_COLOR = "#c2410c", "#f29a6b", "#15803d"
# Widest grid on the page in pixels; two stand side by side.
MAX_WIDTH = 1080

Run = dict[str, Any]


def render_comparison(
    runs: list[Run], grids: dict[str, np.ndarray], left_out: Sequence[str] = ()
) -> str:
    """Render the comparison page.

    Args:
        runs: Entries of the leaderboard, each with run, dataset, extractor, network, started,
            epochs, images_seen, minutes, seed, version, parameters (flat) and metrics.
        grids: Generated images of each run, uint8 of shape (H, W, 3), by `run`.
        left_out: Why other runs are left out, a sentence for each.

    Returns:
        HTML that loads no other file and nothing from a network.
    """
    # Metrics in the features of different extractors can't be compared.
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in order_runs(runs):
        groups.setdefault((run["dataset"], run["extractor"]), []).append(run)
    sections = [
        {
            "dataset": dataset,
            "extractor": extractor,
            "runs": [
                run | {"name": name, "image": png_uri(_downscale(grids[run["run"]]))}
                for run, name in zip(group, name_runs(group), strict=True)
            ],
            "columns": _head_columns(group),
            "differences": find_differences(group),
            "plot": png_uri(draw_ranges(group)),
        }
        for (dataset, extractor), group in sorted(groups.items())
    ]
    return TEMPLATES.get_template("comparison.html.j2").render(
        sections=sections, left_out=left_out, signs=SIGNS, format_value=format_value
    )


def _head_columns(runs: list[Run]) -> dict[str, str]:
    """Return the headings of the main metrics that any of the runs has."""
    metrics = {name: metric for run in runs for name, metric in run["metrics"].items()}
    return {
        name: format_heading(name, metrics[name]["title"])
        for name in MAIN_METRICS
        if name in metrics
    }


def _downscale(pixels: np.ndarray) -> np.ndarray:
    """Reduce a grid to the size shown, since a page may have a hundred of them."""
    factor = math.ceil(pixels.shape[1] / MAX_WIDTH)
    return np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels


def order_runs(runs: list[Run]) -> list[Run]:
    """Sort runs by kernel distance; those without one come last, by start time."""

    def rank(run: Run) -> tuple[float, str]:
        distance = run["metrics"].get(MAIN_METRICS[0])
        return distance["value"] if distance else math.inf, run["started"]

    return sorted(runs, key=rank)


def tabulate(runs: list[Run]) -> pd.DataFrame:
    """Convert leaderboard entries to a table with one row per run.

    Returns:
        dataset, extractor, network, started, epochs, minutes and the main metrics, None where a
        run lacks one; sorted by dataset and extractor, best run first.
    """
    ordered = sorted(order_runs(runs), key=lambda run: (run["dataset"], run["extractor"]))
    return pd.DataFrame(
        [
            {name: run[name] for name in COLUMNS}
            | {name: run["metrics"].get(name, {}).get("value") for name in MAIN_METRICS}
            for run in ordered
        ],
        columns=[*COLUMNS, *MAIN_METRICS],
    )


def find_differences(runs: list[Run]) -> dict[str, list[tuple[Any, bool]]]:
    """Find the parameters that differ between runs.

    Returns:
        For each such parameter, sorted by name, a pair per run: its value (None where it has
        none), and whether it differs from the most common one.

    Example:
        >>> find_differences([{"parameters": {"train.seed": seed}} for seed in (0, 0, 1)])
        {'train.seed': [(0, False), (0, False), (1, True)]}
    """
    differences = {}
    for name in sorted({name for run in runs for name in run["parameters"]}):
        values = [run["parameters"].get(name) for run in runs]
        counts = Counter(map(str, values))
        if len(counts) > 1:
            most_common = counts.most_common(1)[0][0]
            differences[name] = [(value, str(value) != most_common) for value in values]
    return differences


def name_runs(runs: list[Run]) -> list[str]:
    """Name runs by network and by their unusual parameters among runs of it, seeds excepted."""
    names = {}
    for network in {run["network"] for run in runs}:
        group = [run for run in runs if run["network"] == network]
        differences = find_differences(group)
        for number, run in enumerate(group):
            unusual = [
                f"{name.rpartition('.')[2]}={values[number][0]}"
                for name, values in differences.items()
                if values[number][1] and values[number][0] is not None and name != SEED
            ]
            suffix = ", ".join(unusual[:3]) + (" …" if len(unusual) > 3 else "")
            names[run["run"]] = f"{network}: {suffix}" if suffix else network
    return [names[run["run"]] for run in runs]


def group_runs(runs: list[Run]) -> dict[str, list[Run]]:
    """Group runs that differ in their seed alone, by a unique name."""
    groups: dict[str, list[Run]] = {}
    names: dict[str, str] = {}
    for run, name in zip(runs, name_runs(runs), strict=True):
        key = str(sorted((key, str(v)) for key, v in run["parameters"].items() if key != SEED))
        if key not in names:
            taken = sum(other.partition(" (")[0] == name for other in names.values())
            names[key] = f"{name} ({taken + 1})" if taken else name
        groups.setdefault(names[key], []).append(run)
    return groups


def draw_ranges(runs: list[Run]) -> np.ndarray:
    """Draw each metric with a dot per run, and a line over runs that differ in their seed alone.

    Returns:
        uint8 of shape (H, W, 3).
    """
    # Here, not above: commands that draw nothing do without Matplotlib.
    from matplotlib.figure import Figure

    # Long names are wrapped, to leave room for the dots.
    groups = {textwrap.fill(name, 34): group for name, group in group_runs(runs).items()}
    metrics = {name: x for run in runs for name, x in run["metrics"].items() if not x.get("of")}
    # Metrics without a real-data baseline, such as losses, can't be compared between runs.
    shown = [name for name, x in metrics.items() if x["real"] is not None] or list(metrics)
    rows, lines = math.ceil(len(shown) / 2), max(name.count("\n") + 1 for name in groups)
    height = (0.2 + 0.14 * lines) * len(groups) + 0.95
    figure = Figure(figsize=(11, height * rows), dpi=144, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, name in zip(panels, shown, strict=False):
        _draw_metric(axes, name, groups)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    return render(figure)


def _draw_metric(axes: Axes, name: str, groups: dict[str, list[Run]]) -> None:
    metrics = []
    for y, runs in enumerate(groups.values()):
        measured = [run["metrics"][name] for run in runs if name in run["metrics"]]
        metrics += measured
        if values := [scale_value(name, metric["value"]) for metric in measured]:
            axes.plot([min(values), max(values)], [y, y], color=RANGE_COLOR, linewidth=5, zorder=1)
            axes.scatter(values, [y] * len(values), color=DOT_COLOR, s=22, zorder=2)
    real = [metric["real"] for metric in metrics if metric["real"] is not None]
    baselines = [scale_value(name, value) for value in real]
    if baselines:
        axes.axvline(float(np.mean(baselines)), color=REAL_COLOR, linestyle=":", linewidth=1.4)
    axes.set_title(format_heading(name, metrics[0]["title"]), fontsize=9)
    axes.set_yticks(range(len(groups)), list(groups), fontsize=8)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(metrics[0]["unit"] or "no unit", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
