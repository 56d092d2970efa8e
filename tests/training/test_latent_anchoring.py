"""Latents of real images, and the step that reconstructs them, written out in another way."""

import math
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.networks import NetworkParams, build
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.latent_prior import MAX_ANCHORS, remove_prior
from ganvas.training import latent_anchoring
from ganvas.training.adversary import Adversary
from ganvas.training.augmentation import augment_alike
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.gan import GAN
from ganvas.training.latent_anchoring import (
    AnchoredAdversary,
    _interpolate_neighbors,
    with_anchors,
)
from ganvas.training.trainer import build_gan, train

SIDE = 32

# --- Anchors ----------------------------------------------------------------------------------

LATENT = 5
POSITIONS = np.arange(10, 310)
ANCHOR = {"every": 2, "neighbors": 0}
PARAMS = TrainParams(batch_size=8, simultaneous_updates=True, anchor=ANCHOR)


@pytest.fixture(scope="module")
def images():
    """Images of two colors that meet at an edge somewhere."""
    rng = np.random.default_rng(0)
    images = np.empty((320, SIDE, SIDE, 3), np.uint8)
    for image in images:
        edge = rng.integers(4, SIDE - 4)
        image[:edge], image[edge:] = rng.integers(0, 256, (2, 3))
    return images


@pytest.fixture(scope="module")
def discriminator():
    keras.utils.set_random_seed(0)
    narrow = {"latent": LATENT, "generator_width": 2, "projection": 4, "head_width": 4}
    params = NetworkParams(name="projected", projected=narrow)
    return build(params, (SIDE, SIDE, 3)).discriminator


@pytest.fixture(scope="module")
def data(images, discriminator):
    return with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)


@pytest.mark.slow
def test_anchors_are_uncorrelated_and_their_mean_squared_length_is_that_of_n01(data):
    anchors, scale = data.prior.anchors, data.prior.scale
    assert anchors.shape == (300, LATENT) and anchors.dtype == np.float32
    assert np.square(anchors).sum(axis=1).mean() == pytest.approx(LATENT, rel=1e-4)
    np.testing.assert_allclose(anchors.mean(axis=0), 0, atol=0.01)
    assert np.abs(np.corrcoef(anchors.T) - np.eye(LATENT)).max() < 0.01
    # The first components vary most.
    assert (np.diff(scale) < 0).all() and scale[0] > 1 > scale[-1] > 0
    np.testing.assert_allclose(scale, anchors.std(axis=0), rtol=1e-5)
    assert data.prior.noise == PARAMS.anchor.noise == 0.3
    assert data.prior.labels is None and data.prior.num_classes == 0


