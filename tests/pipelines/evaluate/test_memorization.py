"""The evaluation's node that looks for copies, on images made up here."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.features import Extractor
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.memorization import find_nearest_training_images

EXTRACTOR = Extractor("numbers", 8, 1, keras.Sequential(), None)
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
SPLITS = ["train", "validation", "train"] * 4
# Not the order of the images.
HASHES = [f"{7 * number % 12:02d}" for number in range(12)]


def collect(splits=SPLITS, images=IMAGES):
    index = pd.DataFrame({"split": splits, "hash": HASHES})
    return Collection(images, index, pd.DataFrame())


def without_features():
    nothing, positions = np.empty((0, 0), np.float32), np.empty(0, int)
    return Features(None, nothing, nothing, positions, nothing, positions)


def with_features(training):
    """Features that are the position of an image, the last ones nearest to generated ones."""
    seen = training[:, None].astype(np.float32)
    held_out = np.array([[0.5], [2.5]], np.float32)
    generated = np.full((4, 1), 10.5, np.float32)
    return Features(EXTRACTOR, generated, seen, training, held_out, np.arange(2))


def rms(some, other):
    return np.sqrt(((some.astype(float) - other) ** 2).mean())


def test_a_copy_comes_first_above_its_original():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    generated[2] = np.clip(IMAGES[5].astype(int) + 3, 0, 255)
    # A copy of a held-out image is no copy.
    generated[3] = IMAGES[1]
    metrics, sheet = find_nearest_training_images(generated, without_features(), collect())
    training = [number for number, split in enumerate(SPLITS) if split == "train"]
    nearest = [min(rms(image, IMAGES[k]) for k in training) for image in generated]
    (found,) = metrics.values()
    assert found["value"] == pytest.approx(np.mean(nearest))
    own = [
        min(rms(IMAGES[number], IMAGES[k]) for k in training)
        for number, split in enumerate(SPLITS)
        if split == "validation"
    ]
    assert found["real"] == pytest.approx(np.mean(own))
    # The first of four columns: the copy, and below it what it was copied from.
    left = sheet.shape[1] - 4 * 10
    np.testing.assert_array_equal(sheet[2:10, left : left + 8], generated[2])
    np.testing.assert_array_equal(sheet[12:20, left : left + 8], IMAGES[5])


def test_features_have_a_row_and_a_figure_of_their_own():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    training = collect().split("train")
    _, plain = find_nearest_training_images(generated, without_features(), collect())
    metrics, sheet = find_nearest_training_images(generated, with_features(training), collect())
    assert sheet.shape[0] == plain.shape[0] + 10
    found = metrics["nearest_training_features"]
    # 10.5 lies nearest to 11, and .5 and 2.5 to 0 and 2 or 3.
    assert (found["value"], found["real"]) == (0.5, 0.5)
    assert "features of numbers" in found["protocol"]
    np.testing.assert_array_equal(sheet[22:30, -10:-2], IMAGES[11])


def test_some_training_images_features_are_told_as_some():
    large = collect(images=IMAGES.repeat(8, axis=1).repeat(8, axis=2))
    generated, training = large.images[:4] // 2, large.split("train")
    _, whole = find_nearest_training_images(generated, with_features(training), large)
    metrics, part = find_nearest_training_images(generated, with_features(training[:5]), large)
    assert "the nearest of 5, " in metrics["nearest_training_features"]["protocol"]
    # Its row has the longer name, and so the sheet a wider margin.
    assert part.shape[1] > whole.shape[1]


def test_fewer_held_out_images_are_not_the_first_of_the_list():
    generated = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    metrics, _ = find_nearest_training_images(generated, without_features(), collect())
    held_out = sorted((n for n in range(12) if SPLITS[n] == "validation"), key=HASHES.__getitem__)
    training = [n for n in range(12) if SPLITS[n] == "train"]
    own = [min(rms(IMAGES[n], IMAGES[k]) for k in training) for n in held_out[:2]]
    assert held_out[:2] != [1, 4]
    assert metrics["nearest_training_distance"]["real"] == pytest.approx(np.mean(own))


def test_without_held_out_images_there_is_nothing_to_compare_with():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    metrics, _ = find_nearest_training_images(
        generated, without_features(), collect(["train"] * 12)
    )
    assert metrics["nearest_training_distance"]["real"] is None
