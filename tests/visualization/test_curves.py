import numpy as np
import pandas as pd
import pytest

from ganvas.visualization.curves import COLORS, draw_curves, plot_curves

COLUMNS = ["loss_g", "loss_d", "real_score", "fake_score"]


@pytest.fixture
def history():
    values = np.random.default_rng(0).random((50, 4))
    return pd.DataFrame(values, columns=COLUMNS).assign(epoch=range(1, 51))


def find(pixels: np.ndarray, color: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a color."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return np.nonzero(np.abs(pixels.astype(int) - rgb).max(-1) < 24)


def test_drawn_curves_follow_their_values():
    up = np.linspace(0, 1, 30)
    signs = dict(zip(COLUMNS, (1, -1, 1, -1), strict=True))
    table = pd.DataFrame({name: up if sign > 0 else 1 - up for name, sign in signs.items()})
    pixels = draw_curves(table.assign(epoch=range(1, 31)))
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    for name, sign in signs.items():
        rows, columns = find(pixels, COLORS[name])
        # The legend has a little of the color too. Rows count downwards.
        assert np.ptp(columns) > 0.25 * pixels.shape[1]
        assert sign * np.corrcoef(rows, columns)[0, 1] < -0.5


def test_a_single_epoch_is_visible():
    values = np.random.default_rng(0).random((1, 4))
    table = pd.DataFrame(values, columns=COLUMNS).assign(epoch=1, loss_g=0.9, loss_d=0.1)
    tables = table, table.assign(loss_g=np.nan)
    visible, missing = (len(find(draw_curves(x), COLORS["loss_g"])[0]) for x in tables)
    assert visible - missing > 50


def test_plotted_curves_have_the_values_of_the_history(history):
    curves = {curve.name: curve for curve in plot_curves(history).data}
    assert set(curves) == {
        "generator",
        "discriminator",
        "real",
        "generated",
    }
    np.testing.assert_array_equal(curves["discriminator"].y, history["loss_d"])
    np.testing.assert_array_equal(curves["real"].x, history["epoch"])


def test_kernel_distance_is_plotted_only_for_epochs_that_measured_it(history):
    distances = pd.Series(np.nan, range(50))
    assert len(plot_curves(history.assign(kernel_distance=distances)).data) == 4
    distances[[9, 19]] = 0.5, 0.25
    curve = plot_curves(history.assign(kernel_distance=distances)).data[-1]
    assert (list(curve.x), list(curve.y)) == ([10, 20], [0.5, 0.25])
    # A line of two points is easily overlooked.
    assert curve.mode == "lines+markers"


def test_plotted_panels_have_titles_and_units_and_zoom_together(history):
    layout = plot_curves(history).layout
    assert [title.text for title in layout.annotations] == ["Losses", "Scores"]
    assert "mean" in layout.yaxis.title.text and "sigmoid" in layout.yaxis2.title.text
    assert layout.xaxis2.title.text == "epoch" and layout.xaxis.matches == "x2"


def test_each_plotted_panel_has_its_legend_above_it_and_scores_a_line_at_a_half(history):
    figure = plot_curves(history)
    legends = {line.name: line.legend for line in figure.data}
    assert legends["generator"] == legends["discriminator"] != legends["real"]
    assert figure.layout[legends["real"]].y == figure.layout.yaxis2.domain[1]
    assert figure.layout[legends["generator"]].y == figure.layout.yaxis.domain[1]
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1, line.yref) == (0.5, 0.5, "y2")
