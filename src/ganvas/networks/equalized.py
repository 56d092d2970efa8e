"""Layers with an equalized learning rate, made of Keras's own layers and operations.

StyleGAN keeps its weights at unit variance and multiplies them by a constant at each use, so that
an optimizer such as Adam, whose steps don't depend on the scale of gradients, changes all weights
at the same relative speed (Karras et al., arXiv 1710.10196). Demodulation also computes with the
kernel itself. Keras's own `Conv2D` and `Dense` do neither, and with layers of our own a saved
network would not load where only Keras is installed. So each weight is the output of an
`EinsumDense` layer whose input is the constant 1: a tensor like any other, to compute with.
"""

from math import prod, sqrt

import keras
from keras import KerasTensor, layers, ops

SLOPE = 0.2
# Preserves the variance over a leaky ReLU (nearly: the slope is ignored, as in StyleGAN's code).
ACTIVATION_GAIN = sqrt(2)


def make_one(x: KerasTensor) -> KerasTensor:
    """Return the constant 1 of shape (1, 1) as part of a network with an input (N, …, D).

    Its static shape lets exporters compute the weights in advance.
    """
    first = x[(*(0,) * (len(x.shape) - 1), slice(0, 1))]
    return ops.reshape(ops.ones_like(first), (1, 1))


def make_weight(
    one: KerasTensor,
    name: str,
    shape: tuple[int, ...],
    stddev: float = 1.0,
    value: float = 0.0,
    trainable: bool = True,
) -> KerasTensor:
    """Return a weight of a network as a tensor.

    Args:
        one: Output of `make_one`.
        name: Name of the layer that has it as `kernel`, of shape (1, *shape).
        shape: Shape of the weight.
        stddev: Standard deviation of its normal initial values.
        value: Their mean.
        trainable: Whether optimizers change it.
    """
    initializer = (
        keras.initializers.RandomNormal(value, stddev)
        if stddev
        else keras.initializers.Constant(value)
    )
    dims = "cdefg"[: len(shape)]
    layer = layers.EinsumDense(
        f"ab,b{dims}->a{dims}",
        shape,
        kernel_initializer=initializer,
        name=name,
        trainable=trainable,
        dtype="float32",
    )
    return layer(one)[0]


def dense(
    one: KerasTensor,
    x: KerasTensor,
    units: int,
    name: str,
    multiplier: float = 1.0,
    bias: float = 0.0,
    activate: bool = False,
) -> KerasTensor:
    """Apply a dense layer to (N, D), in float32.

    Args:
        one: Output of `make_one`.
        x: (N, D).
        units: Number of outputs.
        name: Prefix of its weights' names.
        multiplier: Factor of the learning rate of its weights.
        bias: Initial value of the biases' parameters.
        activate: Whether a leaky ReLU with `ACTIVATION_GAIN` follows.
    """
    fan_in = x.shape[-1]
    gain = ACTIVATION_GAIN if activate else 1.0
    kernel = make_weight(one, f"{name}_weight", (fan_in, units), stddev=1 / multiplier)
    offset = make_weight(one, f"{name}_bias", (units,), stddev=0, value=bias)
    # The gain before the activation, which is homogeneous, costs less than after it.
    y = ops.matmul(x, kernel * (gain * multiplier / sqrt(fan_in))) + offset * (gain * multiplier)
    return ops.leaky_relu(y, SLOPE) if activate else y


def convolution(
    one: KerasTensor,
    x: KerasTensor,
    channels: int,
    kernel: int,
    name: str,
    *,
    bias: bool = True,
    activate: bool = True,
    gain: float = 1.0,
    halve: bool = False,
    clamp: float | None = None,
) -> KerasTensor:
    """Apply a convolution to (N, H, W, C), with zeros at the borders.

    Args:
        one: Output of `make_one`.
        x: (N, H, W, C), of the dtype to compute in.
        channels: Number of output channels.
        kernel: Side of the kernel, 1 or 3.
        name: Prefix of its weights' names.
        bias: Whether it adds biases.
        activate: Whether a leaky ReLU with `ACTIVATION_GAIN` follows.
        gain: Factor of the output.
        halve: Whether to halve the sides, after a low-pass filter.
        clamp: Largest absolute value before `gain`; None: no limit.
    """
    fan_in = kernel**2 * x.shape[-1]
    weight = make_weight(one, f"{name}_weight", (kernel, kernel, x.shape[-1], channels))
    total = gain * (ACTIVATION_GAIN if activate else 1.0)
    weight = ops.cast(weight * (total / sqrt(fan_in)), x.dtype)
    if not halve:
        y = ops.conv(x, weight, padding="same")
    elif kernel == 1:
        y = ops.conv(low_pass(x, padding=1, stride=2), weight)
    else:
        y = ops.conv(low_pass(x, padding=2), weight, strides=2)
    if bias:
        offset = make_weight(one, f"{name}_bias", (channels,), stddev=0)
        y = y + ops.cast(offset * total, x.dtype)
    if activate:
        y = ops.leaky_relu(y, SLOPE)
    return y if clamp is None else ops.clip(y, -clamp * gain, clamp * gain)


