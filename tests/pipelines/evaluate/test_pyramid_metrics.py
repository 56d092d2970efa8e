"""The node of the sliced Wasserstein distance, on noise."""

import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from ganvas.pipelines.evaluate.feature_metrics import extract_features
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.evaluate.pyramid_metrics import measure_sliced_wasserstein

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
SPLITS = ["train"] * 40 + ["validation"] * 20
GENERATED = np.random.default_rng(1).integers(0, 128, (20, 16, 16, 3), np.uint8)


def measure(generated, **params):
    index = pd.DataFrame({"split": SPLITS, "hash": [f"{number:02d}" for number in range(60)]})
    collection = Collection(IMAGES, index, pd.DataFrame())
    params = EvaluateParams(extractor=None, count=len(generated), **params)
    features = extract_features(generated, collection, params)
    metrics = measure_sliced_wasserstein(generated, features, collection, params)
    return metrics.get("sliced_wasserstein_distance"), features.training_positions


def test_halves_are_compared_without_an_extractor():
    metric, positions = measure(GENERATED)
    real, others = IMAGES[positions[:20]], IMAGES[positions[20:]]
    assert metric["by_level"] == sliced_wasserstein_by_level(real, GENERATED)
    assert metric["value"] == metric["by_level"]["16×16"]
    assert metric["real"] == sliced_wasserstein_by_level(real, others)["16×16"]
    assert "(16×16), 128 patches of 7×7 pixels" in metric["protocol"]
    assert "N=20 a side, training split" in metric["protocol"]


@pytest.mark.parametrize("count", [20, 35])
def test_papers_compare_all_and_have_a_baseline_of_as_many_images_only(count):
    generated = np.concatenate([GENERATED, GENERATED])[:count]
    metric, positions = measure(generated, protocol="all", real=10)
    expected = sliced_wasserstein_by_level(IMAGES[positions], generated)["16×16"]
    assert len(positions) == 40 and metric["value"] == expected
    assert f"N={count} generated images and all M=40" in metric["protocol"]
    assert (metric["real"] is not None) == (count == 20)


def test_too_few_images_are_named_once(caplog):
    assert measure(GENERATED[:9])[0] is None
    assert [record.message for record in caplog.records] == [
        "9 images a side (evaluate.count=9) are too few to compare their distributions, which "
        "needs 10: raise evaluate.count."
    ]
