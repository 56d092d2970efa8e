"""Images that are decoded at a fraction of their size show what fully decoded ones show."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from ganvas.ingestion.cropping import crop_image
from ganvas.ingestion.decode import decode_content
from ganvas.ingestion.resizing import resize, transpose_box


def paint(width: int, height: int) -> Image.Image:
    """Return shapes of all sizes from a fifth of the image down to 20 pixels."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for side in (20, 40, 80, 200):
        levels = rng.integers(0, 256, (height // side + 1, width // side + 1, 3), np.uint8)
        layer = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(layer, np.float32) / 4
    return Image.fromarray(total.astype(np.uint8))


@pytest.fixture(scope="module")
def painting() -> Image.Image:
    # No multiple of 8, as far from one as can be.
    return paint(1193, 801)


def encode(image: Image.Image, orientation: int = 1, **options) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(stream, "JPEG", quality=95, exif=exif, **options)
    return stream.getvalue()


def difference(content: bytes, size: tuple[int, int], crop: str) -> float:
    """Return the mean difference of a decoded file from one that is fully decoded first."""
    full = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    expected = np.asarray(crop_image(full, size, crop)).astype(int)
    return float(np.abs(decode_content(content, (*size[::-1], 3), crop) - expected).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_decoding_keeps_the_place_of_each_edge(painting, orientation):
    # At an eighth, where one pixel of the result is twelve of the file.
    assert difference(encode(painting, orientation), (64, 64), "center") < 1


@pytest.mark.parametrize("crop", ["center", "pad", "stretch"])
def test_all_crops_of_a_reduced_image_are_exact(painting, crop):
    assert difference(encode(painting, 6), (96, 64), crop) < 1


@pytest.mark.parametrize("side", [96, 192, 224, 384])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_every_scale_is_within_a_level_of_full_decoding(painting, side, options):
    assert difference(encode(painting, **options), (side, side), "center") < 1


def test_gray_and_cmyk_files_are_reduced_exactly(painting):
    for mode in ("L", "CMYK"):
        assert difference(encode(painting.convert(mode)), (64, 64), "center") < 1


@pytest.mark.parametrize("method", Image.Transpose)
def test_a_part_moves_with_its_image(method):
    image = Image.new("L", (7, 5))
    image.paste(255, (1, 2, 4, 3))
    moved = image.transpose(method)
    assert transpose_box((1, 2, 4, 3), image.size, method) == moved.getbbox()


def test_the_part_of_an_image_need_not_be_of_whole_pixels():
    image = Image.fromarray(np.arange(0, 200, 2, dtype=np.uint8)[None].repeat(10, 0))
    levels = np.asarray(resize(image, (5, 5), (10.5, 0, 60.5, 10)))
    # The center of a pixel has its level.
    assert np.array_equal(levels[2], [30, 50, 70, 90, 110])
