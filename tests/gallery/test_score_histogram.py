"""The layout of the score histogram."""

import numpy as np

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
    assert [label for _, label in histogram.ticks] == ["-3.0", "3.0"]
