"""Plots for the screen, which can be zoomed and read point by point."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ganvas.visualization.curves import COLORS, NAMES

PANEL_HEIGHT = 300
# Readable on white and on black; the report's style puts the page's own colors in its place.
GRAY = "#8a8494"


def plot_curves(history: pd.DataFrame) -> go.Figure:
    """Plot losses, scores and, where epochs were judged, kernel distances over epochs.

    Args:
        history: One row an epoch, with the columns epoch, loss_g, loss_d, real_score, fake_score
            and maybe kernel_distance.

    Returns:
        A figure whose panels share their axis of epochs, so that all zoom together.
    """
    panels = {
        "Losses": (["loss_g", "loss_d"], "mean over the epoch"),
        "Scores": (["real_score", "fake_score"], "mean sigmoid output"),
    }
    distances = history.get("kernel_distance", pd.Series(dtype=float))
    if distances.notna().any():
        panels["Kernel distance to held-out images"] = (["kernel_distance"], "no unit")
    figure = make_subplots(
        len(panels), 1, shared_xaxes=True, vertical_spacing=0.08, subplot_titles=list(panels)
    )
    for row, (columns, unit) in enumerate(panels.values(), 1):
        for column in columns:
            shown = history[history[column].notna()]
            figure.add_scatter(
                x=shown["epoch"],
                y=shown[column],
                name=NAMES.get(column, "kernel distance"),
                # Few points would be lost as a line.
                mode="lines" if len(shown) > 30 else "lines+markers",
                line={"color": COLORS.get(column, GRAY), "width": 2},
                row=row,
                col=1,
            )
        figure.update_yaxes(title_text=unit, row=row, col=1)
    figure.update_yaxes(range=[0, 1], row=2, col=1)
    figure.update_xaxes(title_text="epoch", row=len(panels), col=1)
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(gridcolor="rgba(138, 132, 148, 0.25)", zeroline=False)
    figure.update_layout(
        height=PANEL_HEIGHT * len(panels) + 90,
        template="none",
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.12, "yref": "paper"},
        margin={"l": 60, "r": 20, "t": 70, "b": 60},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": GRAY},
    )
    return figure
