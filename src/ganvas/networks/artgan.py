"""ArtGAN: images by class, with a discriminator that tells classes.

`original` is Tan et al., arXiv 1702.03410: zNet and decoder make the generator, encoder and
clsNet the discriminator, and the decoder also learns to paint what the encoder has read of real
images. `improved` is Tan et al., arXiv 1708.09533, after the authors' code for styles: nearest
upsampling, and a decoder within the discriminator. Its dropout falls in the generator's update too,
where theirs does not.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Any, Literal, TypeAlias

import keras
from keras import layers, ops
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import GanNetworks

FIRST_SIDE, FEATURE_SIDE = 4, 8
DROPOUT = {"original": 0.0, "improved": 0.2}
NOISE = {"original": 0.0, "improved": 0.05}
Maps: TypeAlias = keras.KerasTensor


class ArtganParams(Params):
    """Parameters of ArtGAN.

    Attributes:
        variant: The paper's network or its successor's.
        class_loss: How the original's K + 1 outputs, the last of them for generated images, are
            read: each by a sigmoid of its own, or all by one softmax. The improved one has K, and
            always a softmax.
        latent: Length Z of the latent vector, which the improved one turns into a uniform one.
        width: Channels of the discriminator's first convolution; the others are multiples of it,
            at 128 and 64 pixels the paper's. Sides above have more stages, at most four times as
            wide, sides below fewer.
        dropout: In the original, share left out after the decoder's strided convolutions but the
            last; in the improved one, before the discriminator's. None: 0, and 0.2.
        noise: Standard deviation of the noise on what the discriminator sees, for images in
            [-1, 1]. None: 0, and 0.05.
    """

    variant: Literal["original", "improved"] = "original"
    class_loss: Literal["sigmoid", "softmax"] = "sigmoid"
    latent: int = Field(100, ge=1, le=4096)
    width: int = Field(128, ge=4, le=512, multiple_of=4)
    dropout: float | None = Field(None, ge=0, lt=1)
    noise: float | None = Field(None, ge=0, le=1)


def build_artgan(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    """Build generator, discriminator and, in the original, the decoder that both use.

    Args:
        params: Which variant, and its widths.
        image_shape: (H, W, 3) with H == W, a power of two, 32 or more.
        classes: How many classes K there are.

    Returns:
        The generator, ((N, Z), (N, K)) to (N, H, W, 3); the discriminator, from these to a dict
        of logits and `softmax_classes` or `sigmoid_classes`, with `features` in the original and
        `reconstruction` in the improved one.

    Raises:
        GanvasError: There are no classes.
    """
    if not classes:
        raise GanvasError(
            "ArtGAN paints by class, but the collection has no label column: take a source with "
            "labels, or another network.name."
        )
    build = _build_original if params.variant == "original" else _build_improved
    return build(params, image_shape, classes)


def _build_original(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    latent, rows, x = _inputs(params, classes)
    x = layers.Reshape((1, 1, x.shape[-1]))(x)
    x = _apply(_deconvolve(8 * params.width, FIRST_SIDE, padding="valid"), x)
    read = _apply(_deconvolve(4 * params.width, 4, strides=2), x)
    decode = list(_decoder_layers(params, image_shape))
    generator = keras.Model([latent, rows], _apply(decode, read), name="generator")
    features = keras.Input(read.shape[1:], name="features")
    decoder = keras.Model(features, _apply(decode, features), name="decoder")
    return GanNetworks(generator, _build_classifier(params, image_shape, classes), decoder)


def _decoder_layers(
    params: ArtganParams, image_shape: tuple[int, int, int]
) -> Iterable[keras.Layer]:
    """From features at 8² to images."""
    side, _, channels = image_shape
    dropout = DROPOUT["original"] if params.dropout is None else params.dropout
    for width in _halved(params.width, side // FEATURE_SIDE // 2, 4 * params.width):
        yield from _deconvolve(width, 4, strides=2)
        if dropout:
            yield layers.Dropout(dropout)
    yield from _deconvolve(params.width, 3)
    yield layers.Conv2DTranspose(channels, 4, strides=2, padding="same", **_normal())
    # The paper's pixels are sigmoids in [0, 1].
    yield layers.Activation("sigmoid", dtype="float32")
    yield layers.Rescaling(2.0, offset=-1.0, dtype="float32")


def _build_classifier(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """The original's encoder and clsNet."""
    images = keras.Input(image_shape, name="images")
    x = _add_noise(params, images)
    x = layers.Conv2D(params.width, 4, strides=2, padding="same", **_normal())(x)
    x = layers.LeakyReLU(0.2)(x)
    x = _apply(_convolve(params.width, 3), x)
    halvings = image_shape[0] // FEATURE_SIDE // 2
    widths = _halved(2 * params.width, halvings, 4 * params.width)[::-1]
    # The decoder wants as many channels as zNet gives, also of a small image.
    for width in [*widths[:-1], 4 * params.width]:
        x = _apply(_convolve(width, 4, strides=2), x)
    features = layers.Activation("linear", dtype="float32", name="features")(x)
    x = _apply(_convolve(8 * params.width, 4, strides=2), x)
    outputs = layers.Dense(classes + 1, dtype="float32", **_normal())(layers.Flatten()(x))
    told, generated = outputs[:, :-1], outputs[:, -1:]
    if params.class_loss == "sigmoid":
        named = {"logits": -generated, "sigmoid_classes": told}
    else:
        logits = ops.logsumexp(told, axis=-1, keepdims=True) - generated
        named = {"logits": logits, "softmax_classes": told}
    return keras.Model(images, named | {"features": features}, name="discriminator")


