import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.metrics import kid
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets


def naive_distance(real, generated):
    def k(x, y):
        return (float(x @ y) / len(x) + 1) ** 3

    def mean(pairs):
        return sum(pairs) / len(pairs)

    def off_diagonal(rows):
        return mean([k(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])

    cross = mean([k(x, y) for x in real for y in generated])
    return off_diagonal(real) + off_diagonal(generated) - 2 * cross


def gaussian_distance(mean, other, spread, other_spread):
    """Compute the expectation for N(mean, spread² I) against N(other, other_spread² I).

    From the moments of the product s = x·y of two independent Gaussians:
    k = 1 + 3 s/d + 3 s²/d² + s³/d³.
    """
    d = len(mean)

    def expected_kernel(m, n, a, b):
        dot, mm, nn = m @ n, m @ m, n @ n
        second = d * a * b + a * nn + b * mm + dot**2
        third = dot**3 + 3 * dot * (b * mm + a * nn) + a * b * (3 * d + 6) * dot
        return 1 + 3 * dot / d + 3 * second / d**2 + third / d**3

    a, b = spread**2, other_spread**2
    within = expected_kernel(mean, mean, a, a) + expected_kernel(other, other, b, b)
    return within - 2 * expected_kernel(mean, other, a, b)


@pytest.mark.parametrize("chunk", [1, 3, 7, 1024])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_a_naive_loop(monkeypatch, chunk, dtype):
    monkeypatch.setattr(kid, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    real = rng.normal(0.3, 1, (17, 5)).astype(dtype)
    generated = rng.normal(0.5, 1.2, (14, 5)).astype(dtype)
    expected = naive_distance(real.astype(np.float64), generated.astype(np.float64))
    distance = kernel_distance(real, generated)
    assert isinstance(distance, float)
    assert distance == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(generated, real) == pytest.approx(expected, rel=1e-9)


def test_single_precision_features_have_the_same_distance():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(10, 1, (2, 30, 200)).astype(np.float32)
    # A small difference of large kernel values.
    expected = naive_distance(real.astype(np.float64), generated.astype(np.float64))
    assert kernel_distance(real, generated) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_distance_of_two_points():
    real, generated = np.tile([1.0, 2.0], (3, 1)), np.tile([0.0, 1.0], (4, 1))
    # x·x / 2 + 1 is 3.5, y·y / 2 + 1 is 1.5, x·y / 2 + 1 is 2.
    assert kernel_distance(real, generated) == pytest.approx(3.5**3 + 1.5**3 - 2 * 2.0**3)


def test_equal_distributions_have_distance_zero_on_average():
    rng = np.random.default_rng(2)
    # With so few images a biased estimate would be far off.
    distances = [kernel_distance(*rng.normal(0.5, 1, (2, 8, 3))) for _ in range(2000)]
    error = np.std(distances) / np.sqrt(len(distances))
    assert abs(np.mean(distances)) < 3 * error
    assert min(distances) < 0


def test_the_mean_is_the_expectation_for_gaussians():
    rng = np.random.default_rng(3)
    mean, other = np.array([0.5, -0.2, 0.1]), np.array([-0.1, 0.4, 0.6])
    distances = [
        kernel_distance(rng.normal(mean, 0.8, (12, 3)), rng.normal(other, 1.1, (9, 3)))
        for _ in range(4000)
    ]
    error = np.std(distances) / np.sqrt(len(distances))
    expected = gaussian_distance(mean, other, 0.8, 1.1)
    assert expected > 10 * error
    assert abs(np.mean(distances) - expected) < 3 * error


def test_subsets_agree_with_the_full_estimate_and_depend_on_the_seed():
    rng = np.random.default_rng(4)
    real, generated = rng.normal(0, 1, (300, 4)), rng.normal(0.4, 1, (200, 4))
    mean, deviation = kernel_distance_subsets(real, generated, 60, 50, seed=5)
    assert (mean, deviation) == kernel_distance_subsets(real, generated, 60, 50, seed=5)
    assert (mean, deviation) != kernel_distance_subsets(real, generated, 60, 50, seed=6)
    assert abs(mean - kernel_distance(real, generated)) < 3 * deviation / np.sqrt(60)
    assert 0 < deviation < mean


def test_subsets_are_drawn_without_replacement():
    rng = np.random.default_rng(7)
    real, generated = rng.normal(0, 1, (2, 25, 3))
    mean, deviation = kernel_distance_subsets(real, generated, 4, 25, seed=0)
    assert mean == pytest.approx(kernel_distance(real, generated)) and deviation < 1e-12


def test_too_few_images_are_rejected():
    rows = np.zeros((5, 3))
    with pytest.raises(GanvasError, match="2 images or more on each side, not 1"):
        kernel_distance(rows, rows[:1])
    with pytest.raises(GanvasError, match="Subsets of 6 images can't be drawn from 5"):
        kernel_distance_subsets(rows, rows, 2, 6, seed=0)
