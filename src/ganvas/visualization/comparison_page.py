"""The comparison page: all evaluated runs, to sort, filter and compare side by side."""

import base64
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from ganvas.plain_text import one_line
from ganvas.visualization.comparison import (
    MAIN_METRICS,
    Run,
    choose_rows,
    chosen_epoch,
    group_comparable,
    group_runs,
    name_runs,
    order_runs,
    title_group,
)
from ganvas.visualization.image_cells import data_uri
from ganvas.visualization.metric_table import (
    IN_CURVES,
    SIGNS,
    STYLES,
    format_heading,
    format_value,
    scale_value,
    style_metric,
)
from ganvas.visualization.report import TEMPLATES

TEMPLATES_FOLDER = Path(__file__).parent / "templates"
# Thumbnails are a few kilobytes each, so that a page of hundreds of runs opens at once.
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 128, 50
# Points of all curves of a page together, and of one curve at most.
MAX_POINTS, MAX_RUN_POINTS = 40_000, 200
MAX_LABEL = 200
# Columns of a history that are no measurements over time; the page computes with `minutes`.
NOT_PLOTTED = {"seconds", "images_per_second"}
AXES = ("epoch", "images_seen", "minutes")
# What protocols say about the images: their number, and the seed of their latents.
NUMBER_OF_IMAGES = re.compile(r"N=([\d,]+)")
GENERATED = re.compile(r"N=([\d,]{1,15}) generated")
EVALUATION_SEED = re.compile(r"seed (\d{1,15})$")


class Thumbnail(NamedTuple):
    """A reduced grid of images.

    Attributes:
        uri: Data URI of a WebP file.
        width: Width of the whole grid in pixels.
        height: Its height.
    """

    uri: str
    width: int
    height: int


def make_thumbnail(grid: np.ndarray) -> Thumbnail:
    """Reduce a grid of images, uint8 of shape (H, W, 3), to a thumbnail.

    Example:
        >>> make_thumbnail(np.zeros((530, 530, 3), np.uint8)).uri[:23]
        'data:image/webp;base64,'
    """
    height, width = grid.shape[:2]
    image = Image.fromarray(grid)
    # Averages of blocks are computed several times as fast as a thumbnail of the whole.
    if factor := max(height, width) // (2 * THUMBNAIL_SIDE):
        image = image.reduce(factor)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=THUMBNAIL_QUALITY, method=2)
    return Thumbnail(data_uri(buffer.getvalue(), "webp"), width, height)


def render_comparison(
    runs: list[Run], thumbnails: Mapping[str, Thumbnail], left_out: Sequence[str] = ()
) -> str:
    """Render the comparison page.

    Args:
        runs: Entries of the leaderboard, each with run, dataset, extractor, network, started,
            epochs, images_seen, minutes, seed, version, parameters (flat) and metrics, and unless
            an earlier version of Ganvas made it, ended_by, model_version, command and history.
        thumbnails: Reduced grids of generated images by `run`.
        left_out: Why other runs are left out, a sentence for each.

    Returns:
        HTML that loads nothing from a network. It loads whole grids from the folder `leaderboard`
        beside it when runs are chosen, and shows thumbnails where there is no such folder.
    """
    data = collect_data(runs, thumbnails)
    # Read as it is, since a browser accepts the script by its hash.
    script = (TEMPLATES_FOLDER / "comparison.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return TEMPLATES.get_template("comparison.html.j2").render(
        data=Markup(encode_json(data)),
        script=Markup(script),
        script_hash=digest,
        groups=_tabulate_groups(runs),
        left_out=[one_line(sentence) for sentence in left_out],
        signs=SIGNS,
        count=len(runs),
    )


