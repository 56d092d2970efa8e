"""Gray and transparent images as RGB."""

import numpy as np
import pytest
from PIL import Image

from ganvas.channels import to_display, to_rgb


def random_images(channels):
    return np.random.default_rng(0).integers(0, 256, (3, 20, 24, channels), np.uint8)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
def test_transparent_images_are_composited_as_by_pillow(background):
    images = random_images(4)
    for image, ours in zip(images, to_rgb(images, background), strict=True):
        layer = Image.fromarray(image, "RGBA")
        below = Image.new("RGBA", layer.size, (*background, 255))
        theirs = np.asarray(Image.alpha_composite(below, layer).convert("RGB"))
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_gray_images_have_equal_channels():
    images = random_images(1)
    rgb = to_rgb(images)
    assert rgb.shape == (3, 20, 24, 3)
    assert (rgb == images).all()


def test_rgb_images_stay_as_they_are():
    images = random_images(3)
    assert to_rgb(images) is images
    assert to_display(images) is images


def test_transparent_images_are_shown_on_a_checkerboard():
    image = np.zeros((16, 32, 4), np.uint8)
    image[:8, :8] = 50, 60, 70, 255
    shown = to_display(image)
    assert (shown[:8, :8] == (50, 60, 70)).all()
    assert (shown[:8, 8:16] == 214).all()
    assert (shown[8:, 8:16] == 255).all()
    assert (shown[:8, 16:24] == 255).all()


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="not 2"):
        to_rgb(random_images(2))
