"""R3GAN: a residual network without normalization (Huang et al., arXiv 2501.05441).

Both networks are chains of inverted residual blocks with grouped convolutions and fix-up
initialization (Zhang et al., arXiv 1901.09321): each block starts as the identity, and its other
kernels are scaled down by the number of blocks. The paper's relativistic loss and gradient
penalties, R1 and R2, are parameters of `train`; the defaults here are the paper's for faces at 64
pixels.
"""

from math import prod, sqrt
from typing import Any

import keras
from keras import KerasTensor, layers

from ganvas.image_shape import smallest_map
from ganvas.networks.conditioning import class_embedding
from ganvas.networks.config import R3ganParams
from ganvas.networks.gan_networks import GanNetworks

SLOPE = 0.2


def build_r3gan(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator; see `GanNetworks`.

    No activation limits the generator's images to [-1, 1].

    Args:
        params: Widths and depths.
        image_shape: (H, W, C) with sides for which `ganvas.image_shape.can_train` is true.
        classes: Number of classes K; 0 builds unconditional networks.

    Raises:
        ValueError: The channels can't be divided into groups.

    Example:
        >>> networks = build_r3gan(R3ganParams(width=32, max_width=64), (32, 32, 3))
        >>> networks.discriminator(keras.ops.zeros((1, 32, 32, 3))).shape
        TensorShape([1, 1])
    """
    params.check_if_chosen()
    return GanNetworks(
        _build_generator(params, image_shape, classes),
        _build_discriminator(params, image_shape, classes),
    )


def _build_generator(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    latent = inputs = keras.Input((params.latent,), name="latent")
    widths, size = params.stage_widths(*image_shape[:2]), smallest_map(*image_shape[:2])
    x = latent
    if classes:
        labels = keras.Input((classes,), name="classes")
        inputs = [latent, labels]
        embedding = class_embedding(params.class_embedding, _he_normal(), name="class_embedding")
        x = layers.Concatenate()([x, embedding(labels)])
    x = layers.Dense(widths[0], use_bias=False, kernel_initializer=_he_normal())(x)
    # Each channel starts as a learned pattern, multiplied by a projection of the latent.
    x = layers.EinsumDense(
        "nc,pc->npc",
        (prod(size), widths[0]),
        kernel_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="basis",
    )(x)
    x = layers.Reshape((*size, widths[0]))(x)
    x = _residual_blocks(params, len(widths), x)
    for width in widths[1:]:
        x = _match_width(x, width)
        x = _blur(layers.UpSampling2D(2, interpolation="nearest")(x))
        x = _residual_blocks(params, len(widths), x)
    images = _conv1x1(image_shape[2], _he_normal(), dtype="float32")(x)
    return keras.Model(inputs, images, name="generator")


def _build_discriminator(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    images = inputs = keras.Input(image_shape, name="images")
    widths = params.stage_widths(*image_shape[:2])[::-1]
    x = _conv1x1(widths[0], _he_normal())(images)
    x = _residual_blocks(params, len(widths), x)
    for width in widths[1:]:
        x = layers.AveragePooling2D(2)(_blur(x))
        x = _residual_blocks(params, len(widths), _match_width(x, width))
    # VarianceScaling would count all channels in the fan-in of a depthwise kernel.
    size = x.shape[1:3]
    pattern = keras.initializers.RandomNormal(stddev=1 / sqrt(prod(size)))
    basis = layers.DepthwiseConv2D(
        size, use_bias=False, depthwise_initializer=pattern, dtype="float32", name="basis"
    )
    x = layers.Flatten(dtype="float32")(basis(x))
    features = layers.Dense(
        widths[-1] if classes else 1,
        use_bias=False,
        kernel_initializer=_he_normal(),
        dtype="float32",
    )(x)
    if not classes:
        return keras.Model(inputs, features, name="discriminator")
    labels = keras.Input((classes,), name="classes")
    gain = 1 / sqrt(widths[-1])
    embedding = class_embedding(
        widths[-1], _he_normal(gain), name="class_embedding", dtype="float32"
    )
    logits = layers.Dot(axes=1, dtype="float32")([features, embedding(labels)])
    return keras.Model([inputs, labels], logits, name="discriminator")


def _residual_blocks(params: R3ganParams, stages: int, x: KerasTensor) -> KerasTensor:
    """Apply the residual blocks of one of `stages` resolutions."""
    # Fix-up for 3 layers per block; 2 / (1 + slope²) preserves variance over a leaky ReLU.
    gain = sqrt(2 / (1 + SLOPE**2)) * (stages * params.blocks) ** (-1 / (2 * 3 - 2))
    width, expanded = x.shape[-1], params.expansion * x.shape[-1]
    for _ in range(params.blocks):
        y = layers.LeakyReLU(SLOPE)(_conv1x1(expanded, _he_normal(gain), use_bias=True)(x))
        y = layers.Conv2D(
            expanded,
            3,
            padding="same",
            groups=params.count_groups(expanded),
            kernel_initializer=_he_normal(gain),
        )(y)
        y = _conv1x1(width, keras.initializers.Zeros())(layers.LeakyReLU(SLOPE)(y))
        x = layers.Add()([x, y])
    return x


def _match_width(x: KerasTensor, width: int) -> KerasTensor:
    return x if x.shape[-1] == width else _conv1x1(width, _he_normal())(x)


def _conv1x1(
    width: int, initializer: keras.Initializer, use_bias: bool = False, **options: Any
) -> keras.Layer:
    return layers.Conv2D(width, 1, use_bias=use_bias, kernel_initializer=initializer, **options)


def _blur(x: KerasTensor) -> KerasTensor:
    """Convolve zero-padded maps with [1, 2, 1] / 4 along both axes.

    After nearest upsampling, or before 2 x 2 average pooling, it is the paper's filter
    [1, 3, 3, 1].
    """
    x = layers.ZeroPadding2D(1)(x)
    for _ in range(2):
        x = layers.AveragePooling2D(2, strides=1)(x)
    return x


def _he_normal(gain: float = 1.0) -> keras.Initializer:
    """Return He et al.'s normal initializer (arXiv 1502.01852), times a gain."""
    return keras.initializers.VarianceScaling(gain**2, "fan_in", "untruncated_normal")
