"""Generators whose images are linear functions of the latent, so that directions are known."""

import keras
import numpy as np
from keras import layers


def build_linear(matrix: np.ndarray, classes: int = 0) -> keras.Model:
    """Return a generator of gray images of 8×8 pixels.

    Args:
        matrix: (Z, 16): a latent z is mapped to 4×4 levels z A, which are doubled.
        classes: Number of classes; class k adds k / 10 to all levels.
    """
    latent = keras.Input((len(matrix),), name="latent")
    dense = layers.Dense(16)
    x = dense(latent)
    inputs = latent
    if classes:
        labels = keras.Input((classes,), name="classes")
        shift = layers.Dense(16, use_bias=False)
        x = layers.Add()([x, shift(labels)])
        shift.set_weights([np.arange(classes)[:, None] * np.full((1, 16), 0.1)])
        inputs = [latent, labels]
    dense.set_weights([matrix, np.zeros(16)])
    x = layers.Reshape((4, 4, 1))(x)
    return keras.Model(inputs, layers.UpSampling2D(2)(x), name="generator")


def make_matrix(latent: int = 6, seed: int = 3) -> np.ndarray:
    """Return a matrix (Z, 16) with singular values that differ clearly, in [-1, 1] for images."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((latent, latent)))
    right, _ = np.linalg.qr(rng.standard_normal((16, latent)))
    sizes = 0.3 * 0.6 ** np.arange(latent)
    return (left * sizes) @ right.T
