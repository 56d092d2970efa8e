"""The report page: one HTML file with everything in it."""

import base64
import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

_TEMPLATES = Environment(
    loader=PackageLoader("ganvas.figures"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_report(
    pictures: dict[str, np.ndarray],
    metrics: dict[str, dict[str, Any]],
    training: dict[str, Any],
    rejected: dict[str, int],
) -> str:
    """Render the page.

    Args:
        pictures: uint8 of shape (H, W, 3) under the names samples, real, progress and curves.
        metrics: Figures by name: title, value, unit and protocol of each.
        training: The facts of the training run.
        rejected: How many files ingestion could not use, by reason.

    Returns:
        HTML that needs no other file and no network.
    """
    template = _TEMPLATES.get_template("report.html.j2")
    return template.render(
        pictures={name: _data_uri(pixels) for name, pixels in pictures.items()},
        metrics=metrics,
        training=training,
        parameters=_flatten(training["parameters"]),
        rejected=rejected,
    )


def _data_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = "none" if value is None else value
    return flat
