"""The step that reconstructs real images from their latents, written out in another way."""

import math
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.networks.gan_networks import GanNetworks, remove_prior
from ganvas.training.adversary import Adversary
from ganvas.training.augmentation import augment_alike
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.gan import GAN
from ganvas.training.latent_anchoring import (
    AnchoredAdversary,
    with_anchors,
)
from ganvas.training.trainer import build_gan, train

SIDE = 32

STEP_LATENT, BATCH = 6, 8
ADVERSARIAL, PIXELS = 0.7, 3.0


def build_networks(
    num_classes: int = 0,
    precision: str = "float32",
    scale: float = 1.0,
    wrap: Callable[[keras.Layer], keras.Layer] = lambda layer: layer,
    shape: tuple[int, int, int] = (SIDE, SIDE, 3),
    noise: float = 0.0,
) -> GanNetworks:
    """Build networks without kinks: two frozen feature maps, and a head on them and on the image.

    The values of the second map are up to `scale`; `wrap` is applied to the last layer. The
    backbone adds noise to images in training.
    """
    keras.utils.set_random_seed(1)

    def class_inputs(name: str | None = "classes") -> list:
        return [keras.Input((num_classes,), name=name)] if num_classes else []

    # Generator.
    latent, labels = keras.Input((STEP_LATENT,)), class_inputs()
    x = layers.Concatenate()([latent, *labels]) if labels else latent
    x = layers.Dense(math.prod(shape), activation="tanh")(x)
    x = layers.Reshape(shape)(x)
    generator = keras.Model([latent, *labels] if labels else latent, x)

    # Frozen backbone.
    images = keras.Input(shape)
    noisy = layers.GaussianNoise(noise, seed=0)(images) if noise else images
    fine = layers.Conv2D(3, 3, 2, "same", activation="tanh", dtype=precision)(noisy)
    coarse = layers.Conv2D(4, 3, 2, "same", activation="tanh", dtype=precision)(fine)
    coarse = layers.Rescaling(scale, dtype=precision)(coarse)
    backbone = keras.Model(images, [images, fine, coarse], name="backbone")
    backbone.trainable = False

    # Head.
    maps = [keras.Input(x.shape[1:], dtype=x.dtype) for x in backbone.outputs]
    labels = class_inputs(name=None)
    scaled_maps = [*maps[:2], layers.Rescaling(1 / scale)(maps[2])]
    logits = layers.Concatenate()([layers.Flatten()(x) for x in scaled_maps] + labels)
    logits = wrap(layers.Dense(2))(layers.Dense(5, activation="tanh")(logits))
    heads = keras.Model([*maps, *labels], logits, name="heads")

    images, labels = keras.Input(shape), class_inputs()
    outputs = heads([*backbone(images), *labels])
    discriminator = keras.Model([images, *labels] if labels else images, outputs)
    return GanNetworks(generator, discriminator)


def make_gan(networks: GanNetworks, **params) -> GAN:
    anchor = {"every": 2, "adversarial": ADVERSARIAL, "pixels": PIXELS}
    defaults = {
        "batch_size": BATCH,
        "simultaneous_updates": True,
        "anchor": anchor,
        "seed": 3,
    }
    params = TrainParams(**(defaults | params))
    adversary = AnchoredAdversary(networks.discriminator, params)
    gan = GAN(networks, networks.generator, params, adversary)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def draw_batch(count: int = BATCH, shape: tuple[int, int, int] = (SIDE, SIDE, 3)):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, rng.standard_normal((count, STEP_LATENT), dtype=np.float32)


def to_unit_range(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images / 127.5 - 1, tf.float32)


