"""The node of the perceptual path length, on a StyleGAN2 without training."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.metrics.perceptual_path_length import (
    load_feature_maps,
    measure_distances,
    perceptual_path_length,
)
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import one_hot, sample_labels
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.pipelines.evaluate.latent_paths import measure_path_length
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.visualization.metric_table import format_heading

STYLES = ["Op", "Pop", "Pop", "Pop", ""]
NO_CLASSES = {"column": None, "names": []}
CLASSES = {"column": "style", "names": ["Op", "Pop"]}
COLLECTION = Collection(
    np.zeros((5, 32, 32, 3), np.uint8),
    pd.DataFrame({"style": STYLES, "split": "train", "hash": list("abcde")}),
    pd.DataFrame(),
)


def test_it_is_measured_in_both_spaces_with_the_classes_of_the_evaluation():
    narrow = Stylegan2Params(channel_base=128, max_width=8, latent=4, style=4)
    generator = build_stylegan2(narrow, (32, 32, 3), classes=2).generator
    params = EvaluateParams(path_pairs=3, seed=5, extractor="efficientnet_lite0")
    metrics = measure_path_length(generator, COLLECTION, CLASSES, params)
    assert list(metrics) == ["perceptual_path_length_z_end", "perceptual_path_length_w_end"]
    labels = one_hot(sample_labels(np.array([0, 1, 1, 1]), 3, 5), 2)
    maps = load_feature_maps("efficientnet_lite0", (32, 32, 3))
    for space in ("z", "w"):
        entry = metrics[f"perceptual_path_length_{space}_end"]
        expected = perceptual_path_length(measure_distances(generator, maps, labels, space, seed=5))
        assert (entry["value"], entry["spread"]) == pytest.approx(tuple(expected))
        assert entry["real"] is None and entry["value"] > 0
        assert "N=3" in entry["protocol"] and "not LPIPS" in entry["protocol"]
    title = metrics["perceptual_path_length_w_end"]["title"]
    assert title == "Perceptual path length in W, ends (PPL-efficientnet_lite0)"
    heading = format_heading("perceptual_path_length_w_end", title)
    assert heading == "Perceptual path length in W, ends ↓"


def build_generator(scale: float, latent: int = 2) -> keras.Model:
    latents = keras.Input((latent,))
    x = keras.layers.Reshape((32, 32, 3))(keras.layers.Dense(3072)(scale * latents))
    return keras.Model(latents, x)


def test_other_networks_are_measured_between_latents_and_by_maps_of_an_efficientnet():
    # Of InceptionV3 no feature maps are known; its weights are not needed here.
    params = EvaluateParams(path_pairs=1, path_sampling="full", extractor="InceptionV3")
    metrics = measure_path_length(build_generator(1.0), COLLECTION, NO_CLASSES, params)
    (entry,) = metrics.values()
    assert list(metrics) == ["perceptual_path_length_z_full"]
    assert entry["title"] == ("Perceptual path length in Z, full paths (PPL-efficientnet_lite2)")
    # A standard error needs two pairs.
    assert entry["spread"] is None and entry["value"] > 0


@pytest.mark.parametrize(("scale", "latent"), [(np.inf, 2), (1.0, 1)])
def test_what_can_not_be_measured_is_left_out_with_a_warning(scale, latent, caplog):
    params = EvaluateParams(path_pairs=2, extractor="efficientnet_lite0")
    generator = build_generator(scale, latent)
    assert measure_path_length(generator, COLLECTION, NO_CLASSES, params) == {}
    assert "length in Z is left out" in caplog.text


def test_it_is_off_by_default_and_needs_an_extractor():
    assert measure_path_length(None, COLLECTION, NO_CLASSES, EvaluateParams()) == {}
    with pytest.raises(ValueError, match="path_pairs is 5, but extractor is null"):
        EvaluateParams(path_pairs=5, extractor=None)


def test_classes_of_another_collection_are_refused():
    params = EvaluateParams(path_pairs=2)
    with pytest.raises(GanvasError, match="artist"):
        measure_path_length(None, COLLECTION, {"column": "artist", "names": ["Ada"]}, params)
