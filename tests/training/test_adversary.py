"""Regularization of the discriminator against NumPy, and against the step written out."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.errors import GanvasError
from ganvas.training.adversary import Adversary, DiscriminatorOutput
from ganvas.training.config import TrainParams
from ganvas.training.losses import AdversarialLoss
from reference_step import (
    TEXTBOOK_LOSS,
    ReferenceStep,
    assert_close,
    build_smooth,
    differ,
    draw_batch,
    fit,
    make_gan,
    run_step,
    to_unit_range,
    weights_of,
)


def build_dense_discriminator() -> keras.Model:
    """Build a discriminator of 4×4 images that NumPy can compute too; see `numpy_forward`."""
    keras.utils.set_random_seed(1)
    normal = keras.initializers.RandomNormal(stddev=0.5)
    images = keras.Input((4, 4, 3))
    x = layers.Dense(3, activation="tanh", kernel_initializer=normal)(layers.Flatten()(images))
    return keras.Model(images, layers.Dense(1)(x))


def build_dense_generator() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(48, activation="tanh"), layers.Reshape((4, 4, 3))]
    )


def numpy_forward(weights: list[np.ndarray], images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits (N,) and the norms (N,) of their gradients by the pixels, in float64."""
    kernel, bias, output_kernel, output_bias = weights
    hidden = np.tanh(images.reshape(len(images), -1) @ kernel + bias)
    gradients = ((1 - hidden**2) * output_kernel[:, 0]) @ kernel.T
    return (hidden @ output_kernel + output_bias)[:, 0], np.linalg.norm(gradients, axis=1)


def numpy_loss(weights: list[np.ndarray], images: dict[str, np.ndarray], penalty: dict) -> float:
    """Return the discriminator's loss with gradient penalties, in float64."""
    real_logits, real_norms = numpy_forward(weights, images["real"])
    fake_logits, fake_norms = numpy_forward(weights, images["fake"])
    _, interpolated_norms = numpy_forward(weights, images["interpolated"])
    total = np.logaddexp(0, -real_logits).mean() + np.logaddexp(0, fake_logits).mean()
    total += penalty.get("r1", 0) / 2 * (real_norms**2).mean()
    total += penalty.get("r2", 0) / 2 * (fake_norms**2).mean()
    return total + penalty.get("wgan_gp", 0) * ((interpolated_norms - 1) ** 2).mean()


