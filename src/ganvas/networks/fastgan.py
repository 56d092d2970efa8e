"""FastGAN: skip-layer excitation for training on few images (Liu et al., arXiv 2101.04775).

The generator doubles its feature maps by convolutions with gated linear units. Skip-layer
excitation scales the channels of large maps by small ones, 16 times smaller in side, so that the
path from the latent to fine detail is short. The discriminator classifies an image and a small
version of it. Decoders reconstruct real images from its feature maps, a loss that keeps these maps
from describing only what distinguishes the few real images (`ganvas.training.reconstruction`).
Kernels have spectral norm, in both networks.

Sizes and widths are those of the authors' code, odegeasslbc/FastGAN-pytorch, which builds networks
for 256, 512 and 1024 pixels. For smaller images the layers of larger maps are left out, and the
small version, of 128 pixels from 256 on, has half the image's sides. The first map has the sides of
`ganvas.image_shape.smallest_map`, 4×4 for squares of a power of two; for other shapes all maps are
multiples of it. Other differences to that code:

- Noise is injected in training only, so that a latent always generates the same image.
- Images pass through tanh at every size; there at 1024 pixels only.
- Spectral normalization is Keras's layer, which divides the kernels at each training step, without
  a gradient through the singular value.
- The widths of the decoders are proportional to the discriminator's, equal to theirs at 64.
- With classes, a class embedding is concatenated to the latent, the generator's batch norms are
  conditional, and the discriminator is a projection discriminator (Miyato and Koyama, arXiv
  1802.05637). The code has no classes.
"""

from typing import NamedTuple

import keras
from keras import KerasTensor, layers, ops

from ganvas.image_shape import count_doublings, smallest_map
from ganvas.networks.conditioning import class_embedding, class_norm, projection_logit
from ganvas.networks.config import FastganParams
from ganvas.networks.gan_networks import GanNetworks

# Channels of the generator's maps by their side, as multiples of its width.
GENERATOR_WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 1 / 2, 512: 1 / 4, 1024: 1 / 8}
# A map excites the one that is doubled this many times more; only the first maps do.
EXCITED_AFTER, EXCITING_MAPS = 4, 4
# Likewise of the discriminator's maps; those of the small image have half as many channels.
DISCRIMINATOR_WIDTHS = {side: 64 / side for side in GENERATOR_WIDTHS}
# A map of the discriminator excites the one that is halved this many times more.
EXCITED_AFTER_HALVINGS = 3
# How often the smallest map is doubled for the largest map that the discriminator's blocks halve,
# 256 pixels for squares, and for small images and reconstructions, 128 pixels.
BLOCKS_FROM, SMALL_IMAGE = 6, 5


