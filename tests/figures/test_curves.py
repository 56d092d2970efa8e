import numpy as np
import pandas as pd

from ganvas.figures.curves import COLOURS, draw_curves


def history(epochs: int) -> pd.DataFrame:
    rows = np.random.default_rng(0).random((epochs, 4))
    return pd.DataFrame(rows, columns=list(COLOURS)).assign(epoch=range(1, epochs + 1))


def has_colour(pixels: np.ndarray, colour: str) -> bool:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels.astype(int) - wanted).max(-1) < 24).sum() > 20)


def test_every_curve_is_drawn():
    pixels = draw_curves(history(30))
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    assert all(has_colour(pixels, colour) for colour in COLOURS.values())


def test_one_epoch_is_seen():
    table = history(1).assign(loss_g=0.9, loss_d=0.1)
    with_point = draw_curves(table)
    without = draw_curves(table.assign(loss_g=np.nan))
    assert (with_point != without).any()
