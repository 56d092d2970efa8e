"""The report page: one HTML file with everything in it."""

import base64
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ganvas.base_params import flatten
from ganvas.visualization.animation import encode_webp
from ganvas.visualization.contact_sheet import ROWS
from ganvas.visualization.image_grid import encode_png

# Those that look closer, and none that would send anything anywhere.
BUTTONS = [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]]

TEMPLATES = Environment(
    loader=PackageLoader("ganvas.visualization"),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_report(
    images: dict[str, np.ndarray],
    sheets: list[np.ndarray],
    animation: np.ndarray,
    plot: go.Figure,
    metrics: dict[str, dict[str, Any]],
    published: list[dict[str, Any]],
    training: dict[str, Any],
    rejected: dict[str, int],
) -> str:
    """Render the page.

    Args:
        images: uint8 of shape (H, W, 3) under the names samples, real, generated, walk,
            neighbors, progress and curves.
        sheets: Class sheets, uint8 of shape (H, W, 3); none without classes.
        animation: Frames of the progress animation, uint8 of shape (n, H, W, 3).
        plot: Curves to zoom into.
        metrics: Figures by name: title, value, spread, unit, protocol, real and
            `of` (a class, or None).
        published: Figures of the original: figure (a name in metrics), value and source of each.
        training: The facts of the training run.
        rejected: How many files ingestion could not use, by reason.

    Returns:
        HTML that needs no other file and no network.
    """
    template = TEMPLATES.get_template("report.html.j2")
    return template.render(
        images={name: encode_image(pixels) for name, pixels in images.items()},
        sheets=[encode_image(pixels) for pixels in sheets],
        rows=ROWS,
        plot=_embed(plot),
        animation=data_uri(encode_webp(animation), "webp"),
        metrics=metrics,
        published=published,
        training=training,
        parameters=list_parameters(training["parameters"]),
        rejected=rejected,
    )


def _embed(plot: go.Figure) -> str:
    """Give the plot with the library that draws it, so that the page needs no other file."""
    config = {"responsive": True, "displaylogo": False, "modeBarButtons": BUTTONS}
    return plotly.io.to_html(plot, config, full_html=False, div_id="curves")


def format_number(value: float) -> str:
    """Write a value so that neither a large one nor a tiny one is hard to read."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


TEMPLATES.filters["number"] = format_number


def encode_image(pixels: np.ndarray) -> str:
    """Turn pixels, uint8 (H, W, 3), into the address of a PNG that holds itself."""
    return data_uri(encode_png(pixels), "png")


def data_uri(content: bytes, form: str) -> str:
    """Give the address of an image of a form, such as png or webp, that holds itself."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"


def list_parameters(tree: dict[str, Any]) -> dict[str, Any]:
    """Turn a tree of parameters into one level, with "none" for None, as people read it."""
    return {key: "none" if value is None else value for key, value in flatten(tree).items()}
