"""Nodes of the sample pipeline."""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.class_requests import find_classes
from ganvas.errors import GanvasError
from ganvas.grid_layout import find_rows
from ganvas.ingestion.collection import read_manifest
from ganvas.ingestion.cropping import unstretch
from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable, name_in_file, read_class_list
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import (
    generate_batches,
    sample_latents,
)
from ganvas.networks.styles import (
    ClassMeans,
    count_layers,
    find_class_means,
    has_noise,
    map_latents,
    mean_styles,
    mix_styles,
    repeat_styles,
    select_layers,
    synthesize_batches,
    truncate,
)
from ganvas.pipelines.sample.params import SampleParams
from ganvas.progress import track
from ganvas.visualization.image_grid import make_grid_of_rows
from ganvas.visualization.image_tables import draw_style_mixing
from ganvas.visualization.reduced_images import as_cells

logger = logging.getLogger(__name__)

# Name of the dataset `samples_grid` among the files of `samples`.
GRID = "grid"
# Images whose styles are computed at once.
STYLES = 1024


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
    _check_styles(generator, params)
    selected = select_classes(classes, params.classes)
    count = len(selected.names)
    if params.style_mixing.rows:
        made = _mix_samples(generator, selected, params)
    else:
        if count > params.count:
            logger.warning(
                "sample.count=%d images show the first %d of %d classes: set sample.count to %d or "
                "more for an image of each.",
                params.count,
                params.count,
                count,
                count,
            )
        made = _sample(generator, selected, params)
    # Not a generator function: Kedro would save such a node's images one by one.
    return (
        (name, image if aspect is None else unstretch(image[None], aspect)[0])
        for name, image in made
    )


def _check_styles(generator: Model, params: SampleParams) -> None:
    """Raise an error if parameters need styles of layers that the generator doesn't have."""
    if is_style_based(generator):
        layers, cutoff = count_layers(generator), params.truncation_cutoff
        if cutoff is not None and cutoff > layers:
            raise GanvasError(
                f"sample.truncation_cutoff={cutoff} is more than the {layers} layers of this "
                f"generator: set it to {layers} or less, or to null."
            )
        if params.style_mixing.rows:
            select_layers(params.style_mixing.layers, layers)
        if params.noise == "random" and not has_noise(generator):
            raise GanvasError(
                "sample.noise=random needs a generator with noise, and this one has none "
                "(network.stylegan2.noise=false): leave the parameter out."
            )
        return
    default = SampleParams()
    for name in ("truncation_cutoff", "truncation_mean", "noise", "style_mixing"):
        if getattr(params, name) != getattr(default, name):
            raise GanvasError(
                f"sample.{name} needs a generator with styles, as of network.name=stylegan2, and "
                "this one has none: leave the parameter out."
            )


