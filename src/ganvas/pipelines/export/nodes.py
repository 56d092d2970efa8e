"""Nodes of exporting."""

import logging
from pathlib import Path
from typing import Any, Literal

import keras
from pydantic import Field

from ganvas.base_params import Params
from ganvas.exporting import FORMATS, SEED, export_generator
from ganvas.networks.sampling import latent_length

logger = logging.getLogger(__name__)


class ExportParams(Params):
    """Parameters of exporting.

    Attributes:
        formats: What to write: ONNX, LiteRT (once TensorFlow Lite) or both.
        checked: Images that each file must paint as the generator does.
        tolerance: The most that a channel of theirs may differ by, of values in [-1, 1].
    """

    formats: list[Literal["onnx", "litert"]] = Field(["onnx", "litert"], min_length=1)
    checked: int = Field(16, ge=1, le=4096)
    tolerance: float = Field(1e-3, gt=0, le=2)


def export_formats(
    generator: keras.Model, classes: dict[str, Any], folder: Path, params: ExportParams
) -> dict[str, Any]:
    """Write a generator in all formats or none; give what a program must know to run them.

    Raises:
        GanvasError: A format's packages aren't installed, or it paints other images.
    """
    written = export_generator(generator, params.formats, folder, params.checked, params.tolerance)
    files = {}
    for name, (file, apart) in written.items():
        logger.info("%s paints the same within %.1e: %s", name, apart, file)
        files[name] = {
            "file": file.name,
            "bytes": file.stat().st_size,
            "pictures_a_call": FORMATS[name].batch or "any",
            "largest_difference": apart,
        }
    latent = {"shape": [None, latent_length(generator)], "values": "drawn from N(0, 1)"}
    inputs = {generator.inputs[0].name: latent}
    if classes["names"]:
        inputs[generator.inputs[1].name] = {
            "shape": [None, len(classes["names"])],
            "values": "one-hot, or weights that add up to 1",
            "classes": classes["names"],
        }
    return {
        "files": files,
        "inputs": inputs,
        "output": {"shape": [None, *generator.output_shape[1:]], "values": "RGB made for [-1, 1]"},
        "checked": {"images": params.checked, "seed": SEED, "tolerance": params.tolerance},
    }
