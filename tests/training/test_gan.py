import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.gan import GAN, SCORES

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
