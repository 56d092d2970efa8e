"""A generator with self-modulation and anti-aliased upsampling, for Projected GAN.

DCGAN's transposed convolutions (arXiv 1511.06434) with two changes:

- Self-modulation (Chen et al., arXiv 1810.01365): scale and offset of each batch norm are functions
  of the latent and the class embedding, so that a latent sets colors and textures at all sizes,
  not only the contents of the smallest feature maps.
- The last two upsamplings are followed by a mean over 2×2 pixels, which cancels the checkerboard of
  strided kernels (Odena et al., https://distill.pub/2016/deconv-checkerboard) on flat areas: its
  response at the highest frequency is zero.
"""

import keras
from keras import KerasTensor, layers

from ganvas.networks.conditioning import class_embedding

CLASS_EMBEDDING = 32
# Number of upsamplings, counted from the last, that are averaged.
ANTI_ALIASED = 2


def build_self_modulated(
    image_shape: tuple[int, int, int], latent: int, widths: list[int], kernel: int, classes: int
) -> keras.Model:
    """Build the generator.

    Args:
        image_shape: (H, W, channels), with sides that the number of widths can halve.
        latent: Length Z of a latent.
        widths: Channels of the feature maps, from the smallest to those of half the image's sides.
        kernel: Kernel size of the transposed convolutions.
        classes: Number of classes K; 0 for an unconditional generator.

    Returns:
        Latents (N, Z), and with classes labels (N, K), to images (N, H, W, channels) in [-1, 1].

    Example:
        >>> generator = build_self_modulated((32, 32, 3), 100, [64, 32, 16], 4, classes=0)
        >>> generator(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 32, 32, 3])
    """
    latents = keras.Input((latent,), name="latent")
    labels = keras.Input((classes,), name="classes") if classes else None
    code = latents
    if labels is not None:
        # On the latent's scale, N(0, 1).
        standard = keras.initializers.RandomNormal(stddev=1.0)
        embedding = class_embedding(CLASS_EMBEDDING, standard, name="class_embedding")
        code = layers.Concatenate()([latents, embedding(labels)])

    x = layers.Reshape((1, 1, code.shape[-1]))(code)
    size = tuple(side >> len(widths) for side in image_shape[:2])
    x = layers.Conv2DTranspose(widths[0], size, use_bias=False, kernel_initializer=_normal())(x)
    channels = [*widths[1:], image_shape[-1]]
    for position, width in enumerate(channels):
        x = layers.ReLU()(_modulate(x, code))
        x = layers.Conv2DTranspose(
            width,
            kernel,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=_normal(),
        )(x)
        if position >= len(channels) - ANTI_ALIASED:
            x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    images = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latents if labels is None else [latents, labels], images, name="generator")


def _modulate(x: KerasTensor, code: KerasTensor) -> KerasTensor:
    """Normalize (N, h, w, C); scale and offset are affine functions of a code (N, D)."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, scale=False, center=False)(x)
    channels = x.shape[-1]
    for bias, merge in (("ones", layers.Multiply()), ("zeros", layers.Add())):
        dense = layers.Dense(channels, kernel_initializer=_normal(), bias_initializer=bias)
        x = merge([x, layers.Reshape((1, 1, channels))(dense(code))])
    return x


def _normal() -> keras.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)
