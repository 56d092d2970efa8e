"""StyleGAN2 (Karras et al., arXiv 1912.04958), with the networks of StyleGAN2-ADA (2006.06676).

A mapping network turns a latent into a style w, which scales the channels of each convolution of
the synthesis network: coarse layers set pose and composition, fine ones colors and texture.
Noise adds detail that is different each time. Each size adds its part to the image (skip
connections), and the discriminator is residual.

Weights, initial values and results are those of NVlabs/stylegan2-ada-pytorch, for squares of a
power of two. For other shapes the first map has the sides of `ganvas.image_shape.smallest_map`, and
channels are those of the square with as many doublings.

The generator consists of nested models and layers with weights, which `ganvas.networks.styles`
uses by name:

- `mapping`: latents (N, Z), and with classes labels (N, K), to styles (N, W).
- `style_mean`: kernel (1, W), the mean style, and `truncation`: kernel (1, L, 1), ψ for each layer
  of the synthesis network, 1 unless someone sets it.
- `<layer>_noise_const`: kernels (1, h, w, 1), the noise of images that are not of training.
- `synthesis`: styles (N, L, W) and a list of noise (N or 1, h, w, 1), empty for a generator without
  noise, to images (N, H, W, C).
"""

import re
from itertools import zip_longest
from math import sqrt

import keras
from keras import KerasTensor, ops

from ganvas.image_shape import count_doublings, smallest_map
from ganvas.networks.config import ResolvedStylegan2Params, Stylegan2Params
from ganvas.networks.equalized import (
    append_group_deviation,
    convolution,
    dense,
    double_image,
    make_one,
    make_weight,
    modulated_convolution,
    normalize,
    to_image,
)
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.style_mixing import MixStyles, NormalLike

MAPPING_MULTIPLIER = 0.01
# Names of layers with weights of a block.
BLOCK = re.compile(r"b\d+_")
# Layers of the discriminator's mapping of classes.
CLASS_LAYERS = 8


def build_stylegan2(
    params: Stylegan2Params, image_shape: tuple[int, int, int], classes: int = 0
) -> GanNetworks:
    """Build generator, discriminator and the generator of training; see `GanNetworks`.

    No activation limits the generator's images to [-1, 1].

    Args:
        params: Configuration, widths and depths.
        image_shape: (H, W, C) with sides for which `ganvas.image_shape.can_train` is true.
        classes: Number of classes K; 0 builds unconditional networks.

    Example:
        >>> params = Stylegan2Params(channel_base=1024, max_width=64, latent=64, style=64)
        >>> networks = build_stylegan2(params, (64, 64, 3))
        >>> networks.generator(keras.ops.zeros((2, 64))).shape
        TensorShape([2, 64, 64, 3])
    """
    precision = keras.config.dtype_policy().name
    resolved = params.resolve(*image_shape[:2]).limit_values(precision)
    mapping = _build_mapping(resolved, classes)
    synthesis = _build_synthesis(resolved, image_shape)
    discriminator = _build_discriminator(resolved, image_shape, classes)
    _freeze(discriminator, resolved.freeze_layers)
    return GanNetworks(
        _build_generator(mapping, synthesis),
        discriminator,
        training_generator=_build_training_generator(mapping, synthesis, resolved),
    )


def _map_dtype(params: ResolvedStylegan2Params, doublings: int, largest: int) -> str:
    """Return the dtype of maps that are doubled so often, of at most `largest` doublings.

    Those of the largest sizes have the dtype of Keras's policy; others, and the smallest, float32.
    """
    is_half = doublings > max(largest - params.half_precision_maps, 0)
    return keras.config.dtype_policy().compute_dtype if is_half else "float32"


