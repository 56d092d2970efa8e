"""Each measure by images of which its value is known."""

import numpy as np
import pytest

from ganvas.latents.image_measures import MEASURES, measure_images
from ganvas.pipelines.directions.params import Measure


def solid(*color: int, shape: tuple[int, int] = (8, 6)) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.uint8), (1, *shape, len(color))).copy()


def halves(axis: int) -> np.ndarray:
    """Black above or on the left, white below or on the right."""
    image = solid(0, 0, 0)
    image[:, 4:] = 255 if axis == 0 else 0
    if axis == 1:
        image[:, :, 3:] = 255
    return image


checks = (np.indices((8, 6)).sum(axis=0) % 2 * 255).astype(np.uint8)
CHECKS = np.repeat(checks[None, ..., None], 3, axis=3)
FRAME = solid(0, 0, 0)
FRAME[:, 2:6, 1:5] = 255


@pytest.mark.parametrize(
    ("name", "image", "value"),
    [
        ("brightness", solid(255, 255, 255), 1),
        ("brightness", solid(255, 0, 0), 0.299),
        ("contrast", solid(9, 9, 9), 0),
        ("contrast", CHECKS, 0.5),
        ("saturation", solid(80, 80, 80), 0),
        ("saturation", solid(255, 0, 128), 1),
        # Without variance only the mean counts: red - green and their mean minus blue.
        ("colorfulness", solid(255, 0, 0), 0.3 * np.hypot(1, 0.5)),
        ("colorfulness", CHECKS, 0),
        ("warmth", solid(255, 0, 51), 0.8),
        ("greenness", solid(0, 255, 0), 1),
        ("greenness", solid(255, 0, 255), -1),
        ("sharpness", solid(7, 7, 7), 0),
        ("sharpness", CHECKS, 4),
        ("right_brightness", halves(1), 1),
        ("right_brightness", halves(0), 0),
        ("top_brightness", halves(0), -1),
        ("center_brightness", FRAME, 1),
        ("symmetry", halves(0), 1),
        ("symmetry", halves(1), 0),
    ],
)
def test_values_of_known_images(name, image, value):
    assert measure_images(image, name)[0] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_images_of_any_kind_are_measured_one_by_one(name):
    rng = np.random.default_rng(0)
    for channels in (1, 3, 4):
        images = rng.integers(0, 256, (70, 9, 7, channels), dtype=np.uint8)
        values = measure_images(images, name)
        assert values.shape == (70,) and np.isfinite(values).all()
        np.testing.assert_allclose(measure_images(images[68:], name), values[68:], rtol=1e-5)
    gray = rng.integers(0, 256, (3, 9, 7, 1), dtype=np.uint8)
    np.testing.assert_allclose(
        measure_images(gray, name), measure_images(gray.repeat(3, axis=3), name), atol=1e-6
    )


def test_parameters_know_all_measures():
    assert list(Measure.__args__) == list(MEASURES)
