import keras
import numpy as np
import pytest

from ganvas.training.ada_filter import (
    SYM2,
    band_filters,
    combine_gains,
    draw_band_gains,
    filter_bands,
)

RNG = np.random.default_rng(0)
GAINS = np.array([[1, 1, 1, 1], [0.8, 1.5, 0.4, 2.0]], np.float32)


@pytest.mark.parametrize(("height", "width", "channels"), [(24, 30, 3), (9, 5, 1)])
def test_filtering_agrees_with_a_convolution_of_the_reflected_image(height, width, channels):
    images = RNG.uniform(-1, 1, (2, height, width, channels)).astype(np.float32)
    expected = []
    for image, gains in zip(images.astype(float), GAINS, strict=True):
        taps = sum(gain * band for gain, band in zip(gains, band_filters(), strict=True))
        padded = np.pad(image, ((21, 21), (21, 21), (0, 0)), "reflect")
        for axis in (0, 1):
            padded = np.apply_along_axis(np.convolve, axis, padded, taps, "valid")
        expected.append(padded)
    np.testing.assert_allclose(filter_bands(images, GAINS), expected, atol=5e-6)
    np.testing.assert_allclose(expected[0], images[0], atol=1e-6)


def test_bands_are_octaves_that_sum_to_the_whole_spectrum():
    assert np.abs(SYM2).sum() > SYM2.sum() == pytest.approx(2**0.5)
    response = np.abs(np.fft.rfft(band_filters(), 1024))
    centers = (response * np.arange(513)).sum(axis=1) / response.sum(axis=1) / 512
    # Octaves up to 1/8, 1/4, 1/2 and 1 of the highest frequency.
    np.testing.assert_allclose(centers, [0.06, 0.19, 0.37, 0.75], atol=0.05)
    impulse = np.zeros(43)
    impulse[21] = 1
    np.testing.assert_allclose(band_filters().sum(axis=0), impulse, atol=1e-12)


def naive_gains(factors):
    gains = np.ones(4)
    for band, factor in enumerate(factors):
        amplified = np.ones(4)
        amplified[band] = factor
        power = (np.array([10, 1, 1, 1]) / 13 * amplified**2).sum()
        gains *= amplified / np.sqrt(power)
    return gains


def test_gains_are_normalized_after_each_band():
    factors = np.exp2(RNG.normal(size=(20, 4))).astype(np.float32)
    expected = [naive_gains(row) for row in factors]
    np.testing.assert_allclose(combine_gains(factors), expected, rtol=1e-5)


def test_draws_have_the_distribution_of_the_paper():
    gains = np.asarray(draw_band_gains(100_000, 1.0, keras.random.SeedGenerator(1)))
    # The normalization is the same for all bands, so their ratios are those of the factors.
    ratios = np.log2(gains[:, 1:] / gains[:, :1]) / 2**0.5
    quantiles = np.quantile(ratios, [0.1, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(quantiles, np.tile([[-1.2816], [0], [0.6745]], 3), atol=0.02)
    gains = np.asarray(draw_band_gains(100_000, 0.2, keras.random.SeedGenerator(2)))
    assert (gains == 1).all(axis=1).mean() == pytest.approx(0.8**4, abs=0.006)