def _build_improved(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> GanNetworks:
    side, _, channels = image_shape
    latent, rows, x = _inputs(params, classes)
    x = layers.Dense(4 * params.width * FIRST_SIDE**2, use_bias=False, **_normal())(x)
    x = layers.LeakyReLU(0.2)(_batch_norm()(x))
    x = layers.Reshape((FIRST_SIDE, FIRST_SIDE, 4 * params.width))(x)
    widths = _halved(params.width // 4, 2 * side // FIRST_SIDE, 4 * params.width)
    for number, width in enumerate(widths, start=1):
        x = _apply(_upsample(width), x)
        if number == len(widths) - 1:
            x = _apply(_convolve(width, 3), x)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, **_normal())(x)
    x = layers.Activation("tanh", dtype="float32")(x)
    # It paints at twice the side, and is judged by the mean of neighbors.
    images = layers.AveragePooling2D(3, strides=2, padding="same", dtype="float32")(x)
    generator = keras.Model([latent, rows], images, name="generator")
    return GanNetworks(generator, _build_painting_classifier(params, image_shape, classes))


def _build_painting_classifier(
    params: ArtganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """The improved one's discriminator, with a decoder of its own."""
    side, _, channels = image_shape
    dropout = DROPOUT["improved"] if params.dropout is None else params.dropout
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(params.width, 3, strides=2, padding="same", use_bias=False, **_normal())(
        _add_noise(params, images)
    )
    x = layers.LeakyReLU(0.2)(x)
    for number in range(1, (side // FIRST_SIDE).bit_length() - 2):
        width = min(params.width << number, 4 * params.width)
        x = _apply(_convolve(width, 3, strides=2), layers.Dropout(dropout)(x))
    x = _apply(_convolve(x.shape[-1], 3), x)
    x = _apply(_convolve(8 * params.width, 3, strides=2), layers.Dropout(dropout)(x))
    told = layers.Dense(classes, dtype="float32", **_normal())(layers.Flatten()(x))
    x = _apply(_convolve(4 * params.width, 3), x)
    for width in _halved(params.width // 4, side // FIRST_SIDE, 4 * params.width):
        x = _apply(_upsample(width), x)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, **_normal())(x)
    again = layers.Activation("tanh", dtype="float32", name="reconstruction")(x)
    logits = ops.logsumexp(told, axis=-1, keepdims=True)
    named = {"logits": logits, "softmax_classes": told, "reconstruction": again}
    return keras.Model(images, named, name="discriminator")


def _inputs(params: ArtganParams, classes: int) -> tuple[Maps, Maps, Maps]:
    """Latent and class, and both as one."""
    latent = keras.Input((params.latent,), name="latent")
    rows = keras.Input((classes,), name="classes")
    z = latent
    if params.variant == "improved":
        # Uniform on (-1, 1), as the paper's latent.
        z = ops.erf(latent * 2**-0.5)
    return latent, rows, layers.Concatenate()([z, rows])


def _add_noise(params: ArtganParams, images: Maps) -> Maps:
    noise = NOISE[params.variant] if params.noise is None else params.noise
    return layers.GaussianNoise(noise)(images) if noise else images


def _halved(last: int, halvings: int, most: int) -> list[int]:
    """Widths of as many stages as it takes to halve a number down to 1, doubled towards the first.

    The last is `last`, none is more than `most`.
    """
    count = halvings.bit_length() - 1
    return [min(last << (count - 1 - number), most) for number in range(count)]


def _apply(steps: Iterable[keras.Layer], x: Maps) -> Maps:
    return reduce(lambda y, layer: layer(y), steps, x)


def _deconvolve(
    width: int, kernel: int, padding: str = "same", **options: Any
) -> list[keras.Layer]:
    convolution = layers.Conv2DTranspose(
        width, kernel, padding=padding, use_bias=False, **options, **_normal()
    )
    return [convolution, _batch_norm(), layers.ReLU()]


def _convolve(width: int, kernel: int, **options: Any) -> list[keras.Layer]:
    convolution = layers.Conv2D(
        width, kernel, padding="same", use_bias=False, **options, **_normal()
    )
    return [convolution, _batch_norm(), layers.LeakyReLU(0.2)]


def _upsample(width: int) -> list[keras.Layer]:
    return [layers.UpSampling2D(2, interpolation="nearest"), *_convolve(width, 3)]


def _batch_norm() -> keras.Layer:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _normal() -> dict[str, keras.Initializer]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
