"""Arrays that are read piece by piece or kept in a file."""

import errno
import os

import numpy as np
import pytest

from ganvas import arrays
from ganvas.arrays import (
    ConvertedImages,
    SelectedImages,
    allocate,
    limit_count,
    take,
)
from ganvas.errors import GanvasError
from ganvas.ingestion.near_duplicates import group_near_duplicates
from ganvas.metrics.class_diversity import class_distances, coarse_colors
from ganvas.metrics.nearest_neighbors import find_nearest_images
from ganvas.metrics.pairwise import mean_image_distance
from ganvas.metrics.parzen import parzen

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 4, 6, 3), np.uint8)
SHAPE = (32, 32, 3)
ALL = np.random.default_rng(0).integers(0, 256, (600, *SHAPE), dtype=np.uint8)


class Counted:
    """Images that remember the most that were read at once."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.shape, self.most = images, images.shape, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key):
        read = self.images[key]
        self.most = max(self.most, len(read))
        return read


def test_fewer_large_images_are_held_at_once():
    assert limit_count(256, (256, 256, 4)) == limit_count(256, (32, 32, 1)) == 256
    assert limit_count(256, (1024, 1024, 4)) == 16
    assert limit_count(1, (1024, 1024, 4)) == 1


@pytest.mark.parametrize(
    ("measure", "most"),
    [
        (group_near_duplicates, 256),
        (coarse_colors, 64),
        (lambda images: np.array(find_nearest_images(ALL[:3], images, np.arange(600))), 512),
        (lambda images: np.array(parzen(ALL[:3], images, images, chunk=100)), 100),
        (
            lambda images: np.array(
                list(class_distances(images, np.arange(600) // 60, mean_image_distance).items())
            ),
            60,
        ),
    ],
    ids=["near duplicates", "colors", "nearest", "parzen", "diversity"],
)
def test_measures_read_a_bounded_number_of_images_at_once(measure, most):
    images = Counted(ALL)
    assert np.array_equal(measure(images), measure(ALL))
    assert 0 < images.most <= most


def test_large_arrays_are_in_a_file_and_hold_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(arrays, "MEMORY_BYTES", IMAGES.nbytes - 1)
    monkeypatch.setattr(arrays, "COPY_BYTES", 2 * IMAGES[0].nbytes)
    monkeypatch.setattr(arrays.tempfile, "tempdir", str(tmp_path))
    positions = np.array([8, 0, 3, 3, 1, 7, 2, 6, 5])
    taken = take(IMAGES, positions)
    assert isinstance(taken, np.memmap)
    np.testing.assert_array_equal(taken, IMAGES[positions])
    assert not isinstance(take(IMAGES, positions[:8]), np.memmap)
    # It has no name, so nothing is left if the process is killed.
    assert not list(tmp_path.iterdir())


def test_features_keep_their_type():
    features = IMAGES.reshape(9, -1).astype(np.float32)
    taken = take(features, np.array([4, 2]))
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, features[[4, 2]])


def test_a_full_disk_is_explained_before_anything_is_written(monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail, raising=False)
    with pytest.raises(GanvasError, match=r"no room for 3\.0 GB of images .*TMPDIR"):
        allocate((1000, 1000, 1000, 3))


def test_images_are_converted_when_they_are_read():
    selected = SelectedImages(IMAGES, np.array([5, 6, 7]))
    halved = ConvertedImages(selected, lambda images: images[:, ::2, ::2, :1] // 2)
    assert halved.shape == (3, 2, 3, 1) and len(halved) == 3
    np.testing.assert_array_equal(halved[1:], IMAGES[6:8, ::2, ::2, :1] // 2)
    np.testing.assert_array_equal(halved[np.array([2])], IMAGES[[7], ::2, ::2, :1] // 2)
