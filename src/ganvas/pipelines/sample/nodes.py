"""Nodes of the sample pipeline."""

import logging
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.grid_layout import find_rows
from ganvas.ingestion.collection import read_manifest
from ganvas.ingestion.cropping import unstretch
from ganvas.keras_types import Model
from ganvas.networks.sampling import generate_batches, one_hot, sample_latents
from ganvas.pipelines.sample.params import SampleParams
from ganvas.progress import track
from ganvas.visualization.image_grid import make_grid_of_rows
from ganvas.visualization.reduced_images import as_cells

logger = logging.getLogger(__name__)

# Name of the dataset `samples_grid` among the files of `samples`.
GRID = "grid"


def generate_samples(
    generator: Model, classes: dict[str, Any], folder: Path, params: SampleParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Generate images batch by batch.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        classes: Content of `class_list.json`.
        folder: Folder of the collection that it was trained on; it need not exist.
        params: Parameters of sampling.

    Returns:
        Names, made of seed, number and class, and images, uint8 of shape (H, W, C).

    Raises:
        GanvasError: The generator lacks a requested class, or the collection records no aspect
            ratio for `sample.unstretch`.
    """
    aspect = _find_aspect(folder, params)
    latents = sample_latents(generator, params.count, params.seed)
    names = classes["names"]
    selected = select_classes(names, params.classes)
    if len(selected) > params.count:
        logger.warning(
            "sample.count=%d images show the first %d of %d classes: set sample.count to %d or "
            "more for an image of each.",
            params.count,
            params.count,
            len(selected),
            len(selected),
        )
    labels = np.resize(selected, params.count) if selected else np.zeros(params.count, int)
    batches = generate_batches(generator, latents, one_hot(labels, len(names)), params.truncation)
    images = (image for batch in batches for image in batch)
    numbered = enumerate(track(images, "Generating", total=params.count))
    # Not a generator function: Kedro would save such a node's images one by one.
    return (
        (
            f"seed{params.seed}_{number:06d}{_suffix(names, labels[number])}",
            image if aspect is None else unstretch(image[None], aspect)[0],
        )
        for number, image in numbered
    )


def _find_aspect(folder: Path, params: SampleParams) -> float | None:
    """Return the aspect ratio that images get back; None: they keep theirs."""
    aspect = read_manifest(folder).get("aspect")
    if not params.unstretch:
        if aspect is not None:
            logger.info(
                "The generator was trained on stretched images, of a median aspect ratio of %.3g "
                "before: sample.unstretch=true gives it back to the samples.",
                aspect,
            )
        return None
    if not isinstance(aspect, int | float) or not 0 < aspect < math.inf:
        raise GanvasError(
            f"sample.unstretch=true needs the aspect ratio of images before they were stretched, "
            f"and {folder} has none recorded: set it to false, or pack the collection by "
            "`kedro run --pipelines=ingest` with ingest.crop=stretch."
        )
    return float(aspect)


def select_classes(names: list[str], requested: str | list[str] | None) -> list[int]:
    """Return the indices of the requested classes, by default of all.

    Raises:
        GanvasError: There is no such class.
    """
    if requested is None:
        return list(range(len(names)))
    requested = [requested] if isinstance(requested, str) else requested
    for name in requested:
        if name not in names:
            raise GanvasError(
                f"sample.classes has '{name}', but this generator has "
                + (
                    f"the classes {', '.join(names)}: choose among them, or set it to null."
                    if names
                    else "no classes: set it to null."
                )
            )
    return [names.index(name) for name in requested]


def _suffix(names: list[str], label: int) -> str:
    return "_" + re.sub(r"[^\w-]+", "-", names[label]) if names else ""


def make_samples_grid(
    samples: dict[str, Callable[[], np.ndarray]], classes: dict[str, Any], params: SampleParams
) -> np.ndarray:
    """Arrange samples in a grid; with classes, each row is of one class, see `find_rows`.

    Returns:
        uint8 of shape (H', W', 3). Large images are scaled down, and transparent ones are on a
        checkerboard.
    """
    # The grid of an earlier run is in the same folder.
    names = sorted(samples.keys() - {GRID})
    # Samples have the classes in turn.
    count = max(len(select_classes(classes["names"], params.classes)), 1)
    columns = min(params.columns, math.ceil(len(names) / count), params.grid)
    rows = find_rows(np.arange(len(names)) % count, params.grid // columns, columns)
    return make_grid_of_rows(
        # One by one, since all of them may not fit into memory.
        [
            np.concatenate([as_cells(samples[names[number]]()[None]) for number in row])
            for row in rows
        ]
    )
