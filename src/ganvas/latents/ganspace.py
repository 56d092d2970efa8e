"""GANSpace: directions along which a generator's images vary most (Härkönen et al., 2004.02546).

They are principal components. Where latents are mapped to others first, as in StyleGAN2 and with a
latent prior, these are the components of w itself. Other generators are given normally distributed
latents, which vary alike in all directions; there the paper's recipe for BigGAN is used: principal
components of the first feature maps, and the directions in w that change them, by least squares.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from ganvas.keras_types import Model
from ganvas.latents.directions import find_scale
from ganvas.latents.latent_samples import LatentSamples
from ganvas.networks.first_layers import compute_first_maps
from ganvas.networks.latent_spaces import has_mapping

# Bytes of feature maps at once at most: fewer samples of large ones.
MAX_BYTES = 2**28


def find_components(
    generator: Model,
    samples: LatentSamples,
    count: int,
    layers: Collection[int] | None = None,
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Find directions, the one of the largest variance first.

    Values are centered by class, so that directions are those within classes.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        samples: Its intermediate latents, many more than their length.
        count: Number of directions; there may be fewer.
        layers: Of StyleGAN2 the layers that directions change; None: all.

    Returns:
        Vectors of the shape of w, one standard deviation of w long, each with facts about it:
        `component`, its number from 1, `variance`, its share of the variance, and `space`, of what
        it is a component.
    """
    if has_mapping(generator):
        return _find_in_w(samples, count, layers)
    return _find_in_maps(generator, samples, count)


def _find_in_w(
    samples: LatentSamples, count: int, layers: Collection[int] | None
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    vectors, shares = find_principal(samples.center(samples.w), count)
    found = []
    for number, (vector, share) in enumerate(zip(vectors, shares, strict=True), 1):
        scaled = vector * find_scale(samples.center(samples.w), vector)
        about = {"component": number, "variance": float(share), "space": "w"}
        found.append((samples.expand(scaled, layers), about))
    return found


def _find_in_maps(
    generator: Model, samples: LatentSamples, count: int
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    first = compute_first_maps(generator, samples.w[:1], samples.labels[:1])
    limit = min(len(samples.w), max(2, MAX_BYTES // first.nbytes))
    part = samples.first(limit)
    maps = compute_first_maps(generator, part.w, part.labels).reshape(limit, -1)
    for number in np.unique(part.classes):
        members = part.classes == number
        maps[members] -= maps[members].mean(axis=0)
    vectors, shares = find_principal(maps, count)
    # The latents that explain the coordinates on the components, by least squares.
    coordinates = maps @ vectors.T
    w = part.center(part.w)
    transferred, *_ = np.linalg.lstsq(coordinates.astype(np.float64), w, rcond=None)
    found = []
    for number, (vector, share) in enumerate(zip(transferred, shares, strict=True), 1):
        if not np.linalg.norm(vector):
            continue
        # Signs of components are arbitrary, and other machines would find others.
        unit = orient(vector / np.linalg.norm(vector))
        about = {"component": number, "variance": float(share), "space": "first feature maps"}
        found.append((samples.expand(unit * find_scale(w, unit)), about))
    return found


def find_principal(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal components of centered values, and their shares of the variance.

    Args:
        values: (N, D), centered.
        count: Number of components at most.

    Returns:
        Unit vectors (n, D), each with its largest value positive, and shares (n,).

    Example:
        >>> vectors, shares = find_principal(np.array([[3.0, 0], [-3, 0], [0, 1], [0, -1]]), 1)
        >>> vectors.tolist(), shares.tolist()
        ([[1.0, 0.0]], [0.9])
    """
    # Takes a second to import.
    from sklearn.decomposition import PCA

    count = min(count, *values.shape)
    pca = PCA(count, svd_solver="auto", random_state=0).fit(values)
    # What is left of float32 values is rounding.
    kept = pca.explained_variance_ > 1e-6 * max(pca.explained_variance_[0], 1e-300)
    vectors = np.stack([orient(x) for x in pca.components_[kept]])
    return vectors, pca.explained_variance_ratio_[kept]


def orient(vector: np.ndarray) -> np.ndarray:
    """Return a vector or its opposite, so that the value of the largest size is positive."""
    return vector if vector[np.abs(vector).argmax()] > 0 else -vector
