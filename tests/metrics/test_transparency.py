"""Metrics of gray and transparent images and of rectangles, without a feature extractor."""

import numpy as np
import pytest

from ganvas.metrics import nearest_neighbors, sliced_wasserstein
from ganvas.metrics.class_diversity import class_distances, coarse_colors
from ganvas.metrics.nearest_neighbors import find_nearest_images, reduction_factor
from ganvas.metrics.pairwise import mean_image_distance
from ganvas.metrics.parzen import parzen
from ganvas.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from ganvas.metrics.transparency import for_extractor, for_pixels

H, W = 40, 24


def make_sprites(count, seed, hidden=255):
    """Disks of one color on transparent ground of another one, which nobody sees."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:H, :W]
    sprites = np.full((count, H, W, 4), hidden, np.uint8)
    for sprite in sprites:
        y, x = rng.uniform(8, 16, 2)
        disk = (rows - y) ** 2 + (columns - x) ** 2 < 60
        sprite[disk, :3], sprite[..., 3] = rng.integers(0, 256, 3), 255 * disk
    return sprites


def make_gray(count, seed):
    return make_sprites(count, seed)[..., 3:] // 2


def measure(images, others):
    """All metrics of pixels of two sides."""
    images, others = for_pixels(images), for_pixels(others)
    positions = np.arange(len(others))
    return np.hstack(
        [
            *sliced_wasserstein_by_level(images, others, patches=8).values(),
            *find_nearest_images(images, others, positions),
            parzen(images, others, others).mean,
            class_distances(images, np.arange(len(images)) % 2, mean_image_distance, 2)[1],
            coarse_colors(images).ravel(),
        ]
    )


def test_the_color_of_transparent_pixels_changes_no_metric():
    others = make_sprites(6, seed=1)
    white, black = (measure(make_sprites(6, 0, hidden), others) for hidden in (255, 0))
    np.testing.assert_array_equal(white, black)
    seen = [for_extractor(make_sprites(6, 0, hidden)) for hidden in (255, 0)]
    np.testing.assert_array_equal(*seen)
    # Alpha alone is seen, whatever the color.
    faint = make_sprites(6, seed=0)
    faint[..., 3] //= 2
    assert (measure(faint, others) != white).any()


def test_white_and_black_sprites_differ_from_their_ground():
    sprites = make_sprites(2, seed=0)
    sprites[0, ..., :3], sprites[1, ..., :3] = 255, 0
    seen, inside = for_extractor(sprites), sprites[..., 3] == 255
    assert (seen[0][inside[0]] == 255).all() and (seen[1][inside[1]] == 0).all()
    assert (seen[~inside] == 128).all()


def test_gray_images_have_the_distances_of_equal_channels():
    gray, others = make_gray(6, seed=0), make_gray(6, seed=1)
    three = [np.repeat(images, 3, axis=-1) for images in (gray, others)]
    positions = np.arange(6)
    for one, three_channels in (
        (find_nearest_images(gray, others, positions), find_nearest_images(*three, positions)),
        ([mean_image_distance(gray)], [mean_image_distance(three[0])]),
    ):
        np.testing.assert_allclose(one, three_channels, rtol=1e-9)
    assert parzen(gray, others, others).dimensions == H * W
    assert set(sliced_wasserstein_by_level(gray, gray).values()) == {0}
    assert min(sliced_wasserstein_by_level(gray, others).values()) > 0
    assert coarse_colors(gray).shape == (6, 64)


def test_chunks_and_groups_of_levels_change_nothing(monkeypatch):
    images, others = (make_sprites(6, seed)[..., :3] for seed in range(2))
    before = measure(images, others)
    monkeypatch.setattr(sliced_wasserstein, "MAX_VALUES", 1)
    monkeypatch.setattr(nearest_neighbors, "CHUNK_BYTES", 2 * 4 * H * W * 3)
    np.testing.assert_array_equal(before, measure(images, others))


@pytest.mark.parametrize(
    ("size", "factor"),
    [((256, 256), 1), ((96, 64), 1), ((1024, 64), 1), ((512, 512), 2), ((1024, 1024), 4)],
)
def test_only_large_images_are_compared_by_averages(size, factor):
    assert reduction_factor(*size) == factor


def test_large_images_are_compared_by_averages_of_their_pixels(monkeypatch):
    monkeypatch.setattr(nearest_neighbors, "MAX_PIXELS", H * W // 4)
    images = np.random.default_rng(0).integers(0, 256, (5, H, W, 3), np.uint8)
    queries = images[[3, 1]] ^ 1
    averages = images.reshape(5, H // 2, 2, W // 2, 2, 3).mean(axis=(2, 4)).round()
    other = queries.reshape(2, H // 2, 2, W // 2, 2, 3).mean(axis=(2, 4)).round()
    nearest, distances = find_nearest_images(queries, images, np.arange(5))
    assert nearest.tolist() == [3, 1]
    expected = np.sqrt(((averages[[3, 1]] - other) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(distances, expected)
