import numpy as np
import pytest

from ganvas.arrays import ConvertedImages
from ganvas.metrics import nearest_neighbors, pairwise
from ganvas.metrics.nearest_neighbors import find_nearest_features, find_nearest_images


@pytest.mark.parametrize("chunk", [3, 512])
def test_agrees_with_a_naive_loop(monkeypatch, chunk):
    monkeypatch.setattr(nearest_neighbors, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (17, 8, 8, 3), dtype=np.uint8)
    queries = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    positions = np.array([0, 2, 3, 5, 8, 9, 10, 16])
    nearest, distances = find_nearest_images(queries, images, positions)
    for query, position, distance in zip(queries, nearest, distances, strict=True):
        naive = {
            candidate: np.sqrt(((query.astype(float) - images[candidate]) ** 2).mean())
            for candidate in positions
        }
        assert position == min(naive, key=naive.get)
        assert distance == pytest.approx(min(naive.values()))


def test_a_copy_is_found_at_distance_zero():
    images = np.random.default_rng(1).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    nearest, distances = find_nearest_images(images[[4]], images, np.arange(9))
    assert nearest.tolist() == [4] and distances.tolist() == [0.0]


def test_large_images_are_averaged_and_queries_only_once(monkeypatch):
    monkeypatch.setattr(nearest_neighbors, "MAX_PIXELS", 8 * 12)
    monkeypatch.setattr(nearest_neighbors, "CHUNK", 2)
    rng, converted = np.random.default_rng(2), []
    images = rng.integers(0, 256, (7, 16, 24, 1), dtype=np.uint8)
    queries = rng.integers(0, 256, (3, 16, 24, 1), dtype=np.uint8)

    def convert(pixels):
        converted.append(len(pixels))
        return pixels

    source = ConvertedImages(queries, convert)
    nearest, distances = find_nearest_images(source, images, np.arange(7))
    assert sum(converted) <= 1 + len(queries) + 1  # Two images of zeros tell the shape.
    means = [np.rint(x.reshape(-1, 8, 2, 12, 2).mean((2, 4))) for x in (queries, images)]
    naive = np.sqrt(((means[0][:, None] - means[1][None]) ** 2).mean((2, 3)))
    np.testing.assert_array_equal(nearest, naive.argmin(1))
    np.testing.assert_allclose(distances, naive.min(1))


def test_distances_are_in_gray_levels():
    black, gray = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 10, np.uint8)
    assert find_nearest_images(black, gray, np.array([0]))[1] == pytest.approx([10.0])


@pytest.mark.parametrize("chunk", [1, 4, 2048])
def test_nearest_features_agree_with_a_naive_loop(monkeypatch, chunk):
    monkeypatch.setattr(pairwise, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    queries, features = rng.normal(size=(9, 5)), rng.normal(size=(11, 5)).astype(np.float32)
    expected = np.array([[np.sqrt(((q - f) ** 2).sum()) for f in features] for q in queries])
    nearest, distances = find_nearest_features(queries, features)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1))
