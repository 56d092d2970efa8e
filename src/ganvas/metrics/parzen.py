"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. (arXiv 1406.2661).

The density is a mixture of Gaussians around generated images, whose width is chosen on validation
images; the metric is the mean log-likelihood of test images. Pixels are scaled to [0, 1]: another
scale adds D times the logarithm of the factor. It says little about how images look (Theis et al.,
arXiv 1511.01844).
"""

from typing import NamedTuple

import numpy as np

from ganvas.arrays import Images
from ganvas.metrics.pairwise import squared_distances

SIGMAS = np.logspace(-1, 0, 10)
# Images of each kind that are held as floats at once, fewer if they have more values.
CHUNK, CHUNK_VALUES = 1000, 2**25


class ParzenResult(NamedTuple):
    """Result of the protocol.

    Attributes:
        mean: Mean log-likelihood of test images in nats.
        error: Its standard error over test images.
        sigma: The chosen width.
        at_edge: Whether `sigma` is the first or last candidate, so a better one may lie beyond.
        dimensions: D, the number of values in an image.
        samples: Number of generated images.
        validation: Number of validation images.
        images: Number of test images.
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
    samples: Images,
    validation: Images,
    test: Images,
    sigmas: np.ndarray = SIGMAS,
    chunk: int = CHUNK,
) -> ParzenResult:
    """Choose the width on validation images and compute the log-likelihood of test images.

    Args:
        samples: Generated images, uint8 of shape (m, H, W, C); these and the others may be
            memory-mapped.
        validation: Real images, uint8 of shape (v, H, W, C), v at least 1.
        test: Other real images, uint8 of shape (n, H, W, C), n at least 2.
        sigmas: Candidate widths in ascending order, for pixels in [0, 1].
        chunk: Most images of each kind that are held as floats at once.

    Example:
        >>> samples, validation, test = np.zeros((3, 9, 4, 4, 3), np.uint8)
        >>> parzen(samples, validation, test).sigma
        0.1
    """
    by_sigma = log_likelihoods(validation, samples, sigmas, chunk).mean(axis=1)
    best = int(by_sigma.argmax())
    (likelihoods,) = log_likelihoods(test, samples, sigmas[best : best + 1], chunk)
    return ParzenResult(
        mean=float(likelihoods.mean()),
        error=float(likelihoods.std(ddof=1) / np.sqrt(len(likelihoods))),
        sigma=float(sigmas[best]),
        at_edge=best in (0, len(sigmas) - 1),
        dimensions=int(np.prod(samples.shape[1:])),
        samples=len(samples),
        validation=len(validation),
        images=len(test),
    )


def log_likelihoods(
    points: Images, samples: Images, sigmas: np.ndarray, chunk: int = CHUNK
) -> np.ndarray:
    """Compute log-likelihoods of points under Gaussians around samples, for several widths.

    Memory holds 2 · chunk images as floats, of 2²⁵ values at most, and (s, n) sums, however many
    images there are.

    Args:
        points: (n, …), uint8, which is scaled to [0, 1], or floats, which are used unchanged.
        samples: (m, …), likewise.
        sigmas: Standard deviations of the Gaussians, (s,).
        chunk: Most points and samples that are held as floats at once.

    Returns:
        Nats, float64 of shape (s, n): log of the mean over samples of the Gaussians' densities.

    Example:
        >>> log_likelihoods(np.zeros((1, 1)), np.zeros((5, 1)), np.array([1.0])).round(3).tolist()
        [[-0.919]]
    """
    dimensions = int(np.prod(points.shape[1:]))
    chunk = max(1, min(chunk, CHUNK_VALUES // dimensions))
    scale = -0.5 / np.asarray(sigmas, np.float64)[:, None, None] ** 2
    parts = []
    for i in range(0, len(points), chunk):
        rows = _flatten(points[i : i + chunk])
        log_sums = np.full((len(sigmas), len(rows)), -np.inf)
        for j in range(0, len(samples), chunk):
            squares = squared_distances(rows, _flatten(samples[j : j + chunk]))
            for log_sum, factor in zip(log_sums, scale, strict=True):
                np.logaddexp(log_sum, _logsumexp(factor * squares), out=log_sum)
        parts.append(log_sums)
    normalizer = dimensions * np.log(np.asarray(sigmas) * np.sqrt(2 * np.pi))
    return np.concatenate(parts, axis=1) - np.log(len(samples)) - normalizer[:, None]


def _logsumexp(x: np.ndarray) -> np.ndarray:
    # Several times faster than SciPy's, which handles signs and infinities too.
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=-1))


def _flatten(images: np.ndarray) -> np.ndarray:
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows / 255 if images.dtype == np.uint8 else rows
