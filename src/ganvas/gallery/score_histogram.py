"""The histogram of discriminator scores, laid out for the SVG of the page."""

import math
from typing import NamedTuple

import numpy as np

from ganvas.gallery.discriminator_scores import ScoreResult

WIDTH, HEIGHT = 640, 180
BINS = 28
# Steps of an axis, to be multiplied by a power of ten.
STEPS = (1, 2, 5, 10)


class Bar(NamedTuple):
    """A bar in SVG units; `kind` is real or generated."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Tick(NamedTuple):
    """A position on an axis in SVG units, and its label."""

    position: float
    label: str


class Histogram(NamedTuple):
    """Histograms of both kinds of images, each normalized by its count.

    Attributes:
        bars: The bars of both.
        mark: Position of the scored image on the x axis.
        x_ticks: Scores on the x axis.
        y_ticks: Shares of the images of a kind on the y axis, in percent.
    """

    bars: list[Bar]
    mark: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def layout_histogram(result: ScoreResult) -> Histogram:
    """Lay out histograms of real and generated scores, and mark the scored image."""
    scores = np.concatenate([result.real, result.generated, [result.score]])
    low, high = float(scores.min()), float(scores.max())
    margin = max(high - low, 1e-6) * 0.04
    edges = np.linspace(low - margin, high + margin, BINS + 1)

    def scale_x(score: float) -> float:
        return round(float(np.interp(score, edges[[0, -1]], [0, WIDTH])), 1)

    kinds = {"generated": result.generated, "real": result.real}
    shares = {
        kind: np.histogram(values, edges)[0] / len(values)
        for kind, values in kinds.items()
        if len(values)
    }
    highest = max(float(values.max()) for values in shares.values())

    def scale_y(share: float) -> float:
        return round(HEIGHT * (1 - share / highest), 1)

    bars = [
        Bar(
            kind, scale_x(edges[i]), scale_y(share), round(WIDTH / BINS, 1), HEIGHT - scale_y(share)
        )
        for kind, values in shares.items()
        for i, share in enumerate(values.tolist())
        if share > 0
    ]
    x_ticks = [Tick(scale_x(score), label) for score, label in _round_steps(low, high, 6)]
    y_ticks = [
        Tick(scale_y(percent / 100), f"{label} %")
        for percent, label in _round_steps(0, 100 * highest, 4)
    ]
    return Histogram(bars, scale_x(result.score), x_ticks, y_ticks)


def _round_steps(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Return at most about `most` round numbers between two, with their labels."""
    wanted = max(high - low, 1e-6) / most
    power = 10.0 ** math.floor(math.log10(wanted))
    step = next(factor * power for factor in STEPS if factor * power >= wanted)
    decimals = max(-math.floor(math.log10(step)), 0)
    first, last = math.ceil(low / step), math.floor(high / step)
    # Adding zero turns -0 into 0.
    values = [round(i * step, decimals) + 0.0 for i in range(first, last + 1)]
    return [(value, f"{value:.{decimals}f}") for value in values]
