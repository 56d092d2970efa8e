"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. (arXiv 1406.2661).

Generated images become a mixture of Gaussians of one width, chosen on validation images, and
the figure is the mean log-likelihood of test images under it. Pixels are on the scale [0, 1]:
another scale moves the figure by D times the logarithm of the factor. It says little about how
images look (Theis et al., arXiv 1511.01844).
"""

from typing import NamedTuple

import numpy as np

SIGMAS = np.logspace(-1, 0, 10)
CHUNK = 1000


class Parzen(NamedTuple):
    """What the protocol gives.

    Attributes:
        mean: Log-likelihood of test images in nats, the mean.
        error: Its standard error over test images.
        sigma: The chosen width.
        at_edge: Whether this is the first or the last of those tried, so that a better one may
            lie beyond.
        dimensions: D, the numbers in an image.
        samples: Generated images.
        validation: Images that the width was chosen on.
        images: Test images.
    """

    mean: float
    error: float
    sigma: float
    at_edge: bool
    dimensions: int
    samples: int
    validation: int
    images: int


def parzen(
    samples: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    sigmas: np.ndarray = SIGMAS,
    chunk: int = CHUNK,
) -> Parzen:
    """Choose the width on validation images, and measure test images.

    Args:
        samples: Generated images, uint8 of shape (m, H, W, 3).
        validation: Real images, uint8 of shape (v, H, W, 3), v at least 1.
        test: Other real images, uint8 of shape (n, H, W, 3), n at least 2.
        sigmas: Widths to try, in ascending order, on the scale [0, 1].
        chunk: Images of each kind that are held as floats at once.
    """
    of_validation = log_likelihoods(validation, samples, sigmas, chunk)
    best = int(of_validation.mean(axis=1).argmax())
    (of_test,) = log_likelihoods(test, samples, sigmas[best : best + 1], chunk)
    return Parzen(
        mean=float(of_test.mean()),
        error=float(of_test.std(ddof=1) / np.sqrt(len(of_test))),
        sigma=float(sigmas[best]),
        at_edge=best in (0, len(sigmas) - 1),
        dimensions=int(np.prod(samples.shape[1:])),
        samples=len(samples),
        validation=len(validation),
        images=len(test),
    )


def log_likelihoods(
    points: np.ndarray, samples: np.ndarray, sigmas: np.ndarray, chunk: int = CHUNK
) -> np.ndarray:
    """Log-likelihoods of points under Gaussians around samples, for several widths at once.

    Memory is that of 2 · chunk images as floats and of n widths' sums, however many there are.

    Args:
        points: (n, …), uint8 that are taken on the scale [0, 1], or floats as they are.
        samples: (m, …) likewise.
        sigmas: Standard deviations of the Gaussians, (s,).
        chunk: Points and samples that are held as floats at once.

    Returns:
        Nats, float64 of shape (s, n): log of the mean over samples of the Gaussians' densities.
    """
    dimensions = int(np.prod(points.shape[1:]))
    scale = -0.5 / np.asarray(sigmas, np.float64)[:, None, None] ** 2
    parts = []
    for start in range(0, len(points), chunk):
        rows = _flatten(points[start : start + chunk])
        total = np.full((len(sigmas), len(rows)), -np.inf)
        for first in range(0, len(samples), chunk):
            squares = _squared_distances(rows, _flatten(samples[first : first + chunk]))
            for sums, factor in zip(total, scale, strict=True):
                np.logaddexp(sums, _log_sum(factor * squares), out=sums)
        parts.append(total)
    normalizer = dimensions * np.log(np.asarray(sigmas) * np.sqrt(2 * np.pi))
    return np.concatenate(parts, axis=1) - np.log(len(samples)) - normalizer[:, None]


def _log_sum(exponents: np.ndarray) -> np.ndarray:
    """Logarithm of the sum over the last axis of exp, without overflow."""
    top = exponents.max(axis=-1)
    return top + np.log(np.exp(exponents - top[:, None]).sum(axis=-1))


def _squared_distances(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """‖x - y‖² of all pairs, float64 (n, m)."""
    # In float64 the difference of large terms keeps ten digits and more; in float32, three.
    products = rows @ columns.T
    squares = (rows**2).sum(axis=1)[:, None] + (columns**2).sum(axis=1) - 2 * products
    return np.maximum(squares, 0)


def _flatten(images: np.ndarray) -> np.ndarray:
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows / 255 if images.dtype == np.uint8 else rows
