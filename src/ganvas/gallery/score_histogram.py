"""The small plot of scores on the page of the judge."""

from typing import NamedTuple

import numpy as np

from ganvas.gallery.discriminator_scores import ScoreResult

WIDTH, HEIGHT = 640, 180
BARS = 28


class Bar(NamedTuple):
    """A bar of a histogram, in pixels of the plot."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Plot(NamedTuple):
    """What the template draws.

    Attributes:
        bars: Histograms of both kinds, shares of their kind.
        mark: Where the judged picture stands.
        ticks: Places and words along the axis.
    """

    bars: list[Bar]
    mark: float
    ticks: list[tuple[float, str]]


def draw_scores(found: ScoreResult) -> Plot:
    """Lay out histograms of the scores of real and generated pictures, and a mark for one."""
    scores = np.concatenate([found.real, found.generated, [found.score]])
    low, high = float(scores.min()), float(scores.max())
    room = max(high - low, 1e-6) * 0.04
    edges = np.linspace(low - room, high + room, BARS + 1)

    def place(value: float) -> float:
        return round(float(np.interp(value, edges[[0, -1]], [0, WIDTH])), 1)

    kinds = {"generated": found.generated, "real": found.real}
    shares = {
        kind: np.histogram(values, edges)[0] / len(values)
        for kind, values in kinds.items()
        if len(values)
    }
    tallest = max(float(each.max()) for each in shares.values())
    bars = [
        Bar(kind, place(edges[number]), HEIGHT - tall, round(WIDTH / BARS, 1), tall)
        for kind, each in shares.items()
        for number, share in enumerate(each)
        if (tall := round(float(share) / tallest * HEIGHT, 1)) > 0
    ]
    ends = [(place(low), f"{low:.1f}"), (place(high), f"{high:.1f}")]
    return Plot(bars, place(found.score), ends)
