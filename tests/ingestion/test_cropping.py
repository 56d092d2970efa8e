"""Crops of rectangles, and resizing with transparency, against Pillow and a naive resize."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from ganvas.channels import to_rgb
from ganvas.ingestion.cropping import crop_image, measure_enlargement, to_pixels, unstretch

CROPS = ["center", "smart", "pad", "stretch"]


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> Image.Image:
    """Return an image of smooth blobs."""
    rng = np.random.default_rng(seed)
    parts = [
        Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).resize((width, height), 3)
        for _ in range(channels)
    ]
    return parts[0] if channels == 1 else Image.merge({3: "RGB", 4: "RGBA"}[channels], parts)


def lanczos(length: int, result: int, start: float, end: float) -> np.ndarray:
    """Return the matrix of a Lanczos resize of one side, (result, length), in float64."""
    scale = (end - start) / result
    support = 3 * max(scale, 1)
    centers = start + (np.arange(result) + 0.5) * scale
    first = np.floor(centers - support + 0.5).clip(0)
    last = np.floor(centers + support + 0.5).clip(None, length)
    positions = np.arange(length)
    x = (positions + 0.5 - centers[:, None]) / max(scale, 1)
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    weights[(positions < first[:, None]) | (positions >= last[:, None])] = 0
    return weights / weights.sum(1, keepdims=True)


def naive_resize(image: Image.Image, size: tuple[int, int], box: tuple) -> np.ndarray:
    """Resize RGBA with premultiplied alpha, without rounding in between."""
    pixels = np.asarray(image, np.float64) / 255
    pixels[..., :3] *= pixels[..., 3:]
    rows = lanczos(image.height, size[1], box[1], box[3])
    columns = lanczos(image.width, size[0], box[0], box[2])
    resized = np.einsum("yi,xj,ijc->yxc", rows, columns, pixels)
    alpha = resized[..., 3:]
    color = (resized[..., :3] / np.maximum(alpha, 1e-9)).clip(0, 1)
    return np.concatenate([color, alpha.clip(0, 1)], -1) * 255


@pytest.mark.parametrize("source", [(90, 70), (70, 90), (300, 40), (33, 200), (64, 96)])
def test_the_center_is_the_largest_box_of_the_aspect_ratio(source):
    image = noise(*source)
    for width, height in [(64, 96), (96, 64), (64, 64), (32, 128)]:
        expected = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
        ours = np.asarray(crop_image(image, (width, height), "center"), int)
        assert ours.shape == (height, width, 3)
        assert np.abs(ours - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("source", [(90, 70), (70, 90), (300, 40), (900, 8), (64, 96)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_padding_shows_the_whole_image_on_the_background(source, channels):
    image = noise(*source, channels)
    if channels == 4:
        image.putalpha(255)
    padded = to_pixels(crop_image(image, (64, 96), "pad", (10, 200, 30))).astype(int)
    assert padded.shape == (96, 64, channels)
    inner = ImageOps.contain(image, (64, 96), Image.Resampling.LANCZOS)
    if min(inner.size):
        top, left = round((96 - inner.height) / 2), round((64 - inner.width) / 2)
        part = padded[top : top + inner.height, left : left + inner.width]
        assert np.abs(part - to_pixels(inner)).max() <= 1
    corner = {1: [124], 3: [10, 200, 30], 4: [10, 200, 30, 0]}[channels]
    if source != (64, 96):
        assert padded[0, 0].tolist() == corner


def test_stretching_keeps_every_edge():
    image = Image.new("RGB", (200, 50), "red")
    image.paste("blue", (100, 0, 200, 50))
    stretched = np.asarray(crop_image(image, (32, 96), "stretch"))
    assert (stretched[:, :12] == (255, 0, 0)).all() and (stretched[:, 20:] == (0, 0, 255)).all()


@pytest.mark.parametrize("is_upright", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_smart_crop_of_a_rectangle_finds_the_detail(is_upright, channels):
    image = Image.new("RGB", (400, 90), "white")
    image.paste(noise(60, 90, seed=3), (290, 0))
    if channels == 4:  # the same as a white shape on a ground whose hidden color is noise
        alpha = Image.new("L", (400, 90), 0)
        alpha.paste(255, (300, 10, 340, 80))
        image = noise(400, 90)
        image.paste("white", (300, 10, 340, 80))
        image.putalpha(alpha)
    image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    size = (64, 96)
    if is_upright:
        image, size = image.transpose(Image.Transpose.TRANSPOSE), size[::-1]
    cropped = to_pixels(crop_image(image, size, "smart"))
    shown = cropped[..., 3] > 0 if channels == 4 else (cropped < 250).any(-1)
    assert shown.mean() > 0.45


@pytest.mark.parametrize("size", [(64, 96), (200, 140)])
def test_transparent_images_equal_a_premultiplied_resize_in_floats(size):
    image = noise(150, 110, 4)
    hard = np.asarray(noise(150, 110, 1, seed=5)).astype(int)
    image.putalpha(Image.fromarray(((hard - 128) * 6).clip(0, 255).astype(np.uint8)))
    expected = naive_resize(image, size, (0, 0, 150, 110))
    ours = np.asarray(crop_image(image, size, "stretch", (1, 2, 3))).astype(float)
    assert np.abs(ours[..., 3] - expected[..., 3]).max() <= 1
    # Where little is seen, the color may be any.
    visible = expected[..., 3] >= 2
    assert 0.3 < visible.mean() < 0.9
    assert np.abs(ours - expected)[visible, :3].max() <= 1
    assert (ours[ours[..., 3] == 0][:, :3] == (1, 2, 3)).all() and (ours[..., 3] == 0).any()


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_hidden_colors_leave_no_fringe(hidden):
    image = Image.new("RGBA", (200, 200), (*hidden, 0))
    image.paste((200, 40, 40, 255), (37, 41, 155, 163))
    small = np.asarray(crop_image(image, (64, 64), "center"))
    seen = small[small[..., 3] > 0][:, :3].astype(int)
    assert np.abs(seen - (200, 40, 40)).max() <= 1
    # Composited, it is as if the image had been composited before, without ringing at its edges.
    for ground in ((255, 255, 255), (0, 0, 0)):
        flat = Image.alpha_composite(Image.new("RGBA", image.size, (*ground, 255)), image)
        expected = np.asarray(flat.convert("RGB").resize((64, 64), Image.Resampling.HAMMING))
        difference = np.abs(to_rgb(small, ground).astype(int) - expected)
        assert difference.mean() < 0.5 and difference.max() < 40


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("source", [(8, 900), (900, 8), (41, 40), (639, 427)])
def test_every_shape_fits_every_size(mode, crop, source):
    image = noise(*source).convert(mode)
    for size in [(64, 96), (96, 64), (32, 224), (64, 64)]:
        cropped = crop_image(image, size, crop)
        assert cropped.size == size and cropped.mode == mode


def test_enlargement_is_that_of_the_larger_side_unless_padded():
    assert measure_enlargement((100, 50), (64, 96), "center") == 1.92
    assert measure_enlargement((100, 50), (64, 96), "pad") == 0.64
    assert measure_enlargement((640, 960), (64, 96), "smart") == pytest.approx(0.1)


@pytest.mark.parametrize(("aspect", "shape"), [(1.5, (64, 96)), (0.5, (128, 64)), (1, (64, 64))])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_stretched_images_get_their_aspect_back(aspect, shape, channels):
    image = noise(round(120 * aspect), 120, channels)
    stretched = to_pixels(crop_image(image, (64, 64), "stretch"))
    back = unstretch(stretched[None], aspect)
    assert back.shape == (1, *shape, channels)
    expected = to_pixels(crop_image(image, shape[::-1], "stretch")).astype(int)
    seen = expected[..., -1:] > 20 if channels == 4 else np.ones_like(expected, bool)
    assert (np.abs(back[0].astype(int) - expected) * seen).mean() < 2
