"""DCGAN: strided convolutions with batch normalization (Radford et al., arXiv 1511.06434).

The defaults are those of pytorch/examples: at 64 pixels and width 64 the generator has 3,576,704
trainable parameters, the discriminator 2,765,568. Other parameters make it Radford et al.'s own
model for faces (Newmu/dcgan_code) or keras-io's dcgan_overriding_train_step.

With classes, a class embedding is concatenated to the latent, as in BigGAN (Brock et al., arXiv
1809.11096), the generator has conditional batch normalization (de Vries et al., arXiv 1707.00683),
and the discriminator is a projection discriminator (Miyato and Koyama, arXiv 1802.05637).
"""

from math import prod
from typing import Any

import keras
from keras import KerasTensor, layers

from ganvas.image_shape import smallest_map
from ganvas.networks.conditioning import class_embedding, class_norm, projection_logit
from ganvas.networks.config import DcganParams
from ganvas.networks.gan_networks import GanNetworks


def build_dcgan(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator; see `GanNetworks`.

    Args:
        params: Widths, sizes and kinds of layers.
        image_shape: (H, W, C) with sides for which `ganvas.image_shape.can_train` is true.
        classes: Number of classes K; 0 builds unconditional networks.

    Raises:
        GanvasError: A list of widths is too short or too long for the size.

    Example:
        >>> networks = build_dcgan(DcganParams(), (64, 64, 3))
        >>> networks.generator(keras.ops.zeros((1, 100))).shape
        TensorShape([1, 64, 64, 3])
    """
    return GanNetworks(
        _build_generator(params, image_shape, classes),
        _build_discriminator(params, image_shape, classes),
    )


def _build_generator(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    size, channels = image_shape[:2], image_shape[2]
    first_map = smallest_map(*size, params.smallest_side)
    first_width, *widths = params.list_generator_widths(*size)
    latent = keras.Input((params.latent,), name="latent")
    labels = keras.Input((classes,), name="classes") if classes else None
    x = _stem(params, first_map, first_width, latent, labels)
    for width in widths:
        x = _upsample(params, width)(x)
        x = _norm_and_activation(params, x, labels)
    if params.output_convolution is None:
        x = _upsample(params, channels)(x)
    else:
        kernel = params.output_convolution
        x = layers.Conv2D(channels, kernel, padding="same", **_kernel_options(params))(x)
    images = layers.Activation(params.output_activation, dtype="float32")(x)
    if params.output_activation == "sigmoid":
        images = layers.Rescaling(2.0, offset=-1.0, dtype="float32")(images)
    return keras.Model(latent if labels is None else [latent, labels], images, name="generator")


def _build_discriminator(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    images = keras.Input(image_shape, name="images")
    x = images
    for depth, width in enumerate(params.list_discriminator_widths(*image_shape[:2])):
        strided = layers.Conv2D(
            width, params.kernel, strides=2, padding="same", **_kernel_options(params)
        )
        x = _spectral_norm(params, strided)(x)
        x = _batch_norm(params)(x) if depth and params.discriminator_norm == "batch" else x
        x = layers.LeakyReLU(0.2)(x)
    logits = _head(params, x)
    if not classes:
        return keras.Model(images, logits, name="discriminator")
    labels = keras.Input((classes,), name="classes")
    embedding = class_embedding(
        x.shape[-1], _kernel_initializer(params), name="class_embedding", dtype="float32"
    )
    projection = projection_logit(x, labels, _spectral_norm(params, embedding))
    logits = layers.Add(dtype="float32")([logits, projection])
    return keras.Model([images, labels], logits, name="discriminator")


def _stem(
    params: DcganParams,
    size: tuple[int, int],
    width: int,
    latent: KerasTensor,
    labels: KerasTensor | None,
) -> KerasTensor:
    """Map latents (N, Z) to the first feature maps, (N, *size, width)."""
    x = latent
    if labels is not None:
        # On the latent's scale, N(0, 1).
        standard = keras.initializers.RandomNormal(stddev=1.0)
        embedding = class_embedding(params.class_embedding, standard, name="class_embedding")
        x = layers.Concatenate()([x, embedding(labels)])
    if params.stem == "convolution":
        x = layers.Reshape((1, 1, x.shape[-1]))(x)
        x = layers.Conv2DTranspose(width, size, **_kernel_options(params))(x)
        return _norm_and_activation(params, x, labels) if params.stem_activation else x
    x = layers.Dense(prod(size) * width, **_kernel_options(params))(x)
    x = _norm_and_activation(params, x, labels) if params.stem_activation else x
    return layers.Reshape((*size, width))(x)


def _norm_and_activation(
    params: DcganParams, x: KerasTensor, labels: KerasTensor | None
) -> KerasTensor:
    """Normalize and activate one of the generator's hidden layers."""
    if params.generator_norm == "batch" and labels is None:
        x = _batch_norm(params)(x)
    elif params.generator_norm == "batch":
        norm = _batch_norm(params, scale=False, center=False)
        x = class_norm(x, labels, norm, _gamma_initializer(params))
    leaky = params.generator_activation == "leaky_relu"
    return (layers.LeakyReLU(0.2) if leaky else layers.ReLU())(x)


def _head(params: DcganParams, x: KerasTensor) -> KerasTensor:
    """Map the last feature maps to logits (N, 1), float32."""
    if params.head == "dense":
        x = layers.Flatten()(x)
    x = layers.Dropout(params.dropout)(x) if params.dropout else x
    if params.head == "dense":
        dense = layers.Dense(1, dtype="float32", **_kernel_options(params))
        return _spectral_norm(params, dense)(x)
    convolution = layers.Conv2D(1, x.shape[1:3], **_kernel_options(params))
    return layers.Flatten(dtype="float32")(_spectral_norm(params, convolution)(x))


def _upsample(params: DcganParams, width: int) -> keras.Layer:
    return layers.Conv2DTranspose(
        width, params.kernel, strides=2, padding="same", **_kernel_options(params)
    )


def _spectral_norm(params: DcganParams, layer: keras.Layer) -> keras.Layer:
    if not params.spectral_norm:
        return layer
    # Keras's wrapper overwrites the kernel by the divided kernel in the wrapper's own dtype: half
    # precision would round the weights at each step and lose small updates.
    return layers.SpectralNormalization(layer, dtype="float32")


def _batch_norm(params: DcganParams, **options: Any) -> keras.Layer:
    # PyTorch's momentum .1 is Keras's .9.
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=_gamma_initializer(params), **options
    )


def _gamma_initializer(params: DcganParams) -> keras.Initializer:
    if params.initializer == "glorot":
        return keras.initializers.Ones()
    return keras.initializers.RandomNormal(mean=1.0, stddev=0.02)


def _kernel_initializer(params: DcganParams) -> keras.Initializer:
    if params.initializer == "glorot":
        return keras.initializers.GlorotUniform()
    return keras.initializers.RandomNormal(stddev=0.02)


def _kernel_options(params: DcganParams) -> dict[str, Any]:
    return {"use_bias": params.bias, "kernel_initializer": _kernel_initializer(params)}
