import io

import numpy as np
from PIL import Image

from ganvas.visualization.image_grid import (
    LAST_FRAME_MS,
    encode_png,
    encode_webp,
    make_grid,
    make_grid_of_rows,
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
    cells = split_grid(make_grid(images, columns=5), 32, 32)
    np.testing.assert_array_equal(cells, images.reshape(4, 5, 32, 32, 3))


def test_shorter_rows_end_in_white(images):
    cells = split_grid(make_grid_of_rows([images[:2], images[2:5], images[5:6]]), 32, 32)
    assert cells.shape[:2] == (3, 3)
    np.testing.assert_array_equal(cells[1], images[2:5])
    np.testing.assert_array_equal(cells[2, 0], images[5])
    assert (cells[0, 2] == 255).all() and (cells[2, 1:] == 255).all()


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


def make_frame(number: int) -> np.ndarray:
    return np.full((16, 24, 3), (number * 37 % 256, 255 - number, 90), np.uint8)


def test_frames_play_in_order_and_the_last_one_is_held():
    frames = np.stack([make_frame(number) for number in range(5)])
    with Image.open(io.BytesIO(encode_webp(frames))) as animation:
        assert animation.format == "WEBP" and animation.n_frames == 5
        assert animation.info["loop"] == 0
        for number in range(5):
            animation.seek(number)
            decoded = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(decoded - frames[number]).max() <= 8
        assert animation.info["duration"] == LAST_FRAME_MS


def test_a_single_frame_can_be_encoded():
    with Image.open(io.BytesIO(encode_webp(make_frame(1)[None]))) as animation:
        assert animation.size == (24, 16)
