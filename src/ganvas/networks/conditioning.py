"""Class conditioning of layers: a learned vector per class, or the mean of several for mixtures.

All functions take one-hot labels (N, K), or mixtures of classes whose weights sum to 1.
"""

from typing import Any

import keras
from keras import KerasTensor, layers


def class_embedding(width: int, initializer: keras.Initializer, **options: Any) -> layers.Dense:
    """Return a layer from labels (N, K) to embeddings (N, width), the rows of its kernel.

    Example:
        >>> embedding = class_embedding(4, keras.initializers.Ones())
        >>> embedding(keras.ops.eye(3)).shape
        TensorShape([3, 4])
    """
    return layers.Dense(width, use_bias=False, kernel_initializer=initializer, **options)


def class_norm(
    x: KerasTensor,
    labels: KerasTensor,
    norm: layers.BatchNormalization,
    gamma: keras.Initializer,
) -> KerasTensor:
    """Normalize with a scale and an offset per class (de Vries et al., arXiv 1707.00683).

    Args:
        x: (N, C) or (N, H, W, C).
        labels: (N, K).
        norm: A batch norm without scale and center.
        gamma: Initializer of the scales; the offsets start at zero.

    Example:
        >>> norm = layers.BatchNormalization(scale=False, center=False)
        >>> x, labels = keras.ops.ones((2, 8, 8, 16)), keras.ops.eye(2)
        >>> class_norm(x, labels, norm, keras.initializers.Ones()).shape
        TensorShape([2, 8, 8, 16])
    """
    x = norm(x)
    channels = x.shape[-1]
    broadcast_shape = (1,) * (len(x.shape) - 2) + (channels,)
    for name, initializer, merge in (
        ("gamma", gamma, layers.Multiply()),
        ("beta", keras.initializers.Zeros(), layers.Add()),
    ):
        embedding = class_embedding(channels, initializer, name=f"{norm.name}_{name}")
        x = merge([x, layers.Reshape(broadcast_shape)(embedding(labels))])
    return x


def projection_logit(x: KerasTensor, labels: KerasTensor, embedding: keras.Layer) -> KerasTensor:
    """Compute the logit of a projection discriminator (Miyato and Koyama, arXiv 1802.05637).

    Args:
        x: The discriminator's last feature maps, (N, h, w, C).
        labels: (N, K).
        embedding: Layer from labels to embeddings (N, C).

    Returns:
        Inner products (N, 1) of the embeddings and the feature maps' spatial sums, float32.

    Example:
        >>> embedding = class_embedding(16, keras.initializers.Ones())
        >>> projection_logit(keras.ops.ones((2, 4, 4, 16)), keras.ops.eye(2), embedding).shape
        TensorShape([2, 1])
    """
    area = x.shape[1] * x.shape[2]
    means = layers.GlobalAveragePooling2D(dtype="float32")(x)
    sums = layers.Rescaling(float(area), dtype="float32")(means)
    return layers.Dot(axes=1, dtype="float32")([embedding(labels), sums])