@pytest.mark.parametrize("num_classes", [0, 3])
def test_anchors_are_principal_components_of_the_differences_within_classes(images, num_classes):
    inputs = keras.Input((SIDE, SIDE, 3))
    backbone = keras.Model(
        inputs, [inputs, *(layers.AveragePooling2D(k)(inputs) for k in (2, 8))], name="backbone"
    )
    x = keras.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(x, layers.Flatten()(backbone(x)[2]))
    # Of the first class are the darkest images.
    labels = np.random.default_rng(0).integers(1, 3, 320)
    labels[images.mean(axis=(1, 2, 3)).argsort()[:100]] = 0
    labels = labels.astype(np.int32) if num_classes else None
    plain = TrainingSet(images, POSITIONS, labels, num_classes)
    prior = with_anchors(plain, discriminator, LATENT, PARAMS).prior

    # Blocks of one size, colors with twice the weight, and all components.
    scaled = images[POSITIONS].astype(float) / 127.5 - 1
    blocks = [
        scaled.reshape(len(scaled), n, SIDE // n, n, SIDE // n, 3).mean(axis=(2, 4))
        for n in (4, 4, 8)
    ]
    columns = []
    for block, weight in zip(blocks, (1, 1, 2), strict=True):
        flat = block.reshape(len(block), -1) - block.reshape(len(block), -1).mean(axis=0)
        columns.append(weight * flat / np.sqrt((flat**2).sum(axis=1).mean()))
    rows = np.concatenate(columns, axis=1)
    centered = rows.copy()
    for label in range(num_classes):
        members = labels[POSITIONS] == label
        centered[members] -= rows[members].mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    expected = rows @ axes[:LATENT].T
    expected *= np.sqrt(LATENT / (expected**2).sum(axis=1).mean())
    for i in range(2):
        sign = np.sign(prior.anchors[:, i] @ expected[:, i])
        np.testing.assert_allclose(sign * prior.anchors[:, i], expected[:, i], atol=0.05)
    if num_classes:
        np.testing.assert_array_equal(prior.labels, labels[POSITIONS])
        assert prior.num_classes == num_classes


@pytest.mark.slow
def test_similar_images_have_similar_anchors(images, discriminator):
    with_pair = images.copy()
    with_pair[11] = np.clip(with_pair[10].astype(int) + 2, 0, 255)
    data = with_anchors(TrainingSet(with_pair, POSITIONS), discriminator, LATENT, PARAMS)
    distances = np.linalg.norm(data.prior.anchors - data.prior.anchors[0], axis=1)
    assert distances[0] == 0 and distances.argsort()[1] == 1


@pytest.mark.slow
def test_the_same_images_have_the_same_anchors(images, discriminator, data):
    repeated = with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)
    np.testing.assert_array_equal(repeated.prior.anchors, data.prior.anchors)
    np.testing.assert_array_equal(repeated.prior.scale, data.prior.scale)


def test_axes_along_which_images_do_not_differ_are_noise(images, discriminator):
    """Five images, two of them equal, differ along three axes."""
    few = TrainingSet(images[[0, 1, 2, 3, 3]], np.arange(5))
    prior = with_anchors(few, discriminator, 200, PARAMS).prior
    assert prior.anchors.shape == (5, 200)
    assert np.square(prior.anchors).sum(axis=1).mean() == pytest.approx(200, rel=1e-4)
    assert (prior.anchors[:, :3].std(axis=0) > 0.1).all()
    np.testing.assert_allclose(prior.anchors[:, 3:], 0, atol=1e-3)
    np.testing.assert_array_equal(prior.scale[3:], prior.scale[:3].min())
    noise = prior.add_noise(prior.anchors[np.zeros(500, int)], np.random.default_rng(0))[:, 3:]
    assert noise.std() == pytest.approx(0.3 * prior.scale[-1], rel=0.02)


def test_images_that_do_not_differ_at_all_have_latents_of_noise(images, discriminator):
    equal = TrainingSet(np.repeat(images[:1], 6, axis=0), np.arange(6))
    prior = with_anchors(equal, discriminator, LATENT, PARAMS).prior
    assert np.isfinite(prior.anchors).all() and (prior.scale > 0).all()
    assert np.isfinite(prior.add_noise(prior.anchors, np.random.default_rng(0))).all()


