"""Images, grids, pages and films of all sizes stay within their bounds."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ganvas.visualization import image_cells, image_grid
from ganvas.visualization.contact_sheet import draw_neighbors, draw_sheets, split_sheet
from ganvas.visualization.image_cells import (
    LOSSLESS_PIXELS,
    LOSSY,
    PNG,
    CellEncoding,
    encode_cells,
    fit_page,
    list_encodings,
    whole_uri,
)
from ganvas.visualization.image_grid import encode_film, encode_png, make_grid, split_grid
from ganvas.visualization.reduced_images import as_cells, reduce_images, reduced_size

rng = np.random.default_rng(0)


def decode(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("size", "reduced"),
    [
        ((64, 64), (64, 64)),
        ((256, 256), (256, 256)),
        ((1024, 64), (1024, 64)),
        ((512, 512), (256, 256)),
        ((1024, 1024), (256, 256)),
        ((1024, 256), (512, 128)),
        ((544, 544), (256, 256)),
    ],
)
def test_images_are_reduced_to_the_pixels_of_256_squared(size, reduced):
    assert reduced_size(*size) == reduced == reduced_size(*reduced)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_all_channels_are_reduced_and_small_ones_kept(channels):
    images = np.full((2, 60, 40, channels), 200, np.uint8)
    assert reduce_images(images, 60 * 40) is images
    reduced = reduce_images(images, 600)
    assert reduced.shape == (2, 30, 20, channels) and (reduced == 200).all()


def test_hidden_colors_do_not_bleed_into_reduced_sprites():
    sprite = np.full((1, 64, 64, 4), [255, 255, 255, 0], np.uint8)
    sprite[:, 16:48, 16:48] = [200, 0, 0, 255]
    (reduced,) = reduce_images(sprite, 32 * 32)
    assert (reduced[reduced[..., 3] > 20][:, :3] <= [215, 15, 15]).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(512, 512), (96, 64), (320, 640)])
def test_cells_of_grids_and_sheets_are_found_again(height, width, channels):
    images = rng.integers(0, 99, (6, height, width, channels), np.uint8)
    cells = as_cells(images)
    assert cells.shape[1] * cells.shape[2] <= 256**2 and cells.shape[3] == 3
    grid = make_grid(cells, columns=3)
    np.testing.assert_array_equal(split_grid(grid, height, width).reshape(cells.shape), cells)
    sheet = draw_neighbors({"generated": images[:3], "nearest": images[3:]})
    (block,) = split_sheet(sheet, height, width, [3], has_headings=False)
    np.testing.assert_array_equal(block.reshape(cells.shape), cells)
    (sheet,) = draw_sheets(["a", "b"], [images[:2], images[2:3]], [images[3:5], images[4:6]])
    real, generated = split_sheet(sheet, height, width, [2, 2], has_headings=True)
    np.testing.assert_array_equal(generated[1], cells[4:6])
    assert (real[1, 1] == 255).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_files_keep_the_channels(channels, mode):
    pixels = rng.integers(0, 256, (8, 12, channels), np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.reshape(image, pixels.shape), pixels)


def test_small_images_are_lossless_and_large_ones_are_not():
    assert list_encodings(64, 64)[0] == PNG == list_encodings(96, 64)[0]
    assert list_encodings(128, 128) == LOSSY and LOSSLESS_PIXELS < 128**2
    image = rng.integers(0, 256, (96, 64, 3), np.uint8)
    for encoding in list_encodings(96, 64)[:2]:
        np.testing.assert_array_equal(decode(encoding.uri(image)), image)
    large = np.full((512, 256, 3), 90, np.uint8)
    assert decode(LOSSY[0].uri(large)).size == (135, 271)


def test_transparent_images_are_on_squares_and_white_ones_in_between_stay():
    images = np.zeros((4, 16, 16, 4), np.uint8)
    images[1], images[3] = 255, 255
    first, white, _ = encode_cells(images)
    assert set(np.unique(decode(first))) == {214, 255} and (np.asarray(decode(white)) == 255).all()


def test_a_page_has_the_best_encoding_that_fits(monkeypatch):
    monkeypatch.setattr(image_cells, "PAGE_BYTES", 1000)
    tried = []

    def render(encoding):
        tried.append(encoding)
        return "x" * (encoding.pixels // 8)

    assert len(fit_page(render, LOSSY)) == 64**2 // 8
    # The page of 128×128 pixels was predicted to be too large.
    assert tried == [LOSSY[0], LOSSY[4]]
    huge = fit_page(lambda encoding: "x" * (9999 + encoding.quality), LOSSY)
    assert len(huge) == 9999 + LOSSY[-1].quality


def test_films_of_noise_are_reduced_until_they_fit(monkeypatch):
    frames = rng.integers(0, 256, (4, 64, 96, 3), np.uint8)
    sizes = []
    for limit in (10**6, 8_000):
        monkeypatch.setattr(image_grid, "FILM_BYTES", limit)
        content = encode_film(frames)
        assert len(content) <= limit
        with Image.open(io.BytesIO(content)) as film:
            assert film.n_frames == 4 and film.width / film.height == pytest.approx(1.5, rel=0.05)
            sizes.append(film.size)
    assert sizes[0] == (96, 64) and sizes[1][0] < 90


def test_a_large_sheet_is_embedded_as_a_smaller_one():
    small, large = (np.full((side, side, 3), 90, np.uint8) for side in (100, 1300))
    assert decode(whole_uri(small)).format == "PNG"
    assert decode(whole_uri(large)).size == (1024, 1024)
    assert CellEncoding(None, 80).uri(small).startswith("data:image/webp;base64,")
