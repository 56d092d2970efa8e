"""The report page: one self-contained HTML file."""

import contextlib
import shlex
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import plotly.io
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ganvas.augment_names import keep_used, with_present_names
from ganvas.base_params import flatten
from ganvas.grid_layout import MAX_CLASS_ROWS, divide_rows, fill_rows
from ganvas.recorded_command import set_params
from ganvas.redaction import MASK, redact
from ganvas.visualization.contact_sheet import ROWS
from ganvas.visualization.image_cells import (
    LOSSLESS_PIXELS,
    CellEncoding,
    data_uri,
    fit_page,
    list_encodings,
    narrow_columns,
    png_uri,
    stack_epochs,
    stack_neighbors,
    tabulate_blocks,
    tabulate_grid,
    tabulate_mixing,
    tabulate_sheet,
    tabulate_sweep,
    whole_uri,
)
from ganvas.visualization.image_grid import encode_film, split_grid
from ganvas.visualization.metric_table import (
    SIGNS,
    common_protocol,
    format_number,
    format_title,
    format_value,
    group_metrics,
    scale_value,
    tabulate_metric,
)
from ganvas.visualization.reduced_images import reduced_size

# Buttons for zooming and saving, and none that sends data to a server.
BUTTONS = [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]]
PLOT_OPTIONS = {"responsive": True, "displaylogo": False, "modeBarButtons": BUTTONS}
# Names of networks as they are published; others are shown by their parameter network.name.
NETWORK_TITLES = {
    "artgan": "ArtGAN",
    "dcgan": "DCGAN",
    "projected": "Projected GAN",
    "r3gan": "R3GAN",
    "fastgan": "FastGAN",
    "stylegan2": "StyleGAN2",
}
# Groups of parameters that have a branch for each choice of `name`.
CHOICES = ("ingest.source", "network", "train.optimizer")
# Between the findings of a verdict's summary.
FINDINGS_SEPARATOR = " · "
# Why a run ended before its own limit of steps or epochs.
CUT_SHORT = {
    "time": "The time limit ended the run",
    "interrupted": "The run was interrupted",
    "chosen": "An earlier epoch was chosen",
}

