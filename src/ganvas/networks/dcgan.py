"""DCGAN: strided convolutions with batch normalization (Radford et al., arXiv 1511.06434).

The defaults are pytorch/examples': at 64 pixels and width 64 the generator has 3,576,704 trainable
parameters, the discriminator 2,765,568. Other parameters make it Radford et al.'s own faces model
(Newmu/dcgan_code) or that of keras-io's dcgan_overriding_train_step.

With classes the generator has an embedding of the class beside the latent, as in BigGAN (Brock et
al., arXiv 1809.11096), and normalizes by class (de Vries et al., arXiv 1707.00683); the
discriminator projects (Miyato and Koyama, arXiv 1802.05637).
"""

from typing import Annotated, Any, Literal

import keras
from keras import layers
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.networks.conditioning import class_embedding, class_norm, projection_logit
from ganvas.networks.gan_networks import GanNetworks

Widths = list[Annotated[int, Field(ge=1, le=4096)]]


class DcganParams(Params):
    """Parameters of DCGAN.

    Attributes:
        latent: Length Z of the latent vector.
        smallest_side: Side of the maps that the generator begins with and the discriminator ends
            with.
        generator_width: Channels of the generator's last hidden layer; doubled at each halving
            of the side.
        generator_widths: Channels of the generator's maps in their order instead, one at each
            side from the smallest on.
        discriminator_width: Channels of the discriminator's first layer, doubled likewise.
        discriminator_widths: Channels of the discriminator's maps in their order instead, one at
            each side from half the image's on.
        kernel: Side of the strided convolutions' kernels.
        bias: Whether convolutions and dense layers have biases.
        initializer: Of the kernels: `normal` is N(0, .02), with N(1, .02) for what batch norm
            multiplies by; `glorot` is Keras's habit, uniform (Glorot and Bengio 2010), with ones.
        stem: What turns the latent into the generator's first maps. After `dense` each unit is
            normalized by itself, each channel after `convolution`.
        stem_activation: Whether norm and activation follow the stem.
        generator_norm: What normalizes the generator's hidden layers.
        generator_activation: What follows them; leaky means a slope of .2.
        output_convolution: Side of the kernel of a plain convolution that paints from maps at
            full size; None: the last strided layer paints.
        output_activation: What brings images into [-1, 1]; `sigmoid` is 2 sigmoid(x) - 1,
            which equals tanh(x / 2).
        head: What turns the discriminator's last maps into a logit; both see all of each map.
        dropout: Share of the head's inputs that are left out in training.
        discriminator_norm: What normalizes the discriminator's hidden layers; gradient penalties
            need none, since batch norm ties the images of a batch together.
        spectral_norm: Divide each of the discriminator's kernels by its largest singular value
            (Miyato et al., arXiv 1802.05957), by Keras's layer: at each training step, and without
            a gradient through that value. Its batch norms stay, so that it is not 1-Lipschitz as a
            whole.
        class_embedding: Numbers that stand for a class beside the latent. Norms by class alone
            scale and shift whole maps, and can't say where in an image a class has what.
    """

    latent: int = Field(100, ge=1, le=4096)
    smallest_side: Literal[4, 8] = 4
    generator_width: int = Field(64, ge=1, le=512)
    generator_widths: Widths | None = None
    discriminator_width: int = Field(64, ge=1, le=512)
    discriminator_widths: Widths | None = None
    kernel: int = Field(4, ge=3, le=7)
    bias: bool = False
    initializer: Literal["normal", "glorot"] = "normal"
    stem: Literal["convolution", "dense"] = "convolution"
    stem_activation: bool = True
    generator_norm: Literal["batch", "none"] = "batch"
    generator_activation: Literal["relu", "leaky_relu"] = "relu"
    output_convolution: int | None = Field(None, ge=1, le=9)
    output_activation: Literal["tanh", "sigmoid"] = "tanh"
    head: Literal["convolution", "dense"] = "convolution"
    dropout: float = Field(0.0, ge=0, lt=1)
    discriminator_norm: Literal["batch", "none"] = "batch"
    spectral_norm: bool = False
    class_embedding: int = Field(32, ge=1, le=1024)


