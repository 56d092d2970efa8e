"""Truncation in W: the images of truncated latents, see `ganvas.networks.sampling`."""

import numpy as np

from ganvas.keras_types import Model
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import map_to_w
from ganvas.networks.styles import ClassMeans, map_latents, mean_styles, repeat_styles, truncate


def map_truncated(
    generator: Model,
    latents: np.ndarray,
    labels: np.ndarray,
    truncation: np.ndarray,
    class_means: ClassMeans | None = None,
) -> np.ndarray:
    """Map latents to W and truncate them as `ganvas.networks.sampling.generate_images` does.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        latents: float32 (N, Z).
        labels: Class weights, float32 (N, K).
        truncation: Of each image, (N,); 1 changes nothing.
        class_means: See `ganvas.networks.styles.find_class_means`; style-based generators with
            classes need them, unless all truncation is 1.

    Returns:
        float32 (N, *`w_shape`).
    """
    psi = np.asarray(truncation, np.float32)
    if is_style_based(generator):
        styles = map_latents(generator, latents, labels)
        means = mean_styles(generator, labels, class_means)
        return repeat_styles(generator, truncate(styles, means, psi))
    return map_to_w(generator, latents * psi[:, None], labels)


def truncate_w(w: np.ndarray, means: np.ndarray, truncation: np.ndarray) -> np.ndarray:
    """Move intermediate latents towards their means; a truncation of 1 changes nothing.

    Args:
        w: float32 (N, *`w_shape`).
        means: Of the same shape, see `ganvas.networks.latent_spaces.mean_w`.
        truncation: Of each image, (N,).

    Example:
        >>> truncate_w(np.full((1, 2), 3.0), np.ones((1, 2)), np.array([0.5])).tolist()
        [[2.0, 2.0]]
    """
    psi = np.asarray(truncation, np.float32).reshape(-1, *[1] * (w.ndim - 1))
    # In this form, 0 is exactly the mean and 1 exactly w.
    return psi * w + (1 - psi) * means
