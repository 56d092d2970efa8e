"""The pair of networks as one Keras model with its training step.

This file alone knows the backend, TensorFlow: its gradient tape, and two of its kernels that do in
one pass over memory what the general code does in many.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ganvas.training.losses import (
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
)

SCORES = ("loss_g", "loss_d", "real_score", "fake_score")


class GAN(keras.Model):
    """Generator and discriminator, trained against each other by `fit`.

    `fit` takes batches of real pictures, uint8 of shape (N, H, W, 3), and reports the means over
    an epoch of both losses and of the mean sigmoid outputs for real and generated pictures.

    Args:
        generator: Latent (N, Z) to pictures (N, H, W, 3) in [-1, 1].
        discriminator: Such pictures to logits (N, 1).
        seed: Of the latents.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model, seed: int) -> None:
        super().__init__(name="gan")
        self.generator, self.discriminator = generator, discriminator
        self.fused_generator = with_fused_norms(generator)
        self.fused_discriminator = with_fused_norms(discriminator)
        self.latent_seed = keras.random.SeedGenerator(seed)
        self.trackers = {name: keras.metrics.Mean(name) for name in SCORES}

    def compile(
        self,
        generator_optimizer: keras.Optimizer,
        discriminator_optimizer: keras.Optimizer,
        **options: Any,
    ) -> None:
        """Set one optimiser for each network; the options are those of `keras.Model.compile`."""
        # Keras's "auto" means XLA, which is slower than TensorFlow's own kernels on a CPU.
        super().compile(**{"jit_compile": False} | options)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What `fit` resets at the start of an epoch."""
        return list(self.trackers.values())

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Paint: latent (N, Z) to pictures (N, H, W, 3) in [-1, 1]."""
        return self.generator(latents)

    def train_step(self, batch: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Update the discriminator on real and generated pictures, then the generator."""
        images, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        real = ops.cast(images, "float32") / 127.5 - 1.0
        shape = (ops.shape(real)[0], self.generator.input_shape[-1])
        latents = keras.random.normal(shape, seed=self.latent_seed)
        with tf.GradientTape() as tape:
            fake = self.fused_generator(latents, training=True)
        loss_d, real_logits, fake_logits = self._update_discriminator(real, fake)
        loss_g, towards_real = self._judge_anew(fake)
        variables = self.generator.trainable_variables
        gradients = tape.gradient(fake, variables, output_gradients=towards_real)
        self.generator_optimizer.apply(gradients, variables)
        scores = ops.mean(ops.sigmoid(real_logits)), ops.mean(ops.sigmoid(fake_logits))
        return self._track(loss_g, loss_d, *scores)

    def _update_discriminator(
        self, real: tf.Tensor, fake: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            # In two batches, so that batch norm sees each kind of picture by itself.
            real_logits = self.fused_discriminator(real, training=True)
            fake_logits = self.fused_discriminator(fake, training=True)
            loss = non_saturating_discriminator_loss(real_logits, fake_logits)
        self.discriminator_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, real_logits, fake_logits

    def _judge_anew(self, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Give the generator's loss by the updated discriminator, and its gradient at `fake`."""
        # Only the pictures are watched: nobody needs this loss's gradient by the weights.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            logits = self.fused_discriminator(fake, training=True)
            loss = non_saturating_generator_loss(logits)
        return loss, tape.gradient(loss, fake)

    def _track(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        for tracker, value in zip(self.trackers.values(), values, strict=True):
            tracker.update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}


def stream(batches: Iterator[np.ndarray], shape: tuple[int, ...]) -> tf.data.Dataset:
    """Give `fit` batches without end, uint8 of the given shape, drawn ahead of their use."""
    signature = tf.TensorSpec(shape, "uint8")
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    options = tf.data.Options()
    # Its thread sleeps for seconds now and then, and whoever ends the iteration waits for it.
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)


class FusedBatchNormalization(layers.Layer):
    """Trains a `BatchNormalization` of channels-last pictures by TensorFlow's fused kernel.

    Variables and values are those of the layer that it wraps, which is the one to save.
    """

    def __init__(self, norm: layers.BatchNormalization) -> None:
        super().__init__(name=f"{norm.name}_fused", dtype=norm.dtype_policy)
        self.norm = norm

    def call(self, x: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalise (N, H, W, C) by the batch's moments, and move the averages towards them."""
        norm = self.norm
        if not training:
            return norm(x, training=False)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=norm.gamma.value,
            offset=norm.beta.value,
            mean=[],
            variance=[],
            epsilon=norm.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(x) // x.shape[-1], "float32")
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        biased = variance * (count - 1) / count
        for average, value in ((norm.moving_mean, mean), (norm.moving_variance, biased)):
            new = average * norm.momentum + tf.stop_gradient(value) * (1 - norm.momentum)
            average.assign(new)
        return y


def with_fused_norms(network: keras.Model) -> keras.Model:
    """Make a twin of a network that shares its layers and weights, with fused batch norms."""

    def share(layer: layers.Layer) -> layers.Layer:
        """Wrap a batch norm that the kernel can do; take any other layer as it is."""
        simple = (
            type(layer) is layers.BatchNormalization
            and len(layer.input.shape) == 4
            and layer.axis in (-1, 3)
            and layer.scale
            and layer.center
        )
        return FusedBatchNormalization(layer) if simple else layer

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