TEMPLATES = Environment(
    loader=PackageLoader("ganvas.visualization"),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["number"] = format_number
TEMPLATES.filters["narrow"] = narrow_columns


class ReportImages(NamedTuple):
    """The images of a report; arrays are uint8.

    Attributes:
        shape: H and W of a generated image in pixels. Images on grids and sheets are reduced, see
            `ganvas.visualization.reduced_images.as_cells`.
        samples: Grid of generated images; with classes, a row for each of at most 32.
        seed: Their seed.
        files: Paths of the first samples at full size, from the page's folder.
        real: Grid of real images; with classes, in rows by class.
        generated: Grid of generated images, to compare with the real ones.
        sheets: Sheets of real and generated images by class; empty without classes.
        sheet_columns: Real images in a row of a sheet at most, and generated ones.
        interpolation: Grid of interpolations between latents, without gaps.
        sweep: Table of the same latents at several truncations; without pixels if there is none.
        truncations: Truncation of each column.
        style_mixing: Table of images with the styles of two; without pixels if the network has no
            styles.
        style_counts: Images on the left of that table, for each group of layers, and on top.
        neighbors: Sheet of generated images above their nearest training images.
        neighbor_columns: Generated images on it at most.
        strip: Images of the same latents by epoch, of shape (n, H, W, 3).
        animation: Frames of the progress animation, of shape (n, H', W', 3).
        curves: The training curves.
    """

    shape: tuple[int, int]
    samples: np.ndarray
    seed: int
    files: list[str]
    real: np.ndarray
    generated: np.ndarray
    sheets: list[np.ndarray]
    sheet_columns: tuple[int, int]
    interpolation: np.ndarray
    sweep: np.ndarray
    truncations: list[float]
    style_mixing: np.ndarray
    style_counts: tuple[int, int]
    neighbors: np.ndarray
    neighbor_columns: int
    strip: dict[int, np.ndarray]
    animation: np.ndarray
    curves: np.ndarray


def render_report(
    images: ReportImages,
    plot: go.Figure,
    metrics: dict[str, dict[str, Any]],
    verdict: dict[str, Any],
    published: list[dict[str, Any]],
    training: dict[str, Any],
    splits: dict[str, int],
    rejected: dict[str, int],
) -> str:
    """Render the report page.

    It has 15 MB at most, whatever the images' size: large images are reduced, and the page has
    links to larger ones beside it.

    Args:
        images: The images.
        plot: The interactive training curves.
        metrics: Metrics by name, as in metrics.json: title, value, spread, unit, protocol, real,
            `of` (a class, or None) and, where there are any, by_class.
        verdict: What the metrics mean: level (good, fair, poor), summary, sentences and advice.
        published: Published results to compare with: metric (a name in `metrics`), value, source.
        training: The training summary, as in training.json.
        splits: Number of images by split, train first.
        rejected: Number of files that ingestion could not use, by reason.

    Returns:
        HTML that loads nothing from a network, and no other file unless it is clicked.
    """
    values: dict[str, Any] = {
        "title": describe_run(training, images.shape),
        "files": images.files,
        "is_reduced": images.shape[0] * images.shape[1] > LOSSLESS_PIXELS,
        "shape": images.shape,
        "cell": reduced_size(*images.shape),
        "seed": images.seed,
        # Plotly's library is embedded with the plot.
        "plot": plotly.io.to_html(plot, PLOT_OPTIONS, full_html=False, div_id="curves"),
        "curves": png_uri(images.curves),
        "animation": data_uri(encode_film(images.animation), "webp"),
        "groups": group_metrics(metrics),
        "signs": SIGNS,
        "protocol": common_protocol(metrics),
        "levels": metrics.get("sliced_wasserstein_distance", {}).get("by_level", {}),
        "by_label": metrics.get("class_agreement", {}).get("by_label", {}),
        "diversity": [metric for metric in metrics.values() if "by_class" in metric],
        "by_class": [
            (metric["of"], tabulate_metric(name, metric))
            for name, metric in metrics.items()
            if metric.get("of")
        ],
        "published": _compare_published(metrics, published),
        "verdict": verdict,
        "training": training,
        # What the verdict says of the evaluated images is not said twice.
        "warnings": [
            warning
            for warning in training["warnings"]
            if warning["name"] not in verdict["summary"].lower().split(FINDINGS_SEPARATOR)
        ],
        "finished": format_time(training["finished"]),
        "parameters": list_parameters(used_parameters(training["parameters"])),
        "command": reproduction_command(training),
        "presets": describe_presets(training),
        "notes": reproduction_notes(training),
        "splits": splits,
        "rejected": rejected,
    }
    template, names = TEMPLATES.get_template("report.html.j2"), training["classes"]["names"]
    return fit_page(
        lambda encoding: template.render(values, **_tabulate_images(images, names, encoding)),
        list_encodings(*images.shape),
    )


def _tabulate_images(
    images: ReportImages, names: list[str], encoding: CellEncoding
) -> dict[str, Any]:
    """Return the images as rows and stacks, by their names in the template."""
    shape = images.shape
    sheets = [
        tabulate_sheet(
            sheet, shape, images.sheet_columns, names[k * ROWS : (k + 1) * ROWS], encoding
        )
        for k, sheet in enumerate(images.sheets)
    ]
    neighbors = stack_neighbors(images.neighbors, shape, images.neighbor_columns, encoding)
    real, generated = (split_grid(grid, *shape) for grid in (images.real, images.generated))
    interpolation = split_grid(images.interpolation, *shape, gap=0)
    count = len(interpolation)
    if names:
        samples = divide_rows(len(names), min(len(names), MAX_CLASS_ROWS)).tolist()
        pairs = divide_rows(len(names), len(generated)).tolist()
        ways = fill_rows(len(names), count).tolist()
    else:
        samples, pairs, ways = [], [], []
    sweep = mixing = None
    if images.sweep.size:
        sweep = tabulate_sweep(images.sweep, shape, images.truncations, names, encoding)
    if images.style_mixing.size:
        mixing = tabulate_mixing(images.style_mixing, shape, images.style_counts, encoding)
    table = tabulate_grid(images.samples, shape, [names[row] for row in samples], encoding)
    return {
        "samples": table,
        "count": sum(len(row.blocks[0]) for row in table.rows),
        "shown": reduced_size(*table.shape, encoding.pixels or table.shape[0] * table.shape[1]),
        "pairs": tabulate_blocks(
            [real, generated], [names[row] for row in pairs], ["Real", "Generated"], encoding
        ),
        "interpolation": tabulate_blocks(
            [interpolation], [names[row] for row in ways] or [""] * count, [], encoding
        ),
        "sweep": sweep,
        "mixing": mixing,
        "sheets": sheets,
        # Those that are laid out in another way, as of earlier versions.
        "whole_sheets": [
            "" if table else whole_uri(sheet)
            for table, sheet in zip(sheets, images.sheets, strict=True)
        ],
        "neighbors": neighbors,
        "whole_neighbors": "" if neighbors else whole_uri(images.neighbors),
        "epochs": stack_epochs(images.strip, encoding),
    }


def _compare_published(
    metrics: dict[str, dict[str, Any]], published: list[dict[str, Any]]
) -> list[dict[str, str]]:
    rows = []
    for result in published:
        name = result["metric"]
        measured = metrics.get(name)
        rows.append(
            {
                "title": format_title(name, measured["title"]) if measured else name,
                "ours": format_value(name, measured) if measured else "not measured",
                "theirs": f"{scale_value(name, result['value']):.6g}",
                "source": result["source"],
            }
        )
    return rows


def title_network(name: str) -> str:
    """Return the published name of a network.

    Example:
        >>> title_network("projected"), title_network("mine")
        ('Projected GAN', 'mine')
    """
    return NETWORK_TITLES.get(name, name)


def describe_run(training: dict[str, Any], shape: tuple[int, int]) -> str:
    """Return a headline: dataset, network, label column and image size.

    Example:
        >>> training = {"dataset": "faces", "network": "dcgan", "classes": {"column": "smiling"}}
        >>> describe_run(training, (64, 64))
        'faces · DCGAN, by smiling · 64×64 pixels'
    """
    column = training["classes"]["column"]
    network = title_network(training["network"]) + (f", by {column}" if column else "")
    title = f"{training['dataset']} · {network} · {shape[1]}×{shape[0]} pixels"
    if "chosen_epoch" in training:
        title += f" · epoch {training['chosen_epoch']} of {training['of_epochs']}"
    return title


def format_time(text: str) -> str:
    """Return a time of training.json to the minute.

    Runs of earlier versions have local times without an offset.

    Example:
        >>> format_time("2026-11-25 22:53:23+00:00"), format_time("2026-11-25 22:53:23")
        ('2026-11-25 22:53 UTC', '2026-11-25 22:53')
    """
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}".rstrip()


