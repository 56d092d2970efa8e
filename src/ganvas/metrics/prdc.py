"""Precision, recall, density and coverage of generated images.

A set's manifold is the union of balls around its points, whose radius is the distance to the k-th
nearest other point of the set. Precision and recall are by Kynkäänniemi et al. (arXiv 1904.06991,
equation 1), whose balls include their surface: of a generator that repeats some training images
exactly, the balls have radius 0, and these images still count as recalled. Density and coverage are
by Naeem et al. (arXiv 2002.09797), whose code leaves the surface out.
"""

from typing import NamedTuple

import numpy as np

from ganvas.errors import GanvasError
from ganvas.metrics.pairwise import in_chunks, squared_distances

# Relative error of squared distances: those that differ by less from a radius are on the surface.
ROUNDING = 1e-9


class Prdc(NamedTuple):
    """Precision, recall, density and coverage.

    Attributes:
        precision: Share of generated images within the real manifold, 0 to 1.
        recall: Share of real images within the generated manifold, 0 to 1.
        density: Mean number of real balls around a generated image, divided by k: 0 or more, 1
            for sets of one distribution.
        coverage: Share of real images with a generated image in their ball, 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def compute_prdc(real: np.ndarray, generated: np.ndarray, nearest_k: int = 5) -> Prdc:
    """Compute precision, recall, density and coverage in chunks, so that memory stays bounded.

    Args:
        real: Features of shape (m, d); may be memory-mapped.
        generated: Features of shape (n, d).
        nearest_k: k, less than m and n: 5 in the paper of density and coverage.

    Raises:
        GanvasError: A set has k images or fewer.

    Example:
        >>> features = np.arange(6.0)[:, None]
        >>> compute_prdc(features, features + 9, nearest_k=2)
        Prdc(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    smallest = min(len(real), len(generated))
    if smallest <= nearest_k:
        raise GanvasError(
            f"Precision and recall with {nearest_k} neighbors need {nearest_k + 1} images or more "
            f"on each side, not {smallest}."
        )
    real_radii, generated_radii = (_squared_radii(x, nearest_k) for x in (real, generated))
    # For each generated image the number of real balls around it and whether one has it inside or
    # on its surface; for each real image whether a generated ball does, and whether its own ball
    # contains a generated image.
    ball_counts = np.zeros(len(generated), np.int64)
    is_precise = np.zeros(len(generated), bool)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows in in_chunks(len(real)):
        for columns in in_chunks(len(generated)):
            distances = squared_distances(real[rows], generated[columns])
            in_real_ball = distances < (1 - ROUNDING) * real_radii[rows, None]
            ball_counts[columns] += in_real_ball.sum(axis=0)
            covered[rows] |= in_real_ball.any(axis=1)
            in_or_on_real_ball = distances <= (1 + ROUNDING) * real_radii[rows, None]
            is_precise[columns] |= in_or_on_real_ball.any(axis=0)
            in_or_on_generated_ball = distances <= (1 + ROUNDING) * generated_radii[columns]
            recalled[rows] |= in_or_on_generated_ball.any(axis=1)
    return Prdc(
        precision=float(is_precise.mean()),
        recall=float(recalled.mean()),
        density=float(ball_counts.mean() / nearest_k),
        coverage=float(covered.mean()),
    )


def _squared_radii(points: np.ndarray, nearest_k: int) -> np.ndarray:
    """Compute the squared distance of each point to its k-th nearest other point, (n,)."""
    radii = np.empty(len(points))
    for rows in in_chunks(len(points)):
        # One more than k, since a point is its own nearest neighbor.
        best = np.full((len(points[rows]), nearest_k + 1), np.inf)
        for columns in in_chunks(len(points)):
            distances = squared_distances(points[rows], points[columns])
            best = np.partition(np.hstack([best, distances]), nearest_k, axis=1)[:, : nearest_k + 1]
        radii[rows] = best[:, nearest_k]
    return radii