def _build_mapping(params: ResolvedStylegan2Params, classes: int) -> keras.Model:
    """Build the mapping of latents (N, Z), and with classes labels (N, K), to styles (N, W)."""
    latents = inputs = keras.Input((params.latent,), name="latent")
    one = make_one(latents)
    x = normalize(latents)
    if classes:
        labels = keras.Input((classes,), name="classes")
        inputs = [latents, labels]
        embedded = normalize(dense(one, labels, params.style, "embed"))
        x = ops.concatenate([x, embedded], axis=-1)
    for number in range(params.mapping_layers):
        x = _mapping_layer(one, x, params.style, f"fc{number}")
    return keras.Model(inputs, x, name="mapping")


def _mapping_layer(one: KerasTensor, x: KerasTensor, units: int, name: str) -> KerasTensor:
    return dense(one, x, units, name, multiplier=MAPPING_MULTIPLIER, activate=True)


def _build_synthesis(
    params: ResolvedStylegan2Params, image_shape: tuple[int, int, int]
) -> keras.Model:
    """Build the network from styles (N, L, W), and noise for each 3×3 convolution, to images.

    Without noise its only input is [styles].
    """
    *image_size, image_channels = image_shape
    (height, width), doublings = smallest_map(*image_size), count_doublings(*image_size)
    channels = params.list_channels(*image_size)
    styles = keras.Input((2 * doublings + 2, params.style), name="styles")
    noises = [
        keras.Input((height << n, width << n, 1), name=f"noise_{name}")
        for name, n in list_convolutions(doublings)
        if params.noise
    ]
    one = make_one(styles)
    used = iter(zip_longest(noises, range(2 * doublings + 1)))

    def convolve(x: KerasTensor, name: str, width: int, double: bool) -> KerasTensor:
        noise, number = next(used)
        style = styles[:, number]
        return modulated_convolution(
            one, x, style, width, name, noise, double=double, clamp=params.clamp
        )

    constant = make_weight(one, "b4_const", (height, width, channels[0]))
    # As many copies as there are styles.
    x = ops.expand_dims(constant, 0) * ops.ones_like(styles[:, :1, :1, None])
    images = None
    for n, maps in enumerate(channels):
        side = 4 << n
        x = ops.cast(x, _map_dtype(params, n, doublings))
        if n:
            x = convolve(x, f"b{side}_conv0", maps, double=True)
        x = convolve(x, f"b{side}_conv1", maps, double=False)
        # The style of the next convolution, as in the paper's code; after the last, one of its own.
        style = styles[:, 2 * n + 1]
        part = to_image(one, x, style, image_channels, f"b{side}_torgb", params.clamp)
        images = part if images is None else double_image(images) + part
    return keras.Model([styles, *noises], images, name="synthesis")


def list_convolutions(doublings: int) -> list[tuple[str, int]]:
    """List the names of the 3×3 convolutions, with how often their map has been doubled.

    Example:
        >>> list_convolutions(1)
        [('b4_conv1', 0), ('b8_conv0', 1), ('b8_conv1', 1)]
    """
    return [(f"b{4 << n}_conv{i}", n) for n in range(doublings + 1) for i in (0, 1) if n or i]


def _build_generator(mapping: keras.Model, synthesis: keras.Model) -> keras.Model:
    """Build the generator to save: the same noise in all images, truncated styles."""
    inputs = _make_inputs(mapping)
    one = make_one(inputs[0])
    style_input, *noise_inputs = synthesis.inputs
    layers, width = style_input.shape[1:]
    mean = make_weight(one, "style_mean", (width,), stddev=0, trainable=False)
    psi = make_weight(one, "truncation", (layers, 1), stddev=0, value=1.0, trainable=False)
    w = mapping(inputs if len(inputs) > 1 else inputs[0])
    styles = mean + psi * (w[:, None, :] - mean)
    noises = [
        make_weight(
            one, f"{x.name.removeprefix('noise_')}_noise_const", x.shape[1:], trainable=False
        )
        for x in noise_inputs
    ]
    images = synthesis([styles, *(ops.expand_dims(noise, 0) for noise in noises)])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], images, name="generator")


