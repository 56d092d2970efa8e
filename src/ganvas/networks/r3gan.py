"""R3GAN: a residual network without normalization (Huang et al., arXiv 2501.05441).

Both networks are chains of inverted residual blocks with grouped convolutions, begun by fix-up
initialization (Zhang et al., arXiv 1901.09321): each block begins as the identity, and its other
kernels are scaled down by the number of blocks. What is special about their training, the
relativistic loss and gradient penalties at real and generated images, stands under `train`; the
defaults here are the paper's for faces at 64 pixels.
"""

from math import sqrt
from typing import Any, TypeAlias

import keras
from keras import layers
from pydantic import Field, model_validator

from ganvas.base_params import Params
from ganvas.networks.conditioning import class_embedding
from ganvas.networks.gan_networks import GanNetworks

FIRST_SIDE, LARGEST_SIDE = 4, 256
SLOPE = 0.2
Maps: TypeAlias = keras.KerasTensor


class R3ganParams(Params):
    """Parameters of R3GAN.

    Attributes:
        latent: Length Z of the latent vector.
        width: Channels of the maps at full size; doubled at each halving of the side.
        max_width: Channels that no maps have more than; 768 for faces in the paper.
        blocks: Residual blocks at each side.
        expansion: How many times more channels there are within a block.
        group_width: Channels that each group of a block's 3 x 3 convolution mixes; where a block
            has no more than these, it has one group. Many groups are for GPUs: on a CPU
            TensorFlow has no fast kernels for them.
        class_embedding: Numbers that stand for a class beside the generator's latent.
    """

    latent: int = Field(64, ge=1, le=4096)
    width: int = Field(384, ge=1, le=1024)
    max_width: int = Field(768, ge=1, le=4096)
    blocks: int = Field(2, ge=1, le=8)
    expansion: int = Field(2, ge=1, le=8)
    group_width: int = Field(16, ge=1, le=4096)
    class_embedding: int = Field(64, ge=1, le=1024)

    @model_validator(mode="after")
    def _check_groups(self) -> "R3ganParams":
        for width in (self.width, self.max_width):
            expanded = width * self.expansion
            if expanded > self.group_width and expanded % self.group_width:
                raise ValueError(
                    f"width and max_width times expansion must be multiples of group_width, or "
                    f"less, and {width} × {self.expansion} is none of {self.group_width}"
                )
        for width in _widths(self, LARGEST_SIDE):
            expanded = width * self.expansion
            if expanded % _count_groups(self, expanded):
                raise ValueError(
                    f"width, doubled at each halving, comes to {width}, and {width} × "
                    f"{self.expansion} can't be cut into groups of {self.group_width} or a little "
                    "more"
                )
        return self


