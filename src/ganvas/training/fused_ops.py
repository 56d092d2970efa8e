"""TensorFlow's fused kernels in place of Keras's general code, with the same results."""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

# Side of feature maps up to which a matrix product beats a pointwise convolution.
SMALL_SIDE = 8


class FusedBatchNormalization(layers.Layer):
    """Run a channels-last `BatchNormalization` in training by TensorFlow's fused kernel.

    Variables and results are those of the wrapped layer, which is the one to save.

    Args:
        norm: The layer to wrap.
        update_statistics: Whether to update its moving averages in training.
    """

    def __init__(self, norm: layers.BatchNormalization, update_statistics: bool = True) -> None:
        super().__init__(name=f"{norm.name}_fused", dtype=norm.dtype_policy)
        self.norm, self.update_statistics = norm, update_statistics

    def call(self, x: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalize (N, H, W, C) by the batch's moments, and update the moving averages."""
        norm = self.norm
        if not training:
            return norm(x, training=False)
        channels = x.shape[-1]
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=norm.gamma.value if norm.scale else tf.ones(channels),
            offset=norm.beta.value if norm.center else tf.zeros(channels),
            mean=[],
            variance=[],
            epsilon=norm.epsilon,
            is_training=True,
        )
        if not self.update_statistics:
            return y
        count = tf.cast(tf.size(x) // channels, "float32")
        # The kernel returns the unbiased variance; Keras keeps the biased one.
        biased = variance * (count - 1) / count
        for average, value in ((norm.moving_mean, mean), (norm.moving_variance, biased)):
            new = average * norm.momentum + tf.stop_gradient(value) * (1 - norm.momentum)
            average.assign(new)
        return y


def with_fused_norms(network: keras.Model, update_statistics: bool = True) -> keras.Model:
    """Clone a functional model with fused batch norms; all layers and weights are shared.

    Args:
        network: A functional model.
        update_statistics: Whether the clone updates the norms' moving averages in training.
    """

    def share(layer: layers.Layer) -> layers.Layer:
        # A frozen norm uses its moving averages, in training too.
        if type(layer) is not layers.BatchNormalization or not layer.trainable:
            return layer
        if layer.input_spec.ndim == 4 and layer.axis in (-1, 3):
            return FusedBatchNormalization(layer, update_statistics)
        return layer

    return keras.models.clone_model(network, clone_function=share)


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba, arXiv 1412.6980), updating each variable by a single kernel.

    Attributes:
        beta_2_schedule: Function of the number of updates before one that returns its β₂, which the
            bias correction uses too, as PyTorch's Adam does; None: β₂ is constant.
    """

    beta_2_schedule: Callable[[tf.Tensor], tf.Tensor] | None = None

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update one variable."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, "float32")
        beta_2 = self.beta_2
        if self.beta_2_schedule is not None:
            beta_2 = self.beta_2_schedule(self.iterations)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=self.beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class ConstantConvolution(layers.Layer):
    """Run a frozen convolution with its weights as constants of the graph.

    The kernels of oneDNN then rearrange them once, not at each step; and a pointwise convolution of
    small maps is a matrix product, which needs no rearranging at all.

    Args:
        layer: The layer to run; see `with_constant_weights`.
    """

    def __init__(self, layer: layers.Conv2D | layers.DepthwiseConv2D) -> None:
        super().__init__(name=f"{layer.name}_constant", dtype=layer.dtype_policy)
        self.convolution = layer
        self.constants = [x.astype(layer.compute_dtype) for x in layer.get_weights()]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolve (N, H, W, C)."""
        kernel, *bias = self.constants
        stride = self.convolution.strides[0]
        if isinstance(self.convolution, layers.DepthwiseConv2D):
            y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
        elif kernel.shape[:2] == (1, 1) and stride == 1 and x.shape[1] <= SMALL_SIDE:
            y = tf.reshape(x, (-1, x.shape[-1])) @ kernel[0, 0]
            y = tf.reshape(y, (-1, *x.shape[1:3], kernel.shape[-1]))
        else:
            y = tf.nn.conv2d(x, kernel, stride, "SAME")
        y = tf.nn.bias_add(y, bias[0]) if bias else y
        return self.convolution.activation(y)


def with_constant_weights(network: keras.Model) -> keras.Model:
    """Clone a frozen functional model for repeated use; its weights must not change any more.

    Channels-last convolutions with padding `same`, equal strides, and neither groups nor dilation
    become constant; other layers are shared.

    Args:
        network: A functional model.
    """
    return keras.models.clone_model(
        network,
        clone_function=lambda x: ConstantConvolution(x) if _is_plain_convolution(x) else x,
    )


def _is_plain_convolution(layer: layers.Layer) -> bool:
    return (
        type(layer) in (layers.Conv2D, layers.DepthwiseConv2D)
        and layer.padding == "same"
        and layer.data_format == "channels_last"
        and len(set(layer.strides)) == 1
        and set(layer.dilation_rate) == {1}
        and getattr(layer, "groups", 1) == 1
    )
