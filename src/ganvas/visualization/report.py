"""The report page: one self-contained HTML file."""

import base64
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ganvas.base_params import flatten
from ganvas.grid_layout import MAX_CLASS_ROWS, divide_rows
from ganvas.visualization.contact_sheet import ROWS
from ganvas.visualization.image_grid import encode_png, encode_webp

# Buttons for zooming and saving, and none that sends data to a server.
BUTTONS = [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]]
PLOT_OPTIONS = {"responsive": True, "displaylogo": False, "modeBarButtons": BUTTONS}


def format_number(value: float) -> str:
    """Format a value so that both large and tiny ones are readable.

    Example:
        >>> format_number(2751.4), format_number(0.5), format_number(-0.00031)
        ('2,751', '0.500', '-0.00031')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


TEMPLATES = Environment(
    loader=PackageLoader("ganvas.visualization"),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["number"] = format_number


def render_report(
    images: dict[str, np.ndarray],
    sheets: list[np.ndarray],
    animation: np.ndarray,
    plot: go.Figure,
    metrics: dict[str, dict[str, Any]],
    published: list[dict[str, Any]],
    warnings: list[dict[str, str]],
    training: dict[str, Any],
    rejected: dict[str, int],
) -> str:
    """Render the report page.

    Args:
        images: uint8 of shape (H, W, 3), by name: samples, real, generated, interpolation,
            neighbors, progress and curves.
        sheets: Class sheets, uint8 of shape (H, W, 3); empty without classes.
        animation: Frames of the progress animation, uint8 of shape (n, H, W, 3).
        plot: The interactive training curves.
        metrics: Metrics by name, as in metrics.json: title, value, spread, unit, protocol, real,
            `of` (a class, or None) and, where there are any, by_class.
        published: Published results to compare with: metric (a name in `metrics`), value, source.
        warnings: Problems that the metrics show: name, evidence, advice.
        training: The training summary, as in training.json.
        rejected: Number of files that ingestion could not use, by reason.

    Returns:
        HTML that loads no other file and nothing from a network.
    """
    names = training["classes"]["names"]
    row_numbers = divide_rows(len(names), min(len(names), MAX_CLASS_ROWS) or 1)
    return TEMPLATES.get_template("report.html.j2").render(
        row_names=[names[number] for number in row_numbers] if names else [],
        images={name: png_uri(pixels) for name, pixels in images.items()},
        sheets=[png_uri(pixels) for pixels in sheets],
        rows=ROWS,
        # Plotly's library is embedded with the plot.
        plot=plotly.io.to_html(plot, PLOT_OPTIONS, full_html=False, div_id="curves"),
        animation=data_uri(encode_webp(animation), "webp"),
        metrics=metrics,
        published=published,
        warnings=warnings,
        training=training,
        parameters=list_parameters(training["parameters"]),
        notes=reproduction_notes(training),
        rejected=rejected,
    )


def reproduction_notes(training: dict[str, Any]) -> list[str]:
    """Return what the command of a run needs besides to make the same images.

    Args:
        training: The training summary, as in training.json; those of earlier versions have neither
            `steps` nor `parts`.

    Example:
        >>> reproduction_notes({"ended_by": "interrupted", "steps": 500})
        ['The run was interrupted: to end at the same step, add train.max_steps=500 to --params.']
    """
    causes = {
        "time": ("The clock ended the run", ",train.max_minutes=null"),
        "interrupted": ("The run was interrupted", ""),
    }
    notes = []
    if training["ended_by"] in causes:
        cause, more = causes[training["ended_by"]]
        addition = f"add train.max_steps={training.get('steps')}{more} to --params"
        remedy = f"to end at the same step, {addition}"
        notes.append(f"{cause}: {remedy if 'steps' in training else 'it may end at another step'}.")
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


def png_uri(pixels: np.ndarray) -> str:
    """Return an image, uint8 of shape (H, W, 3), as the data URI of a PNG."""
    return data_uri(encode_png(pixels), "png")


def data_uri(content: bytes, form: str) -> str:
    """Return the data URI of an encoded image; `form` is its format, such as png or webp."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"


def list_parameters(tree: dict[str, Any]) -> dict[str, Any]:
    """Flatten a tree of parameters to dotted keys, with "none" in place of None.

    Example:
        >>> list_parameters({"train": {"seed": 0, "max_minutes": None}})
        {'train.seed': 0, 'train.max_minutes': 'none'}
    """
    return {key: "none" if value is None else value for key, value in flatten(tree).items()}
