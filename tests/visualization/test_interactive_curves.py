import numpy as np
import pandas as pd
import pytest

from ganvas.visualization.interactive_curves import plot_curves


@pytest.fixture
def history():
    rows = np.random.default_rng(0).random((50, 4))
    columns = ["loss_g", "loss_d", "real_score", "fake_score"]
    return pd.DataFrame(rows, columns=columns).assign(epoch=range(1, 51))


def test_every_curve_has_its_values(history):
    curves = {curve.name: curve for curve in plot_curves(history).data}
    assert set(curves) == {
        "generator loss",
        "discriminator loss",
        "score of real images",
        "score of generated images",
    }
    np.testing.assert_array_equal(curves["discriminator loss"].y, history["loss_d"])
    np.testing.assert_array_equal(curves["score of real images"].x, history["epoch"])


def test_judged_epochs_alone_have_a_distance(history):
    distances = pd.Series(np.nan, range(50))
    assert len(plot_curves(history.assign(kernel_distance=distances)).data) == 4
    distances[[9, 19]] = 0.5, 0.25
    curve = plot_curves(history.assign(kernel_distance=distances)).data[-1]
    assert (list(curve.x), list(curve.y)) == ([10, 20], [0.5, 0.25])
    # Two points make a line that is easily overlooked.
    assert curve.mode == "lines+markers"


def test_panels_have_titles_and_units_and_zoom_together(history):
    layout = plot_curves(history).layout
    assert [each.text for each in layout.annotations] == ["Losses", "Scores"]
    assert "mean" in layout.yaxis.title.text and "sigmoid" in layout.yaxis2.title.text
    assert layout.xaxis2.title.text == "epoch" and layout.xaxis.matches == "x2"