def modulated_convolution(
    one: KerasTensor,
    x: KerasTensor,
    style: KerasTensor,
    channels: int,
    name: str,
    noise: KerasTensor | None,
    *,
    double: bool = False,
    clamp: float | None = None,
) -> KerasTensor:
    """Apply a 3×3 convolution whose kernel a style scales for each image (arXiv 1912.04958).

    Instead of a kernel for each image, the inputs are multiplied by the style, and the outputs
    divided by the norm that the kernel would have: the same, and possible by one convolution.

    Args:
        one: Output of `make_one`.
        x: (N, H, W, C), of the dtype to compute in.
        style: (N, W).
        channels: Number of output channels.
        name: Prefix of its weights' names.
        noise: (N or 1, H, W, 1), twice the sides with `double`; None: no noise.
        double: Whether to double the sides, with a low-pass filter.
        clamp: Largest absolute value; None: no limit.

    Returns:
        (N, H, W, channels) after noise, biases and a leaky ReLU.
    """
    fan_in = x.shape[-1]
    scales = dense(one, style, fan_in, f"{name}_affine", bias=1.0)
    kernel = make_weight(one, f"{name}_weight", (3, 3, fan_in, channels))
    if x.dtype == "float16":
        # Demodulation cancels any scale of the styles; this one keeps sums below float16's limit.
        largest = ops.max(ops.abs(scales), axis=1, keepdims=True) * ops.max(ops.abs(kernel))
        scales = scales / ops.stop_gradient(largest * sqrt(9 * fan_in))
    squares = ops.sum(ops.square(kernel), axis=(0, 1))
    factors = ops.rsqrt(ops.matmul(ops.square(scales), squares) + 1e-8)
    x = x * ops.cast(scales[:, None, None, :], x.dtype)
    if double:
        y = _double_convolution(x, kernel)
    else:
        y = ops.conv(x, ops.cast(kernel, x.dtype), padding="same")
    offset = make_weight(one, f"{name}_bias", (channels,), stddev=0)
    y = y * ops.cast(ACTIVATION_GAIN * factors[:, None, None, :], x.dtype)
    if noise is not None:
        strength = make_weight(one, f"{name}_noise_strength", (1,), stddev=0)
        y = y + ops.cast(noise * (ACTIVATION_GAIN * strength), x.dtype)
    y = ops.leaky_relu(y + ops.cast(ACTIVATION_GAIN * offset, x.dtype), SLOPE)
    return y if clamp is None else ops.clip(y, -clamp, clamp)


def to_image(
    one: KerasTensor,
    x: KerasTensor,
    style: KerasTensor,
    channels: int,
    name: str,
    clamp: float | None = None,
) -> KerasTensor:
    """Apply a modulated 1×1 convolution without demodulation: maps (N, H, W, C) to float32."""
    fan_in = x.shape[-1]
    scales = dense(one, style, fan_in, f"{name}_affine", bias=1.0)
    kernel = make_weight(one, f"{name}_weight", (1, 1, fan_in, channels))
    offset = make_weight(one, f"{name}_bias", (channels,), stddev=0)
    gain = 1.0
    if x.dtype == "float16":
        # Large styles would make sums larger than float16's limit.
        gain = ops.stop_gradient(ops.max(ops.abs(scales), axis=1, keepdims=True) + 1e-8)
        scales, gain = scales / gain, gain[:, None, None, :]
    x = x * ops.cast(scales[:, None, None, :] / sqrt(fan_in), x.dtype)
    y = ops.cast(ops.conv(x, ops.cast(kernel, x.dtype)), "float32") * gain + offset
    return y if clamp is None else ops.clip(y, -clamp, clamp)


