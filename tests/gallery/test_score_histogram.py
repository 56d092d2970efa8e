"""The layout of the score histogram."""

import numpy as np
import pytest

from ganvas.gallery.discriminator_scores import ScoreResult
from ganvas.gallery.score_histogram import HEIGHT, WIDTH, layout_histogram


def test_bars_are_frequencies_of_each_kind_and_the_mark_is_the_score():
    real, generated = np.array([1.0, 1.0, 3.0]), np.array([-3.0, -1.0])
    result = ScoreResult(0.0, real, generated, np.zeros((2, 2, 3), np.uint8))
    histogram = layout_histogram(result)
    heights = {bar.height for bar in histogram.bars if bar.kind == "real"}
    assert heights == {HEIGHT, HEIGHT / 2}
    assert {bar.height for bar in histogram.bars if bar.kind == "generated"} == {HEIGHT * 0.75}
    assert histogram.mark == WIDTH / 2
    assert [label for _, label in histogram.x_ticks] == ["-3", "-2", "-1", "0", "1", "2", "3"]
    assert histogram.x_ticks[3].position == WIDTH / 2
    # The highest bar has two thirds of the real images.
    assert [label for _, label in histogram.y_ticks] == ["0 %", "20 %", "40 %", "60 %"]
    assert histogram.y_ticks[0].position == HEIGHT
    assert histogram.y_ticks[3].position == pytest.approx(HEIGHT * (1 - 0.6 / (2 / 3)), abs=0.1)


def test_axes_have_round_numbers():
    scores = np.array([0.013, 0.021])
    result = ScoreResult(0.017, scores, scores, np.zeros((2, 2, 3), np.uint8))
    labels = [label for _, label in layout_histogram(result).x_ticks]
    assert labels == ["0.014", "0.016", "0.018", "0.020"]
    same = ScoreResult(2.0, np.array([2.0]), np.array([2.0]), np.zeros((2, 2, 3), np.uint8))
    assert layout_histogram(same).x_ticks == [(WIDTH / 2, "2.0000000")]
