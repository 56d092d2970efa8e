import numpy as np
import pandas as pd

from ganvas.visualization.curves import COLORS, draw_curves


def find(pixels: np.ndarray, color: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what has a color."""
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return np.nonzero(np.abs(pixels.astype(int) - wanted).max(-1) < 24)


def test_every_curve_goes_where_its_values_do():
    up = np.linspace(0, 1, 30)
    signs = {"loss_g": 1, "loss_d": -1, "real_score": 1, "fake_score": -1}
    table = pd.DataFrame({name: up if sign > 0 else 1 - up for name, sign in signs.items()})
    pixels = draw_curves(table.assign(epoch=range(1, 31)))
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    for name, sign in signs.items():
        rows, columns = find(pixels, COLORS[name])
        # The legend has a little of the color too. Rows count downwards.
        assert np.ptp(columns) > 0.25 * pixels.shape[1]
        assert sign * np.corrcoef(rows, columns)[0, 1] < -0.5


def test_one_epoch_is_seen():
    rows = np.random.default_rng(0).random((1, 4))
    table = pd.DataFrame(rows, columns=list(COLORS)).assign(epoch=1, loss_g=0.9, loss_d=0.1)
    tables = table, table.assign(loss_g=np.nan)
    seen, unseen = (len(find(draw_curves(each), COLORS["loss_g"])[0]) for each in tables)
    assert seen - unseen > 50