def _build_training_generator(
    mapping: keras.Model, synthesis: keras.Model, params: ResolvedStylegan2Params
) -> keras.Model:
    """Build the generator to train: new noise in each image, styles of two latents mixed."""
    inputs = _make_inputs(mapping)
    latents, *labels = inputs
    style_input, *noise_inputs = synthesis.inputs
    w = mapping(inputs if labels else latents)
    other = NormalLike(latents.shape[1:], name="second_latent")(latents)
    second = mapping([other, *labels] if labels else other)
    mix = MixStyles(style_input.shape[1], params.style_mixing, name="mix_styles")
    noises = [NormalLike(x.shape[1:], name=f"random_{x.name}")(latents) for x in noise_inputs]
    images = synthesis([mix([w, second]), *noises])
    return keras.Model(inputs if labels else latents, images, name="training_generator")


def _make_inputs(mapping: keras.Model) -> list[KerasTensor]:
    return [keras.Input(x.shape[1:], name=x.name) for x in mapping.inputs]


def _build_discriminator(
    params: ResolvedStylegan2Params, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Build the discriminator: images (N, H, W, C), and with classes labels, to logits (N, 1)."""
    doublings = count_doublings(*image_shape[:2])
    channels = params.list_channels(*image_shape[:2])
    images = inputs = keras.Input(image_shape, name="images")
    one = make_one(images)
    residual, clamp = params.architecture == "residual", params.clamp
    x = images
    for n in range(doublings, 0, -1):
        name = f"b{4 << n}"
        x = ops.cast(x, _map_dtype(params, n, doublings))
        if n == doublings:
            x = convolution(one, x, channels[n], 1, f"{name}_fromrgb", clamp=clamp)
        y = convolution(one, x, channels[n], 3, f"{name}_conv0", clamp=clamp)
        gain = sqrt(0.5) if residual else 1.0
        y = convolution(
            one, y, channels[n - 1], 3, f"{name}_conv1", gain=gain, halve=True, clamp=clamp
        )
        if residual:
            y = y + convolution(
                one,
                x,
                channels[n - 1],
                1,
                f"{name}_skip",
                bias=False,
                activate=False,
                gain=gain,
                halve=True,
            )
        x = y
    x = append_group_deviation(ops.cast(x, "float32"), params.group)
    x = convolution(one, x, channels[0], 3, "b4_conv", clamp=clamp)
    x = ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
    x = dense(one, x, channels[0], "b4_fc", activate=True)
    if not classes:
        return keras.Model(inputs, dense(one, x, 1, "b4_out"), name="discriminator")
    features = dense(one, x, channels[0], "b4_out")
    labels = keras.Input((classes,), name="classes")
    embedded = normalize(dense(one, labels, channels[0], "mapping_embed"))
    for number in range(CLASS_LAYERS):
        embedded = _mapping_layer(one, embedded, channels[0], f"mapping_fc{number}")
    logits = ops.sum(features * embedded, axis=1, keepdims=True) / sqrt(channels[0])
    return keras.Model([inputs, labels], logits, name="discriminator")


def _freeze(discriminator: keras.Model, count: int) -> None:
    """Freeze the first layers after the image (Freeze-D, arXiv 2002.10964).

    They are counted as in the original: `fromrgb`, `conv0`, `conv1` and `skip` of the largest
    block, then of the smaller ones; those of the last block, of 4 pixels, are always trained.
    """
    names = {layer.name for layer in discriminator.layers}
    sides = sorted({int(name[1:].partition("_")[0]) for name in names if BLOCK.match(name)})
    parts = ("fromrgb", "conv0", "conv1", "skip")
    order = [f"b{side}_{part}" for side in reversed(sides[1:]) for part in parts]
    frozen = [name for name in order if f"{name}_weight" in names][:count]
    for name in {f"{name}_{kind}" for name in frozen for kind in ("weight", "bias")} & names:
        discriminator.get_layer(name).trainable = False