def reproduction_command(training: dict[str, Any]) -> str | None:
    """Return the command that makes the same images; None if an earlier version kept none.

    A run that the clock or a user ended is limited to the steps that it had.

    Example:
        >>> training = {"command": "kedro run --params=train.seed=1", "ended_by": "time"}
        >>> reproduction_command(training | {"steps": 500})
        'kedro run --params=train.seed=1,train.max_steps=500,train.max_minutes=null'
    """
    command = recorded_command(training)
    if command is None or "steps" not in training or training["ended_by"] not in CUT_SHORT:
        return command
    limits = {"train.max_steps": str(training["steps"]), "train.max_minutes": "null"}
    return set_params(command, limits)


def recorded_command(training: dict[str, Any]) -> str | None:
    """Return the command of a run as this version understands it; None if there is no record.

    What earlier versions called `ada` has another name now, and by the old one is another run.

    Example:
        >>> augment = {"name": "ada", "policy": ["color"]}
        >>> training = {"command": "kedro run", "parameters": {"train": {"augment": augment}}}
        >>> recorded_command(training)
        'kedro run --params=train.augment.name=adaptive_diffaugment'
    """
    # Runs of earlier versions have recorded passwords.
    command = redact(training.get("command"))
    if command is None:
        return None
    parameters, key = flatten(training.get("parameters", {})), "train.augment.name"
    name = with_present_names(parameters).get(key)
    return str(command) if name == parameters.get(key) else set_params(command, {key: name})


