import numpy as np
import pytest
from scipy.stats import entropy

from ganvas.errors import GanvasError
from ganvas.metrics.inception_score import inception_score


def test_agrees_with_a_naive_loop():
    probabilities = np.random.default_rng(0).dirichlet([0.3] * 7, 53)
    scores = []
    for split in np.array_split(probabilities, 4):
        marginal = split.mean(axis=0)
        scores.append(np.exp(np.mean([entropy(row, marginal) for row in split])))
    score = inception_score(probabilities.astype(np.float32), splits=4)
    assert score == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-5)


def test_the_score_is_the_class_count_for_confident_varied_predictions_and_else_1():
    assert inception_score(np.tile(np.eye(5), (20, 1)), splits=4) == pytest.approx((5, 0))
    assert inception_score(np.full((40, 5), 0.2), splits=4) == pytest.approx((1, 0))
    assert inception_score(np.tile(np.eye(5)[:1], (40, 1)), splits=4) == pytest.approx((1, 0))


def test_too_few_images_are_rejected():
    with pytest.raises(GanvasError, match="3 images can't be cut into 10 splits"):
        inception_score(np.full((3, 2), 0.5))
