"""The node that checks for memorized training images, on random images."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.collection import Collection
from ganvas.metrics.feature_extractors import FeatureExtractor
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.memorization import find_nearest_training_images

EXTRACTOR = FeatureExtractor("numbers", 8, 1, keras.Sequential(), None)
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
SPLITS = ["train", "validation", "train"] * 4
# Not the order of the images.
HASHES = [f"{7 * number % 12:02d}" for number in range(12)]


def make_collection(splits=SPLITS, images=IMAGES):
    index = pd.DataFrame({"split": splits, "hash": HASHES})
    return Collection(images, index, pd.DataFrame())


def without_features():
    empty, positions = np.empty((0, 0), np.float32), np.empty(0, int)
    return Features(None, empty, empty, positions, empty, positions)


def with_features(positions):
    """Features equal to an image's position; generated images are nearest to the last ones."""
    training = positions[:, None].astype(np.float32)
    validation = np.array([[0.5], [2.5]], np.float32)
    generated = np.full((4, 1), 10.5, np.float32)
    return Features(EXTRACTOR, generated, training, positions, validation, np.arange(2))


def rms(a, b):
    return np.sqrt(((a.astype(float) - b) ** 2).mean())


def test_a_copy_comes_first_above_its_original():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    generated[2] = np.clip(IMAGES[5].astype(int) + 3, 0, 255)
    # A copy of a validation image is no memorized training image.
    generated[3] = IMAGES[1]
    metrics, sheet = find_nearest_training_images(generated, without_features(), make_collection())
    training = [number for number, split in enumerate(SPLITS) if split == "train"]
    nearest = [min(rms(image, IMAGES[k]) for k in training) for image in generated]
    (metric,) = metrics.values()
    assert metric["value"] == pytest.approx(np.mean(nearest))
    baseline = [
        min(rms(IMAGES[number], IMAGES[k]) for k in training)
        for number, split in enumerate(SPLITS)
        if split == "validation"
    ]
    assert metric["real"] == pytest.approx(np.mean(baseline))
    # The first of four columns: the copy, and below it its original.
    left = sheet.shape[1] - 4 * 10
    np.testing.assert_array_equal(sheet[2:10, left : left + 8], generated[2])
    np.testing.assert_array_equal(sheet[12:20, left : left + 8], IMAGES[5])


def test_features_add_a_row_and_a_metric():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    collection = make_collection()
    features = with_features(collection.split("train"))
    _, pixels_only = find_nearest_training_images(generated, without_features(), collection)
    metrics, sheet = find_nearest_training_images(generated, features, collection)
    assert sheet.shape[0] == pixels_only.shape[0] + 10
    metric = metrics["nearest_training_features"]
    # 10.5 is nearest to 11, and .5 and 2.5 are nearest to 0 and 2 or 3.
    assert (metric["value"], metric["real"]) == (0.5, 0.5)
    assert "features of numbers" in metric["protocol"]
    np.testing.assert_array_equal(sheet[22:30, -10:-2], IMAGES[11])


def test_the_sheet_names_the_number_of_features_if_they_are_a_subset():
    large = make_collection(images=IMAGES.repeat(8, axis=1).repeat(8, axis=2))
    generated, training = large.images[:4] // 2, large.split("train")
    _, whole = find_nearest_training_images(generated, with_features(training), large)
    metrics, subset = find_nearest_training_images(generated, with_features(training[:5]), large)
    assert "the nearest of 5, " in metrics["nearest_training_features"]["protocol"]
    # The name of its row is longer, and so the margin of the sheet wider.
    assert subset.shape[1] > whole.shape[1]


def test_a_subset_of_the_validation_split_is_not_its_first_images():
    generated = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    metrics, _ = find_nearest_training_images(generated, without_features(), make_collection())
    validation = [number for number in range(12) if SPLITS[number] == "validation"]
    validation.sort(key=HASHES.__getitem__)
    training = [number for number in range(12) if SPLITS[number] == "train"]
    baseline = [min(rms(IMAGES[n], IMAGES[k]) for k in training) for n in validation[:2]]
    assert validation[:2] != [1, 4]
    assert metrics["nearest_training_distance"]["real"] == pytest.approx(np.mean(baseline))


def test_without_validation_images_there_is_no_baseline():
    generated = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    collection = make_collection(["train"] * 12)
    metrics, _ = find_nearest_training_images(generated, without_features(), collection)
    assert metrics["nearest_training_distance"]["real"] is None