# Coarse images are of about as many pixels as 16×16.
@pytest.mark.parametrize(
    ("shape", "cell"), [((SIDE, SIDE, 3), 2), ((96, 64, 1), 4), ((32, 64, 4), 2)], ids=str
)
def test_an_anchored_step_agrees_with_the_step_written_out(shape, cell):
    networks = build_networks(shape=shape)
    backbone, heads = (networks.discriminator.get_layer(name) for name in ("backbone", "heads"))
    images, latents = draw_batch(shape=shape)
    real = to_unit_range(images)
    variables = networks.generator.trainable_variables
    real_maps = backbone(real)
    anchored = range(0, BATCH, 2)

    def feature_loss(maps):
        total = 0.0
        # The image and its finest map are inputs of the heads only.
        for fake_map, real_map in zip(maps[2:], real_maps[2:], strict=True):
            differences = [tf.reduce_sum(tf.abs(fake_map[k] - real_map[k])) for k in anchored]
            total += sum(differences) / sum(tf.reduce_sum(tf.abs(real_map[k])) for k in anchored)
        return total

    def adversarial_loss(maps):
        return -tf.reduce_mean(heads(maps))

    # All losses.
    with tf.GradientTape(persistent=True) as tape:
        fake = networks.generator(latents)
        maps = backbone(fake)
        losses = {"adversarial": adversarial_loss(maps), "features": feature_loss(maps)}
        losses["discriminator"] = tf.reduce_mean(tf.nn.relu(1 - heads(real_maps)))
        losses["discriminator"] += tf.reduce_mean(tf.nn.relu(1 + heads(maps)))
        height, width, channels = shape
        cells = (BATCH, height // cell, cell, width // cell, cell, channels)
        coarse = [tf.reshape(x, cells) for x in (fake, real)]
        coarse = [tf.reduce_mean(x, axis=(2, 4)) for x in coarse]
        difference = tf.abs(coarse[0] - coarse[1])
        pixels = sum(tf.reduce_mean(difference[k]) for k in anchored)
        losses["pixels"] = PIXELS * pixels / (BATCH // 2)

    # Norms of the gradients by the maps, each by itself although the second is made of the first.
    norms = {}
    for name, loss in (("adversarial", adversarial_loss), ("features", feature_loss)):
        copies = [tf.Variable(x) for x in maps]
        with tf.GradientTape() as map_tape:
            value = loss([x.value() for x in copies])
        gradients = [x for x in map_tape.gradient(value, copies) if x is not None]
        norms[name] = np.linalg.norm(np.concatenate([x.numpy()[::2].ravel() for x in gradients]))
    scale = ADVERSARIAL * norms["features"] / norms["adversarial"]

    # The weights after the step.
    parts = [
        tape.gradient(losses[name], variables) for name in ("adversarial", "features", "pixels")
    ]
    expected = [
        weight.numpy() - 0.1 * (scale * adversarial + features + pixels).numpy()
        for weight, adversarial, features, pixels in zip(variables, *parts, strict=True)
    ]
    head_gradients = tape.gradient(losses["discriminator"], heads.trainable_variables)
    expected += [
        weight.numpy() - 0.1 * gradient.numpy()
        for weight, gradient in zip(heads.trainable_variables, head_gradients, strict=True)
    ]
    scores = make_gan(networks, loss={"name": "hinge"}).train_step(
        (tf.constant(images), tf.constant(latents))
    )
    assert float(scores["loss_g"]) == pytest.approx(float(losses["adversarial"]), rel=1e-5)
    assert float(scores["loss_d"]) == pytest.approx(float(losses["discriminator"]), rel=1e-5)
    for weight, array in zip([*variables, *heads.trainable_variables], expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), array, atol=2e-6)


@pytest.mark.slow
def test_gradients_that_underflow_in_float16_reach_the_generator_as_in_float32():
    batch, changes = tuple(map(tf.constant, draw_batch(64))), []
    for precision in ("float32", "mixed_float16"):
        # Relative to values this large the feature loss has gradients below float16's smallest.
        networks = build_networks(precision=precision, scale=5e4)
        gan = make_gan(networks, batch_size=64, anchor={"every": 2, "pixels": 0.0})
        if precision == "mixed_float16":
            gan.compile(
                *(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)) for _ in range(2))
            )
        before = networks.generator.get_weights()
        gan.train_step(batch)
        after = networks.generator.get_weights()
        change = [(a - b).ravel() for a, b in zip(after, before, strict=True)]
        changes.append(np.concatenate(change))
    # Rounding inverts a few differences, of which only the signs count.
    assert np.linalg.norm(changes[1] - changes[0]) < 0.3 * np.linalg.norm(changes[0])