def _double_convolution(x: KerasTensor, kernel: KerasTensor) -> KerasTensor:
    """Double the sides by zeros between pixels, convolve, and apply 4 × `low_pass`.

    The filter [1, 3, 3, 1] is [1, 1] convolved with [1, 2, 1]. The first is applied to the kernel,
    whose sides become 4. Then even rows of the result see the kernel's rows 0 and 2, odd ones 1 and
    3, and columns likewise: four 2×2 kernels, which are one convolution of the small map with four
    times the channels. `ops.conv_transpose` would take 9 multiplications instead of these 16, but
    fails on Keras's symbolic tensors (in 3.15: it mixes up its arguments there).

    Args:
        x: (N, H, W, C).
        kernel: (3, 3, C, D), float32.

    Returns:
        (N, 2 H, 2 W, D).
    """
    height, width, channels = x.shape[1:]
    outputs = kernel.shape[-1]
    wide = kernel
    for axis in (0, 1):
        before, after = [[(0, 0)] * 4 for _ in range(2)]
        before[axis], after[axis] = (1, 0), (0, 1)
        wide = ops.pad(wide, before) + ops.pad(wide, after)
        # Rows 2 and 3 see the pixel before. In an exported file, a split would be no constant.
        wide = ops.roll(wide, 2, axis=axis)
    # (4, 4, C, D) to (2, 2, C, 4 D): the last axis has both rows and both columns of the result.
    wide = ops.reshape(wide, (2, 2, 2, 2, channels, outputs))
    wide = ops.reshape(ops.transpose(wide, (0, 2, 4, 1, 3, 5)), (2, 2, channels, 4 * outputs))
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = ops.conv(x, ops.cast(wide, x.dtype))
    # Place the results in rows and columns.
    y = ops.reshape(y, (-1, height + 1, width + 1, 2, 2 * outputs))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4)), (-1, 2 * height + 2, 2 * width + 2, outputs))
    return _filter(y, (1, 2, 1))


def low_pass(x: KerasTensor, padding: int, stride: int = 1) -> KerasTensor:
    """Pad (N, H, W, C) with zeros and convolve with [1, 3, 3, 1] / 8 along both axes.

    Args:
        x: Feature maps.
        padding: Rows and columns of zeros on each side.
        stride: Distance of the pixels to compute.
    """
    return _filter(x, (1, 3, 3, 1), padding, stride)


def double_image(images: KerasTensor) -> KerasTensor:
    """Double the sides of (N, H, W, C) by zeros between the pixels and the filter of `low_pass`.

    Its gain of 4 makes up for the zeros.
    """
    # Repeated pixels are convolved with [1, 1] already, and [1, 3, 3, 1] is [1, 1] by [1, 2, 1].
    return _filter(ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2), (1, 2, 1), padding=1)


def _filter(
    x: KerasTensor, taps: tuple[int, ...], padding: int = 0, stride: int = 1
) -> KerasTensor:
    """Pad (N, H, W, C) with zeros and convolve each channel with taps of sum 1 along both axes."""
    ones = ops.expand_dims(ops.ones_like(x[0, :1, :1]), -1)
    column = ops.concatenate([ones * (tap / sum(taps)) for tap in taps], axis=0)
    kernel = column * ops.swapaxes(column, 0, 1)
    if padding:
        x = ops.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return ops.depthwise_conv(x, kernel, stride)


def normalize(x: KerasTensor) -> KerasTensor:
    """Scale vectors (N, D) to the length √D."""
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-8)


def append_group_deviation(x: KerasTensor, group: int) -> KerasTensor:
    """Append the mean standard deviation within groups of a batch as a channel (arXiv 1710.10196).

    Image i belongs to group i mod n of n = N // `group` groups, as in StyleGAN2's code. A batch of
    less than `group` images is one group, and one that isn't a multiple has larger groups.

    Args:
        x: (N, H, W, C), float32.
        group: Images of a group.

    Returns:
        (N, H, W, C + 1).
    """
    height, width, channels = x.shape[1:]
    flat = ops.reshape(x, (-1, prod((height, width, channels))))
    # The size of a batch is not known when the network is built: count along it.
    ones = ops.ones_like(flat[:, 0])
    groups = ops.maximum(ops.floor(ops.sum(ones) / group), 1.0)
    number = ops.mod(ops.cumsum(ones) - 1, groups)
    same = ops.cast(ops.equal(number[:, None], number[None, :]), "float32")
    averaging = same / ops.sum(same, axis=1, keepdims=True)
    variance = ops.matmul(averaging, ops.square(flat - ops.matmul(averaging, flat)))
    deviation = ops.mean(ops.sqrt(variance + 1e-8), axis=1)
    plane = ops.ones_like(x[..., :1]) * deviation[:, None, None, None]
    return ops.concatenate([x, plane], axis=-1)
