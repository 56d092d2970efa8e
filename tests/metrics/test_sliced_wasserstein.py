"""The sliced Wasserstein distance, compared with plain loops and SciPy."""

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import wasserstein_distance

from ganvas.errors import GanvasError
from ganvas.metrics import sliced_wasserstein
from ganvas.metrics.sliced_wasserstein import (
    laplacian_levels,
    level_sizes,
    sliced_wasserstein_by_level,
    wasserstein_distances,
)

TWO_DIMENSIONAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def make_images(count, height, width, seed):
    """Smooth images with some noise, in which levels differ."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(count, height, width, 3)), (0, 3, 3, 0)) * 400
    return (smooth + rng.normal(0, 10, smooth.shape) + 128).clip(0, 255).astype(np.uint8)


def naive_level(image, level, levels):
    """A level of the pyramid of one image, channel by channel, as in the paper's code."""
    image = image.astype(np.float64)

    def blur(pixels):
        return np.stack(
            [convolve(pixels[..., c], TWO_DIMENSIONAL, mode="mirror") for c in range(3)], axis=-1
        )

    for _ in range(level):
        image = blur(image)[::2, ::2]
    if level == levels - 1:
        return image
    spread = np.zeros_like(image)
    spread[::2, ::2] = blur(image)[::2, ::2]
    return image - 4 * blur(spread)


def naive_patches(images, level, levels, corners):
    rows = []
    for number, image in enumerate(images):
        pixels = naive_level(image, level, levels)
        for y, x in zip(*corners[:, number], strict=True):
            rows.append(pixels[y : y + 7, x : x + 7])
    patches = np.stack(rows)
    for c in range(3):
        patches[..., c] -= patches[..., c].mean()
        patches[..., c] /= patches[..., c].std()
    return patches.reshape(len(rows), -1)


@pytest.mark.parametrize("shape", [(32, 32), (37, 50)])
@pytest.mark.parametrize("counts", [(6, 6), (7, 4)])
def test_each_level_equals_plain_loops(shape, counts, monkeypatch):
    # Several chunks of images, and of directions.
    monkeypatch.setattr(sliced_wasserstein, "CHUNK_PIXELS", 3 * 32 * 32)
    monkeypatch.setattr(sliced_wasserstein, "CHUNK_PROJECTIONS", 100 * 35)
    real, generated = (make_images(n, *shape, seed=k) for k, n in enumerate(counts))
    values = sliced_wasserstein_by_level(real, generated, seed=3, patches=5)
    sizes = level_sizes(*shape)
    assert list(values) == [f"{height}×{width}" for height, width in sizes] and len(sizes) == 2
    for level, size in enumerate(sizes):
        rng = np.random.default_rng([3, level])
        corners = np.stack([rng.integers(0, side - 6, (max(counts), 5)) for side in size])
        directions = rng.normal(size=(512, 147))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        a, b = (naive_patches(x, level, len(sizes), corners) for x in (real, generated))
        expected = np.mean([wasserstein_distance(a @ d, b @ d) for d in directions])
        assert list(values.values())[level] == pytest.approx(expected, rel=1e-4)


def test_levels_add_up_to_the_image():
    image = make_images(1, 45, 64, seed=0)
    levels = list(laplacian_levels(image, 2))
    assert [level.shape for level in levels] == [(1, 45, 64, 3), (1, 23, 32, 3)]
    expanded = sliced_wasserstein._expand(levels[1], 45, 64)
    np.testing.assert_allclose(levels[0] + expanded, image, atol=1e-3)


def test_constant_images_have_details_of_zero():
    levels = list(laplacian_levels(np.full((1, 64, 33, 3), 200), 2))
    np.testing.assert_allclose(levels[0], 0, atol=1e-3)
    np.testing.assert_allclose(levels[1], 200, atol=1e-3)
    constant = np.full((3, 32, 32, 3), 200, np.uint8)
    values = sliced_wasserstein_by_level(constant, make_images(3, 32, 32, seed=0), patches=4)
    assert all(0 < value < 2 for value in values.values())


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16)]),
        ((31, 200), [(31, 200), (16, 100)]),
        ((29, 29), [(29, 29)]),
        ((8, 8), [(8, 8)]),
    ],
)
def test_the_coarsest_level_has_16_pixels_or_more(size, sizes):
    assert level_sizes(*size) == sizes


@pytest.mark.parametrize(("m", "n"), [(9, 9), (9, 6), (7, 12), (1, 5)])
def test_the_distance_of_projections_is_exact_for_any_numbers(m, n):
    rng = np.random.default_rng(m * n)
    a, b = rng.normal(size=(4, m)), rng.gamma(2, size=(4, n))
    expected = [wasserstein_distance(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(wasserstein_distances(a, b), expected, rtol=1e-12)


def test_equal_sets_have_the_distance_zero_and_order_does_not_matter():
    real, generated = (make_images(5, 32, 32, seed=k) for k in range(2))
    assert set(sliced_wasserstein_by_level(real, real).values()) == {0}
    forward, backward = (
        sliced_wasserstein_by_level(*sides, patches=16)
        for sides in ((real, generated), (generated, real))
    )
    assert forward == pytest.approx(backward, rel=1e-6)


def test_other_images_of_the_same_kind_are_nearer_than_blurred_ones():
    rng = np.random.default_rng(0)
    real, same = rng.integers(0, 256, (2, 30, 16, 16, 3), np.uint8)
    blurred = gaussian_filter(same, (0, 3, 3, 0))
    (near,), (far,) = (
        sliced_wasserstein_by_level(real, images).values() for images in (same, blurred)
    )
    assert 0 < 3 * near < far


@pytest.mark.parametrize(
    ("shape", "other", "message"),
    [
        ((2, 16, 16, 3), (2, 16, 17, 3), "images of one size"),
        ((0, 16, 16, 3), (2, 16, 16, 3), "images of one size, and not 0"),
        ((2, 6, 16, 3), (2, 6, 16, 3), "7×7 pixels or more, not 6×16"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(shape, other, message):
    with pytest.raises(GanvasError, match=message):
        sliced_wasserstein_by_level(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))
