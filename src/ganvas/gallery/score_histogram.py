"""The histogram of discriminator scores, laid out for the SVG of the page."""

from typing import NamedTuple

import numpy as np

from ganvas.gallery.discriminator_scores import ScoreResult

WIDTH, HEIGHT = 640, 180
BINS = 28


class Bar(NamedTuple):
    """A bar in SVG units; `kind` is real or generated."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Histogram(NamedTuple):
    """Histograms of both kinds of images, each normalized by its count.

    Attributes:
        bars: The bars of both.
        mark: Position of the uploaded image's score on the x axis.
        ticks: Positions and labels on the x axis.
    """

    bars: list[Bar]
    mark: float
    ticks: list[tuple[float, str]]


def layout_histogram(result: ScoreResult) -> Histogram:
    """Lay out histograms of real and generated scores, and mark the uploaded image's score."""
    scores = np.concatenate([result.real, result.generated, [result.score]])
    low, high = float(scores.min()), float(scores.max())
    margin = max(high - low, 1e-6) * 0.04
    edges = np.linspace(low - margin, high + margin, BINS + 1)

    def scale_x(score: float) -> float:
        return round(float(np.interp(score, edges[[0, -1]], [0, WIDTH])), 1)

    kinds = {"generated": result.generated, "real": result.real}
    frequencies = {
        kind: np.histogram(values, edges)[0] / len(values)
        for kind, values in kinds.items()
        if len(values)
    }
    highest = max(float(values.max()) for values in frequencies.values())
    bars = [
        Bar(kind, scale_x(edges[i]), HEIGHT - height, round(WIDTH / BINS, 1), height)
        for kind, values in frequencies.items()
        for i, frequency in enumerate(values)
        if (height := round(float(frequency) / highest * HEIGHT, 1)) > 0
    ]
    ticks = [(scale_x(score), f"{score:.1f}") for score in (low, high)]
    return Histogram(bars, scale_x(result.score), ticks)