def test_the_prior_is_between_neighbors_of_a_class():
    """Two classes of two distant clusters each: no latent is far from both ends."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    centers = np.array([[0, 0, 0], [50, 0, 0], [0, 90, 0], [50, 90, 0]], np.float32)
    cluster = rng.integers(2, size=400)
    anchors = centers[2 * labels + cluster] + rng.standard_normal((400, 3), dtype=np.float32)
    chosen, between = _interpolate_neighbors(anchors, labels, 5, rng)
    assert between.shape == (MAX_ANCHORS, 3) and between.dtype == np.float32
    # Around the mean of a class, which lies between its clusters, they vary as the anchors do.
    for label in (0, 1):
        members = between[labels[chosen] == label]
        expected = anchors[labels == label]
        np.testing.assert_allclose(members.mean(axis=0), expected.mean(axis=0), atol=10)
        assert (np.abs(members[:, 1] - 90 * label) < 6).all()
    # Each is the interpolation of the chosen anchor and one of its neighbors.
    means = np.stack([anchors[labels == label].mean(axis=0) for label in (0, 1)])
    for row in range(0, MAX_ANCHORS, 200):
        first, mean = anchors[chosen[row]], means[labels[chosen[row]]]
        members = anchors[labels == labels[chosen[row]]]
        near = members[np.linalg.norm(members - first, axis=1).argsort()[1:6]]
        angles = np.linspace(0, np.pi / 2, 2001)[:, None, None]
        arcs = mean + np.cos(angles) * (first - mean) + np.sin(angles) * (near - mean)
        assert np.linalg.norm(arcs - between[row], axis=2).min() < 0.05
    assert len(np.unique(chosen)) > 390


def test_the_only_image_of_a_class_has_no_neighbors():
    anchors = np.arange(9, dtype=np.float32).reshape(3, 3)
    labels = np.array([0, 1, 1])
    chosen, between = _interpolate_neighbors(anchors, labels, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(between[chosen == 0], anchors[np.zeros((chosen == 0).sum(), int)])
    assert np.isfinite(between).all()


def test_large_half_precision_feature_maps_are_pooled_without_overflow():
    """Checkered images: a feature map alone contains their contrast, their colors little else."""
    rng = np.random.default_rng(0)
    contrast, brightness = rng.integers(0, 100, 300), rng.integers(-20, 20, 300)
    checkers = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 2 - 1
    gray = 128 + brightness[:, None, None] + contrast[:, None, None] * checkers
    images = np.repeat(gray[..., None], 3, axis=3).astype(np.uint8)
    inputs = keras.Input((SIDE, SIDE, 3))
    squares = layers.AveragePooling2D(8)(layers.Multiply()([inputs, inputs]))
    # The sum of their own squares is beyond float16.
    large = layers.Rescaling(1000.0, dtype="mixed_float16")(squares)
    backbone = keras.Model(inputs, [inputs, large], name="backbone")
    x = keras.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(x, layers.Flatten()(backbone(x)[1]))
    data = with_anchors(TrainingSet(images, np.arange(300)), discriminator, 2, PARAMS)
    # Colors have a larger weight, so that brightness comes first.
    assert abs(np.corrcoef(data.prior.anchors[:, 1], contrast**2)[0, 1]) > 0.95


def test_without_the_parameter_no_anchors_are_computed(images):
    plain = TrainingSet(images, POSITIONS)
    assert with_anchors(plain, None, LATENT, TrainParams()) is plain


# --- Training ---------------------------------------------------------------------------------

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


@pytest.mark.parametrize("shape", [(96, 64, 1), (416, 32, 4)], ids=str)
def test_anchors_of_any_shape_have_about_as_many_features(monkeypatch, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, *shape), dtype=np.uint8)
    discriminator = build_networks(shape=shape).discriminator
    backbone = discriminator.get_layer("backbone")
    # Three images at a time, as if they were large.
    monkeypatch.setattr(latent_anchoring, "BATCH_PIXELS", 3 * shape[0] * shape[1])
    batches = list(latent_anchoring._pool_features(backbone, images, np.arange(12)))
    assert [len(blocks[0]) for blocks in batches] == [3] * 4
    for blocks in batches:
        pairs = zip(blocks, (3, 4, shape[2]), strict=True)
        cells = [block.shape[1] / channels for block, channels in pairs]
        assert 16 <= cells[0] <= 32 and 16 <= cells[1] <= 32 and 64 <= cells[2] <= 128
    data = with_anchors(TrainingSet(images, np.arange(12)), discriminator, LATENT, PARAMS)
    assert data.anchors.shape == (12, LATENT) and np.isfinite(data.anchors).all()
    # Averages over cells, of which those at an end are smaller, keep the mean of constant images.
    constant = latent_anchoring._average_over_grid(np.full((1, *shape), 0.25, np.float32), 8)
    np.testing.assert_allclose(constant, 0.25)


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
