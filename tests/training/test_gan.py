import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.gan import (
    GAN,
    SCORES,
    FusedAdam,
    FusedBatchNormalization,
    with_fused_norms,
)

RATE = 0.05


def make_gan(networks, **options) -> GAN:
    gan = GAN(*networks, seed=3)
    gan.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **options)
    return gan


def copy_of(model: keras.Model) -> keras.Model:
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def step_by_hand(generator, discriminator, real, latents) -> dict[str, float]:
    """The textbook's order, written out: D on real and fake, then G through the new D."""
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    fake = generator(latents, training=True)
    with tf.GradientTape() as tape:
        real_logits = discriminator(real, training=True)
        fake_logits = discriminator(tf.constant(fake.numpy()), training=True)
        loss_d = bce(tf.ones_like(real_logits), real_logits)
        loss_d += bce(tf.zeros_like(fake_logits), fake_logits)
    gradients = tape.gradient(loss_d, discriminator.trainable_variables)
    for variable, gradient in zip(discriminator.trainable_variables, gradients, strict=True):
        variable.assign_sub(RATE * gradient)
    before = generator.get_weights()
    with tf.GradientTape() as tape:
        logits = discriminator(generator(latents, training=True), training=True)
        loss_g = bce(tf.ones_like(logits), logits)
    gradients = tape.gradient(loss_g, generator.trainable_variables)
    # The second forward pass, only needed here, must not move the averages of batch norm twice.
    generator.set_weights(before)
    for variable, gradient in zip(generator.trainable_variables, gradients, strict=True):
        variable.assign_sub(RATE * gradient)
    scores = [float(tf.reduce_mean(tf.sigmoid(logits))) for logits in (real_logits, fake_logits)]
    return dict(zip(SCORES, [float(loss_g), float(loss_d), *scores], strict=True))


def test_a_step_agrees_with_the_step_written_out(networks, pictures):
    generator, discriminator = map(copy_of, networks)
    latents = keras.random.normal((8, 6), seed=keras.random.SeedGenerator(3))
    real = pictures[:8].astype(np.float32) / 127.5 - 1
    expected = step_by_hand(generator, discriminator, real, latents)
    logs = make_gan(networks).train_on_batch(pictures[:8], return_dict=True)
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(expected, rel=1e-4)
    for ours, theirs in zip(networks, (generator, discriminator), strict=True):
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)


def test_each_optimiser_moves_its_own_network_alone(networks, pictures):
    gan = GAN(*networks, seed=3)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1))
    before = [[w.numpy() for w in model.trainable_weights] for model in networks]
    gan.train_on_batch(pictures[:8])
    after = [[w.numpy() for w in model.trainable_weights] for model in networks]
    assert all((a == b).all() for a, b in zip(before[0], after[0], strict=True))
    assert all((a != b).any() for a, b in zip(before[1], after[1], strict=True))


def test_latents_differ_from_step_to_step(networks, pictures):
    gan = GAN(*networks, seed=3)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    scores = [gan.train_on_batch(pictures[:8], return_dict=True)["fake_score"] for _ in range(2)]
    gan.reset_metrics()
    assert float(scores[0]) != float(scores[1])


def test_a_fused_norm_does_what_the_plain_one_does():
    norm = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3)
    inputs = keras.Input((5, 4, 3))
    network = keras.Model(inputs, norm(inputs))
    norm.set_weights(
        [np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 3.0]), *norm.get_weights()[2:]]
    )
    twin, start = with_fused_norms(network), norm.get_weights()
    assert any(isinstance(layer, FusedBatchNormalization) for layer in twin.layers)
    pictures = np.random.default_rng(0).normal(2, 3, (6, 5, 4, 3)).astype(np.float32)
    answers = []
    for model in (network, twin):
        norm.set_weights(start)
        with tf.GradientTape() as tape:
            x = tf.constant(pictures)
            tape.watch(x)
            y = model(x, training=True)
            loss = tf.reduce_sum(y**3)
        gradients = tape.gradient(loss, [x, norm.gamma.value, norm.beta.value])
        answers.append([y, *gradients, *norm.get_weights(), model(pictures, training=False)])
    for plain, fused in zip(*answers, strict=True):
        np.testing.assert_allclose(plain, fused, rtol=2e-4, atol=2e-3)


def test_fused_adam_does_what_adam_does():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(4, 3)), rng.normal(size=(10, 4, 3))
    ends = []
    for optimizer_class in (keras.optimizers.Adam, FusedAdam):
        optimizer = optimizer_class(0.03, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        variable = keras.Variable(start, dtype="float32")
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient, "float32")], [variable])
        ends.append(variable.numpy())
    np.testing.assert_allclose(*ends, rtol=1e-5)
    assert np.abs(ends[0] - start).max() > 0.05
