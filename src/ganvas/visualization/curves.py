"""Curves of a training run."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Told apart with any color vision, on white and in gray print.
COLORS = {
    "loss_g": "#c2410c",
    "loss_d": "#1d4ed8",
    "real_score": "#15803d",
    "fake_score": "#7e22ce",
}
NAMES = {
    "loss_g": "generator loss",
    "loss_d": "discriminator loss",
    "real_score": "score of real images",
    "fake_score": "score of generated images",
}


def draw_curves(history: pd.DataFrame) -> np.ndarray:
    """Draw losses and scores over epochs.

    Args:
        history: One row an epoch, with the columns epoch, loss_g, loss_d, real_score, fake_score.

    Returns:
        uint8 of shape (H, W, 3).
    """
    figure = Figure(figsize=(11, 4), dpi=144, layout="constrained")
    losses, scores = figure.subplots(1, 2)
    _draw(losses, history, ["loss_g", "loss_d"], "Losses", "mean over the epoch")
    _draw(scores, history, ["real_score", "fake_score"], "Scores", "mean sigmoid output")
    scores.set_ylim(0, 1)
    scores.axhline(0.5, color="#9ca3af", linewidth=1, linestyle=":")
    return render(figure)


def render(figure: Figure) -> np.ndarray:
    """Turn a figure into pixels, uint8 of shape (H, W, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(axes: Axes, history: pd.DataFrame, columns: list[str], title: str, unit: str) -> None:
    # One epoch alone would be an invisible line.
    marker = "o" if len(history) < 3 else None
    for column in columns:
        axes.plot(
            history["epoch"],
            history[column],
            color=COLORS[column],
            label=NAMES[column],
            marker=marker,
            linewidth=1.6,
        )
    axes.set(title=title, xlabel="epoch", ylabel=unit)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
