"""Projected GAN: a discriminator on features of a pretrained network (Sauer et al., 2111.01007).

Images pass through a frozen EfficientNet-Lite, whose feature maps of four sizes are mixed across
channels and scales by random, untrained convolutions. On each mixture is a small head with spectral
norm, which has a logit per part of the image. The pretrained features make training converge after
far fewer images. They hardly represent colors and noise, so one more head takes the image itself.
The generator is in `ganvas.networks.self_modulated`, or like that of the paper's code, in
`ganvas.networks.fastgan`. docs/published-code.md lists all differences from that code.

Metrics must not use the backbone as extractor for such a generator, which was optimized on its
features.
"""

from math import ceil

import keras
from keras import KerasTensor, layers

from ganvas.backbones.efficientnet import Variant, build_pyramid
from ganvas.image_shape import count_doublings
from ganvas.networks.conditioning import class_embedding, projection_logit
from ganvas.networks.config import ProjectedParams
from ganvas.networks.fastgan import build_fastgan_generator
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.self_modulated import build_self_modulated

# The shorter side of each head's grid of logits is this, or one or two more.
GRID = 4
VARIANTS: dict[str, Variant] = {"efficientnet_lite0": "lite0", "efficientnet_lite1": "lite1"}


def build_projected(
    params: ProjectedParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator; see `GanNetworks`.

    Each of the discriminator's five heads has a grid of logits, whose sides are those of the image,
    halved until the shorter one is 4 to 6: 4×4 for squares of a power of two, so 80 in all, and 6×4
    for images of height 96 and width 64, so 120.

    Args:
        params: Widths and mixing.
        image_shape: (H, W, C) with sides for which `ganvas.image_shape.can_train` is true. The
            backbone sees gray and transparent images as RGB, see `ganvas.backbones.rgb_input`; the
            head on the image sees all channels.
        classes: Number of classes K; 0 builds unconditional networks.

    Raises:
        GanvasError: The pretrained weights aren't installed, or `input_upscale` doesn't fit.

    Example:
        >>> networks = build_projected(ProjectedParams(), (64, 64, 3), classes=10)
        >>> networks.discriminator.output_shape
        (None, 80)
    """
    # From the smallest maps to those of half the image's sides.
    halvings = range(count_doublings(*image_shape[:2]) - 1, -1, -1)
    widths = [min(params.generator_width << n, params.max_width) for n in halvings]
    return GanNetworks(
        _build_generator(params, image_shape, widths, classes),
        _build_discriminator(params, image_shape, classes),
    )


def _build_generator(
    params: ProjectedParams, image_shape: tuple[int, int, int], widths: list[int], classes: int
) -> keras.Model:
    if params.generator == "dcgan":
        return build_self_modulated(image_shape, params.latent, widths, params.kernel, classes)
    return build_fastgan_generator(
        image_shape,
        params.latent,
        params.generator_width,
        classes,
        max_width=params.max_width,
        comp_every=1,
        unit_latents=True,
    )


def _build_discriminator(
    params: ProjectedParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    params.check_size(*image_shape[:2])
    variant = VARIANTS[params.backbone]
    pyramid = build_pyramid(variant, image_shape, params.input_upscale)
    backbone = keras.Model(pyramid.input, [pyramid.input, *pyramid.outputs], name="backbone")
    backbone.trainable = False
    images = keras.Input(image_shape, name="images")
    labels = [keras.Input((classes,), name="classes")] if classes else []
    heads = _build_heads(params, backbone, classes)
    logits = heads([*backbone(images), *labels])
    inputs = [images, *labels] if classes else images
    return keras.Model(inputs, logits, name="discriminator")


def _build_heads(params: ProjectedParams, backbone: keras.Model, classes: int) -> keras.Model:
    maps = [keras.Input(x.shape[1:], dtype=x.dtype) for x in backbone.outputs]
    labels = keras.Input((classes,), name="classes") if classes else None
    logits = [_pixel_head(params, maps[0])]
    logits += [_head(params, x, labels) for x in _mix(params, maps[1:])]
    merged = layers.Concatenate(dtype="float32")(logits)
    return keras.Model([*maps, labels] if classes else maps, merged, name="heads")


def _mix(params: ProjectedParams, maps: list[KerasTensor]) -> list[KerasTensor]:
    """Mix feature maps, from the finest to the coarsest, by random convolutions."""
    if params.mixing == "none":
        return maps
    mixed = [_random_convolution(params, 1)(x) for x in maps]
    if params.mixing == "across_channels":
        return mixed
    # From the coarsest map down, each finer map is added to the upsampled result.
    outputs = [_random_convolution(params, 3)(mixed[-1])]
    for finer in mixed[-2::-1]:
        coarser = layers.UpSampling2D(2, interpolation="bilinear")(outputs[0])
        outputs.insert(0, _random_convolution(params, 3)(layers.Add()([coarser, finer])))
    return outputs


def _random_convolution(params: ProjectedParams, kernel: int) -> keras.Layer:
    return layers.Conv2D(
        params.projection,
        kernel,
        padding="same",
        kernel_initializer=keras.initializers.HeNormal(),
        trainable=False,
    )


def _pixel_head(params: ProjectedParams, x: KerasTensor) -> KerasTensor:
    """Map images to a grid of logits, (N, M)."""
    width = params.pixel_width
    while _exceeds_grid(x):
        x = layers.LeakyReLU(0.2)(_spectral_conv(width, 4, 2)(x))
        width = 2 * params.pixel_width
    return layers.Flatten(dtype="float32")(_spectral_conv(1, 3)(x))


def _head(params: ProjectedParams, x: KerasTensor, labels: KerasTensor | None) -> KerasTensor:
    """Map a feature map to a grid of logits, (N, M)."""
    while _exceeds_grid(x):
        x = layers.LeakyReLU(0.2)(_spectral_conv(params.head_width, 4, 2)(x))
    x = layers.LeakyReLU(0.2)(_spectral_conv(params.head_width, 3)(x))
    logits = _spectral_conv(1, 3)(x)
    repeats = ceil(GRID / min(x.shape[1:3]))
    if repeats > 1:
        # The logits of coarse maps are repeated, to weigh as much as those of fine maps.
        logits = layers.UpSampling2D(repeats)(logits)
    logits = layers.Flatten(dtype="float32")(logits)
    if labels is None:
        return logits
    embedding = layers.SpectralNormalization(
        class_embedding(params.head_width, keras.initializers.GlorotUniform(), dtype="float32"),
        dtype="float32",
    )
    return layers.Add(dtype="float32")([logits, projection_logit(x, labels, embedding)])


def _exceeds_grid(x: KerasTensor) -> bool:
    """Return whether maps (N, h, w, C) still have `GRID` rows and columns when they are halved.

    Odd sides are rounded up, so that the maps of all heads are halved to the same grid.
    """
    return min(x.shape[1:3]) >= 2 * GRID - 1


def _spectral_conv(channels: int, kernel: int, stride: int = 1) -> keras.Layer:
    convolution = layers.Conv2D(channels, kernel, strides=stride, padding="same")
    return layers.SpectralNormalization(convolution, dtype="float32")
