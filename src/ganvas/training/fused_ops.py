"""TensorFlow's fused kernels in the place of Keras's general code, with the same values."""

import keras
import tensorflow as tf
from keras import layers


class FusedBatchNormalization(layers.Layer):
    """Trains a `BatchNormalization` of channels-last images by TensorFlow's fused kernel.

    Variables and values are those of the layer that it wraps, which is the one to save.

    Args:
        norm: What to train.
        averages: Whether its moving averages follow the batches.
    """

    def __init__(self, norm: layers.BatchNormalization, averages: bool = True) -> None:
        super().__init__(name=f"{norm.name}_fused", dtype=norm.dtype_policy)
        self.norm, self.averages = norm, averages

    def call(self, x: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalize (N, H, W, C) by the batch's moments, and move the averages towards them."""
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
        if not self.averages:
            return y
        count = tf.cast(tf.size(x) // channels, "float32")
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        biased = variance * (count - 1) / count
        for average, value in ((norm.moving_mean, mean), (norm.moving_variance, biased)):
            new = average * norm.momentum + tf.stop_gradient(value) * (1 - norm.momentum)
            average.assign(new)
        return y


def with_fused_norms(network: keras.Model, averages: bool = True) -> keras.Model:
    """Make a twin of a network that shares its layers and weights, with fused batch norms.

    Args:
        network: A functional model.
        averages: Whether the norms' moving averages follow the batches that the twin sees.
    """

    def share(layer: layers.Layer) -> layers.Layer:
        """Wrap a batch norm that the kernel can do; take any other layer as it is."""
        # A frozen norm uses its averages, in training too.
        if type(layer) is not layers.BatchNormalization or not layer.trainable:
            return layer
        if layer.input_spec.ndim == 4 and layer.axis in (-1, 3):
            return FusedBatchNormalization(layer, averages)
        return layer

    return keras.models.clone_model(network, clone_function=share)


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba, arXiv 1412.6980) whose update is one kernel for each variable."""

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Move one variable against its gradient."""
        number = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[number].handle,
            v=self._velocities[number].handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
