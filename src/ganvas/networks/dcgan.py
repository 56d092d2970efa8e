"""DCGAN: strided convolutions with batch normalisation (Radford et al., arXiv 1511.06434).

Layers, initialisation and the settings of batch normalisation follow pytorch/examples: at 64
pixels and width 64 the generator has 3,576,704 trainable parameters, the discriminator 2,765,568.
"""

from typing import Any, Literal

import keras
from keras import layers
from pydantic import Field

from ganvas.params import Params

FIRST_SIDE = 4


class DcganParams(Params):
    """Parameters of DCGAN.

    Attributes:
        latent: Length Z of the latent vector.
        generator_width: Channels of the generator's last hidden layer; doubled at each halving
            of the side.
        discriminator_width: Channels of the discriminator's first layer, doubled likewise.
        kernel: Side of the strided convolutions' kernels.
        discriminator_norm: What normalises the discriminator's hidden layers; gradient penalties
            need none, since batch norm ties the pictures of a batch together.
        spectral_norm: Divide each of the discriminator's kernels by its largest singular value
            (Miyato et al., arXiv 1802.05957). Its batch norms stay, so that it is not
            1-Lipschitz as a whole.
    """

    latent: int = Field(100, ge=1, le=4096)
    generator_width: int = Field(64, ge=1, le=512)
    discriminator_width: int = Field(64, ge=1, le=512)
    kernel: int = Field(4, ge=3, le=7)
    discriminator_norm: Literal["batch", "none"] = "batch"
    spectral_norm: bool = False


def build_dcgan(
    params: DcganParams, image_shape: tuple[int, int, int]
) -> tuple[keras.Model, keras.Model]:
    """Build generator and discriminator for square pictures with a power of two as side.

    Args:
        params: Widths and sizes.
        image_shape: (H, W, channels) with H == W, 8 or more.

    Returns:
        The generator, (N, Z) to (N, H, W, channels) in [-1, 1]; the discriminator, the other way
        to logits (N, 1).
    """
    return _build_generator(params, image_shape), _build_discriminator(params, image_shape)


def _build_generator(params: DcganParams, image_shape: tuple[int, int, int]) -> keras.Model:
    side, _, channels = image_shape
    widths = _widths(params.generator_width, side)[::-1]
    latent = keras.Input((params.latent,), name="latent")
    x = layers.Reshape((1, 1, params.latent))(latent)
    x = layers.Conv2DTranspose(widths[0], FIRST_SIDE, use_bias=False, **_normal())(x)
    for width in widths[1:]:
        x = layers.ReLU()(_batch_norm()(x))
        x = _upsample(width, params.kernel)(x)
    x = layers.ReLU()(_batch_norm()(x))
    x = _upsample(channels, params.kernel)(x)
    pictures = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latent, pictures, name="generator")


def _build_discriminator(params: DcganParams, image_shape: tuple[int, int, int]) -> keras.Model:
    pictures = keras.Input(image_shape, name="pictures")
    x = pictures
    for depth, width in enumerate(_widths(params.discriminator_width, image_shape[0])):
        x = _convolve(params, width, params.kernel, strides=2, padding="same")(x)
        x = _batch_norm()(x) if depth and params.discriminator_norm == "batch" else x
        x = layers.LeakyReLU(0.2)(x)
    x = _convolve(params, 1, FIRST_SIDE)(x)
    logits = layers.Flatten(dtype="float32")(x)
    return keras.Model(pictures, logits, name="discriminator")


def _widths(width: int, side: int) -> list[int]:
    """Channels at each side from side / 2 down to 4: doubled at each halving."""
    halvings = (side // FIRST_SIDE).bit_length() - 1
    return [width * 2**depth for depth in range(halvings)]


def _convolve(params: DcganParams, width: int, kernel: int, **options: Any) -> keras.Layer:
    convolution = layers.Conv2D(width, kernel, use_bias=False, **options, **_normal())
    if not params.spectral_norm:
        return convolution
    # Keras's wrapper puts the divided kernel in the kernel's place, in the wrapper's own type: in
    # half precision that would round the weights at each step and lose small updates.
    return layers.SpectralNormalization(convolution, dtype="float32")


def _upsample(width: int, kernel: int) -> keras.Layer:
    return layers.Conv2DTranspose(
        width, kernel, strides=2, padding="same", use_bias=False, **_normal()
    )


def _batch_norm() -> keras.Layer:
    # PyTorch's momentum .1 is Keras's .9.
    return layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
    )


def _normal() -> dict[str, keras.Initializer]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
