"""Images that are nearly equal."""

import io

import numpy as np
import pytest
from PIL import Image

from ganvas.ingestion import near_duplicates
from ganvas.ingestion.decode import decode_content
from ganvas.ingestion.near_duplicates import group_near_duplicates

SIZE = 64


def draw(seed: int, side: int = 200) -> Image.Image:
    """Return an image of blobs and lines."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    fine = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))
    images = [image.resize((side, side), Image.Resampling.BICUBIC) for image in (coarse, fine)]
    return Image.blend(*images, 0.3)


def decode(image: Image.Image, form: str = "PNG", **options) -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return decode_content(buffer.getvalue(), (SIZE, SIZE, 3))


def copies(image: Image.Image) -> list[np.ndarray]:
    half = image.resize((100, 100), Image.Resampling.LANCZOS)
    return [
        decode(image),
        decode(image, "JPEG", quality=50),
        decode(image, "WEBP", quality=60),
        decode(half, "JPEG", quality=85),
        decode(image.resize((331, 331), Image.Resampling.BICUBIC), "JPEG", quality=75),
    ]


@pytest.mark.parametrize("small", [near_duplicates.SMALL, 1])
def test_copies_are_grouped_and_others_are_not(small, monkeypatch):
    # With 1, all cells are compared as matrices.
    monkeypatch.setattr(near_duplicates, "SMALL", small)
    drawings = [draw(seed) for seed in range(40)]
    images = np.stack([*map(decode, drawings), *(c for d in drawings[:8] for c in copies(d))])
    expected = [*range(40), *np.repeat(range(8), 5)]
    order = np.random.default_rng(1).permutation(len(images))
    groups = group_near_duplicates(images[order])
    names = np.array(expected)[order]
    assert (groups == [int(np.flatnonzero(names == name)[0]) for name in names]).all()


def test_flat_images_and_images_that_differ_in_a_part_are_not_grouped():
    shades = np.repeat(np.arange(100, 110, dtype=np.uint8), 5)
    flat = np.broadcast_to(shades[:, None, None, None], (50, SIZE, SIZE, 3))
    assert len(np.unique(group_near_duplicates(flat))) == 50
    # Drawings on white paper, of one line each.
    lines = np.full((24, SIZE, SIZE, 3), 250, np.uint8)
    for number, image in enumerate(lines):
        image[5:60, 4 + 2 * number : 7 + 2 * number] = 20
    assert len(np.unique(group_near_duplicates(lines))) == 24


def test_a_group_is_joined_through_others():
    drawing = np.stack([decode(draw(3))]).astype(int)
    steps = np.concatenate([drawing * 3 // 4 + 2 * n for n in range(10)]).astype(np.uint8)
    assert group_near_duplicates(steps).tolist() == [0] * 10
    assert group_near_duplicates(steps[[0, 9]]).tolist() == [0, 1]


def test_features_differ_by_less_than_the_colors():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 300, 192), np.uint8)
    colors = np.sqrt(((a.astype(float) - b) ** 2).mean(1))
    features = np.abs(near_duplicates._features(a) - near_duplicates._features(b))
    assert (features.max(1) <= 2.5 * colors).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_collections(count):
    images = np.stack([decode(draw(5))] * 2)[:count]
    assert group_near_duplicates(images).tolist() == [0] * count


def test_many_equal_images_take_seconds():
    images = np.broadcast_to(decode(draw(7)), (3000, SIZE, SIZE, 3))
    assert not group_near_duplicates(images).any()


@pytest.mark.parametrize("shape", [(32, 96, 3), (64, 64, 3)])
def test_means_of_tiles_are_exact(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    tiles = images.reshape(3, 16, shape[0] // 16, 16, shape[1] // 16, 3)
    means = near_duplicates._average_tiles(images)
    assert np.array_equal(means, tiles.mean((2, 4), dtype=np.float32))