def encode_json(data: Any) -> str:
    r"""Encode data as JSON that is safe within a script element, whatever text it has.

    Example:
        >>> encode_json({"name": "</script>&"})
        '{"name":"\\u003c/script\\u003e\\u0026"}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def collect_data(runs: list[Run], thumbnails: Mapping[str, Thumbnail]) -> dict[str, Any]:
    """Return what the page's script shows, of values that JSON has.

    Runs are in the order of `order_runs`, by group: runs of a dataset that were measured with the
    same feature extractor. Values that most runs share are written once.

    Returns:
        metrics: Name, title, sign, factor, decimals, group and main of each metric.
        parameters: Names of parameters.
        values: The most common value of each of them; None: most runs have no such parameter.
        protocols: How metrics were measured.
        groups: Dataset, extractor and title of each group.
        runs: The runs; metrics are lists of the value, its spread, the real-data baseline, the
            number of the protocol and whether it was measured on as many images as in most runs
            of its group. `changed` has parameters with other values than the most common ones, by
            their number.
    """
    groups = group_comparable(runs)
    metrics = {
        name: metric
        for run in runs
        for name, metric in run["metrics"].items()
        if metric.get("of") is None
    }
    names = sorted(metrics, key=_metric_order)
    parameters = sorted({name for run in runs for name in run["parameters"]})
    common = [_most_common(run["parameters"].get(name) for run in runs) for name in parameters]
    protocols: dict[str, int] = {}
    points = max(min(MAX_RUN_POINTS, MAX_POINTS // max(len(runs), 1)), 2)
    entries, repetitions = [], 0
    for number, group in enumerate(groups.values()):
        usual = {name: _usual_images(group, name) for name in names}
        labels = dict(zip((run["run"] for run in group), name_runs(group), strict=True))
        for repetition in group_runs(group).values():
            for run in repetition:
                own = {
                    place: value
                    for place, name in enumerate(parameters)
                    if (value := _plain(run["parameters"].get(name))) != common[place]
                }
                measured = {
                    place: _list_values(name, run["metrics"][name], usual[name], protocols)
                    for place, name in enumerate(names)
                    if name in run["metrics"]
                }
                entries.append(
                    _describe(run, thumbnails[run["run"]], points)
                    | {"name": _shorten(labels[run["run"]]), "group": number}
                    | {"repetition": repetitions, "metrics": measured, "changed": own}
                )
            repetitions += 1
    order = {run["run"]: place for place, run in enumerate(order_runs(runs))}
    entries.sort(key=lambda entry: (entry["group"], order[entry["run"]]))
    return {
        "metrics": [_describe_metric(name, metrics[name]["title"]) for name in names],
        "parameters": parameters,
        "values": common,
        "protocols": list(protocols),
        "groups": [
            {
                "dataset": one_line(dataset),
                "extractor": one_line(extractor),
                "title": title_group(dataset, extractor),
            }
            for dataset, extractor in groups
        ],
        "runs": entries,
    }


def _describe(run: Run, thumbnail: Thumbnail, points: int) -> dict[str, Any]:
    """Return what the page says about a run, other than its metrics and parameters."""
    texts = ("dataset", "extractor", "network", "started", "version")
    optional = ("ended_by", "model_version", "command")
    label = run["parameters"].get("network.label", "none")
    return {
        "run": run["run"],
        **{key: _shorten(str(run[key])) for key in texts},
        **{key: _plain(run[key]) for key in ("epochs", "images_seen", "minutes", "seed")},
        **{key: run[key] if isinstance(run.get(key), str) else None for key in optional},
        "epoch": chosen_epoch(run),
        "history": _thin_out(read_history(run), points),
        "thumbnail": thumbnail.uri,
        "shape": [thumbnail.width, thumbnail.height],
        "sampling": {
            "evaluate.seed": _search_protocols(run, EVALUATION_SEED),
            "evaluate.count": _search_protocols(run, GENERATED),
            "latent size": next(
                (
                    _plain(value)
                    for name, value in run["parameters"].items()
                    if name.startswith("network.") and name.endswith(".latent")
                ),
                None,
            ),
            "network.label": ", ".join(label) if isinstance(label, list) else _plain(label),
        },
    }


def _describe_metric(name: str, title: str) -> dict[str, Any]:
    style = style_metric(name)
    heading = format_heading(name, title)
    return {
        "name": name,
        "title": one_line(heading.removesuffix(style.sign)),
        "sign": style.sign,
        "factor": style.factor,
        "decimals": style.decimals,
        "group": "Last epoch" if name in IN_CURVES else style.group,
        "main": name in MAIN_METRICS,
    }


def _metric_order(name: str) -> tuple[int, int, str]:
    """Sort the main metrics first, then others in the order of a report."""
    order = [*MAIN_METRICS, *(name for name in STYLES if name not in MAIN_METRICS), *IN_CURVES]
    return (name in IN_CURVES, order.index(name) if name in order else len(order), name)


def _list_values(
    name: str, metric: Mapping[str, Any], usual: str, protocols: dict[str, int]
) -> list[Any]:
    protocol = one_line(metric["protocol"])
    numbers = (metric["value"], metric["spread"], metric["real"])
    return [
        *(_round(None if value is None else scale_value(name, value), 7) for value in numbers),
        protocols.setdefault(protocol, len(protocols)),
        # Distances depend on the number of images.
        int(_count_images(metric) == usual),
    ]


def _count_images(metric: Mapping[str, Any]) -> str:
    return " ".join(NUMBER_OF_IMAGES.findall(metric["protocol"]))


def _usual_images(runs: list[Run], name: str) -> str:
    """Return the numbers of images on which most runs measured a metric, as text."""
    found = [_count_images(run["metrics"][name]) for run in runs if name in run["metrics"]]
    return Counter(found).most_common(1)[0][0] if found else ""


def _search_protocols(run: Run, pattern: re.Pattern[str]) -> int | None:
    """Return the first number that a pattern finds in the protocols of a run's metrics."""
    for metric in run["metrics"].values():
        if found := pattern.search(metric["protocol"]):
            return int(found[1].replace(",", ""))
    return None


