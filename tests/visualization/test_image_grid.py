import io

import numpy as np
from PIL import Image

from ganvas.visualization.image_grid import (
    encode_png,
    make_grid,
    read_png,
    split_grid,
    write_png,
)


def test_images_are_arranged_row_by_row_with_gaps():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 4, 3), np.uint8)
    grid = make_grid(images, columns=3, gap=1)
    assert grid.shape == (2 * 4 + 1, 3 * 5 + 1, 3)
    assert grid[1:4, 1:5].max() == 0 and (grid[5:8, 6:10] == 4).all()
    assert (grid[0] == 255).all() and (grid[:, 5] == 255).all() and (grid[5:8, 11:] == 255).all()


def test_splitting_a_grid_returns_its_images(images):
    np.testing.assert_array_equal(split_grid(make_grid(images, columns=5), 32, 32), images)


def test_png_files_are_lossless_and_leave_no_partial_file(tmp_path, images):
    file = tmp_path / "new" / "a.png"
    write_png(file, images[0])
    np.testing.assert_array_equal(read_png(file), images[0])
    assert Image.open(file).format == "PNG"
    assert [path.name for path in file.parent.iterdir()] == ["a.png"]


def test_png_metadata_is_stored_as_text_without_changing_pixels(images):
    for fast in (False, True):
        content = encode_png(images[0], {"seed": 7, "class": None, "name": "Über"}, fast=fast)
        with Image.open(io.BytesIO(content)) as image:
            assert image.text == {"seed": "7", "name": "Über"}
            np.testing.assert_array_equal(np.asarray(image), images[0])
