"""The comparison page: finished evaluations of each collection side by side."""

import textwrap
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ganvas.visualization.curves import render
from ganvas.visualization.report import TEMPLATES, encode_image

SEED = "train.seed"
# What orders runs, and the first columns of the table: less is better in the first two.
FIRST = ("kernel_distance", "frechet_distance", "precision", "recall", "coverage", "diversity")
COLUMNS = ("dataset", "judge", "network", "started", "epochs", "minutes")
DOT, RANGE, REAL = "#c2410c", "#f29a6b", "#15803d"

# Pixels; two stand side by side on a page.
WIDEST = 1080

Row = dict[str, Any]


def render_comparison(rows: list[Row], images: dict[str, np.ndarray]) -> str:
    """Render the page.

    Args:
        rows: The leaderboard: run, dataset, judge, network, started, epochs, images_seen, minutes,
            seed, version, parameters (flat) and metrics of each evaluation.
        images: What runs painted, uint8 of shape (H, W, 3), by run.

    Returns:
        HTML that needs no other file and no network.
    """
    sections = []
    # What different networks see in images can't be compared.
    for dataset, judge in sorted({(row["dataset"], row["judge"]) for row in rows}):
        runs = order_runs(
            [row for row in rows if (row["dataset"], row["judge"]) == (dataset, judge)]
        )
        sections.append(
            {
                "dataset": dataset,
                "judge": judge,
                "runs": [
                    run | {"name": name, "image": encode_image(_shrink(images[run["run"]]))}
                    for run, name in zip(runs, name_runs(runs), strict=True)
                ],
                "columns": [name for name in FIRST if any(name in run["metrics"] for run in runs)],
                "differences": find_differences(runs),
                "plot": encode_image(draw_ranges(runs)),
            }
        )
    return TEMPLATES.get_template("comparison.html.j2").render(sections=sections)


def _shrink(pixels: np.ndarray) -> np.ndarray:
    """Reduce a grid to what is shown of it: there may be a hundred runs."""
    factor = -(-pixels.shape[1] // WIDEST)
    return np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels


def order_runs(rows: list[Row]) -> list[Row]:
    """Put the least distance first, and evaluations without one last, by their start."""

    def rank(row: Row) -> tuple[float, str]:
        distance = row["metrics"].get(FIRST[0])
        return distance["value"] if distance else float("inf"), row["started"]

    return sorted(rows, key=rank)


def tabulate(rows: list[Row]) -> pd.DataFrame:
    """Put the leaderboard into a table: a row a run, those of a collection and judge together.

    Returns:
        The best run first: dataset, judge, network, started, epochs, minutes, then the first
        figures, None where a run has no such figure.
    """
    ordered = sorted(order_runs(rows), key=lambda row: (row["dataset"], row["judge"]))
    return pd.DataFrame(
        [
            {name: row[name] for name in COLUMNS}
            | {name: row["metrics"].get(name, {}).get("value") for name in FIRST}
            for row in ordered
        ],
        columns=[*COLUMNS, *FIRST],
    )


def find_differences(rows: list[Row]) -> dict[str, list[tuple[Any, bool]]]:
    """Find the parameters that are not the same in all runs.

    Returns:
        For each, in the order of its name, every run's value (None: it has none), and whether it
        is another than that of most runs.
    """
    names = sorted({name for row in rows for name in row["parameters"]})
    differences = {}
    for name in names:
        values = [row["parameters"].get(name) for row in rows]
        most = Counter(map(str, values)).most_common(1)[0][0]
        if len(set(map(str, values))) > 1:
            differences[name] = [(value, str(value) != most) for value in values]
    return differences


def name_runs(rows: list[Row]) -> list[str]:
    """Name runs by their network and what sets them apart from others of it, seeds excepted."""
    names = {}
    for network in {row["network"] for row in rows}:
        alike = [row for row in rows if row["network"] == network]
        differences = find_differences(alike)
        for number, row in enumerate(alike):
            apart = [
                f"{name.rpartition('.')[2]}={values[number][0]}"
                for name, values in differences.items()
                if values[number][1] and values[number][0] is not None and name != SEED
            ]
            shown = ", ".join(apart[:3]) + (" …" if len(apart) > 3 else "")
            names[row["run"]] = f"{network}{': ' if shown else ''}{shown}"
    return [names[row["run"]] for row in rows]


def group_runs(rows: list[Row]) -> dict[str, list[Row]]:
    """Put runs together that differ in their seed alone, under one name."""
    groups: dict[str, list[Row]] = {}
    names: dict[str, str] = {}
    for row, name in zip(rows, name_runs(rows), strict=True):
        same = str(sorted((key, str(v)) for key, v in row["parameters"].items() if key != SEED))
        if same not in names:
            taken = sum(other.partition(" (")[0] == name for other in names.values())
            names[same] = f"{name} ({taken + 1})" if taken else name
        groups.setdefault(names[same], []).append(row)
    return groups


def draw_ranges(rows: list[Row]) -> np.ndarray:
    """Draw each figure of the judgment: a dot a run, and a line over runs of other seeds.

    Returns:
        uint8 of shape (H, W, 3).
    """
    groups = group_runs(rows)
    known = {
        name: each for row in rows for name, each in row["metrics"].items() if not each.get("of")
    }
    # Losses and the like can't be compared, and have no such value.
    shown = [name for name, each in known.items() if each["real"] is not None] or list(known)
    count, lines = len(shown), max(_wrap(name).count("\n") + 1 for name in groups)
    height = (0.2 + 0.14 * lines) * len(groups) + 0.95
    figure = Figure(figsize=(11, height * -(-count // 2)), dpi=144, layout="constrained")
    axes = figure.subplots(-(-count // 2), 2, squeeze=False).ravel()
    for place, name in zip(axes, shown, strict=False):
        _draw_figure(place, name, groups)
    for place in axes[count:]:
        place.set_axis_off()
    return render(figure)


def _wrap(name: str) -> str:
    """Leave room for the dots."""
    return textwrap.fill(name, 34)


def _draw_figure(axes: Axes, name: str, groups: dict[str, list[Row]]) -> None:
    for position, runs in enumerate(groups.values()):
        values = [run["metrics"][name]["value"] for run in runs if name in run["metrics"]]
        if not values:
            continue
        axes.plot([min(values), max(values)], [position] * 2, color=RANGE, linewidth=5, zorder=1)
        axes.scatter(values, [position] * len(values), color=DOT, s=22, zorder=2)
    rows = [run["metrics"] for runs in groups.values() for run in runs]
    figures = [metrics[name] for metrics in rows if name in metrics]
    own = [each["real"] for each in figures if each["real"] is not None]
    if own:
        axes.axvline(np.mean(own), color=REAL, linestyle=":", linewidth=1.4)
    axes.set_title(figures[0]["title"], fontsize=9)
    axes.set_yticks(range(len(groups)), [_wrap(name) for name in groups], fontsize=8)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(figures[0]["unit"] or "no unit", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