def build_dcgan(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator for square images with a power of two as side.

    Args:
        params: Widths, sizes and kinds of layers.
        image_shape: (H, W, channels) with H == W, 32 or more.
        classes: How many classes K there are; 0: images without classes.

    Returns:
        The generator, (N, Z) to (N, H, W, channels) in [-1, 1]; the discriminator, the other way
        to logits (N, 1). With classes both take rows (N, K) as second input.

    Raises:
        GanvasError: A list of widths is too short or too long for the side.
    """
    return GanNetworks(
        build_generator(params, image_shape, classes),
        _build_discriminator(params, image_shape, classes),
    )


def build_generator(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Build the generator alone; see `build_dcgan`."""
    side, _, channels = image_shape
    widths = _generator_widths(params, side)
    latent = keras.Input((params.latent,), name="latent")
    rows = keras.Input((classes,), name="classes") if classes else None
    x = _stem(params, widths[0], latent, rows)
    for width in widths[1:]:
        x = _upsample(params, width)(x)
        x = _activate(params, x, rows)
    if params.output_convolution is None:
        x = _upsample(params, channels)(x)
    else:
        kernel = params.output_convolution
        x = layers.Conv2D(channels, kernel, padding="same", **_weights(params))(x)
    images = layers.Activation(params.output_activation, dtype="float32")(x)
    if params.output_activation == "sigmoid":
        images = layers.Rescaling(2.0, offset=-1.0, dtype="float32")(images)
    return keras.Model(latent if rows is None else [latent, rows], images, name="generator")


def _build_discriminator(
    params: DcganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    images = keras.Input(image_shape, name="images")
    x = images
    for depth, width in enumerate(_discriminator_widths(params, image_shape[0])):
        strided = layers.Conv2D(width, params.kernel, strides=2, padding="same", **_weights(params))
        x = _spectral(params, strided)(x)
        x = _batch_norm(params)(x) if depth and params.discriminator_norm == "batch" else x
        x = layers.LeakyReLU(0.2)(x)
    logits = _head(params, x)
    if not classes:
        return keras.Model(images, logits, name="discriminator")
    rows = keras.Input((classes,), name="classes")
    table = class_embedding(x.shape[-1], _kernel(params), name="class_embedding", dtype="float32")
    logits = layers.Add(dtype="float32")(
        [logits, projection_logit(x, rows, _spectral(params, table))]
    )
    return keras.Model([images, rows], logits, name="discriminator")


def _generator_widths(params: DcganParams, side: int) -> list[int]:
    # With an output convolution there are maps at full size too.
    largest = side // 2 if params.output_convolution is None else side
    sides = _sides(params, largest)
    if params.generator_widths is None:
        return [params.generator_width * largest // each for each in sides]
    return _check_widths("generator_widths", params.generator_widths, sides, side)


def _discriminator_widths(params: DcganParams, side: int) -> list[int]:
    sides = _sides(params, side // 2)[::-1]
    if params.discriminator_widths is None:
        return [params.discriminator_width * sides[0] // each for each in sides]
    return _check_widths("discriminator_widths", params.discriminator_widths, sides, side)


def _sides(params: DcganParams, largest: int) -> list[int]:
    """Sides of the maps, from the smallest on."""
    doublings = (largest // params.smallest_side).bit_length()
    return [params.smallest_side << depth for depth in range(doublings)]


def _check_widths(name: str, widths: list[int], sides: list[int], side: int) -> list[int]:
    if len(widths) == len(sides):
        return widths
    raise GanvasError(
        f"Parameter 'network.dcgan.{name}' can't be {widths}: images of {side} pixels need "
        f"{len(sides)} widths, of the maps with sides {', '.join(map(str, sides))}; give as many "
        "in this order, or null for widths that double at each halving of the side."
    )


def _stem(
    params: DcganParams, width: int, latent: keras.KerasTensor, rows: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Turn latents (N, Z) into the first maps, (N, s, s, width)."""
    x, side = latent, params.smallest_side
    if rows is not None:
        # As strong as the latent, which is N(0, 1) too.
        standard = keras.initializers.RandomNormal(stddev=1.0)
        table = class_embedding(params.class_embedding, standard, name="class_embedding")
        x = layers.Concatenate()([x, table(rows)])
    if params.stem == "convolution":
        x = layers.Reshape((1, 1, x.shape[-1]))(x)
        x = layers.Conv2DTranspose(width, side, **_weights(params))(x)
        return _activate(params, x, rows) if params.stem_activation else x
    x = layers.Dense(side * side * width, **_weights(params))(x)
    x = _activate(params, x, rows) if params.stem_activation else x
    return layers.Reshape((side, side, width))(x)


def _activate(
    params: DcganParams, x: keras.KerasTensor, rows: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Normalize and activate one of the generator's hidden layers."""
    if params.generator_norm == "batch" and rows is None:
        x = _batch_norm(params)(x)
    elif params.generator_norm == "batch":
        x = class_norm(x, rows, _batch_norm(params, scale=False, center=False), _gamma(params))
    leaky = params.generator_activation == "leaky_relu"
    return (layers.LeakyReLU(0.2) if leaky else layers.ReLU())(x)


def _head(params: DcganParams, x: keras.KerasTensor) -> keras.KerasTensor:
    """Turn the last maps into logits (N, 1), float32."""
    if params.head == "dense":
        x = layers.Flatten()(x)
    x = layers.Dropout(params.dropout)(x) if params.dropout else x
    if params.head == "dense":
        return _spectral(params, layers.Dense(1, dtype="float32", **_weights(params)))(x)
    convolution = layers.Conv2D(1, params.smallest_side, **_weights(params))
    return layers.Flatten(dtype="float32")(_spectral(params, convolution)(x))


def _upsample(params: DcganParams, width: int) -> keras.Layer:
    return layers.Conv2DTranspose(
        width, params.kernel, strides=2, padding="same", **_weights(params)
    )


def _spectral(params: DcganParams, layer: keras.Layer) -> keras.Layer:
    if not params.spectral_norm:
        return layer
    # Keras's wrapper puts the divided kernel in the kernel's place, in the wrapper's own type: in
    # half precision that would round the weights at each step and lose small updates.
    return layers.SpectralNormalization(layer, dtype="float32")


def _batch_norm(params: DcganParams, **options: Any) -> keras.Layer:
    # PyTorch's momentum .1 is Keras's .9.
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=_gamma(params), **options
    )


def _gamma(params: DcganParams) -> keras.Initializer:
    if params.initializer == "glorot":
        return keras.initializers.Ones()
    return keras.initializers.RandomNormal(mean=1.0, stddev=0.02)


def _kernel(params: DcganParams) -> keras.Initializer:
    if params.initializer == "glorot":
        return keras.initializers.GlorotUniform()
    return keras.initializers.RandomNormal(stddev=0.02)


def _weights(params: DcganParams) -> dict[str, Any]:
    return {"use_bias": params.bias, "kernel_initializer": _kernel(params)}