def _most_common(values: Iterable[Any]) -> Any:
    """Return the most common of values as `_plain` has them."""
    plain = [_plain(value) for value in values]
    counts = Counter(json.dumps(value) for value in plain)
    return json.loads(counts.most_common(1)[0][0])


def _plain(value: Any) -> Any:
    """Return a value that JSON has: numbers that it lacks, such as NaN, become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > 2**53:
        # A browser would round it.
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _round(value: float | None, digits: int) -> float | None:
    """Round to significant digits; None for NaN and infinity."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _shorten(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"


def read_history(run: Run) -> dict[str, list[float | None]] | None:
    """Return the history of a leaderboard entry; None without one, as in earlier versions.

    Returns:
        Columns of equal length, of numbers or None.
    """
    history = run.get("history")
    if not isinstance(history, dict) or not isinstance(history.get("epoch"), list):
        return None
    length = len(history["epoch"])
    columns = {
        str(name): [
            float(value)
            if isinstance(value, int | float) and abs(value) < 1e300 and math.isfinite(value)
            else None
            for value in values
        ]
        for name, values in history.items()
        if isinstance(values, list) and len(values) == length
    }
    return columns if length else None


def _thin_out(
    history: dict[str, list[float | None]] | None, points: int
) -> dict[str, list[float | None]] | None:
    """Return the columns that the page plots, of at most `points` rounded values."""
    if history is None:
        return None
    columns = {
        name: values
        for name, values in history.items()
        if name not in NOT_PLOTTED and any(value is not None for value in values)
    }
    epochs = zip(*columns.values(), strict=True)
    rows = choose_rows([sum(value is not None for value in epoch) for epoch in epochs], points)
    return {
        # More digits than a plot shows; epochs are whole numbers.
        name: [_round(values[row], 7 if name in AXES else 4) for row in rows]
        for name, values in columns.items()
    }


def _tabulate_groups(runs: list[Run]) -> list[dict[str, Any]]:
    """Return the rows of the tables that a browser without JavaScript shows."""
    return [
        {
            "title": title_group(*key),
            "columns": _head_columns(group),
            "rows": [
                {
                    "name": _shorten(name),
                    "started": one_line(str(run["started"])),
                    "epochs": run["epochs"],
                    "values": {
                        metric: format_value(metric, entry)
                        for metric, entry in run["metrics"].items()
                        if metric in MAIN_METRICS and math.isfinite(entry["value"])
                    },
                }
                for run, name in zip(group, name_runs(group), strict=True)
            ],
        }
        for key, group in group_comparable(runs).items()
    ]


def _head_columns(runs: list[Run]) -> dict[str, str]:
    """Return the headings of the main metrics that any of the runs has."""
    metrics = {name: metric for run in runs for name, metric in run["metrics"].items()}
    return {
        name: format_heading(name, metrics[name]["title"])
        for name in MAIN_METRICS
        if name in metrics
    }
