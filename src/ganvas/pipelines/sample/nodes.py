"""Nodes of sampling."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import keras
import numpy as np
from pydantic import Field, field_validator

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.networks.sampling import generate_batches, one_hot, sample_latents
from ganvas.progress import track
from ganvas.visualization.image_grid import make_grid

# What the catalog calls `samples_grid` among the samples.
GRID = "grid"


class SampleParams(Params):
    """Parameters of sampling.

    Attributes:
        count: Images to paint.
        seed: Of their latents: the same seed gives the same images.
        truncation: What latents are multiplied by: below 1 likelier, less varied images.
        classes: Names of the classes to paint in turn, one or a list; None: all of them.
        grid: Images, at most, in the grid beside them.
        columns: Columns of the grid.
    """

    count: int = Field(64, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0)
    truncation: float = Field(1.0, gt=0, le=1)
    classes: str | Annotated[list[str], Field(min_length=1)] | None = None
    grid: int = Field(64, ge=1, le=4096)
    columns: int = Field(8, ge=1, le=64)

    @field_validator("classes", mode="before")
    @classmethod
    def _check_names(cls, value: Any) -> Any:
        return (
            [_read_name(each) for each in value] if isinstance(value, list) else _read_name(value)
        )


def _read_name(value: Any) -> Any:
    """Take back what YAML has made of a name like 19; what it made of yes or on is lost."""
    if isinstance(value, bool):
        raise ValueError("a class called so wants quotation marks of its own, such as 'yes'")
    return str(value) if isinstance(value, int | float) else value


def paint_samples(
    generator: keras.Model, classes: dict[str, Any], params: SampleParams
) -> Iterator[tuple[str, np.ndarray]]:
    """Paint images batch by batch, each named by its seed, its number and its class.

    Raises:
        GanvasError: A class is asked for that the generator doesn't paint.
    """
    latents = sample_latents(generator, params.count, params.seed, params.truncation)
    names = classes["names"]
    chosen = choose_classes(names, params.classes)
    labels = np.resize(chosen, params.count) if chosen else np.zeros(params.count, int)
    rows = one_hot(labels, len(names))
    images = (image for batch in generate_batches(generator, latents, rows) for image in batch)
    numbered = enumerate(track(images, "Painting", total=params.count))
    # Not a generator function: Kedro would save such a node's images one by one.
    return (
        (f"seed{params.seed}_{number:06d}{_suffix(names, labels[number])}", image)
        for number, image in numbered
    )


def choose_classes(names: list[str], wanted: str | list[str] | None) -> list[int]:
    """Give the numbers of the classes that are wanted, of all of them by default.

    Raises:
        GanvasError: There is no such class.
    """
    if wanted is None:
        return list(range(len(names)))
    wanted = [wanted] if isinstance(wanted, str) else wanted
    for name in wanted:
        if name not in names:
            told = f"paints {', '.join(names)}" if names else "paints without classes"
            raise GanvasError(
                f"sample.classes has '{name}', but this generator {told}: take some of these, or "
                "null."
            )
    return [names.index(name) for name in wanted]


def _suffix(names: list[str], label: int) -> str:
    """A class's name as a part of a file's name."""
    return "_" + re.sub(r"[^\w-]+", "-", names[label]) if names else ""


def lay_sample_grid(
    samples: dict[str, Callable[[], np.ndarray]], params: SampleParams
) -> np.ndarray:
    """Lay the first samples in a grid."""
    # An earlier grid lies in the same folder.
    first = sorted(samples.keys() - {GRID})[: params.grid]
    return make_grid(np.stack([samples[name]() for name in first]), params.columns)
