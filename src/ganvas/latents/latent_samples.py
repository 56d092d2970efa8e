"""Samples of a generator's intermediate latents w, from which directions are found and scaled."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ganvas.keras_types import Model
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import map_to_w, w_shape
from ganvas.networks.sampling import sample_latents
from ganvas.networks.styles import map_latents


class LatentSamples(NamedTuple):
    """Intermediate latents of images of random latents, with the classes in turn.

    Attributes:
        w: float32 (N, D): w itself, or of StyleGAN2 the style that all L layers have.
        labels: Class weights, float32 (N, K); (N, 0) without classes.
        classes: Row of the weights of each, int (N,); all 0 without classes.
        shape: `w_shape` of the generator, (D,) or (L, D).
    """

    w: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    shape: tuple[int, ...]

    def first(self, count: int) -> "LatentSamples":
        """Return the first samples."""
        return LatentSamples(self.w[:count], self.labels[:count], self.classes[:count], self.shape)

    def center(self, values: np.ndarray) -> np.ndarray:
        """Return values (N, …) minus their mean over the samples of the same class, float64."""
        centered = np.asarray(values, np.float64).copy()
        for number in np.unique(self.classes):
            members = self.classes == number
            centered[members] -= centered[members].mean(axis=0)
        return centered

    def full_w(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return w of some samples as synthesis takes it, float32 (n, *shape)."""
        w = self.w[rows]
        if len(self.shape) == 1:
            return w
        return np.repeat(w[:, None], self.shape[0], axis=1)

    def expand(self, vector: np.ndarray, layers: Collection[int] | None = None) -> np.ndarray:
        """Return a vector (D,) in the shape of w, float32, zero in all but the given layers."""
        if len(self.shape) == 1:
            return np.asarray(vector, np.float32)
        expanded = np.zeros(self.shape, np.float32)
        expanded[list(range(self.shape[0]) if layers is None else layers)] = vector
        return expanded


def sample_w(generator: Model, rows: np.ndarray, count: int, seed: int) -> LatentSamples:
    """Sample intermediate latents.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        rows: Weights of each class, float32 (M, K), which the samples have in turn; without
            classes an array without values.
        count: Number of samples N.
        seed: Random seed of the latents, which are those of `sample_latents`.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> sample_w(generator, np.zeros((0, 0), np.float32), 5, seed=0).w.shape
        (5, 100)
    """
    latents = sample_latents(generator, count, seed)
    classes = np.arange(count) % max(len(rows), 1)
    labels = rows[classes] if rows.size else np.zeros((count, 0), np.float32)
    given = labels if rows.size else None
    find = map_latents if is_style_based(generator) else map_to_w
    return LatentSamples(find(generator, latents, given), labels, classes, w_shape(generator))
