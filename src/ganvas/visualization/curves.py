"""Training curves: losses and scores by epoch, as an image and as an interactive plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Readable on white and on black; the report's style replaces it by the page's own colors.
GRAY = "#8a8494"
# Distinguishable with any color vision, on white and in gray print.
COLORS = {
    "loss_g": "#c2410c",
    "loss_d": "#1d4ed8",
    "real_score": "#15803d",
    "fake_score": "#7e22ce",
    "kernel_distance": GRAY,
}
# Names of the lines of a panel.
LABELS = {
    "loss_g": "generator",
    "loss_d": "discriminator",
    "real_score": "real",
    "fake_score": "generated",
    "kernel_distance": "kernel distance",
}
# Columns of the history and unit of each panel, by title.
PANELS = {
    "Losses": (["loss_g", "loss_d"], "mean over the epoch"),
    "Scores": (["real_score", "fake_score"], "mean sigmoid output"),
}
DISTANCE_PANEL = {"Kernel distance to validation images": (["kernel_distance"], "no unit")}
# In pixels: a panel, and the space above it for its title and legend.
PANEL_HEIGHT, TITLE_HEIGHT = 270, 48
# Sigmoid output of a discriminator that can't tell real images from generated ones.
UNDECIDED = 0.5


def draw_curves(history: pd.DataFrame) -> np.ndarray:
    """Draw losses and scores over epochs with matplotlib.

    Args:
        history: One row per epoch, with the columns epoch, loss_g, loss_d, real_score, fake_score.

    Returns:
        uint8 of shape (H, W, 3).

    Example:
        >>> scores = {"real_score": [0.6, 0.7], "fake_score": [0.4, 0.3]}
        >>> losses = {"loss_g": [0.9, 1.0], "loss_d": [1.2, 1.1]}
        >>> draw_curves(pd.DataFrame({"epoch": [1, 2]} | losses | scores)).shape
        (576, 1584, 3)
    """
    # Here, not above: commands that draw nothing do without Matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), dpi=144, layout="constrained")
    # A line of few points is invisible or easily overlooked.
    marker = "o" if len(history) < 3 else None
    for axes, (title, (columns, unit)) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for column in columns:
            style = {"color": COLORS[column], "marker": marker, "linewidth": 1.6}
            axes.plot(history["epoch"], history[column], label=LABELS[column], **style)
        axes.set(title=title, xlabel="epoch", ylabel=unit)
        axes.grid(color="#e5e7eb", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    # `axes` is the panel of scores: sigmoid outputs.
    axes.set_ylim(0, 1)
    axes.axhline(UNDECIDED, color="#9ca3af", linewidth=1, linestyle=":")
    return render(figure)


def render(figure: Figure) -> np.ndarray:
    """Render a matplotlib figure to pixels, uint8 of shape (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def plot_curves(history: pd.DataFrame) -> go.Figure:
    """Plot losses, scores and, where measured, kernel distances over epochs with Plotly.

    Args:
        history: One row per epoch, with the columns epoch, loss_g, loss_d, real_score, fake_score
            and optionally kernel_distance.

    Returns:
        A figure whose panels share the epoch axis, so that they zoom together.

    Example:
        >>> scores = {"real_score": [0.6, 0.7], "fake_score": [0.4, 0.3]}
        >>> losses = {"loss_g": [0.9, 1.0], "loss_d": [1.2, 1.1]}
        >>> figure = plot_curves(pd.DataFrame({"epoch": [1, 2]} | losses | scores))
        >>> [line.name for line in figure.data][:2]
        ['generator', 'discriminator']
    """
    panels = PANELS
    if "kernel_distance" in history and history["kernel_distance"].notna().any():
        panels = panels | DISTANCE_PANEL
    height = len(panels) * (PANEL_HEIGHT + TITLE_HEIGHT) - TITLE_HEIGHT
    figure = make_subplots(
        rows=len(panels),
        shared_xaxes=True,
        vertical_spacing=TITLE_HEIGHT / height,
        subplot_titles=list(panels),
    )
    for row, (columns, unit) in enumerate(panels.values(), 1):
        legend = f"legend{row}" if row > 1 else "legend"
        for column in columns:
            measured = history[history[column].notna()]
            figure.add_scatter(
                x=measured["epoch"],
                y=measured[column],
                name=LABELS[column],
                mode="lines" if len(measured) > 30 else "lines+markers",
                line={"color": COLORS[column], "width": 2},
                legend=legend,
                showlegend=len(columns) > 1,
                row=row,
                col=1,
            )
        figure.update_yaxes(title_text=unit, row=row, col=1)
        # Above the panel, on the right: its title is on the left.
        top = figure.layout[f"yaxis{row}"].domain[1]
        place = {"x": 1, "xanchor": "right", "y": top, "yanchor": "bottom", "orientation": "h"}
        figure.update_layout({legend: place})
    figure.update_annotations(x=0, xanchor="left", yshift=6)
    figure.update_yaxes(range=[0, 1], row=2, col=1)
    figure.add_hline(UNDECIDED, line={"color": GRAY, "width": 1, "dash": "dot"}, row=2, col=1)
    figure.update_xaxes(title_text="epoch", row=len(panels), col=1)
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(gridcolor="rgba(138, 132, 148, 0.25)", zeroline=False)
    margin = {"l": 60, "r": 10, "t": TITLE_HEIGHT, "b": 45}
    figure.update_layout(
        height=height + margin["t"] + margin["b"],
        template="none",
        hovermode="x unified",
        margin=margin,
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": GRAY},
    )
    return figure