def build_r3gan(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator for square images with a power of two as side.

    Args:
        params: Widths and depths.
        image_shape: (H, W, channels) with H == W, 8 or more.
        classes: How many classes K there are; 0: images without classes.

    Returns:
        The generator, (N, Z) to (N, H, W, channels), which nothing keeps within [-1, 1] but what
        it has learnt; the discriminator, the other way to logits (N, 1). With classes both take
        rows (N, K) as second input.
    """
    return GanNetworks(
        _build_generator(params, image_shape, classes),
        _build_discriminator(params, image_shape, classes),
    )


def _build_generator(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    latent = inputs = keras.Input((params.latent,), name="latent")
    widths = _widths(params, image_shape[0])
    x = latent
    if classes:
        rows = keras.Input((classes,), name="classes")
        inputs = [latent, rows]
        table = class_embedding(params.class_embedding, _msr(), name="class_embedding")
        x = layers.Concatenate()([x, table(rows)])
    x = layers.Dense(widths[0], use_bias=False, kernel_initializer=_msr())(x)
    # Each channel begins as a pattern of its own, as strong as the latent asks for.
    x = layers.EinsumDense(
        "nc,pc->npc",
        (FIRST_SIDE**2, widths[0]),
        kernel_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="basis",
    )(x)
    x = layers.Reshape((FIRST_SIDE, FIRST_SIDE, widths[0]))(x)
    x = _residual_blocks(params, len(widths), x)
    for width in widths[1:]:
        x = _convolve_points(x, width)
        x = _blur(layers.UpSampling2D(2, interpolation="nearest")(x))
        x = _residual_blocks(params, len(widths), x)
    images = _pointwise(image_shape[2], _msr(), dtype="float32")(x)
    return keras.Model(inputs, images, name="generator")


def _build_discriminator(
    params: R3ganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    images = inputs = keras.Input(image_shape, name="images")
    widths = _widths(params, image_shape[0])[::-1]
    x = _pointwise(widths[0], _msr())(images)
    x = _residual_blocks(params, len(widths), x)
    for width in widths[1:]:
        x = layers.AveragePooling2D(2)(_blur(x))
        x = _residual_blocks(params, len(widths), _convolve_points(x, width))
    # The initializer takes a depthwise kernel's fan-in for that of all channels together.
    pattern = keras.initializers.RandomNormal(stddev=1 / FIRST_SIDE)
    basis = layers.DepthwiseConv2D(
        FIRST_SIDE, use_bias=False, depthwise_initializer=pattern, dtype="float32", name="basis"
    )
    x = layers.Flatten(dtype="float32")(basis(x))
    told = layers.Dense(
        widths[-1] if classes else 1, use_bias=False, kernel_initializer=_msr(), dtype="float32"
    )(x)
    if not classes:
        return keras.Model(inputs, told, name="discriminator")
    rows = keras.Input((classes,), name="classes")
    gain = 1 / sqrt(widths[-1])
    table = class_embedding(widths[-1], _msr(gain), name="class_embedding", dtype="float32")
    logits = layers.Dot(axes=1, dtype="float32")([told, table(rows)])
    return keras.Model([inputs, rows], logits, name="discriminator")


def _widths(params: R3ganParams, side: int) -> list[int]:
    """Channels of the maps, from the smallest on."""
    doublings = range((side // FIRST_SIDE).bit_length())
    return [min(params.width << depth, params.max_width) for depth in doublings][::-1]


def _count_groups(params: R3ganParams, channels: int) -> int:
    return max(channels // params.group_width, 1)


def _residual_blocks(params: R3ganParams, stages: int, x: Maps) -> Maps:
    """Follow maps by the blocks of one side, of one network with so many sides."""
    # Of 3 layers in a block; 2 / (1 + slope²) keeps the variance over a leaky ReLU.
    gain = sqrt(2 / (1 + SLOPE**2)) * (stages * params.blocks) ** (-1 / (2 * 3 - 2))
    width, expanded = x.shape[-1], params.expansion * x.shape[-1]
    for _ in range(params.blocks):
        y = layers.LeakyReLU(SLOPE)(_pointwise(expanded, _msr(gain), use_bias=True)(x))
        y = layers.Conv2D(
            expanded,
            3,
            padding="same",
            groups=_count_groups(params, expanded),
            kernel_initializer=_msr(gain),
        )(y)
        y = _pointwise(width, keras.initializers.Zeros())(layers.LeakyReLU(SLOPE)(y))
        x = layers.Add()([x, y])
    return x


def _convolve_points(x: Maps, width: int) -> Maps:
    return x if x.shape[-1] == width else _pointwise(width, _msr())(x)


def _pointwise(
    width: int, initializer: keras.Initializer, use_bias: bool = False, **options: Any
) -> keras.Layer:
    return layers.Conv2D(width, 1, use_bias=use_bias, kernel_initializer=initializer, **options)


def _blur(x: Maps) -> Maps:
    """Convolve with [1, 2, 1] / 4 both ways, on zeros around the maps.

    After nearest upsampling, or before the mean of 2 x 2, it is the paper's filter [1, 3, 3, 1].
    """
    x = layers.ZeroPadding2D(1)(x)
    for _ in range(2):
        x = layers.AveragePooling2D(2, strides=1)(x)
    return x


def _msr(gain: float = 1.0) -> keras.Initializer:
    """He et al.'s normal distribution (arXiv 1502.01852) times a gain."""
    return keras.initializers.VarianceScaling(gain**2, "fan_in", "untruncated_normal")
