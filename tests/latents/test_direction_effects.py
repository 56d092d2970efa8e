"""Ranges and effects, known for linear generators."""

import numpy as np
import pytest

from ganvas.latents.direction_effects import (
    find_range,
    make_probes,
    measure_attribute,
    measure_changes,
    spread_strengths,
    trim_to_rising,
)
from ganvas.latents.image_measures import measure_images
from ganvas.latents.latent_samples import sample_w
from linear_generators import build_linear

NO_CLASSES = np.zeros((0, 0), np.float32)


@pytest.fixture(scope="module")
def brightening():
    """A generator whose first axis changes all levels alike, by 0.1 in [-1, 1], and its probes."""
    matrix = np.zeros((4, 16))
    matrix[0], matrix[1, 0] = 0.1, 0.2
    generator = build_linear(matrix)
    return generator, make_probes(generator, NO_CLASSES, 5, lambda x: x.reshape(len(x), -1) / 255.0)


def axis(number: int, sign: float = 1) -> np.ndarray:
    return np.float32(sign) * np.eye(4, dtype=np.float32)[number]


def brightness(images: np.ndarray) -> np.ndarray:
    return measure_images(images, "brightness")


def test_effect_of_a_linear_direction_is_its_slope(brightening):
    _, probes = brightening
    found = measure_attribute(probes, axis(0), (-2.0, 2.5), brightness)
    # 0.1 in [-1, 1] is 0.05 in [0, 1], up to rounding to pixels.
    assert found.effect == pytest.approx(0.05, abs=0.001)
    assert (found.low, found.high, found.rising, found.strengths) == (-2.0, 2.5, 1.0, 13)
    opposite = measure_attribute(probes, axis(0, -1), (-2.0, 2.0), brightness)
    assert opposite.effect == pytest.approx(-0.05, abs=0.001) and opposite.rising == 0


def test_strengths_at_which_the_attribute_no_longer_rises_are_left_out(brightening):
    _, probes = brightening
    found = measure_attribute(probes, axis(0), (-2.0, 40.0), brightness)
    # From about strength 10 on all pixels are white.
    assert found.low == -2.0 and found.high < 20 and found.rising >= 0.95


def test_changes_are_measured_in_deviations_of_generated_images(brightening):
    _, probes = brightening
    found = measure_changes(probes, axis(0))
    expected = 0.05 / probes.deviations["brightness"]
    assert found["changes"]["brightness"] == pytest.approx(expected, rel=0.05)
    assert abs(found["changes"]["warmth"]) < 1e-6 and abs(found["changes"]["contrast"]) < 0.1
    # Two independent images differ by √2 times the deviations, along both axes.
    vectors = probes.images.reshape(len(probes.images), -1).astype(float)
    apart = np.linalg.norm(vectors - np.roll(vectors, 1, axis=0), axis=1).mean()
    step = 0.05 * 255 * np.sqrt(vectors.shape[1])
    assert found["pixel_distance"] == pytest.approx(step / apart, rel=0.05)
    assert found["feature_distance"] == pytest.approx(found["pixel_distance"], rel=0.3)
    assert measure_changes(probes, np.zeros(4, np.float32))["pixel_distance"] == 0


def test_range_is_where_latents_are(brightening):
    generator, _ = brightening
    samples = sample_w(generator, NO_CLASSES, 5000, seed=1)
    low, high = find_range(samples, axis(2))
    assert low == pytest.approx(-2.33, abs=0.15) and high == pytest.approx(2.33, abs=0.15)
    low, high = find_range(samples, 2 * axis(2))
    assert high == pytest.approx(2.33 / 2, abs=0.1)


@pytest.mark.parametrize(
    ("row", "ends"),
    [
        ([0, 1, 2, 3, 4, 5, 6], (0, 6)),
        ([9, 1, 2, 3, 4, 5, 6], (1, 6)),
        ([9, 1, 2, 3, 4, 5, 5], (1, 5)),
        # At least two columns on each side are kept: here they rise in no such range.
        ([9, 8, 2, 3, 4, 3, 2], (0, 6)),
    ],
)
def test_ends_are_trimmed_until_values_rise(row, ends):
    assert trim_to_rising(np.array([row] * 3, float)) == ends


def test_strengths_have_zero_in_the_middle():
    assert spread_strengths(-3, 1, 7).tolist() == pytest.approx([-3, -2, -1, 0, 1 / 3, 2 / 3, 1])
