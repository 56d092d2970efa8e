"""The evaluation's nodes that compare features, on features made up here."""

import numpy as np
import pytest

from ganvas.metrics.features import load_extractor
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.manifold import compare_manifolds
from ganvas.pipelines.evaluate.by_features import Features, measure_distances
from ganvas.pipelines.evaluate.params import EvaluateParams

LENGTH = 1280


def seen(generated, training):
    held_out = np.empty((0, LENGTH), np.float32)
    positions = np.arange(len(training))
    return Features("efficientnet_lite0", generated, training, positions, held_out, positions[:0])


@pytest.fixture(scope="module")
def training():
    return np.random.default_rng(0).gamma(1, 0.5, (60, LENGTH)).astype(np.float32)


def test_as_many_of_each_side_are_compared(training):
    generated = np.random.default_rng(1).gamma(1, 0.6, (25, LENGTH)).astype(np.float32)
    found = measure_distances(seen(generated, training), EvaluateParams())
    real, others = training[:25], training[25:50]
    distance, four = found["frechet_distance"], compare_manifolds(real, generated)
    assert distance["value"] == pytest.approx(frechet_distance(real, generated))
    assert distance["real"] == pytest.approx(frechet_distance(real, others))
    assert [found[name]["value"] for name in four._fields] == list(four)
    assert all("N=25" in figure["protocol"] for figure in found.values())
    assert "subsets of 12" in found["kernel_distance"]["protocol"]


def test_real_pictures_in_place_of_generated_ones_get_what_real_ones_get(training):
    found = measure_distances(seen(training[30:], training), EvaluateParams())
    for figure in found.values():
        assert figure["value"] == figure["real"]
    # A mean over subsets is all but exact, and each of them is not.
    assert found["kernel_distance"]["spread"] > 0


def test_too_few_pictures_have_no_distances(training, caplog):
    assert measure_distances(seen(training[:30], training[:19]), EvaluateParams()) == {}
    assert "9 pictures a side are too few" in caplog.text


def test_no_figure_is_called_by_the_name_of_one_that_papers_can_be_compared_with(training):
    found = measure_distances(seen(training, training), EvaluateParams())
    titles = " ".join(figure["title"] for figure in found.values())
    assert "FD-efficientnet_lite0" in titles and "KD-efficientnet_lite0" in titles
    assert "FID" not in titles and "KID" not in titles and "Inception" not in titles


def test_the_head_tells_a_thousand_classes():
    extractor = load_extractor("efficientnet_lite0")
    features = np.random.default_rng(0).uniform(0, 1, (5, LENGTH)).astype(np.float32)
    kernel, bias = (array.astype(float) for array in extractor.head.get_weights())
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.head.predict(features, verbose=0), expected, rtol=1e-3)
    assert expected.shape == (5, 1000)