def test_a_real_image_and_its_reconstruction_have_the_same_random_background():
    networks = build_networks(noise=1.0)
    backbone = networks.discriminator.get_layer("backbone")
    maps = []

    class Recorded(AnchoredAdversary):
        def _run_heads(self, batch, real_maps, fake_maps):
            maps.append([np.asarray(x[2]) for x in (real_maps, fake_maps)])
            return super()._run_heads(batch, real_maps, fake_maps)

    params = TrainParams(batch_size=BATCH, simultaneous_updates=True, anchor={"every": 2})
    gan = GAN(networks, networks.generator, params, Recorded(networks.discriminator, params))
    # Nothing is learned, so that only noise differs between steps.
    gan.compile(keras.optimizers.SGD(1e-12), keras.optimizers.SGD(1e-12))
    images, latents = draw_batch()
    images = np.rint((networks.generator(latents) + 1) * 127.5).astype(np.uint8)
    for _ in range(2):
        gan.train_step((tf.constant(images), tf.constant(latents)))
    for real, fake in maps:
        np.testing.assert_allclose(real, fake, atol=0.02)
    # Another step has other noise, and features without it are those of predictions.
    assert np.abs(maps[0][0] - maps[1][0]).mean() > 0.05
    assert np.abs(maps[0][0] - backbone(to_unit_range(images))[2]).mean() > 0.05


