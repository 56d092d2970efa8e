"""Arrays that are read piece by piece or kept in a file."""

import errno
import os

import numpy as np
import pytest

from ganvas import arrays
from ganvas.arrays import ConvertedImages, SelectedImages, allocate, take
from ganvas.errors import GanvasError

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 4, 6, 3), np.uint8)


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
