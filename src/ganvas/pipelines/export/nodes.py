"""Nodes of the export pipeline."""

import logging
from pathlib import Path
from typing import Any

from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable, read_class_list
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

    table = read_class_list(classes)
    written = export_generator(
        generator,
        params.formats,
        folder,
        params.checked,
        params.tolerance,
        params.truncation,
        by_class=len(table.columns) < 2,
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
    if table.columns:
        inputs[generator.inputs[1].name] = _describe_weights(table)
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


def _describe_weights(table: ClassTable) -> dict[str, Any]:
    """Return what the input of class weights takes, in the order of its columns."""
    described = {"shape": [None, table.num_weights]}
    if len(table.columns) == 1:
        return described | {
            "values": "one-hot, or weights that add up to 1",
            "classes": table.names,
        }
    share = f"1/{len(table.columns)}"
    return described | {
        "values": f"for each label column {share} at one of its values and 0 at the others, or "
        f"weights that add up to {share}",
        "classes": table.value_names,
        "labels": [
            {"column": x.column, "values": x.values, "first": x.first} for x in table.columns
        ],
    }
