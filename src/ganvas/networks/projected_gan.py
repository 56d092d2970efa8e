"""Projected GAN: a discriminator that looks through a trained network (Sauer et al., 2111.01007).

Images go through a frozen EfficientNet-Lite0, whose maps of four sizes are mixed across channels
and sizes by convolutions that nobody trains. On each mixture sits a small head with spectral norm,
whose logits judge parts of the image. What ImageNet has taught need not be learnt again, so that
far fewer images seen give good ones. That network was never asked about colors and grain, so one
more head sits on the image itself. The generator is DCGAN's.

No figure may be made with efficientnet_lite0 for such a generator: it has learnt to please it.
"""

from typing import Literal

import keras
from keras import layers
from pydantic import Field

from ganvas.backbones.efficientnet import build_pyramid
from ganvas.base_params import Params
from ganvas.networks.conditioning import class_embedding, projection_logit
from ganvas.networks.dcgan import DcganParams, build_generator
from ganvas.networks.gan_networks import GanNetworks

# Heads come down to maps of this side, and each has as many logits.
GRID = 4
# It may not judge what was trained by it: see `ganvas.project_params`.
BACKBONE = "efficientnet_lite0"


class ProjectedParams(Params):
    """Parameters of Projected GAN.

    Attributes:
        latent: Length Z of the latent vector.
        generator_width: Channels of the generator's last hidden layer, doubled at each halving.
        max_width: The most channels that the generator has at any side.
        kernel: Side of the generator's kernels.
        mixing: How maps are mixed before the heads: `across_scales`, each with the coarser ones;
            `across_channels`, each by itself; or `none`.
        projection: Channels of each mixture.
        head_width: Channels of the heads.
        pixel_width: Channels of the first layer of the head that judges the image itself.
        input_upscale: How many times larger the frozen network sees an image, a power of two: it
            learnt from larger ones, but takes the square of this as long.
    """

    latent: int = Field(100, ge=1, le=4096)
    generator_width: int = Field(32, ge=1, le=512)
    max_width: int = Field(512, ge=1, le=4096)
    kernel: int = Field(4, ge=3, le=7)
    mixing: Literal["across_scales", "across_channels", "none"] = "across_scales"
    projection: int = Field(64, ge=1, le=1024)
    head_width: int = Field(64, ge=1, le=1024)
    pixel_width: int = Field(24, ge=1, le=512)
    input_upscale: Literal[1, 2, 4, 8] = 1


def build_projected(
    params: ProjectedParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator for square images with a power of two as side.

    Args:
        params: Widths and mixing.
        image_shape: (H, W, 3) with H == W, 32 or more.
        classes: How many classes K there are; 0: images without classes.

    Returns:
        The generator, (N, Z) to (N, H, W, 3) in [-1, 1]; the discriminator, the other way to
        logits (N, 80), one for each sixteenth of an image by each of five heads. With classes both
        take rows (N, K) as second input.

    Raises:
        GanvasError: The trained network's weights aren't installed.
    """
    # Sides of the generator's maps, from 4 to half the image's.
    halvings = range((image_shape[0] // 4).bit_length() - 2, -1, -1)
    widths = [min(params.generator_width << each, params.max_width) for each in halvings]
    generator = DcganParams(latent=params.latent, generator_widths=widths, kernel=params.kernel)
    return GanNetworks(
        build_generator(generator, image_shape, classes),
        _build_discriminator(params, image_shape, classes),
    )


def _build_discriminator(
    params: ProjectedParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    pyramid = build_pyramid("lite0", image_shape[0], params.input_upscale)
    trunk = keras.Model(pyramid.input, [pyramid.input, *pyramid.outputs], name="trunk")
    trunk.trainable = False
    images = keras.Input(image_shape, name="images")
    rows = [keras.Input((classes,), name="classes")] if classes else []
    logits = _build_heads(params, trunk, classes)([*trunk(images), *rows])
    return keras.Model([images, *rows] if rows else images, logits, name="discriminator")


def _build_heads(params: ProjectedParams, trunk: keras.Model, classes: int) -> keras.Model:
    maps = [keras.Input(each.shape[1:], dtype=each.dtype) for each in trunk.outputs]
    rows = keras.Input((classes,), name="classes") if classes else None
    heads = [_pixel_head(params, maps[0])]
    heads += [_head(params, each, rows) for each in _mix(params, maps[1:])]
    logits = layers.Concatenate(dtype="float32")(heads)
    return keras.Model([*maps, rows] if classes else maps, logits, name="heads")


def _mix(params: ProjectedParams, maps: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """Mix maps, given from the finest to the coarsest, by convolutions that stay as they begin."""
    if params.mixing == "none":
        return maps
    mixed = [_random_convolution(params, 1)(each) for each in maps]
    if params.mixing == "across_channels":
        return mixed
    found = [_random_convolution(params, 3)(mixed[-1])]
    for finer in mixed[-2::-1]:
        coarser = layers.UpSampling2D(2, interpolation="bilinear")(found[0])
        found.insert(0, _random_convolution(params, 3)(layers.Add()([coarser, finer])))
    return found


def _random_convolution(params: ProjectedParams, kernel: int) -> keras.Layer:
    return layers.Conv2D(
        params.projection,
        kernel,
        padding="same",
        kernel_initializer=keras.initializers.HeNormal(),
        trainable=False,
    )


def _pixel_head(params: ProjectedParams, x: keras.KerasTensor) -> keras.KerasTensor:
    """Turn images into GRID² logits, (N, 16)."""
    width = params.pixel_width
    while x.shape[1] > GRID:
        x = layers.LeakyReLU(0.2)(_convolve(width, 4, 2)(x))
        width = 2 * params.pixel_width
    return layers.Flatten(dtype="float32")(_convolve(1, 3)(x))


def _head(
    params: ProjectedParams, x: keras.KerasTensor, rows: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Turn a map into GRID² logits, (N, 16)."""
    while x.shape[1] > GRID:
        x = layers.LeakyReLU(0.2)(_convolve(params.head_width, 4, 2)(x))
    x = layers.LeakyReLU(0.2)(_convolve(params.head_width, 3)(x))
    logits = _convolve(1, 3)(x)
    if x.shape[1] < GRID:
        # Coarse maps count as much as fine ones.
        logits = layers.UpSampling2D(GRID // x.shape[1])(logits)
    logits = layers.Flatten(dtype="float32")(logits)
    if rows is None:
        return logits
    table = class_embedding(params.head_width, keras.initializers.GlorotUniform(), dtype="float32")
    judged = projection_logit(x, rows, layers.SpectralNormalization(table, dtype="float32"))
    return layers.Add(dtype="float32")([logits, judged])


def _convolve(channels: int, kernel: int, stride: int = 1) -> keras.Layer:
    convolution = layers.Conv2D(channels, kernel, strides=stride, padding="same")
    return layers.SpectralNormalization(convolution, dtype="float32")