def describe_presets(training: dict[str, Any]) -> str | None:
    """Return a sentence on the presets of a run; None if it has none.

    Args:
        training: The training summary, as in training.json.

    Example:
        >>> describe_presets({"command": "kedro run --env=wikiart"})
        'The run has the preset wikiart of conf.'
    """
    option, words = "--env=", list[str]()
    with contextlib.suppress(ValueError):
        words = shlex.split(str(training.get("command") or ""))
    names = [word.removeprefix(option) for word in words if word.startswith(option)]
    if not names or names[-1] == "base":
        return None
    *others, last = names[-1].split(",")
    if not others:
        return f"The run has the preset {last} of conf."
    return (
        f"The run has the presets {', '.join(others)} and {last} of conf, each of which overrides "
        "those before it."
    )


def reproduction_notes(training: dict[str, Any]) -> list[str]:
    """Return what is to know about the command that makes the same images.

    Args:
        training: The training summary, as in training.json; those of earlier versions have neither
            `steps` nor `parts`.

    Example:
        >>> reproduction_notes({"ended_by": "time", "steps": 500})
        ['The time limit ended the run: the command ends it at the same step, 500.']
    """
    notes = []
    if MASK in str(redact(training.get("command"))):
        notes.append(f"{MASK} stands for a password or key, which is not recorded.")
    if cause := CUT_SHORT.get(training["ended_by"]):
        limit = "it may end at another step"
        if "steps" in training:
            limit = f"the command ends it at the same step, {training['steps']:,}"
        notes.append(f"{cause}: {limit}.")
    schedule = training.get("parameters", {}).get("train", {}).get("schedule", {})
    if training["ended_by"] == "chosen" and schedule.get("name") == "cosine":
        notes.append(
            "The cosine schedule spans the whole run, which the command cuts short: for the same "
            "images, train the whole run with train.checkpoint.keep_every=1, and choose the epoch "
            "again."
        )
    parts = training.get("parts", [])
    if len(parts) > 1:
        notes.append(
            "It was resumed with other parameters, and this is the command of its last part; "
            "train.max_steps ends a part at its last step. " + _describe_parts(parts)
        )
    return notes


def _describe_parts(parts: list[dict[str, Any]]) -> str:
    """Return, for each part of a run, the parameters that were not the same in all of them."""
    flat = [list_parameters({"train": part["parameters"]}) for part in parts]
    keys = dict.fromkeys(key for parameters in flat for key in parameters)
    changed = [key for key in keys if len({repr(parameters.get(key)) for parameters in flat}) > 1]
    sentences = []
    for part, parameters in zip(parts, flat, strict=True):
        values = [f"{key}={parameters[key]}" for key in changed if key in parameters]
        sentences.append(f"From step {part['step']:,}: {', '.join(values) or 'none of these'}.")
    return " ".join(sentences)


def list_parameters(tree: dict[str, Any]) -> dict[str, Any]:
    """Flatten a tree of parameters to dotted keys, with "none" in place of None, "***" of secrets.

    Values have the names that they have in this version.

    Example:
        >>> list_parameters({"train": {"seed": 0, "max_minutes": None}})
        {'train.seed': 0, 'train.max_minutes': 'none'}
    """
    flat = redact(with_present_names(flatten(tree)))
    return {key: "none" if value is None else value for key, value in flat.items()}


def used_parameters(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a run used: of each group of `CHOICES`, the chosen branch alone.

    Parameters that are None, which switch nothing on, are left out, and those of other
    augmentations.

    Example:
        >>> network = {"name": "dcgan", "label": None, "dcgan": {"kernel": 5}, "r3gan": {"x": 1}}
        >>> used_parameters({"network": network})
        {'network': {'name': 'dcgan', 'dcgan': {'kernel': 5}}}
    """

    def keep(branch: dict[str, Any], path: str) -> dict[str, Any]:
        branch = keep_used(branch) if path == "train.augment" else branch
        chosen = branch.get("name") if path in CHOICES else None
        kept = {}
        for key, value in branch.items():
            if isinstance(value, dict):
                if chosen is None or key == chosen:
                    kept[key] = keep(value, f"{path}.{key}".lstrip("."))
            elif value is not None:
                kept[key] = value
        return kept

    return keep(tree, "")
