"""Every composition of every style: it occurs, varies, and differs from the others."""

import numpy as np
import pytest

from ganvas.metrics.class_consistency import predict_classes, train_classifier
from ganvas.metrics.feature_extractors import compute_features, load_extractor
from ganvas.sample_collection import STYLES, draw_image
from ganvas.sample_collection.canvas import Composition

COMPOSITIONS = [
    pytest.param(composition, id=composition.__name__)
    for compositions in STYLES.values()
    for composition in compositions
]


def drawn(composition: Composition, seed: int, size: int = 64) -> np.ndarray:
    """Return one image, float (size, size, 3) from 0 to 255."""
    return composition(np.random.default_rng(seed), size).astype(float)


def blocks(image: np.ndarray) -> np.ndarray:
    """Return the mean colors of 16x16 blocks of an image."""
    step = len(image) // 16
    return image.reshape(16, step, 16, step, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_a_composition_depends_on_the_generator_alone(composition):
    assert np.array_equal(drawn(composition, 1), drawn(composition, 1))
    image = composition(np.random.default_rng(1), 64)
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_size_changes_the_level_of_detail_not_the_content(composition):
    for seed in range(4):
        small, large = (blocks(drawn(composition, seed, size)) for size in (64, 160))
        other = blocks(drawn(composition, seed + 100))
        assert np.abs(small - large).mean() < 7
        assert np.abs(small - large).mean() < 0.5 * np.abs(small - other).mean()


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_images_of_one_composition_vary(composition):
    images = np.array([drawn(composition, seed) for seed in range(12)])
    # Root of the mean squared difference of every pair, out of 255.
    gaps = np.sqrt(((images[:, None] - images[None]) ** 2).mean(axis=(2, 3, 4)))
    pairs = gaps[np.triu_indices(len(images), 1)]
    assert pairs.mean() > 40
    assert pairs.min() > 5


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_colors_use_the_range_and_are_not_clipped(composition):
    images = np.array([drawn(composition, seed) for seed in range(8)])
    # Something dark and something light in each image, and hardly a pixel at either end.
    assert (np.ptp(images.mean(axis=3).reshape(8, -1), axis=1) > 30).all()
    assert ((images == 0) | (images == 255)).mean() < 0.15


@pytest.mark.parametrize("style", STYLES)
def test_all_compositions_of_a_style_occur_and_are_drawn_from_the_image_s_generator(style):
    compositions = STYLES[style]
    assert len(set(compositions)) == len(compositions) >= 3
    number = list(STYLES).index(style)
    chosen = []
    for index in range(1, 65):
        rng = np.random.default_rng([0, number, index])
        chosen.append(int(rng.integers(len(compositions))))
        if index % 16 == 0:
            image = compositions[chosen[-1]](rng, 32)
            assert np.array_equal(draw_image(style, index, seed=0, size=32), image)
    # Equal chances: fewer than three in 64 would be rare even for one of five.
    assert np.bincount(chosen, minlength=len(compositions)).min() >= 3


def edges(image: np.ndarray) -> np.ndarray:
    """Return the strength of edges on an 8x8 grid, whatever the colors and left and right, (128,).

    The vector has length 1.
    """
    gray = image.mean(axis=2)
    slopes = np.abs(np.gradient(gray))
    slopes = slopes + slopes[:, :, ::-1]
    strengths = np.sqrt(slopes.reshape(2, 8, 8, 8, 8).mean(axis=(2, 4))).ravel()
    return strengths / np.linalg.norm(strengths)


@pytest.mark.parametrize("style", STYLES)
def test_compositions_of_a_style_differ_in_where_their_edges_are(style):
    found = np.array([[edges(drawn(c, seed)) for seed in range(24)] for c in STYLES[style]])
    centroids = found[:, :16].mean(axis=1)
    distances = np.linalg.norm(found[:, 16:, None] - centroids, axis=3)
    # Each unseen image is closest to the mean of its composition; by chance, a fourth would be.
    correct = distances.argmin(axis=2) == np.arange(len(centroids))[:, None]
    assert correct.mean() > 0.7


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_classifier_tells_the_styles_of_unseen_images():
    images = np.array([draw_image(s, k, seed=0, size=64) for s in STYLES for k in range(1, 33)])
    styles, known = np.arange(len(images)) // 32, np.arange(len(images)) % 32 < 24
    features = compute_features(load_extractor("efficientnet_lite0"), images)
    classifier = train_classifier(features[known], styles[known], len(STYLES), seed=0)
    predicted = predict_classes(classifier, features[~known])
    assert (predicted == styles[~known]).mean() > 0.95
