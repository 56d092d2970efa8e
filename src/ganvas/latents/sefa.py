"""SeFa: directions that a generator's first layer amplifies most (Shen and Zhou, 2007.06600).

If A is the matrix of the first affine map of w, a step of length 1 along n changes the map's
output by n A. The steps that change it most are eigenvectors of A Aᵀ (AᵀA in the paper, whose
vectors are columns), in closed form: neither images nor training are needed.

The paper's latents are styles, or vary alike along all axes. With a latent prior some axes of w
vary far less than others, and a step of the same length would leave the images of training: there
steps are measured in standard deviations of each axis.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from ganvas.keras_types import Model
from ganvas.latents.directions import find_scale
from ganvas.latents.ganspace import orient
from ganvas.latents.latent_samples import LatentSamples
from ganvas.networks.first_layers import find_first_weights


def factorize_weights(
    generator: Model,
    samples: LatentSamples,
    count: int,
    layers: Collection[int] | None = None,
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Find directions, the one that is amplified most first.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        samples: Its intermediate latents, for the length of a step.
        count: Number of directions; there may be fewer.
        layers: Of StyleGAN2 the layers whose modulations are factorized, and that directions
            change; None: all.

    Returns:
        Vectors of the shape of w, one standard deviation of w long, each with facts about it:
        `component`, its number from 1, and `variance`, the eigenvalue's share of their sum.

    Raises:
        GanvasError: No layer with weights takes w.
    """
    w = samples.center(samples.w)
    units = np.ones(w.shape[1]) if len(samples.shape) == 2 else w.std(axis=0)
    matrix = units[:, None] * find_first_weights(generator, layers)
    found = []
    for number, (step, share) in enumerate(zip(*find_eigenvectors(matrix, count), strict=True), 1):
        vector = orient(units * step)
        scaled = vector * (find_scale(w, vector) / np.linalg.norm(vector))
        about = {"component": number, "variance": float(share), "space": "first weights"}
        found.append((samples.expand(scaled, layers), about))
    return found


def find_eigenvectors(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvectors of A Aᵀ with the largest eigenvalues, and the shares of these.

    Args:
        matrix: A, (D, M).
        count: Number of vectors at most.

    Returns:
        Unit vectors (n, D), each with its largest value positive, and shares (n,).

    Example:
        >>> vectors, shares = find_eigenvectors(np.array([[1.0, 0], [0, 3]]), 1)
        >>> vectors.tolist(), shares.tolist()
        ([[0.0, 1.0]], [0.9])
    """
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    order = np.argsort(-values)[:count]
    order = order[values[order] > 1e-12 * max(values.max(), 1e-300)]
    return np.stack([orient(vectors[:, x]) for x in order]), values[order] / values.sum()
