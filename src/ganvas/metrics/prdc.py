"""How well generated images are real ones, and real ones generated, by nearest neighbors.

A set's manifold is the union of balls around its points, each as wide as the distance to the k-th
nearest other point of the set. Precision and recall are Kynkäänniemi et al.'s (arXiv 1904.06991),
density and coverage Naeem et al.'s (arXiv 2002.09797).
"""

from typing import NamedTuple

import numpy as np

from ganvas.errors import GanvasError
from ganvas.metrics.pairwise import in_chunks, squared_distances


class Prdc(NamedTuple):
    """Shares of images.

    Attributes:
        precision: Of generated images within the real ones' manifold, 0 to 1.
        recall: Of real images within the generated ones' manifold, 0 to 1.
        density: How many real balls a generated image lies in, on average, over k: 0 and up, 1
            for sets of one distribution.
        coverage: Of real images with a generated one in their ball, 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def compute_prdc(real: np.ndarray, generated: np.ndarray, nearest: int = 5) -> Prdc:
    """Compare two sets of features, chunk against chunk, so that memory stays bounded.

    Args:
        real: Features of shape (m, d); may be memory-mapped.
        generated: Features of shape (n, d).
        nearest: k, less than m and n: 5 in the paper of density and coverage.

    Raises:
        GanvasError: A set has no more than k images.
    """
    least = min(len(real), len(generated))
    if least <= nearest:
        raise GanvasError(
            f"Neighbors are told by {nearest} others, so {nearest + 1} images or more are "
            f"needed on each side, not {least}."
        )
    real_radius, generated_radius = (_radii(points, nearest) for points in (real, generated))
    balls = np.zeros(len(generated), np.int64)
    reached, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows in in_chunks(len(real)):
        for columns in in_chunks(len(generated)):
            apart = squared_distances(real[rows], generated[columns])
            within = apart < real_radius[rows, None]
            balls[columns] += within.sum(axis=0)
            covered[rows] |= within.any(axis=1)
            reached[rows] |= (apart < generated_radius[columns]).any(axis=1)
    return Prdc(
        float((balls > 0).mean()),
        float(reached.mean()),
        float(balls.mean() / nearest),
        float(covered.mean()),
    )


def _radii(points: np.ndarray, nearest: int) -> np.ndarray:
    """Squared distances to each point's k-th nearest other one, (n,)."""
    radii = np.empty(len(points))
    for rows in in_chunks(len(points)):
        # A point is its own nearest.
        best = np.full((len(points[rows]), nearest + 1), np.inf)
        for columns in in_chunks(len(points)):
            apart = squared_distances(points[rows], points[columns])
            best = np.partition(np.hstack([best, apart]), nearest, axis=1)[:, : nearest + 1]
        radii[rows] = best[:, nearest]
    return radii
