"""Helpers of the tests of a training step: tiny networks, and the textbook's step."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganvas.networks import NetworkParams, build
from ganvas.training.config import LossParams, TrainParams
from ganvas.training.gan import GAN, SCORES
from ganvas.training.losses import AdversarialLoss, make_loss

LEARNING_RATE = 0.05
SIDE = 8
BCE = keras.losses.BinaryCrossentropy(from_logits=True)
TEXTBOOK_LOSS = AdversarialLoss(
    lambda real, fake: BCE(tf.ones_like(real), real) + BCE(tf.zeros_like(fake), fake),
    lambda real, fake: BCE(tf.ones_like(fake), fake),
)
Batch = tuple[np.ndarray, np.ndarray]
Networks = tuple[keras.Model, keras.Model]


def build_smooth(seed: int = 0) -> Networks:
    """Build two tiny networks without batch norm and without kinks."""
    keras.utils.set_random_seed(seed)
    latent = keras.Input((6,))
    x = layers.Dense(SIDE * SIDE * 3, activation="tanh")(latent)
    images = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(2, 3, strides=2, activation="tanh")(images)
    y = layers.Dense(1)(layers.Flatten()(y))
    generator = keras.Model(latent, layers.Reshape((SIDE, SIDE, 3))(x))
    return generator, keras.Model(images, y)


def build_brightness() -> Networks:
    """Build a generator of black images, and a discriminator whose logit is the mean in [-1, 1]."""
    generator, _ = build_smooth()
    generator.set_weights(
        [0 * weight - 20 * (weight.ndim == 1) for weight in weights_of(generator)]
    )
    images = keras.Input((SIDE, SIDE, 3))
    head = layers.Dense(1, kernel_initializer=keras.initializers.Constant(1 / (SIDE * SIDE * 3)))
    return generator, keras.Model(images, head(layers.Flatten()(images)))


def build_dcgan(precision: str = "float32", norm: str = "batch") -> Networks:
    keras.utils.set_random_seed(0)
    params = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
    params |= {"discriminator_norm": norm}
    return build(NetworkParams(dcgan=params), (32, 32, 3), precision=precision)[:2]


def draw_batch(count: int = 8, seed: int = 0, side: int = SIDE) -> Batch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return images, rng.standard_normal((count, 6), dtype=np.float32)


def make_gan(
    networks: Networks,
    learning_rates: tuple[float, float] = (LEARNING_RATE, LEARNING_RATE),
    ema_generator: keras.Model | None = None,
    compile_options: dict | None = None,
    **params,
) -> GAN:
    """Build a GAN with plain SGD; learning rates of generator and discriminator."""
    params = TrainParams(**({"batch_size": 8, "seed": 3} | params))
    gan = GAN(networks, ema_generator or networks[0], params)
    gan.compile(*(keras.optimizers.SGD(rate) for rate in learning_rates), **(compile_options or {}))
    return gan


def run_step(gan: GAN, batch: Batch) -> dict[str, float]:
    """Run one step without a graph; return its own losses and scores."""
    gan.reset_metrics()
    scores = gan.train_step(tuple(map(tf.constant, batch)))
    return {name: float(value) for name, value in scores.items()}


def fit(gan: GAN, *batches: Batch, **options) -> dict[str, float]:
    """Run steps in a graph; return the means of their losses and scores."""
    stacked = tuple(np.stack(arrays) for arrays in zip(*batches, strict=True))
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    scores = gan.fit(dataset, verbose=0, shuffle=False, **options).history
    return {name: float(values[0]) for name, values in scores.items()}


def to_unit_range(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images.astype(np.float32) / 127.5 - 1)


def copy_network(model: keras.Model) -> keras.Model:
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def weights_of(*models: keras.Model) -> list[np.ndarray]:
    return [weight for model in models for weight in model.get_weights()]


def trainable_weights_of(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.trainable_weights]


def assert_close(
    actual: list[np.ndarray], expected: list[np.ndarray], atol: float = 2e-6, rtol: float = 0
) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def differ(a: list[np.ndarray], b: list[np.ndarray], by: float = 1e-4) -> bool:
    return max(np.abs(x - y).max() for x, y in zip(a, b, strict=True)) > by


class ReferenceStep:
    """The textbook's step, written out for copies of two networks.

    Args:
        networks: Networks to copy.
        loss: The losses to minimize.
        augment: Applied to images before the discriminator.
    """

    def __init__(
        self,
        networks: Networks,
        loss: AdversarialLoss = TEXTBOOK_LOSS,
        augment: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> None:
        self.networks = self.generator, self.discriminator = tuple(map(copy_network, networks))
        self.loss, self.augment = loss, augment

    def update(self, batch: Batch, simultaneous: bool) -> dict[str, float]:
        return (self.update_simultaneous if simultaneous else self.update_alternating)(batch)

    def update_alternating(self, batch: Batch) -> dict[str, float]:
        """Update the discriminator, then the generator against the updated discriminator."""
        loss_d, *logits = self.update_discriminator(batch)
        return self.scores(self.update_generator(batch), loss_d, *logits)

    def update_discriminator(self, batch: Batch) -> tuple[tf.Tensor, ...]:
        fake = tf.constant(self.generator(batch[1], training=True).numpy())
        with tf.GradientTape() as tape:
            real_logits = self.forward(to_unit_range(batch[0]))
            fake_logits = self.forward(fake)
            loss = self.loss.discriminator(real_logits, fake_logits)
        variables = self.discriminator.trainable_variables
        self.descend(variables, tape.gradient(loss, variables))
        return loss, real_logits, fake_logits

    def update_generator(self, batch: Batch) -> tf.Tensor:
        before = self.generator.get_weights()
        with tf.GradientTape() as tape:
            fake_logits = self.forward(self.generator(batch[1], training=True))
            real_logits = fake_logits
            if self.loss.generator is make_loss(LossParams(name="relativistic")).generator:
                real_logits = self.forward(to_unit_range(batch[0]))
            loss = self.loss.generator(real_logits, fake_logits)
        variables = self.generator.trainable_variables
        gradients = tape.gradient(loss, variables)
        # The second forward pass, only needed here, must not move batch norm's averages twice.
        self.generator.set_weights(before)
        self.descend(variables, gradients)
        return loss

    def update_simultaneous(self, batch: Batch) -> dict[str, float]:
        """Update both networks by the logits of the same discriminator."""
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator(batch[1], training=True)
            real_logits = self.forward(to_unit_range(batch[0]))
            fake_logits = self.forward(fake)
            loss_d = self.loss.discriminator(real_logits, fake_logits)
            loss_g = self.loss.generator(real_logits, fake_logits)
        pairs = [(loss_g, self.generator), (loss_d, self.discriminator)]
        variables = [model.trainable_variables for _, model in pairs]
        gradients = [tape.gradient(loss, model.trainable_variables) for loss, model in pairs]
        for network_variables, network_gradients in zip(variables, gradients, strict=True):
            self.descend(network_variables, network_gradients)
        return self.scores(loss_g, loss_d, real_logits, fake_logits)

    def forward(self, images: tf.Tensor) -> tf.Tensor:
        return self.discriminator(self.augment(images), training=True)

    @staticmethod
    def descend(variables: list[keras.Variable], gradients: list[tf.Tensor]) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(LEARNING_RATE * gradient)

    @staticmethod
    def scores(loss_g, loss_d, real_logits, fake_logits) -> dict[str, float]:
        scores = [tf.reduce_mean(tf.sigmoid(logits)) for logits in (real_logits, fake_logits)]
        return dict(zip(SCORES, map(float, [loss_g, loss_d, *scores]), strict=True))
