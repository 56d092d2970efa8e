import keras
import numpy as np
import pytest

from ganvas.training.ada_color import ColorChange, change_color, draw_color_change

RNG = np.random.default_rng(0)
DRAWS = ColorChange(
    brightness=np.array([0, 0.3, -0.2], np.float32),
    contrast=np.array([1, 0.5, 1.6], np.float32),
    luma_flip=np.array([0, 1, 1], np.float32),
    hue=np.array([0.7, 0, -2.0], np.float32),
    saturation=np.array([1.5, 2.0, 0.3], np.float32),
)


def naive_color(pixel, brightness, contrast, luma_flip, hue, saturation):
    """Change the color of a pixel, one transform after the other."""
    pixel = contrast * (pixel.astype(float) + brightness)
    axis = np.ones(3) / np.sqrt(3)
    if luma_flip:
        pixel = pixel - 2 * (pixel @ axis) * axis
    # Rodrigues' rotation formula.
    pixel = (
        pixel * np.cos(hue)
        + np.cross(axis, pixel) * np.sin(hue)
        + axis * (axis @ pixel) * (1 - np.cos(hue))
    )
    luma = (pixel @ axis) * axis
    return luma + saturation * (pixel - luma)


def test_colors_agree_with_a_loop_over_pixels():
    images = RNG.uniform(-1, 1, (3, 4, 5, 3)).astype(np.float32)
    expected = np.stack(
        [
            np.apply_along_axis(naive_color, -1, image, *draws)
            for image, *draws in zip(images, *DRAWS, strict=True)
        ]
    )
    np.testing.assert_allclose(change_color(images, DRAWS), expected, atol=2e-6)


def test_gray_images_are_changed_as_gray_colors_are():
    gray = RNG.uniform(-1, 1, (3, 4, 5, 1)).astype(np.float32)
    colored = change_color(np.repeat(gray, 3, axis=-1), DRAWS)
    for channel in range(3):
        np.testing.assert_allclose(
            change_color(gray, DRAWS)[..., 0], colored[..., channel], atol=2e-6
        )


def test_draws_have_the_distributions_of_the_paper():
    draws = draw_color_change(100_000, 1.0, keras.random.SeedGenerator(1))
    brightness, contrast, luma_flip, hue, saturation = map(np.asarray, draws)
    normal = [-1.2816, 0.0, 0.6745]
    for values in (brightness / 0.2, np.log2(contrast) / 0.5, np.log2(saturation)):
        assert np.quantile(values, [0.1, 0.5, 0.75]) == pytest.approx(normal, abs=0.02)
    assert np.abs(hue).max() <= np.float32(np.pi)
    assert np.quantile(hue / np.pi, [0.1, 0.5, 0.9]) == pytest.approx([-0.8, 0, 0.8], abs=0.02)
    assert set(luma_flip) == {0, 1} and luma_flip.mean() == pytest.approx(0.5, abs=0.01)
    assert np.abs(np.corrcoef(draws) - np.eye(5)).max() < 0.015


def test_transforms_are_chosen_independently_with_the_probability():
    draws = draw_color_change(100_000, 0.4, keras.random.SeedGenerator(2))
    chosen = [np.asarray(x) != neutral for x, neutral in zip(draws, [0, 1, 0, 0, 1], strict=True)]
    np.testing.assert_allclose(np.mean(chosen, axis=1), [0.4, 0.4, 0.2, 0.4, 0.4], atol=0.006)
    assert np.abs(np.corrcoef(chosen) - np.eye(5)).max() < 0.015
