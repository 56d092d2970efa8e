import tracemalloc

import numpy as np
import pytest

from ganvas.metrics.parzen import SIGMAS, log_likelihoods, parzen


def naive_log_likelihoods(points, samples, sigma):
    """Compute the protocol's formula term by term."""
    values = []
    for point in points:
        densities = []
        for sample in samples:
            square = sum((float(a) - float(b)) ** 2 for a, b in zip(point, sample, strict=True))
            densities.append(np.exp(-square / (2 * sigma**2)))
        value = np.log(np.mean(densities)) - len(point) * np.log(sigma * np.sqrt(2 * np.pi))
        values.append(value)
    return np.array(values)


def random_images(count: int, seed: int = 0, side: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_log_likelihoods_agree_with_a_naive_loop(chunk):
    rng = np.random.default_rng(0)
    points, samples = rng.normal(size=(7, 5)), rng.normal(size=(10, 5))
    sigmas = np.array([0.3, 1.0])
    likelihoods = log_likelihoods(points, samples, sigmas, chunk)
    expected = [naive_log_likelihoods(points, samples, sigma) for sigma in sigmas]
    np.testing.assert_allclose(likelihoods, expected, rtol=1e-9)


def test_distant_samples_do_not_underflow():
    points, samples = np.zeros((2, 3000)), np.ones((3, 3000))
    (likelihoods,) = log_likelihoods(points, samples, np.array([0.1]))
    expected = -3000 / (2 * 0.01) - 3000 * np.log(0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(likelihoods, expected, rtol=1e-12)


@pytest.mark.slow
def test_samples_of_a_gaussian_agree_with_the_closed_form_within_the_standard_error():
    rng = np.random.default_rng(1)
    dimensions, spread, sigma = 2, 0.7, 0.3
    samples = rng.normal(0, spread, (20_000, dimensions))
    points = rng.normal(0, spread, (2_000, dimensions))
    (likelihoods,) = log_likelihoods(points, samples, np.array([sigma]))
    # The convolution of two Gaussians is a Gaussian whose variance is their sum.
    both = spread**2 + sigma**2
    expected = -dimensions / 2 * np.log(2 * np.pi * both) - dimensions * spread**2 / (2 * both)
    assert abs(likelihoods.mean() - expected) < 3 * likelihoods.std() / np.sqrt(len(points))
    assert likelihoods.std() / np.sqrt(len(points)) < 0.02


def test_another_pixel_scale_adds_its_logarithm():
    rng = np.random.default_rng(2)
    points, samples = rng.random((4, 12)), rng.random((5, 12))
    (original,) = log_likelihoods(points, samples, np.array([0.4]))
    (rescaled,) = log_likelihoods(2 * points - 1, 2 * samples - 1, np.array([0.8]))
    np.testing.assert_allclose(original - rescaled, 12 * np.log(2), rtol=1e-9)


def test_uint8_images_are_scaled_to_0_1():
    samples, test = random_images(6), random_images(4, seed=1)
    flat = [x.reshape(len(x), -1) / 255 for x in (test, samples)]
    (likelihoods,) = log_likelihoods(test, samples, np.array([0.5]))
    np.testing.assert_allclose(likelihoods, naive_log_likelihoods(*flat, 0.5), rtol=1e-9)


def test_the_width_is_chosen_on_validation_images():
    samples, validation, test = (
        random_images(20),
        random_images(9, seed=1),
        random_images(8, seed=2),
    )
    result = parzen(samples, validation, test)
    flat = [x.reshape(len(x), -1) / 255 for x in (samples, validation, test)]
    means = [naive_log_likelihoods(flat[1], flat[0], sigma).mean() for sigma in SIGMAS]
    assert result.sigma == pytest.approx(SIGMAS[int(np.argmax(means))])
    expected = naive_log_likelihoods(flat[2], flat[0], result.sigma)
    assert result.mean == pytest.approx(expected.mean(), rel=1e-9)
    assert result.error == pytest.approx(expected.std(ddof=1) / np.sqrt(8), rel=1e-9)
    assert (result.dimensions, result.samples, result.validation, result.images) == (12, 20, 9, 8)
    assert not result.at_edge


def test_a_width_at_the_edge_of_the_candidates_is_reported():
    samples = random_images(5)
    assert parzen(samples, samples, random_images(3, seed=1)).at_edge


def test_memory_does_not_grow_with_the_number_of_samples():
    def peak(count: int) -> int:
        samples, test = random_images(count, side=8), random_images(50, seed=1, side=8)
        tracemalloc.start()
        parzen(samples, test, test, chunk=50)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(4_000) < 1.2 * peak(500)
