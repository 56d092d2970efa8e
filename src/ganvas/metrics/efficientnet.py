"""EfficientNet-Lite, a small classifier of photographs whose features judge pictures.

EfficientNet (Tan and Le, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 in place
of swish; the Lite variants keep stem and head at one width and scale what lies between. Layers are
named as in the PyTorch port whose weights they take (ml-illustrated/EfficientNet-Lite-PyTorch,
itself converted from TensorFlow's), less the underscores.
"""

import math
import re
from typing import Literal, NamedTuple

import keras
import numpy as np
from keras import layers

from ganvas.metrics.precision import full_precision

Variant = Literal["lite0", "lite2"]

FEATURES = 1280
CLASSES = 1000
STEM = 32
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


def build_efficientnet(variant: Variant, weights: dict[str, np.ndarray]) -> keras.Model:
    """Build a trained EfficientNet-Lite.

    Args:
        variant: Which scale; lite0 takes pictures of side S = 224, lite2 of 260.
        weights: The port's state dict for this variant.

    Returns:
        A network from pictures (N, S, S, 3), RGB in [0, 255], to two outputs: `features`
        (N, 1280), 0 to 6, the averages over the last layer's places, and `logits` (N, 1000) of
        ImageNet's classes. It is frozen: batch normalisation uses its moving averages.

    Raises:
        ValueError: The weights aren't this variant's.
    """
    with full_precision():
        network = _build(variant)
    _load(network, weights)
    network.trainable = False
    return network


def _build(variant: Variant) -> keras.Model:
    scale = SCALES[variant]
    pictures = keras.Input((scale.side, scale.side, 3), name="pictures")
    # TensorFlow's Lite models were trained so; the port's example, written for other weights,
    # standardises with ImageNet's mean and deviation.
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(pictures)
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
    return keras.Model(pictures, outputs, name=f"efficientnet_{variant}")


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
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)


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
