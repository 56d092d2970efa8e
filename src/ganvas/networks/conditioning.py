"""How a layer knows the class: each class has numbers of its own, and mixtures have their mean.

All take rows (N, K) of weights that sum to 1.
"""

from typing import Any

import keras
from keras import layers


def class_embedding(width: int, initializer: keras.Initializer, **options: Any) -> layers.Dense:
    """Make the map of rows (N, K) to (N, width); its kernel (K, width) has a row for each class."""
    return layers.Dense(width, use_bias=False, kernel_initializer=initializer, **options)


def class_norm(
    x: keras.KerasTensor,
    rows: keras.KerasTensor,
    norm: layers.BatchNormalization,
    gamma: keras.Initializer,
) -> keras.KerasTensor:
    """Normalize with a scale and an offset for each class (de Vries et al., arXiv 1707.00683).

    Args:
        x: (N, C) or (N, H, W, C).
        rows: The classes, (N, K).
        norm: A norm without scale and center.
        gamma: Initializer of the scales; the offsets begin with zeros.
    """
    x = norm(x)
    channels = x.shape[-1]
    alike = (1,) * (len(x.shape) - 2) + (channels,)
    for name, initializer, merge in (
        ("gamma", gamma, layers.Multiply()),
        ("beta", keras.initializers.Zeros(), layers.Add()),
    ):
        row = class_embedding(channels, initializer, name=f"{norm.name}_{name}")(rows)
        x = merge([x, layers.Reshape(alike)(row)])
    return x


def projection_logit(
    x: keras.KerasTensor, rows: keras.KerasTensor, table: keras.Layer
) -> keras.KerasTensor:
    """Ask maps how well they fit their class (Miyato and Koyama, arXiv 1802.05637).

    Args:
        x: A discriminator's last maps, (N, h, w, C).
        rows: The classes, (N, K).
        table: Maps them to embeddings, (N, C).

    Returns:
        Inner products (N, 1) of the embeddings and the maps' sums over all places, float32.
    """
    places = x.shape[1] * x.shape[2]
    means = layers.GlobalAveragePooling2D(dtype="float32")(x)
    sums = layers.Rescaling(float(places), dtype="float32")(means)
    return layers.Dot(axes=1, dtype="float32")([table(rows), sums])
