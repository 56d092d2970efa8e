"""All nodes of evaluation on rectangles, gray images and transparent ones."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.metrics import class_consistency
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.pipelines.evaluate.class_metrics import measure_classes
from ganvas.pipelines.evaluate.diversity import measure_class_diversity
from ganvas.pipelines.evaluate.feature_metrics import extract_features, measure_distances
from ganvas.pipelines.evaluate.memorization import find_nearest_training_images
from ganvas.pipelines.evaluate.nodes import (
    generate_for_evaluation,
    make_leaderboard_entry,
    measure_discriminator_accuracy,
    measure_likelihood,
)
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.evaluate.pyramid_metrics import measure_sliced_wasserstein

CLASS_LIST = {"column": "kind", "names": ["a", "b"]}
SHAPES = [(48, 32, 3), (32, 64, 1), (32, 32, 4)]


def make_collection(shape):
    """Vertical and horizontal stripes with noise, by class."""
    rng = np.random.default_rng(0)
    kinds = ["a", "b"] * 40
    images = rng.integers(0, 90, (80, *shape), np.uint8)
    images[::2, :, ::4] += 150
    images[1::2, ::4] += 150
    index = pd.DataFrame({"kind": kinds, "split": ["train"] * 60 + ["validation"] * 20})
    hashes = [f"{37 * number % 80:02d}" for number in range(80)]
    return Collection(images, index.assign(hash=hashes), pd.DataFrame())


def make_generator(shape):
    height, width, channels = shape
    latents, classes = keras.Input((4,)), keras.Input((2,))
    small = layers.Dense(height // 8 * width // 8 * channels, activation="tanh")
    maps = layers.Reshape((height // 8, width // 8, channels))(
        small(layers.Concatenate()([latents, classes]))
    )
    return keras.Model([latents, classes], layers.UpSampling2D(8)(maps))


def make_discriminator(shape):
    images = keras.Input(shape)
    return keras.Model(images, layers.Dense(1)(layers.GlobalAveragePooling2D()(images)))


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    images = keras.Input((16, 16, 3))
    maps = layers.Conv2D(12, 4, strides=4, activation="relu")(layers.Rescaling(1 / 255)(images))
    file = tmp_path_factory.mktemp("extractor") / "tiny.keras"
    keras.utils.set_random_seed(0)
    keras.Model(images, layers.GlobalAveragePooling2D()(maps)).save(file)
    return str(file)


def evaluate(generator, discriminator, collection, class_list, params):
    """Return all metrics, the generated images with their classes and features, and the sheet."""
    generated, classes = generate_for_evaluation(generator, collection, class_list, params)
    features = extract_features(generated, collection, params)
    nearest, sheet = find_nearest_training_images(generated, features, collection)
    metrics = {
        **measure_distances(features, params),
        **measure_sliced_wasserstein(generated, features, collection, params),
        **nearest,
        **measure_classes(features, classes, collection, class_list, params),
        **measure_class_diversity(generated, classes, features, collection, class_list, params),
        **measure_likelihood(generator, collection, class_list, params),
        **measure_discriminator_accuracy(
            discriminator,
            generated,
            classes,
            collection,
            class_list,
            {"parameters": {"train": {"loss": {"name": "hinge"}}}},
        ),
    }
    return metrics, generated, classes, features, sheet


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, 2])
def test_stylegan2_is_evaluated_by_every_metric(classes, extractor, monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 10)
    narrow = Stylegan2Params(channel_base=128, max_width=8, latent=4, style=4)
    generator, discriminator, *_ = build_stylegan2(narrow, (32, 32, 3), classes)
    # No activation limits images to [-1, 1].
    bias = generator.get_layer("synthesis").get_layer("b32_torgb_bias")
    bias.set_weights([np.full(bias.kernel.shape, 2.0, np.float32)])
    params = EvaluateParams(count=40, real=60, extractor=extractor, parzen=20)
    class_list = CLASS_LIST if classes else {"column": None, "names": []}
    metrics, generated, *_ = evaluate(
        generator, discriminator, make_collection((32, 32, 3)), class_list, params
    )
    assert len(metrics) == (19 if classes else 18)
    assert all(np.isfinite(metric["value"]) for metric in metrics.values())
    assert generated.max() == 255 and generated.mean() > 200


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_every_metric_is_computed_and_says_what_was_compared(shape, extractor, monkeypatch):
    monkeypatch.setattr(class_consistency, "STEPS", 10)
    params = EvaluateParams(count=40, real=60, extractor=extractor, parzen=20)
    metrics, generated, classes, features, sheet = evaluate(
        make_generator(shape), make_discriminator(shape), make_collection(shape), CLASS_LIST, params
    )
    assert generated.shape == (40, *shape)
    assert len(metrics) == 19 and all(np.isfinite(metric["value"]) for metric in metrics.values())
    assert sheet.shape[2] == 3
    seen = metrics["frechet_distance"]["protocol"]
    pixels = [
        metrics[key]["protocol"]
        for key in (
            "nearest_training_distance",
            "sliced_wasserstein_distance",
            "class_diversity_pixels",
            "class_nearest_pixels",
            "parzen_log_likelihood",
        )
    ]
    height, width, channels = shape
    assert ("16×16 pixels, from" in seen) == (height != width)
    assert ("gray repeated" in seen) == (channels == 1)
    assert ("on gray of level 128" in seen) == (channels == 4)
    assert all(("multiplied by alpha" in text) == (channels == 4) for text in pixels)
    assert f"{height}×{width}" in metrics["sliced_wasserstein_distance"]["by_level"]

    history = pd.DataFrame({"epoch": [1], "seconds": [1.0]})
    summary = dict.fromkeys(("dataset", "network", "started"), "x")
    summary |= {"seconds": 1, "epochs": 1, "images_seen": 9, "versions": {"ganvas": "1"}}
    summary["parameters"] = {"train": {"seed": 0, "loss": {"name": "hinge"}}}
    _, grids = make_leaderboard_entry(metrics, summary, generated, classes, features, history)
    (grid,) = grids.values()
    assert grid.shape[2] == 3 and (grid.shape[0] - 2) % (height + 2) == 0


@pytest.mark.parametrize(
    ("generated", "packed", "message"),
    [
        ((48, 32, 3), (32, 32, 3), r"have 32×48 pixels \(rgb\).*ingest.size to \[48, 32\] and run"),
        ((32, 32, 4), (32, 32, 3), r"\(rgba\).*32×32 pixels \(rgb\): set ingest.channels to rgba"),
        ((32, 32, 1), (64, 64, 3), r"set ingest.size to 32 and ingest.channels to gray and run"),
    ],
)
def test_a_generator_of_another_shape_is_refused(generated, packed, message):
    arguments = make_generator(generated), make_collection(packed), CLASS_LIST, EvaluateParams()
    with pytest.raises(GanvasError, match=message):
        generate_for_evaluation(*arguments)
