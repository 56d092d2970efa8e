import base64
import io

import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image

from ganvas.datasets.folder import FolderDataset
from ganvas.datasets.pictures import AnimationDataset, PictureDataset, PictureFolderDataset


def test_a_picture_goes_round_and_has_a_preview(tmp_path, pictures):
    dataset = PictureDataset(filepath=str(tmp_path / "a" / "grid.png"))
    assert not dataset.exists()
    dataset.save(pictures[0])
    np.testing.assert_array_equal(dataset.load(), pictures[0])
    preview = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    np.testing.assert_array_equal(np.asarray(preview), pictures[0])


def test_an_animation_goes_round_and_has_a_preview(tmp_path, pictures):
    dataset = AnimationDataset(filepath=str(tmp_path / "a" / "film.webp"))
    assert not dataset.exists()
    dataset.save(pictures[:4])
    assert dataset.load().shape == (4, 32, 32, 3)
    # Lossy, and colours at half the resolution.
    assert np.abs(dataset.load().astype(int) - pictures[:4]).mean() < 20
    assert Image.open(io.BytesIO(base64.b64decode(dataset.preview()))).n_frames == 4


def test_a_folder_of_pictures_is_replaced_as_a_whole(tmp_path, pictures):
    dataset = PictureFolderDataset(filepath=str(tmp_path / "samples"))
    dataset.save((f"p{k}", picture) for k, picture in enumerate(pictures[:5]))
    dataset.save((f"p{k}", picture) for k, picture in enumerate(pictures[5:8]))
    loaded = dataset.load()
    assert list(loaded) == ["p0", "p1", "p2"]
    np.testing.assert_array_equal(loaded["p1"](), pictures[6])


def test_a_failing_save_keeps_the_old_folder(tmp_path, pictures):
    dataset = PictureFolderDataset(filepath=str(tmp_path / "samples"))
    dataset.save([("old", pictures[0])])

    def broken():
        yield "new", pictures[1]
        raise RuntimeError("no more paint")

    with pytest.raises(DatasetError, match="no more paint"):
        dataset.save(broken())
    assert list(dataset.load()) == ["old"]


def test_a_folder_is_handed_over_and_never_saved(tmp_path):
    dataset = FolderDataset(filepath=str(tmp_path / "not yet"))
    assert dataset.exists() and dataset.load() == tmp_path / "not yet"
    with pytest.raises(DatasetError, match="handed to nodes"):
        dataset.save("anything")