def test_the_backbone_stays_frozen():
    networks = build_networks()
    backbone = networks.discriminator.get_layer("backbone")
    before = backbone.get_weights()
    make_gan(networks).train_step(tuple(map(tf.constant, draw_batch())))
    for actual, expected in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_anchored_images_are_not_flipped():
    gan, (images, latents) = make_gan(build_networks(), flip=True), draw_batch(32)
    batch = gan._preprocess(tf.constant(images), tf.constant(latents))
    real = images / 127.5 - 1
    np.testing.assert_allclose(batch.images[::2], real[::2], atol=1e-6)
    flipped = [np.allclose(batch.images[k], real[k, :, ::-1], atol=1e-6) for k in range(1, 32, 2)]
    assert 0 < sum(flipped) < 16


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"augment": {"name": "diffaugment"}},
        {"gradient_accumulation_steps": 2},
        {"penalty": {"r1": 1.0, "lecam": 0.3}},
        {"discriminator_steps": 2},
    ],
    ids=str,
)
def test_anchors_work_with_other_options_of_training(params):
    networks = build_networks(num_classes=3)
    gan = make_gan(networks, **params)
    images, latents = draw_batch(BATCH * params.get("discriminator_steps", 1))
    labels = np.arange(len(images), dtype=np.int32) % 3
    before = [weight.numpy() for model in networks[:2] for weight in model.trainable_weights]
    batch = tuple(map(tf.constant, (images, latents, labels, labels)))
    scores = tf.function(gan.train_step)(batch)
    assert all(np.isfinite(value) for value in scores.values())
    after = [weight.numpy() for model in networks[:2] for weight in model.trainable_weights]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_the_generator_learns_to_reconstruct_images_from_their_anchors(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 2, 2, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    networks = build_networks()
    params = TrainParams(
        epochs=150,
        batch_size=8,
        simultaneous_updates=True,
        anchor={"every": 1, "neighbors": 0},
        generator_learning_rate=0.01,
        snapshot_rows=1,
    )
    data = TrainingSet(images, np.arange(16))
    store = CheckpointStore(tmp_path, keep=1)
    result = train(networks, networks.generator, data, params, store)
    prior = with_anchors(data, networks.discriminator, STEP_LATENT, params).prior
    real = images / 127.5 - 1
    reconstructions = networks.generator.predict_on_batch(prior.centers * prior.scale)
    error = np.abs(reconstructions - real).mean()
    spread = np.abs(real - real.mean(axis=0)).mean()
    assert error < 0.7 * spread
    # The generator that is saved takes N(0, I) to latents like those.
    assert remove_prior(result.generator) is networks.generator is not result.generator
    latents = np.random.default_rng(1).standard_normal((50, STEP_LATENT), dtype=np.float32)
    generated = result.generator.predict_on_batch(latents)
    nearest = np.abs(generated[:, None] - real).mean(axis=(2, 3, 4)).min(axis=1)
    assert nearest.mean() < 0.8 * spread


def test_a_discriminator_without_a_backbone_trains_without_anchors(tmp_path):
    images = keras.Input((SIDE, SIDE, 3))
    plain = keras.Model(images, layers.Dense(1)(layers.Flatten()(images)))
    params = TrainParams(
        epochs=1, batch_size=8, simultaneous_updates=True, anchor={"every": 2}, snapshot_rows=1
    )
    networks = GanNetworks(build_networks().generator, plain)
    data = TrainingSet(np.zeros((16, SIDE, SIDE, 3), np.uint8), np.arange(16))
    gan = build_gan(networks, networks.generator, data, params, 1)
    assert type(gan.adversary) is Adversary and gan.ema_generator is networks.generator
    store = CheckpointStore(tmp_path, keep=1)
    result = train(networks, networks.generator, data, params, store)
    assert result.images_seen == 16 and result.generator is networks.generator


def test_losses_are_of_images_augmented_alike_and_with_their_own_labels():
    networks, (images, latents) = build_networks(num_classes=3), draw_batch()
    real_labels = np.arange(BATCH, dtype=np.int32) % 3
    fake_labels = np.full(BATCH, 1, np.int32)
    real_one_hot, fake_one_hot = (tf.one_hot(labels, 3) for labels in (real_labels, fake_labels))
    policy = ("color", "translation", "cutout")
    pair = [to_unit_range(images), networks.generator([tf.constant(latents), fake_one_hot])]
    augmented = augment_alike(pair, policy, 1.0, keras.random.SeedGenerator(3))
    real = networks.discriminator([augmented[0], real_one_hot])
    fake = networks.discriminator([augmented[1], fake_one_hot])
    loss_d = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    loss_g = tf.reduce_mean(tf.nn.softplus(-fake))
    gan = make_gan(networks, augment={"name": "diffaugment", "policy": policy})
    batch = tuple(map(tf.constant, (images, latents, real_labels, fake_labels)))
    scores = gan.train_step(batch)
    assert float(scores["loss_d"]) == pytest.approx(float(loss_d), rel=1e-5)
    assert float(scores["loss_g"]) == pytest.approx(float(loss_g), rel=1e-5)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_step_runs_the_heads_once_on_both_kinds_of_images(num_classes):
    networks = build_networks(num_classes, wrap=layers.SpectralNormalization)
    norm = networks.discriminator.get_layer("heads").layers[-1]
    u, kernel = norm.vector_u.numpy(), norm.layer.kernel.numpy()
    labels = [np.arange(BATCH, dtype=np.int32) % 3] * 2 if num_classes else []
    make_gan(networks).train_step(tuple(map(tf.constant, [*draw_batch(), *labels])))
    # A single power iteration.
    v = u @ kernel.T
    v /= np.linalg.norm(v)
    expected = v @ kernel / np.linalg.norm(v @ kernel)
    np.testing.assert_allclose(norm.vector_u.numpy(), expected, atol=1e-6)
    assert np.abs(expected - u).max() > 1e-3


def test_r1_regularizes_the_heads_with_anchors_too():
    networks, (images, latents) = build_networks(), draw_batch()
    variables = networks.discriminator.get_layer("heads").trainable_variables
    real, fake = to_unit_range(images), networks.generator(latents)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(real)
            logits = networks.discriminator(real)
            total = tf.reduce_sum(tf.reduce_mean(logits, axis=1))
        image_gradient = inner.gradient(total, real)
        loss = tf.reduce_mean(tf.nn.softplus(-logits))
        loss += tf.reduce_mean(tf.nn.softplus(networks.discriminator(fake)))
        loss += 10 / 2 * tf.reduce_mean(tf.reduce_sum(image_gradient**2, axis=(1, 2, 3)))
    gradients = outer.gradient(loss, variables)
    pairs = zip(variables, gradients, strict=True)
    expected = [weight.numpy() - 0.1 * gradient.numpy() for weight, gradient in pairs]
    gan = make_gan(networks, penalty={"r1": 10.0})
    gan.train_step(tuple(map(tf.constant, (images, latents))))
    for weight, array in zip(variables, expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), array, rtol=1e-4, atol=2e-6)
