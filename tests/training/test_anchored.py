"""The step with anchors against the same step written out in another way."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from pydantic import ValidationError

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.anchored import AnchoredGAN
from ganvas.training.anchors import with_anchors
from ganvas.training.augmentation import augment_alike
from ganvas.training.batches import TrainingSet
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from ganvas.training.loop import NOBODY, Networks, prepare, train

SIDE, LATENT, BATCH = 32, 6, 8
ADVERSARIAL, PIXELS = 0.7, 3.0


def build_pair(classes: int = 0, precision: str = "float32", loud: float = 1.0) -> GanNetworks:
    """Networks without kinks: two frozen maps, and a head on both and on the image.

    The second map's numbers are up to `loud`.
    """
    keras.utils.set_random_seed(1)
    latent = keras.Input((LATENT,))
    rows = [keras.Input((classes,), name="classes")] if classes else []
    x = layers.Concatenate()([latent, *rows]) if rows else latent
    x = layers.Dense(SIDE * SIDE * 3, activation="tanh")(x)
    generator = keras.Model([latent, *rows] if rows else latent, layers.Reshape((SIDE, SIDE, 3))(x))
    images = keras.Input((SIDE, SIDE, 3))
    fine = layers.Conv2D(3, 3, 2, "same", activation="tanh", dtype=precision)(images)
    coarse = layers.Conv2D(4, 3, 2, "same", activation="tanh", dtype=precision)(fine)
    coarse = layers.Rescaling(loud, dtype=precision)(coarse)
    trunk = keras.Model(images, [images, fine, coarse], name="trunk")
    trunk.trainable = False
    maps = [keras.Input(each.shape[1:], dtype=each.dtype) for each in trunk.outputs]
    told = [keras.Input((classes,))] if classes else []
    heard = [*maps[:2], layers.Rescaling(1 / loud)(maps[2])]
    logits = layers.Concatenate()([layers.Flatten()(each) for each in heard] + told)
    logits = layers.Dense(2)(layers.Dense(5, activation="tanh")(logits))
    heads = keras.Model([*maps, *told], logits, name="heads")
    shown = keras.Input((SIDE, SIDE, 3))
    asked = [keras.Input((classes,), name="classes")] if classes else []
    outputs = heads([*trunk(shown), *asked])
    return GanNetworks(generator, keras.Model([shown, *asked] if asked else shown, outputs))


def make(pair: GanNetworks, **params) -> AnchoredGAN:
    anchor = {"every": 2, "adversarial": ADVERSARIAL, "pixels": PIXELS}
    chosen = {
        "batch_size": BATCH,
        "simultaneous_updates": True,
        "anchor": anchor,
        "seed": 3,
    } | params
    gan = AnchoredGAN(pair, pair.generator, TrainParams(**chosen))
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def draw(count: int = BATCH):
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return shown, rng.standard_normal((count, LATENT), dtype=np.float32)


def test_a_step_agrees_with_the_step_written_out():
    pair = build_pair()
    trunk, heads = (pair.discriminator.get_layer(name) for name in ("trunk", "heads"))
    shown, latents = draw()
    real = tf.constant(shown / 127.5 - 1, tf.float32)
    variables = pair.generator.trainable_variables
    real_maps = trunk(real)

    def likeness(maps):
        total = 0.0
        # The image and its finest map are the heads' alone.
        for one, other in zip(maps[2:], real_maps[2:], strict=True):
            apart = [tf.reduce_sum(tf.abs(one[k] - other[k])) for k in range(0, BATCH, 2)]
            total += sum(apart) / sum(tf.reduce_sum(tf.abs(other[k])) for k in range(0, BATCH, 2))
        return total

    def fool(maps):
        return -tf.reduce_mean(heads(maps))

    with tf.GradientTape(persistent=True) as tape:
        fake = pair.generator(latents)
        maps = trunk(fake)
        losses = {"adversarial": fool(maps), "likeness": likeness(maps)}
        losses["discriminator"] = tf.reduce_mean(tf.nn.relu(1 - heads(real_maps)))
        losses["discriminator"] += tf.reduce_mean(tf.nn.relu(1 + heads(maps)))
        coarse = [tf.reshape(x, (BATCH, 16, 2, 16, 2, 3)) for x in (fake, real)]
        coarse = [tf.reduce_mean(x, axis=(2, 4)) for x in coarse]
        apart = tf.abs(coarse[0] - coarse[1])
        pixels = sum(tf.reduce_mean(apart[k]) for k in range(0, BATCH, 2))
        losses["pixels"] = PIXELS * pixels / (BATCH // 2)
    lengths = {}
    for name, loss in (("adversarial", fool), ("likeness", likeness)):
        # By each map alone, although the second is made of the first.
        alone = [tf.Variable(each) for each in maps]
        with tf.GradientTape() as at_maps:
            value = loss([each.value() for each in alone])
        slopes = [each for each in at_maps.gradient(value, alone) if each is not None]
        anchored = [each.numpy()[::2].ravel() for each in slopes]
        lengths[name] = np.linalg.norm(np.concatenate(anchored))
    share = ADVERSARIAL * lengths["likeness"] / lengths["adversarial"]
    names = ("adversarial", "likeness", "pixels")
    parts = [tape.gradient(losses[name], variables) for name in names]
    expected = [
        weight.numpy() - 0.1 * (share * one + two + three).numpy()
        for weight, one, two, three in zip(variables, *parts, strict=True)
    ]
    by_heads = tape.gradient(losses["discriminator"], heads.trainable_variables)
    expected += [
        weight.numpy() - 0.1 * slope.numpy()
        for weight, slope in zip(heads.trainable_variables, by_heads, strict=True)
    ]
    scores = make(pair, loss={"name": "hinge"}).train_step(
        (tf.constant(shown), tf.constant(latents))
    )
    assert float(scores["loss_g"]) == pytest.approx(float(losses["adversarial"]), rel=1e-5)
    assert float(scores["loss_d"]) == pytest.approx(float(losses["discriminator"]), rel=1e-5)
    ours = [*variables, *heads.trainable_variables]
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=2e-6)


def test_gradients_that_are_zero_in_float16_reach_the_generator_as_in_float32():
    batch, moves = tuple(map(tf.constant, draw(64))), []
    for precision in ("float32", "mixed_float16"):
        # Likeness relative to numbers so large has slopes below the smallest of float16.
        pair = build_pair(precision=precision, loud=5e4)
        gan = make(pair, batch_size=64, anchor={"every": 2, "pixels": 0.0})
        if precision == "mixed_float16":
            gan.compile(
                *(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)) for _ in range(2))
            )
        before = pair.generator.get_weights()
        gan.train_step(batch)
        after = pair.generator.get_weights()
        moved = [(one - other).ravel() for one, other in zip(after, before, strict=True)]
        moves.append(np.concatenate(moved))
    # Rounding turns a few differences round, whose signs alone count.
    assert np.linalg.norm(moves[1] - moves[0]) < 0.3 * np.linalg.norm(moves[0])


def test_the_frozen_trunk_stays_as_it_is():
    pair = build_pair()
    trunk = pair.discriminator.get_layer("trunk")
    before = trunk.get_weights()
    make(pair).train_step(tuple(map(tf.constant, draw())))
    for one, other in zip(trunk.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_images_with_latents_of_their_own_are_not_mirrored():
    gan, (shown, latents) = make(build_pair(), flip=True), draw(32)
    piece = gan._prepare(tf.constant(shown), tf.constant(latents))
    real = shown / 127.5 - 1
    np.testing.assert_allclose(piece.real[::2], real[::2], atol=1e-6)
    turned = [np.allclose(piece.real[k], real[k, :, ::-1], atol=1e-6) for k in range(1, 32, 2)]
    assert 0 < sum(turned) < 16


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
def test_it_goes_with_the_rest_of_training(params):
    pair = build_pair(classes=3)
    gan, (shown, latents) = make(pair, **params), draw(BATCH * params.get("discriminator_steps", 1))
    labels = np.arange(len(shown), dtype=np.int32) % 3
    before = [weight.numpy() for model in pair[:2] for weight in model.trainable_weights]
    batch = tuple(map(tf.constant, (shown, latents, labels, labels)))
    scores = tf.function(gan.train_step)(batch)
    assert all(np.isfinite(value) for value in scores.values())
    after = [weight.numpy() for model in pair[:2] for weight in model.trainable_weights]
    assert all((one != other).any() for one, other in zip(before, after, strict=True))


def test_a_image_is_painted_again_from_its_own_latent(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 2, 2, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    pair = build_pair()
    params = TrainParams(
        epochs=150,
        batch_size=8,
        simultaneous_updates=True,
        anchor={"every": 1},
        generator_learning_rate=0.01,
        snapshot_rows=1,
    )
    networks = Networks(pair, pair.generator)
    data = TrainingSet(images, np.arange(16))
    train(networks, data, params, CheckpointStore(tmp_path, keep=1), NOBODY)
    latents = with_anchors(data, pair.discriminator, LATENT, params).anchors
    real = images / 127.5 - 1
    painted = pair.generator.predict_on_batch(latents)
    off = np.abs(painted - real).mean()
    spread = np.abs(real - real.mean(axis=0)).mean()
    assert off < 0.7 * spread


def test_a_discriminator_of_pixels_trains_without_anchors(tmp_path):
    images = keras.Input((SIDE, SIDE, 3))
    plain = keras.Model(images, layers.Dense(1)(layers.Flatten()(images)))
    params = TrainParams(
        epochs=1, batch_size=8, simultaneous_updates=True, anchor={"every": 2}, snapshot_rows=1
    )
    pair = GanNetworks(build_pair().generator, plain)
    assert type(prepare(Networks(pair, pair.generator), params, 1)) is GAN
    data = TrainingSet(np.zeros((16, SIDE, SIDE, 3), np.uint8), np.arange(16))
    run = train(
        Networks(pair, pair.generator), data, params, CheckpointStore(tmp_path, keep=1), NOBODY
    )
    assert run.images_seen == 16


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"simultaneous_updates": False}, "needs train.simultaneous_updates=true"),
        ({"batch_size": 9}, "no place for one anchor in every 2"),
        (
            {"batch_size": 12, "gradient_accumulation_steps": 4},
            "no place for one anchor in every 2",
        ),
    ],
)
def test_what_anchors_need_is_said(params, told):
    with pytest.raises(ValidationError, match=told):
        make(build_pair(), **params)


def test_losses_are_of_images_augmented_alike_and_each_with_its_own_classes():
    pair, (shown, latents) = build_pair(classes=3), draw()
    labels, asked = np.arange(BATCH, dtype=np.int32) % 3, np.full(BATCH, 1, np.int32)
    rows, wanted = (tf.one_hot(each, 3) for each in (labels, asked))
    policy = ("color", "translation", "cutout")
    both = [
        tf.constant(shown / 127.5 - 1, tf.float32),
        pair.generator([tf.constant(latents), wanted]),
    ]
    seen = augment_alike(both, policy, 1.0, keras.random.SeedGenerator(3))
    real, fake = pair.discriminator([seen[0], rows]), pair.discriminator([seen[1], wanted])
    loss_d = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    loss_g = tf.reduce_mean(tf.nn.softplus(-fake))
    gan = make(pair, augment={"name": "diffaugment", "policy": policy})
    scores = gan.train_step(tuple(map(tf.constant, (shown, latents, labels, asked))))
    assert float(scores["loss_d"]) == pytest.approx(float(loss_d), rel=1e-5)
    assert float(scores["loss_g"]) == pytest.approx(float(loss_g), rel=1e-5)


def test_heads_pay_for_their_slope_beside_anchors_too():
    pair, (shown, latents) = build_pair(), draw()
    variables = pair.discriminator.get_layer("heads").trainable_variables
    real, fake = tf.constant(shown / 127.5 - 1, tf.float32), pair.generator(latents)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(real)
            logits = pair.discriminator(real)
            total = tf.reduce_sum(tf.reduce_mean(logits, axis=1))
        slope = inner.gradient(total, real)
        loss = tf.reduce_mean(tf.nn.softplus(-logits))
        loss += tf.reduce_mean(tf.nn.softplus(pair.discriminator(fake)))
        loss += 10 / 2 * tf.reduce_mean(tf.reduce_sum(slope**2, axis=(1, 2, 3)))
    slopes = outer.gradient(loss, variables)
    moves = zip(variables, slopes, strict=True)
    expected = [weight.numpy() - 0.1 * each.numpy() for weight, each in moves]
    make(pair, penalty={"r1": 10.0}).train_step(tuple(map(tf.constant, (shown, latents))))
    for weight, other in zip(variables, expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), other, rtol=1e-4, atol=2e-6)
