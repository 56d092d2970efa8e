"""What a sweep has found: medians and ranges over seeds, and the best parameters."""

import json
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganvas.atomic_files import atomic_write
from ganvas.sweeps.execute import Outcome
from ganvas.sweeps.values import describe_value
from ganvas.visualization.comparison import MAIN_METRICS, SEED
from ganvas.visualization.metric_table import format_baseline, format_heading, style_metric

SUMMARY_FILE, TABLE_FILE = "summary.json", "summary.md"
MAX_COLUMNS = 7

Row = dict[str, Any]


def list_metrics(entry: dict[str, Any] | None) -> dict[str, float]:
    """Return the values of the metrics of a leaderboard entry, without those of single classes."""
    metrics = entry["metrics"] if entry else {}
    return {name: m["value"] for name, m in metrics.items() if m.get("of") is None}


def list_titles(entry: dict[str, Any] | None) -> dict[str, str]:
    """Return the titles of the metrics of a leaderboard entry, as reports have them."""
    metrics = entry["metrics"] if entry else {}
    return {name: m["title"] for name, m in metrics.items() if m.get("of") is None}


def list_rows(outcomes: dict[int, Outcome]) -> list[Row]:
    """Return a row of the summary for each run."""
    return [
        {
            "number": number,
            "values": outcome.values,
            "state": outcome.state,
            "message": outcome.message,
            "run": outcome.entry["run"] if outcome.entry else None,
            "metrics": list_metrics(outcome.entry),
            "titles": list_titles(outcome.entry),
            "seconds": round(outcome.seconds, 1),
            "log": outcome.log,
        }
        for number, outcome in sorted(outcomes.items())
    ]


def group_rows(rows: Iterable[Row]) -> list[Row]:
    """Return a row for each combination of values, with the metrics over its seeds.

    Returns:
        `values` without the seed, `runs`, the number of those with a result, and `metrics`:
        median, min and max by name.

    Example:
        >>> rows = [{"values": {"train.seed": s}, "metrics": {"recall": s}} for s in (1, 2, 6)]
        >>> group_rows(rows)[0]["metrics"]
        {'recall': {'median': 2, 'min': 1, 'max': 6}}
    """
    groups: dict[str, Row] = {}
    for row in rows:
        values = {key: value for key, value in row["values"].items() if key != SEED}
        group = groups.setdefault(
            json.dumps(values, sort_keys=True), {"values": values, "runs": 0, "all": {}}
        )
        group["runs"] += bool(row["metrics"])
        for name, value in row["metrics"].items():
            group["all"].setdefault(name, []).append(value)
    return [
        {
            "values": group["values"],
            "runs": group["runs"],
            "metrics": {
                name: {"median": statistics.median(x), "min": min(x), "max": max(x)}
                for name, x in group["all"].items()
            },
        }
        for group in groups.values()
    ]


def choose_columns(rows: Sequence[Row], metric: str | None = None) -> list[str]:
    """Return the names of the metrics to show: the main ones that any run has."""
    known = {name for row in rows for name in row["metrics"]}
    order = dict.fromkeys([*([metric] if metric else []), *MAIN_METRICS])
    # Without a feature extractor, those that can be ranked.
    others = sorted(name for name in known - set(order) if style_metric(name).sign)
    return [name for name in [*order, *others] if name in known][:MAX_COLUMNS]


def head_columns(rows: Iterable[Row], names: Iterable[str]) -> list[str]:
    """Return the headings of metrics as on the comparison page.

    Example:
        >>> head_columns([{"titles": {"recall": "Recall (lite2)"}}], ["recall"])
        ['Recall ↑']
    """
    titles: dict[str, str] = {}
    for row in rows:
        titles |= row.get("titles", {})
    # A search of an earlier version has recorded none.
    return [format_heading(name, titles.get(name) or _humanize(name)) for name in names]


def _humanize(name: str) -> str:
    return name.replace("_", " ").capitalize()


def draw_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned table in Markdown.

    Example:
        >>> print(draw_table(["seed", "recall"], [["0", "0.25"]]))
        | seed | recall |
        |------|--------|
        | 0    | 0.25   |
    """
    cells = [head, *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def describe_groups(rows: Sequence[Row]) -> str:
    """Return the table of the medians, with the ranges over seeds."""
    groups, columns = group_rows(rows), choose_columns(rows)
    keys = list(dict.fromkeys(key for group in groups for key in group["values"]))
    head = [*(key.removeprefix("train.") for key in keys), "runs"]
    head += head_columns(rows, columns)
    table = []
    for group in groups:
        cells = [describe_value(group["values"].get(key)) for key in keys]
        cells.append(str(group["runs"]))
        table.append(cells + [_format_range(name, group["metrics"].get(name)) for name in columns])
    return draw_table(head, table)


def _format_range(name: str, metric: dict[str, float] | None) -> str:
    if metric is None:
        return ""
    median, low, high = (format_baseline(name, metric[key]) for key in ("median", "min", "max"))
    return median if low == high else f"{median} ({low} to {high})"


def describe_runs(rows: Sequence[Row], metric: str | None = None) -> str:
    """Return the table of all runs."""
    columns = choose_columns(rows, metric)
    keys = list(dict.fromkeys(key for row in rows for key in row["values"]))
    head = ["run", *(key.removeprefix("train.") for key in keys), "state"]
    head += head_columns(rows, columns)
    table = []
    for row in rows:
        cells = [str(row["number"]), *(describe_value(row["values"].get(key)) for key in keys)]
        values = [format_baseline(name, row["metrics"].get(name)) for name in columns]
        table.append([*cells, row["state"], *values])
    return draw_table(head, table)


def summarize(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """Return the content of summary.json.

    Args:
        rows: All runs, see `list_rows`.
        about: The name, command and kind of the sweep, and what a search has found.
    """
    return (
        {"written": datetime.now(UTC).isoformat(" ", "seconds")}
        | about
        | {
            "runs": [{key: row[key] for key in row if key != "titles"} for row in rows],
            "groups": group_rows(rows),
        }
    )


def write_summary(folder: Path, rows: Sequence[Row], about: dict[str, Any], text: str) -> None:
    """Write summary.json and summary.md.

    Args:
        folder: Folder of the sweep.
        rows: All runs, see `list_rows`.
        about: As in `summarize`.
        text: What the command prints.
    """
    content = json.dumps(summarize(rows, about), indent=2, ensure_ascii=False, default=str)
    atomic_write(folder / SUMMARY_FILE, content.encode())
    atomic_write(folder / TABLE_FILE, f"# Sweep {about['name']}\n\n{text}\n".encode())
