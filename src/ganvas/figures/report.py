"""The report page: one HTML file with everything in it."""

import base64
import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from ganvas.figures.animation import encode_webp

TEMPLATES = Environment(
    loader=PackageLoader("ganvas.figures"),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_report(
    pictures: dict[str, np.ndarray],
    sheets: list[np.ndarray],
    animation: np.ndarray,
    metrics: dict[str, dict[str, Any]],
    published: list[dict[str, Any]],
    training: dict[str, Any],
    rejected: dict[str, int],
) -> str:
    """Render the page.

    Args:
        pictures: uint8 of shape (H, W, 3) under the names samples, real, generated, walk,
            neighbours, progress and curves.
        sheets: Class sheets, uint8 of shape (H, W, 3); none without classes.
        animation: Frames of the progress animation, uint8 of shape (n, H, W, 3).
        metrics: Figures by name: title, value, spread, unit, protocol and real of each.
        published: Figures of the original: figure (a name in metrics), value and source of each.
        training: The facts of the training run.
        rejected: How many files ingestion could not use, by reason.

    Returns:
        HTML that needs no other file and no network.
    """
    template = TEMPLATES.get_template("report.html.j2")
    return template.render(
        pictures={name: encode_picture(pixels) for name, pixels in pictures.items()},
        sheets=[encode_picture(pixels) for pixels in sheets],
        animation=_data_uri(encode_webp(animation), "webp"),
        metrics=metrics,
        published=published,
        training=training,
        parameters=flatten(training["parameters"]),
        rejected=rejected,
    )


def encode_picture(pixels: np.ndarray) -> str:
    """Turn pixels, uint8 (H, W, 3), into the address of a PNG that holds itself."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return _data_uri(buffer.getvalue(), "png")


def _data_uri(content: bytes, form: str) -> str:
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn a tree of parameters into one level, with dots in its keys and "none" for None."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = "none" if value is None else value
    return flat