def build_fastgan(
    params: FastganParams, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator and discriminator; see `GanNetworks`.

    Each of the discriminator's two grids of logits has 5×5 for squares of a power of two.

    Args:
        params: Widths.
        image_shape: (H, W, channels), which `ganvas.image_shape.can_train`.
        classes: Number of classes K; 0 builds unconditional networks.

    Example:
        >>> networks = build_fastgan(FastganParams(generator_width=8), (64, 64, 3))
        >>> [output.shape for output in networks.training_generator.outputs]
        [(None, 64, 64, 3), (None, 32, 32, 3)]
    """
    grown = _grow(
        image_shape,
        params.latent,
        params.generator_width,
        classes,
        embedding_width=params.class_embedding,
    )
    images = _to_images(grown.maps[-1], image_shape[2], kernel=3)
    small_images = _to_images(grown.maps[_small_depth(image_shape)], image_shape[2], kernel=1)
    return GanNetworks(
        keras.Model(grown.inputs, images, name="generator"),
        _build_discriminator(params, image_shape, classes),
        training_generator=keras.Model(
            grown.inputs, [images, small_images], name="training_generator"
        ),
    )


def build_fastgan_generator(
    image_shape: tuple[int, int, int],
    latent: int,
    width: int,
    classes: int = 0,
    *,
    max_width: int | None = None,
    embedding_width: int = 64,
    comp_every: int = 2,
    unit_latents: bool = False,
) -> keras.Model:
    """Build FastGAN's generator, or with other options the one of Projected GAN's code.

    Args:
        image_shape: (H, W, channels), which `ganvas.image_shape.can_train`.
        latent: Length Z of a latent.
        width: Channels at 128 pixels; 16 times as many at 4, an eighth at 1024.
        classes: Number of classes K; 0 for an unconditional generator.
        max_width: The most channels of a map; None for no limit.
        embedding_width: Length of the class embedding beside the latent.
        comp_every: Every so many doublings has a second convolution, and noise after both: 2 in
            FastGAN, 1 in Projected GAN's code.
        unit_latents: Whether to scale latents to length √Z, as Projected GAN's code does.

    Returns:
        Latents (N, Z), and with classes labels (N, K), to images (N, H, W, channels) in [-1, 1].

    Example:
        >>> generator = build_fastgan_generator((64, 64, 3), latent=256, width=8)
        >>> generator(keras.ops.zeros((2, 256))).shape
        TensorShape([2, 64, 64, 3])
    """
    grown = _grow(
        image_shape,
        latent,
        width,
        classes,
        max_width=max_width,
        embedding_width=embedding_width,
        comp_every=comp_every,
        unit_latents=unit_latents,
    )
    images = _to_images(grown.maps[-1], image_shape[2], kernel=3)
    return keras.Model(grown.inputs, images, name="generator")


# --- Generator --------------------------------------------------------------------------------


class _Grown(NamedTuple):
    """The generator's inputs and its maps, from the smallest to one of the image's size."""

    inputs: KerasTensor | list[KerasTensor]
    maps: list[KerasTensor]


def _grow(
    image_shape: tuple[int, int, int],
    latent: int,
    width: int,
    classes: int,
    *,
    embedding_width: int,
    max_width: int | None = None,
    comp_every: int = 2,
    unit_latents: bool = False,
) -> _Grown:
    """Build the generator without its last layer; see `build_fastgan_generator`."""
    latents = keras.Input((latent,), name="latent")
    labels = keras.Input((classes,), name="classes") if classes else None
    code = latents
    if unit_latents:
        code = layers.Rescaling(latent**0.5)(layers.UnitNormalization()(code))
    if labels is not None:
        # On the latent's scale, N(0, 1).
        standard = keras.initializers.RandomNormal(stddev=1.0)
        embedding = class_embedding(embedding_width, standard, name="class_embedding")
        code = layers.Concatenate()([code, embedding(labels)])

    widths = _list_widths(GENERATOR_WIDTHS, width, image_shape)
    if max_width is not None:
        widths = [min(map_width, max_width) for map_width in widths]
    first = smallest_map(*image_shape[:2])
    maps = [_first_map(code, first, widths[0], labels)]
    for depth, map_width in enumerate(widths[1:], start=1):
        x = _double(maps[-1], map_width, labels, is_comp=(depth - 1) % comp_every == 0)
        source = depth - EXCITED_AFTER
        if 0 <= source < EXCITING_MAPS:
            x = _excite(x, maps[source], first)
        maps.append(x)
    return _Grown(latents if labels is None else [latents, labels], maps)


def _first_map(
    code: KerasTensor, first: tuple[int, int], width: int, labels: KerasTensor | None
) -> KerasTensor:
    """Map the code (N, D) to the smallest map, (N, h, w, width)."""
    x = layers.Reshape((1, 1, code.shape[-1]))(code)
    convolution = layers.Conv2DTranspose(2 * width, first, use_bias=False, **_normal_kernel())
    return _norm_and_gate(_spectral_norm(convolution)(x), labels)


def _double(x: KerasTensor, width: int, labels: KerasTensor | None, is_comp: bool) -> KerasTensor:
    """Double a map's sides; a comp block has two convolutions, with noise after each."""
    x = _convolve(layers.UpSampling2D(2, interpolation="nearest")(x), 2 * width, 3)
    if not is_comp:
        return _norm_and_gate(x, labels)
    x = _norm_and_gate(_add_noise(x), labels)
    return _norm_and_gate(_add_noise(_convolve(x, 2 * width, 3)), labels)


def _norm_and_gate(x: KerasTensor, labels: KerasTensor | None) -> KerasTensor:
    """Normalize (N, h, w, 2 C), and multiply half of the channels by the other half's sigmoid."""
    if labels is None:
        x = _batch_norm()(x)
    else:
        x = class_norm(x, labels, _batch_norm(scale=False, center=False), _gamma_initializer())
    width = x.shape[-1] // 2
    return layers.Multiply()([x[..., :width], layers.Activation("sigmoid")(x[..., width:])])


def _add_noise(x: KerasTensor) -> KerasTensor:
    """In training, add noise N(0, 1) per pixel, times a learned factor that starts at 0."""
    noise = layers.GaussianNoise(1.0)(ops.zeros_like(x[..., :1]))
    factor = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="zeros")
    return layers.Add()([x, factor(noise)])