def finite_differences(function: Callable, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Return central differences by every weight, each changed in place and back."""
    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for index in np.ndindex(array.shape):
            value, results = array[index], []
            for change in (1e-5, -1e-5):
                array[index] = value + change
                results.append(function(weights))
            array[index], gradient[index] = value, (results[0] - results[1]) / 2e-5
    return gradients


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_gradients_of_a_penalized_loss_agree_with_finite_differences(name, simultaneous):
    penalty, discriminator = {name: 3.0}, build_dense_discriminator()
    generator = build_dense_generator()
    batch = draw_batch(side=4)
    real = to_unit_range(batch[0]).numpy().astype(float)
    fake = generator(batch[1]).numpy().astype(float)
    share = keras.random.uniform((8, 1, 1, 1), seed=keras.random.SeedGenerator(3)).numpy()
    images = {"real": real, "fake": fake, "interpolated": share * real + (1 - share) * fake}
    start = [weight.astype(float) for weight in weights_of(discriminator)]
    expected = finite_differences(lambda weights: numpy_loss(weights, images, penalty), start)
    unpenalized = finite_differences(lambda weights: numpy_loss(weights, images, {}), start)
    gan = make_gan(
        (generator, discriminator),
        learning_rates=(0.0, 1.0),
        penalty=penalty,
        simultaneous_updates=simultaneous,
    )
    loss_d = run_step(gan, batch)["loss_d"]
    assert loss_d == pytest.approx(numpy_loss(start, images, {}), rel=1e-6)
    gradients = [a - b for a, b in zip(start, weights_of(discriminator), strict=True)]
    assert_close(gradients, expected, rtol=1e-6)
    assert differ(expected, unpenalized, by=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_lazy_penalty_is_added_every_interval_and_scaled_by_it(simultaneous):
    penalties = {"lazy": {"r1": 1.0, "interval": 4}, "never": {}, "strong": {"r1": 4.0}}
    networks = {name: build_smooth() for name in penalties}
    gans = {
        name: make_gan(networks[name], penalty=penalty, simultaneous_updates=simultaneous)
        for name, penalty in penalties.items()
    }
    initial_weights = [model.get_weights() for model in build_smooth()]
    for i in range(9):
        weights = {}
        for name, gan in gans.items():
            for model, initial in zip(networks[name], initial_weights, strict=True):
                model.set_weights(initial)
            fit(gan, draw_batch(seed=i))
            weights[name] = weights_of(*networks[name])
        assert_close(weights["lazy"], weights["never" if i % 4 else "strong"])
        assert differ(weights["never"], weights["strong"], by=1e-3)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_a_gradient_penalty_with_batch_norm_in_the_discriminator_is_refused(networks, name):
    with pytest.raises(GanvasError) as error:
        make_gan(networks, penalty={name: 1.0})
    message = str(error.value)
    assert message.startswith(f"train.penalty.{name} ")
    assert "network.dcgan.discriminator_norm=none" in message
    assert message.count(". ") == 0
    assert message.endswith(".")


def test_a_penalty_does_not_depend_on_the_number_of_logits_of_an_image():
    def largest_change(num_logits):
        images = keras.Input((4, 4, 3))
        logit = layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(images))
        discriminator = keras.Model(
            images, layers.Concatenate()([logit] * num_logits) if num_logits > 1 else logit
        )
        generator = keras.Sequential(
            [keras.Input((6,)), layers.Dense(48), layers.Reshape((4, 4, 3))]
        )
        # With real logits beyond 1 and fake ones below -1 the hinge loss is 0: only R1 is left.
        generator.set_weights([weight * 0 - 1 for weight in weights_of(generator)])
        gan = make_gan(
            (generator, discriminator), (0.0, 0.01), penalty={"r1": 1.0}, loss={"name": "hinge"}
        )
        before = weights_of(discriminator)[0].copy()
        run_step(gan, (np.full((8, 4, 4, 3), 255, np.uint8), draw_batch(8, side=4)[1] * 0))
        return np.abs(weights_of(discriminator)[0] - before).max()

    assert largest_change(5) == pytest.approx(largest_change(1), rel=1e-4)
    assert largest_change(1) > 0


def test_gradient_penalties_follow_the_schedule():
    schedule = {"name": "cosine", "penalty_factor": 0.1}
    params = TrainParams(penalty={"r1": 2.0, "r2": 1.0}, schedule=schedule)
    adversary = Adversary(build_dense_discriminator(), params, schedule_steps=10)
    images = tf.random.stateless_uniform((4, 4, 4, 3), (0, 1), -1, 1)
    output = adversary.forward(images, None)
    values = [
        float(adversary.regularization(output, output, tf.constant(step, tf.int64)))
        for step in (0, 5, 10, 50)
    ]
    assert values[0] > 0
    assert values == pytest.approx([values[0] * x for x in (1, 0.55, 0.1, 0.1)], rel=1e-5)


def test_lecams_averages_start_at_the_first_logits_without_a_step_before():
    params = TrainParams(penalty={"lecam": 1.0, "lecam_start": 0, "lecam_decay": 0.9})
    adversary = Adversary(build_dense_discriminator(), params)
    logits = tf.constant([[4.0], [6.0]]), tf.constant([[-3.0], [-1.0]])
    outputs = [DiscriminatorOutput(x, {}, x, x, None) for x in logits]
    first = adversary.regularization(*outputs, tf.constant(0, tf.int64))
    emas = [float(adversary.real_logits_ema), float(adversary.fake_logits_ema)]
    assert emas == [5.0, -2.0]
    # Real logits are 6 and 8 above the average of fake ones, fake ones 8 and 6 below that of real.
    assert float(first) == pytest.approx((36 + 64) / 2 * 2)
    adversary.regularization(outputs[0], outputs[0], tf.constant(1, tf.int64))
    assert float(adversary.fake_logits_ema) == pytest.approx(0.9 * -2 + 0.1 * 5)


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_penalties_of_many_logits_are_those_of_published_code_by_their_number_squared(name):
    """The published code differentiates the sum of an image's M logits, not the mean."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    discriminator = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(inputs)))
    adversary = Adversary(discriminator, TrainParams(penalty={name: 2.0}))
    images = tf.random.stateless_uniform((6, 4, 4, 3), (0, 1), -1, 1)
    output = adversary.forward(images, None)
    value = adversary.regularization(output, output, tf.constant(0, tf.int64))
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(discriminator(images))
    squares = tf.reduce_sum(tape.gradient(total, images) ** 2, axis=(1, 2, 3))
    assert float(value) == pytest.approx(float(tf.reduce_mean(squares)) / 5**2, rel=1e-4)


@pytest.mark.slow
def test_lecam_begins_at_its_start_and_its_averages_follow_the_logits():
    networks = build_smooth()
    averages = np.zeros(2)

    def with_lecam(step: int) -> AdversarialLoss:
        def loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
            means = np.array([real.numpy().mean(), fake.numpy().mean()])
            averages[:] = 0.75 * averages + 0.25 * means if step >= 2 else means
            above, below = tf.maximum(real - averages[1], 0), tf.maximum(averages[0] - fake, 0)
            penalty = tf.reduce_mean(above**2) + tf.reduce_mean(below**2)
            return TEXTBOOK_LOSS.discriminator(real, fake) + 2.0 * (step >= 2) * penalty

        return TEXTBOOK_LOSS._replace(discriminator=loss)

    reference, without = ReferenceStep(networks), ReferenceStep(networks)
    gan = make_gan(networks, penalty={"lecam": 2.0, "lecam_decay": 0.75, "lecam_start": 2})
    for step in range(5):
        reference.loss = with_lecam(step)
        reference.update_alternating(draw_batch(seed=step))
        without.update_alternating(draw_batch(seed=step))
        run_step(gan, draw_batch(seed=step))
        emas = [float(gan.adversary.real_logits_ema), float(gan.adversary.fake_logits_ema)]
        assert emas == pytest.approx(averages.tolist(), rel=1e-4, abs=1e-6)
        assert_close(weights_of(*networks), weights_of(*reference.networks))
        assert differ(weights_of(*networks), weights_of(*without.networks)) == (step >= 2)


@pytest.mark.parametrize("name", ["none", "diffaugment", "adaptive_diffaugment", "ada"])
def test_batches_are_augmented_alike_by_each_augmentation(name):
    params = TrainParams(augment={"name": name}, batch_size=4)
    adversary = Adversary(build_dense_discriminator(), params)
    if params.augment.is_adaptive:
        adversary.augment_probability.assign(0.9)
    images = tf.random.stateless_uniform((4, 4, 4, 3), (0, 1), -1, 1)
    first, second = adversary.augment_alike([images, images])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.any(first != images), name != "none")
