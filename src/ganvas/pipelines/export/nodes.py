"""Nodes of the export pipeline."""

import logging
from pathlib import Path
from typing import Any

from ganvas.keras_types import Model
from ganvas.networks.sampling import latent_dim
from ganvas.pipelines.export.params import ExportParams

logger = logging.getLogger(__name__)

# What the channels of images hold, by their number.
CHANNELS = {1: "gray levels", 3: "RGB", 4: "RGB with straight (unmultiplied) alpha last,"}


def export_formats(
    generator: Model, classes: dict[str, Any], folder: Path, params: ExportParams
) -> dict[str, Any]:
    """Export a generator to all formats, or to none if one fails.

    Returns:
        The manifest: files, and the inputs and output that a program must know to run them.

    Raises:
        GanvasError: A format's packages are missing, or its file generates other images.
    """
    # Keras takes seconds to import, and Kedro imports this module for every command.
    from ganvas.exporting import FORMATS, SEED, TRUNCATION_INPUT, export_generator

    written = export_generator(
        generator, params.formats, folder, params.checked, params.tolerance, params.truncation
    )
    files = {}
    for name, (file, difference) in written.items():
        logger.info("%s matches the generator within %.1e: %s", name, difference, file)
        files[name] = {
            "file": file.name,
            "bytes": file.stat().st_size,
            "pictures_a_call": FORMATS[name].batch or "any",
            "largest_difference": difference,
        }
    latent = {"shape": [None, latent_dim(generator)], "values": "drawn from N(0, 1)"}
    inputs = {generator.inputs[0].name: latent}
    if classes["names"]:
        inputs[generator.inputs[1].name] = {
            "shape": [None, len(classes["names"])],
            "values": "one-hot, or weights that add up to 1",
            "classes": classes["names"],
        }
    if params.truncation == "input":
        inputs[TRUNCATION_INPUT] = {
            "shape": [None, 1],
            "values": "1: none; below 1: more typical, less varied images",
        }
    height, width, channels = generator.output_shape[1:]
    return {
        "files": files,
        "inputs": inputs,
        "truncation": params.truncation,
        "output": {
            "shape": [None, height, width, channels],
            "height": height,
            "width": width,
            "channels": channels,
            "values": f"{CHANNELS[channels]} made for [-1, 1]",
        },
        "checked": {"images": params.checked, "seed": SEED, "tolerance": params.tolerance},
    }