# --- Discriminator ----------------------------------------------------------------------------


def _build_discriminator(
    params: FastganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    encoder = _build_encoder(params, image_shape, classes)
    decoders = _build_decoders(params, image_shape, encoder)
    images = keras.Input(image_shape, name="images")
    factor = image_shape[0] // encoder.inputs[1].shape[1]
    # Every so many pixels, as the code's nearest-neighbor interpolation.
    small_images = layers.AveragePooling2D(1, strides=factor)(images)
    labels = [keras.Input((classes,), name="classes")] if classes else []
    outputs = encoder([images, small_images, *labels])
    decoded = decoders(
        [outputs["features"], outputs["small_features"], first_quarter(outputs["middle_features"])]
    )
    names = ("decoded", "decoded_small", "decoded_quarter")
    return keras.Model(
        [images, *labels] if classes else images,
        {"logits": outputs["logits"], **dict(zip(names, decoded, strict=True))},
        name="discriminator",
    )


def first_quarter(x: KerasTensor) -> KerasTensor:
    """Return the top left quarter of maps (N, h, w, C)."""
    return x[:, : x.shape[1] // 2, : x.shape[2] // 2]


def _build_encoder(
    params: FastganParams, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Build the model from both images to logits and the maps that are decoded."""
    small_factor = 1 << count_doublings(*image_shape[:2]) - _small_depth(image_shape)
    height, width, channels = image_shape
    small_shape = (height // small_factor, width // small_factor, channels)
    images = keras.Input(image_shape, name="images")
    small_images = keras.Input(small_shape, name="small_images")
    labels = keras.Input((classes,), name="classes") if classes else None
    features, middle, logits = _encode(params, images, labels)
    small_features, small_logits = _encode_small(params, small_images, labels)
    outputs = {
        "logits": layers.Concatenate(dtype="float32")([logits, small_logits]),
        "features": features,
        "middle_features": middle,
        "small_features": small_features,
    }
    inputs = [images, small_images] if labels is None else [images, small_images, labels]
    return keras.Model(inputs, outputs, name="encoder")


def _encode(
    params: FastganParams, images: KerasTensor, labels: KerasTensor | None
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """Map images to the last map, of twice the smallest one's sides, the one before, and logits."""
    widths = _list_widths(DISCRIMINATOR_WIDTHS, params.discriminator_width, images.shape[1:])
    first = smallest_map(*images.shape[1:3])
    largest = len(widths) - 1
    x = images
    if largest <= BLOCKS_FROM:
        x = layers.LeakyReLU(0.2)(_convolve(x, widths[largest], 3))
    for depth in range(largest - 1, BLOCKS_FROM - 1, -1):
        x = _convolve(x, widths[depth], 4, stride=2)
        x = layers.LeakyReLU(0.2)(x if depth == largest - 1 else _batch_norm()(x))
    start = min(largest, BLOCKS_FROM)
    maps = {start: x}
    for depth in range(start - 1, 0, -1):
        x = _halve(x, widths[depth])
        if depth + EXCITED_AFTER_HALVINGS in maps:
            x = _excite(x, maps[depth + EXCITED_AFTER_HALVINGS], first)
        maps[depth] = x
    y = layers.LeakyReLU(0.2)(_batch_norm()(_convolve(x, 2 * widths[1], 1)))
    return x, maps[2], _logits(y, x, labels)


def _encode_small(
    params: FastganParams, images: KerasTensor, labels: KerasTensor | None
) -> tuple[KerasTensor, KerasTensor]:
    """Map small images to a map of twice the smallest one's sides, and logits."""
    widths = _list_widths(DISCRIMINATOR_WIDTHS, params.discriminator_width / 2, images.shape[1:])
    *widths, width = widths[1:-1]
    x = layers.LeakyReLU(0.2)(_convolve(images, width, 4, stride=2))
    for width in reversed(widths):
        x = layers.LeakyReLU(0.2)(_batch_norm()(_convolve(x, width, 4, stride=2)))
    return x, _logits(x, x, labels)


def _halve(x: KerasTensor, width: int) -> KerasTensor:
    """Halve a map's sides by two convolutions, and by an average and one; return the mean."""
    y = layers.LeakyReLU(0.2)(_batch_norm()(_convolve(x, width, 4, stride=2)))
    y = layers.LeakyReLU(0.2)(_batch_norm()(_convolve(y, width, 3)))
    short = _batch_norm()(_convolve(layers.AveragePooling2D(2)(x), width, 1))
    return layers.Average()([y, layers.LeakyReLU(0.2)(short)])


def _logits(x: KerasTensor, features: KerasTensor, labels: KerasTensor | None) -> KerasTensor:
    """Map (N, h, w, C) to a logit for each patch of 4×4; with labels add a projection."""
    logits = layers.Flatten(dtype="float32")(_convolve(x, 1, 4, padding="valid"))
    if labels is None:
        return logits
    means = layers.GlobalAveragePooling2D(keepdims=True, dtype="float32")(features)
    glorot = keras.initializers.GlorotUniform()
    embedding = _spectral_norm(class_embedding(features.shape[-1], glorot, dtype="float32"))
    return layers.Add(dtype="float32")([logits, projection_logit(means, labels, embedding)])


def _build_decoders(
    params: FastganParams, image_shape: tuple[int, int, int], encoder: keras.Model
) -> keras.Model:
    """Build the model from the last maps and a quarter of the one before to three images."""
    outputs = encoder.output
    sources = [outputs["features"], outputs["small_features"], outputs["middle_features"]]
    height, width = sources[0].shape[1:3]
    maps = [keras.Input((height, width, x.shape[-1]), dtype=x.dtype) for x in sources]
    depth = min(SMALL_IMAGE, count_doublings(*image_shape[:2]))
    widths = _list_widths(GENERATOR_WIDTHS, params.discriminator_width / 2, image_shape)
    decoded = []
    for x in maps:
        for width in widths[2 : depth + 1]:
            x = _double(x, width, None, is_comp=False)
        decoded.append(_to_images(x, image_shape[2], kernel=3))
    return keras.Model(maps, decoded, name="decoders")


# --- Both -------------------------------------------------------------------------------------


def _small_depth(image_shape: tuple[int, int, int]) -> int:
    """Return how often the smallest map is doubled to the sides of the small image."""
    return min(SMALL_IMAGE, count_doublings(*image_shape[:2]) - 1)


def _list_widths(
    table: dict[int, float], width: float, image_shape: tuple[int, int, int]
) -> list[int]:
    """Return the channels of the maps, from the smallest to one of the image's size.

    Args:
        table: Multiples of the width by the shorter side; a side between two counts as the lower.
        width: The width.
        image_shape: (H, W, channels).
    """
    side, doublings = min(smallest_map(*image_shape[:2])), count_doublings(*image_shape[:2])
    sides = [1 << (side << depth).bit_length() - 1 for depth in range(doublings + 1)]
    return [max(int(table[side] * width), 1) for side in sides]


def _excite(x: KerasTensor, source: KerasTensor, first: tuple[int, int]) -> KerasTensor:
    """Multiply the channels of a map by factors computed from a smaller map."""
    factor = source.shape[1] // first[0]
    y = layers.AveragePooling2D(factor)(source) if factor > 1 else source
    y = layers.Activation("silu")(_convolve(y, x.shape[-1], first, padding="valid"))
    y = layers.Activation("sigmoid")(_convolve(y, x.shape[-1], 1))
    return layers.Multiply()([x, y])


def _to_images(x: KerasTensor, channels: int, kernel: int) -> KerasTensor:
    return layers.Activation("tanh", dtype="float32")(_convolve(x, channels, kernel))


def _convolve(
    x: KerasTensor,
    width: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: str = "same",
) -> KerasTensor:
    """Convolve without a bias, with spectral norm."""
    convolution = layers.Conv2D(
        width, kernel, strides=stride, padding=padding, use_bias=False, **_normal_kernel()
    )
    return _spectral_norm(convolution)(x)


def _spectral_norm(layer: keras.Layer) -> keras.Layer:
    # Keras's wrapper overwrites the kernel by the divided kernel in the wrapper's own dtype: half
    # precision would round the weights at each step and lose small updates.
    return layers.SpectralNormalization(layer, dtype="float32")


def _batch_norm(**options: bool) -> keras.Layer:
    # PyTorch's momentum .1 is Keras's .9.
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=_gamma_initializer(), **options
    )


def _gamma_initializer() -> keras.Initializer:
    return keras.initializers.RandomNormal(mean=1.0, stddev=0.02)


def _normal_kernel() -> dict[str, keras.Initializer]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
