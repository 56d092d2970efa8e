"""The pair of networks as one Keras model with its training step.

This file alone knows the backend, TensorFlow: gradients are taken with its tape.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

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
        self.latent_seed = keras.random.SeedGenerator(seed)
        self.trackers = {name: keras.metrics.Mean(name) for name in SCORES}

    def compile(
        self,
        generator_optimizer: keras.Optimizer,
        discriminator_optimizer: keras.Optimizer,
        **options: Any,
    ) -> None:
        """Set one optimiser for each network; the options are those of `keras.Model.compile`."""
        super().compile(**options)
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

    def train_step(self, batch: tuple[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update the discriminator on real and generated pictures, then the generator."""
        images, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        real = ops.cast(images, "float32") / 127.5 - 1.0
        shape = (ops.shape(real)[0], self.generator.input_shape[-1])
        latents = keras.random.normal(shape, seed=self.latent_seed)
        with tf.GradientTape() as generator_tape:
            fake = self.generator(latents, training=True)
            loss_d, real_logits, fake_logits = self._update_discriminator(
                real, tf.stop_gradient(fake)
            )
            loss_g = non_saturating_generator_loss(self.discriminator(fake, training=True))
        variables = self.generator.trainable_variables
        gradients = generator_tape.gradient(loss_g, variables)
        self.generator_optimizer.apply(gradients, variables)
        scores = ops.mean(ops.sigmoid(real_logits)), ops.mean(ops.sigmoid(fake_logits))
        return self._track(loss_g, loss_d, *scores)

    def _update_discriminator(
        self, real: tf.Tensor, fake: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            real_logits = self.discriminator(real, training=True)
            fake_logits = self.discriminator(fake, training=True)
            loss = non_saturating_discriminator_loss(real_logits, fake_logits)
        self.discriminator_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, real_logits, fake_logits

    def _track(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        for tracker, value in zip(self.trackers.values(), values, strict=True):
            tracker.update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}
