"""ArtGAN: a class-conditional generator, with a discriminator that also classifies.

`original` is Tan et al., arXiv 1702.03410: zNet and decoder make the generator, encoder and
clsNet the discriminator, and the decoder is also trained to reconstruct real images from the
encoder's features. `improved` is Tan et al., arXiv 1708.09533, after the authors' code for styles:
nearest upsampling, and a decoder within the discriminator. docs/published-code.md lists what
differs from that code, such as the epsilon of batch norm and moving averages when sampling.
"""

from collections.abc import Iterable
from functools import reduce
from math import prod
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from ganvas.errors import GanvasError
from ganvas.image_shape import count_doublings, smallest_map
from ganvas.networks.config import ArtganParams
from ganvas.networks.gan_networks import GanNetworks

DROPOUT = {"original": 0.0, "improved": 0.2}
NOISE = {"original": 0.0, "improved": 0.05}


def build_artgan(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    """Build generator, discriminator and, in the original, their decoder; see `GanNetworks`.

    The discriminator's outputs are `logits`, `softmax_classes` or `sigmoid_classes`, and `features`
    (original) or `reconstruction` (improved).

    Args:
        params: Variant and widths.
        image_shape: (H, W, C) with sides for which `ganvas.image_shape.can_train` is true.
        classes: Number of classes K, at least 1.

    Raises:
        GanvasError: There are no classes.

    Example:
        >>> networks = build_artgan(ArtganParams(), (64, 64, 3), classes=10)
        >>> sorted(networks.discriminator.output)
        ['features', 'logits', 'sigmoid_classes']
    """
    if not classes:
        raise GanvasError(
            "ArtGAN is class-conditional, but the collection has no label column: choose a source "
            "with labels, or another network.name."
        )
    build = _build_original if params.variant == "original" else _build_improved
    return build(params, image_shape, classes)


def _build_original(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    latent, labels, x = _generator_inputs(params, classes)
    # zNet
    size = smallest_map(*image_shape[:2])
    x = layers.Reshape((1, 1, x.shape[-1]))(x)
    x = _apply_layers(_transposed_conv_block(8 * params.width, size, padding="valid"), x)
    x = _apply_layers(_transposed_conv_block(4 * params.width, 4, strides=2), x)
    # The decoder's layers, shared by generator and decoder
    decoder_layers = list(_decoder_layers(params, image_shape))
    generator = keras.Model([latent, labels], _apply_layers(decoder_layers, x), name="generator")
    features = keras.Input(x.shape[1:], name="features")
    decoder = keras.Model(features, _apply_layers(decoder_layers, features), name="decoder")
    return GanNetworks(
        generator, _build_original_discriminator(params, image_shape, classes), decoder
    )


def _decoder_layers(
    params: ArtganParams, image_shape: tuple[int, int, int]
) -> Iterable[keras.Layer]:
    """Yield the layers from features, of twice the smallest maps' sides, to images."""
    stages = count_doublings(*image_shape[:2]) - 2
    dropout = DROPOUT["original"] if params.dropout is None else params.dropout
    for width in _stage_widths(params.width, stages, 4 * params.width):
        yield from _transposed_conv_block(width, 4, strides=2)
        if dropout:
            yield layers.Dropout(dropout)
    yield from _transposed_conv_block(params.width, 3)
    yield layers.Conv2DTranspose(image_shape[2], 4, strides=2, padding="same", **_normal_init())
    # The paper's images are in [0, 1].
    yield layers.Activation("sigmoid", dtype="float32")
    yield layers.Rescaling(2.0, offset=-1.0, dtype="float32")


def _build_original_discriminator(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Build the original's encoder and clsNet."""
    images = keras.Input(image_shape, name="images")
    x = _add_noise(params, images)
    x = layers.Conv2D(params.width, 4, strides=2, padding="same", **_normal_init())(x)
    x = layers.LeakyReLU(0.2)(x)
    x = _apply_layers(_conv_block(params.width, 3), x)
    stages = count_doublings(*image_shape[:2]) - 2
    widths = _stage_widths(2 * params.width, stages, 4 * params.width)[::-1]
    # The decoder needs as many channels as zNet has, for small images too.
    for width in [*widths[:-1], 4 * params.width]:
        x = _apply_layers(_conv_block(width, 4, strides=2), x)
    features = layers.Activation("linear", dtype="float32", name="features")(x)
    x = _apply_layers(_conv_block(8 * params.width, 4, strides=2), x)
    outputs = layers.Dense(classes + 1, dtype="float32", **_normal_init())(layers.Flatten()(x))
    class_logits, fake_logit = outputs[:, :-1], outputs[:, -1:]
    if params.class_loss == "sigmoid":
        named = {"logits": -fake_logit, "sigmoid_classes": class_logits}
    else:
        logits = ops.logsumexp(class_logits, axis=(-1,), keepdims=True) - fake_logit
        named = {"logits": logits, "softmax_classes": class_logits}
    return keras.Model(images, named | {"features": features}, name="discriminator")


def _build_improved(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    size, doublings = smallest_map(*image_shape[:2]), count_doublings(*image_shape[:2])
    latent, labels, x = _generator_inputs(params, classes)
    x = layers.Dense(4 * params.width * prod(size), use_bias=False, **_normal_init())(x)
    x = layers.LeakyReLU(0.2)(_batch_norm()(x))
    x = layers.Reshape((*size, 4 * params.width))(x)
    widths = _stage_widths(params.width // 4, doublings + 1, 4 * params.width)
    for number, width in enumerate(widths, start=1):
        x = _apply_layers(_upsample_block(width), x)
        if number == len(widths) - 1:
            x = _apply_layers(_conv_block(width, 3), x)
    x = layers.Conv2D(image_shape[2], 3, padding="same", use_bias=False, **_normal_init())(x)
    x = layers.Activation("tanh", dtype="float32")(x)
    # The last maps have twice the image's sides and are average-pooled.
    images = layers.AveragePooling2D(3, strides=2, padding="same", dtype="float32")(x)
    generator = keras.Model([latent, labels], images, name="generator")
    return GanNetworks(generator, _build_improved_discriminator(params, image_shape, classes))


def _build_improved_discriminator(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Build the improved discriminator, which contains a decoder."""
    doublings = count_doublings(*image_shape[:2])
    dropout = DROPOUT["improved"] if params.dropout is None else params.dropout
    images = keras.Input(image_shape, name="images")
    strided = layers.Conv2D(
        params.width, 3, strides=2, padding="same", use_bias=False, **_normal_init()
    )
    x = layers.LeakyReLU(0.2)(strided(_add_noise(params, images)))
    for number in range(1, doublings - 1):
        width = min(params.width << number, 4 * params.width)
        x = _apply_layers(_conv_block(width, 3, strides=2), layers.Dropout(dropout)(x))
    x = _apply_layers(_conv_block(x.shape[-1], 3), x)
    x = _apply_layers(_conv_block(8 * params.width, 3, strides=2), layers.Dropout(dropout)(x))
    class_logits = layers.Dense(classes, dtype="float32", **_normal_init())(layers.Flatten()(x))
    x = _apply_layers(_conv_block(4 * params.width, 3), x)
    for width in _stage_widths(params.width // 4, doublings, 4 * params.width):
        x = _apply_layers(_upsample_block(width), x)
    x = layers.Conv2D(image_shape[2], 3, padding="same", use_bias=False, **_normal_init())(x)
    reconstruction = layers.Activation("tanh", dtype="float32", name="reconstruction")(x)
    outputs = {
        # A tuple, since Keras 3.8 takes no integer together with keepdims.
        "logits": ops.logsumexp(class_logits, axis=(-1,), keepdims=True),
        "softmax_classes": class_logits,
        "reconstruction": reconstruction,
    }
    return keras.Model(images, outputs, name="discriminator")


def _generator_inputs(
    params: ArtganParams, classes: int
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """Return the inputs, latents and labels, and their concatenation."""
    latent = keras.Input((params.latent,), name="latent")
    labels = keras.Input((classes,), name="classes")
    # The improved variant's latent is uniform on (-1, 1).
    z = ops.erf(latent * 2**-0.5) if params.variant == "improved" else latent
    return latent, labels, layers.Concatenate()([z, labels])


def _add_noise(params: ArtganParams, images: KerasTensor) -> KerasTensor:
    noise = NOISE[params.variant] if params.noise is None else params.noise
    return layers.GaussianNoise(noise)(images) if noise else images


def _stage_widths(last: int, count: int, max_width: int) -> list[int]:
    """Return the widths of stages, halved at each stage, to `last` at the end."""
    return [min(last << (count - 1 - number), max_width) for number in range(count)]


def _apply_layers(sequence: Iterable[keras.Layer], x: KerasTensor) -> KerasTensor:
    return reduce(lambda y, layer: layer(y), sequence, x)


def _transposed_conv_block(
    width: int, kernel: int | tuple[int, int], padding: str = "same", **options: Any
) -> list[keras.Layer]:
    convolution = layers.Conv2DTranspose(
        width, kernel, padding=padding, use_bias=False, **options, **_normal_init()
    )
    return [convolution, _batch_norm(), layers.ReLU()]


def _conv_block(width: int, kernel: int, **options: Any) -> list[keras.Layer]:
    convolution = layers.Conv2D(
        width, kernel, padding="same", use_bias=False, **options, **_normal_init()
    )
    return [convolution, _batch_norm(), layers.LeakyReLU(0.2)]


def _upsample_block(width: int) -> list[keras.Layer]:
    return [layers.UpSampling2D(2, interpolation="nearest"), *_conv_block(width, 3)]


def _batch_norm() -> keras.Layer:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _normal_init() -> dict[str, keras.Initializer]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
