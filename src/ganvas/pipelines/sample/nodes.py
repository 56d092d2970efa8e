"""Nodes of sampling."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
from pydantic import Field

from ganvas.figures.grid import lay_grid
from ganvas.networks.sampling import draw_latents, paint_batches
from ganvas.params import Params
from ganvas.progress import track


class SampleParams(Params):
    """Parameters of sampling.

    Attributes:
        count: Pictures to paint.
        seed: Of their latents: the same seed gives the same pictures.
        grid: Pictures, at most, in the grid beside them.
        columns: Columns of the grid.
    """

    count: int = Field(64, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0)
    grid: int = Field(64, ge=1, le=4096)
    columns: int = Field(8, ge=1, le=64)


def paint_samples(generator: keras.Model, params: SampleParams) -> Iterator[tuple[str, np.ndarray]]:
    """Paint pictures batch by batch, each named by its seed and number."""
    latents = draw_latents(generator, params.count, params.seed)
    pictures = (picture for batch in paint_batches(generator, latents) for picture in batch)
    numbered = enumerate(track(pictures, "Painting", total=params.count))
    # Not a generator function: Kedro would save such a node's pictures one by one.
    return ((f"seed{params.seed}_{number:06d}", picture) for number, picture in numbered)


def lay_sample_grid(
    samples: dict[str, Callable[[], np.ndarray]], params: SampleParams
) -> np.ndarray:
    """Lay the first samples in a grid."""
    first = sorted(samples)[: params.grid]
    return lay_grid(np.stack([samples[name]() for name in first]), params.columns)