def _sample(
    generator: Model, selected: ClassTable, params: SampleParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Generate images in order, with their names."""
    latents = sample_latents(generator, params.count, params.seed)
    rows = selected.weigh(_class_of(np.arange(params.count), selected))
    batches = (
        _generate_from_styles(generator, latents, rows, selected, params)
        if is_style_based(generator)
        else generate_batches(generator, latents, rows, params.truncation)
    )
    images = (image for batch in batches for image in batch)
    for number, image in enumerate(track(images, "Generating", total=params.count)):
        yield _name_sample(number, selected, params), image


def _class_of(numbers: np.ndarray, selected: ClassTable) -> np.ndarray:
    """Return the class of samples by their numbers, in turn; 0 without classes."""
    return numbers % max(len(selected.names), 1)


def _name_sample(number: int, selected: ClassTable, params: SampleParams) -> str:
    name = f"seed{params.seed}_{number:06d}"
    if not selected.names:
        return name
    return f"{name}_{name_in_file(selected.names[number % len(selected.names)])}"


def _generate_from_styles(
    generator: Model,
    latents: np.ndarray,
    one_hot_labels: np.ndarray,
    selected: ClassTable,
    params: SampleParams,
) -> Iterator[np.ndarray]:
    """Generate images of a style-based generator; yield them batch by batch."""
    means = _find_means(generator, selected, params)
    # A few at a time, since all styles of all layers may not fit into memory.
    for start in range(0, len(latents), STYLES):
        rows = slice(start, start + STYLES)
        styles = _make_styles(generator, latents[rows], one_hot_labels[rows], means, params)
        numbers = range(start, start + len(styles))
        yield from synthesize_batches(generator, styles, params.noise, params.seed, numbers)


def _find_means(generator: Model, selected: ClassTable, params: SampleParams) -> ClassMeans | None:
    """Return the mean styles of classes; None: that of all images, or none is needed."""
    by_class = params.truncation_mean == "class" and params.truncation != 1
    return find_class_means(generator, len(selected.columns)) if by_class else None


def _make_styles(
    generator: Model,
    latents: np.ndarray,
    one_hot_labels: np.ndarray,
    class_means: ClassMeans | None,
    params: SampleParams,
) -> np.ndarray:
    """Return truncated styles of each layer, (N, L, W)."""
    styles = repeat_styles(generator, map_latents(generator, latents, one_hot_labels))
    means = mean_styles(generator, one_hot_labels, class_means)
    return truncate(styles, means, params.truncation, params.truncation_cutoff)


def _mix_samples(
    generator: Model, selected: ClassTable, params: SampleParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Generate samples of the given numbers, and images with the styles of two; with their names.

    Noise of a mixed image is that of its row's sample.
    """
    mixing = params.style_mixing
    numbers = list(dict.fromkeys([*mixing.rows, *mixing.columns]))
    latents = sample_latents(generator, max(numbers) + 1, params.seed)[numbers]
    one_hot_labels = selected.weigh(_class_of(np.array(numbers), selected))
    means = _find_means(generator, selected, params)
    styles = _make_styles(generator, latents, one_hot_labels, means, params)
    by_number = dict(zip(numbers, styles, strict=True))
    layers = select_layers(mixing.layers, styles.shape[1])
    rows, columns = (
        np.array([by_number[x] for x in part]) for part in (mixing.rows, mixing.columns)
    )
    pairs = [(row, column) for row in mixing.rows for column in mixing.columns]
    mixed = mix_styles(rows[:, None], columns, layers).reshape(-1, *styles.shape[1:])
    labels = [_name_sample(x, selected, params) for x in numbers]
    labels += [_name_mixed(row, column, selected, params) for row, column in pairs]
    batches = synthesize_batches(
        generator,
        np.concatenate([styles, mixed]),
        params.noise,
        params.seed,
        [*numbers, *(row for row, _ in pairs)],
    )
    images = (image for batch in batches for image in batch)
    tracked = track(images, "Generating", total=len(labels))
    yield from zip(labels, tracked, strict=True)


def _name_mixed(row: int, column: int, selected: ClassTable, params: SampleParams) -> str:
    return f"{_name_sample(row, selected, params)}_with_{column:06d}"


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


def select_classes(classes: dict[str, Any], requested: str | list[str] | None) -> ClassTable:
    """Return the requested classes, by default all; see `ganvas.class_requests.find_classes`.

    Args:
        classes: Content of `class_list.json`.
        requested: `sample.classes`.

    Raises:
        GanvasError: There is no such class.
    """
    names = [requested] if isinstance(requested, str) else requested
    return find_classes(read_class_list(classes), names, "sample.classes")


def make_samples_grid(
    samples: dict[str, Callable[[], np.ndarray]], classes: dict[str, Any], params: SampleParams
) -> np.ndarray:
    """Arrange samples in a grid; with classes, each row is of one class, see `find_rows`.

    Mixed samples are in a table with the samples that they are mixed of on its margins.

    Returns:
        uint8 of shape (H', W', 3). Large images are scaled down, and transparent ones are on a
        checkerboard.
    """
    if params.style_mixing.rows:
        return _make_mixing_table(samples, select_classes(classes, params.classes), params)
    # The grid of an earlier run is in the same folder.
    names = sorted(samples.keys() - {GRID})
    # Samples have the classes in turn.
    count = max(len(select_classes(classes, params.classes).names), 1)
    columns = min(params.columns, math.ceil(len(names) / count), params.grid)
    rows = find_rows(np.arange(len(names)) % count, params.grid // columns, columns)
    return make_grid_of_rows(
        # One by one, since all of them may not fit into memory.
        [
            np.concatenate([as_cells(samples[names[number]]()[None]) for number in row])
            for row in rows
        ]
    )


def _make_mixing_table(
    samples: dict[str, Callable[[], np.ndarray]], selected: ClassTable, params: SampleParams
) -> np.ndarray:
    mixing = params.style_mixing

    def load(numbers: list[int]) -> np.ndarray:
        found = (samples[_name_sample(x, selected, params)] for x in numbers)
        return np.concatenate([as_cells(read()[None]) for read in found])

    mixed = [
        as_cells(samples[_name_mixed(row, column, selected, params)]()[None])
        for row in mixing.rows
        for column in mixing.columns
    ]
    cells = np.concatenate(mixed).reshape(
        len(mixing.rows), len(mixing.columns), *mixed[0].shape[1:]
    )
    return draw_style_mixing(load(mixing.rows), load(mixing.columns), {mixing.layers: cells})
