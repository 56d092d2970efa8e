"""The training step of networks that know classes, against the papers' steps written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import one_hot
from ganvas.training import critic
from ganvas.training import gan as gan_module
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN

K, COUNT, RATE = 3, 6, 0.05
Batch = tuple[np.ndarray, ...]


def draw(latent: int = 6, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    latents = rng.standard_normal((COUNT, latent), dtype=np.float32)
    return shown, latents, np.arange(COUNT, dtype=np.int32) % K, np.full(COUNT, 1, np.int32)


def artgan(**params) -> GanNetworks:
    keras.utils.set_random_seed(0)
    # Without noise and dropout, so that a step can be repeated by hand.
    chosen = {"width": 4, "latent": 6, "noise": 0, "dropout": 0} | params
    pair = build_artgan(ArtganParams(**chosen), (32, 32, 3), K)
    for model in (pair.generator, pair.discriminator):
        for weight in model.trainable_variables:
            if weight.name == "kernel":
                # At the paper's scale so few channels vary less than batch norm's epsilon.
                weight.assign(10 * weight)
    return pair


def dcgan(**params) -> GanNetworks:
    keras.utils.set_random_seed(0)
    widths = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
    return build_dcgan(DcganParams(**(widths | params)), (32, 32, 3), K)


def make_gan(pair: GanNetworks, rates: tuple[float, float] = (RATE, RATE), **params) -> GAN:
    gan = GAN(pair, pair.generator, TrainParams(**({"batch_size": COUNT} | params)))
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates))
    return gan


def step(gan: GAN, batch: Batch) -> dict[str, float]:
    scores = tf.function(gan.train_step)(tuple(map(tf.constant, batch)))
    return {name: float(value) for name, value in scores.items()}


def values(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.trainable_variables]


def descend(model: keras.Model, tape: tf.GradientTape, loss: tf.Tensor) -> list[np.ndarray]:
    gradients = tape.gradient(loss, model.trainable_variables)
    pairs = zip(model.trainable_variables, gradients, strict=True)
    return [weight.numpy() - RATE * np.asarray(gradient) for weight, gradient in pairs]


def give(model: keras.Model, arrays: list[np.ndarray]) -> None:
    for weight, array in zip(model.trainable_variables, arrays, strict=True):
        weight.assign(array)


def assert_close(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=3e-6)


def assert_same_step(
    before: list[np.ndarray], ours: list[np.ndarray], theirs: list[np.ndarray]
) -> None:
    """Compare two steps as a whole: single weights may hardly move."""
    start, one, other = (np.concatenate([x.ravel() for x in xs]) for xs in (before, ours, theirs))
    assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other - start)


def in_range(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images.astype(np.float32) / 127.5 - 1)


def papers_original(pair: GanNetworks, batch: Batch) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The step of arXiv 1702.03410: binary cross-entropies of K + 1 sigmoids, and the decoder's."""
    generator, discriminator, decoder = pair
    (dense,) = [layer for layer in discriminator.layers if isinstance(layer, layers.Dense)]
    judge = keras.Model(discriminator.input, [dense.output, discriminator.output["features"]])
    real, asked = in_range(batch[0]), one_hot(batch[3], K)

    def cross(raw: tf.Tensor, targets: np.ndarray) -> tf.Tensor:
        likely = tf.sigmoid(raw)
        terms = targets * tf.math.log(likely) + (1 - targets) * tf.math.log(1 - likely)
        return -tf.reduce_mean(tf.reduce_sum(terms, axis=1))

    fake = generator([batch[1], asked], training=True)
    with tf.GradientTape() as tape:
        loss = cross(judge(real, training=True)[0], one_hot(batch[2], K + 1))
        loss += cross(judge(fake, training=True)[0], one_hot(np.full(COUNT, K), K + 1))
    new_discriminator = descend(discriminator, tape, loss)
    give(discriminator, new_discriminator)
    with tf.GradientTape() as tape:
        fake = generator([batch[1], asked], training=True)
        loss = cross(judge(fake, training=True)[0], one_hot(batch[3], K + 1))
        features = tf.stop_gradient(judge(real, training=True)[1])
        loss += tf.reduce_mean((decoder(features, training=True) - real) ** 2) / 2
    return new_discriminator, descend(generator, tape, loss)


def papers_improved(pair: GanNetworks, batch: Batch) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The step of arXiv 1708.09533, its losses as the authors' code has them."""
    generator, discriminator, _ = pair
    real, asked = in_range(batch[0]), one_hot(batch[3], K)
    cross = keras.losses.CategoricalCrossentropy(from_logits=True)

    def look(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = discriminator(images, training=True)
        told, again = outputs["softmax_classes"], outputs["reconstruction"]
        return told, tf.reduce_logsumexp(told, 1), tf.reduce_mean((again - images) ** 2) / 2

    fake = generator([batch[1], asked], training=True)
    with tf.GradientTape() as tape:
        told, sure, again = look(real)
        loss = cross(one_hot(batch[2], K), told) - tf.reduce_mean(sure) + again
        loss += tf.reduce_mean(tf.nn.softplus(sure)) + tf.reduce_mean(tf.nn.softplus(look(fake)[1]))
    new_discriminator = descend(discriminator, tape, loss)
    give(discriminator, new_discriminator)
    with tf.GradientTape() as tape:
        told, sure, again = look(generator([batch[1], asked], training=True))
        loss = cross(asked, told) - tf.reduce_mean(sure) + again
        loss += tf.reduce_mean(tf.nn.softplus(sure))
    return new_discriminator, descend(generator, tape, loss)


@pytest.mark.parametrize(
    ("variant", "by_hand"), [("original", papers_original), ("improved", papers_improved)]
)
def test_artgans_step_is_the_papers(variant, by_hand, monkeypatch):
    # Fused norms round in a way of their own, which so deep networks make larger.
    monkeypatch.setattr(critic, "with_fused_norms", lambda network: network)
    monkeypatch.setattr(gan_module, "with_fused_norms", lambda network, averages=True: network)
    batch = draw()
    expected = by_hand(artgan(variant=variant), batch)
    pair = artgan(variant=variant)
    before = values(pair.discriminator), values(pair.generator)
    step(make_gan(pair), batch)
    assert_same_step(before[0], values(pair.discriminator), expected[0])
    assert_same_step(before[1], values(pair.generator), expected[1])


def moved(before: list[np.ndarray], model: keras.Model) -> list[bool]:
    return [bool((a != b).any()) for a, b in zip(before, values(model), strict=True)]


def test_the_generators_loss_moves_znet_and_decoder_alone():
    pair = artgan()
    generator, discriminator = values(pair.generator), values(pair.discriminator)
    step(make_gan(pair, rates=(RATE, 0.0)), draw())
    assert all(moved(generator, pair.generator))
    assert not any(moved(discriminator, pair.discriminator))


def test_the_discriminators_loss_moves_encoder_and_clsnet_alone():
    pair = artgan()
    generator, discriminator = values(pair.generator), values(pair.discriminator)
    step(make_gan(pair, rates=(0.0, RATE)), draw())
    assert all(moved(discriminator, pair.discriminator))
    assert not any(moved(generator, pair.generator))


def test_painting_real_images_again_moves_the_decoder_alone():
    pair, without = artgan(), artgan()
    step(make_gan(pair, rates=(RATE, 0.0)), draw())
    step(make_gan(without, rates=(RATE, 0.0), loss={"reconstruction_weight": 0}), draw())
    znet = len(values(pair.generator)) - len(values(pair.decoder))
    by_loss = moved(values(without.generator), pair.generator)
    assert by_loss == [False] * znet + [True] * len(values(pair.decoder))


def test_moving_averages_of_the_decoder_follow_what_the_generator_paints():
    pair, without = artgan(), artgan()
    for each, weight in ((pair, 1), (without, 0)):
        step(make_gan(each, rates=(0.0, 0.0), loss={"reconstruction_weight": weight}), draw())
    statistics = [
        [w.numpy() for w in each.generator.non_trainable_variables] for each in (pair, without)
    ]
    fresh = [w.numpy() for w in artgan().generator.non_trainable_variables]
    assert_close(*statistics)
    assert any((one != other).any() for one, other in zip(statistics[0], fresh, strict=True))


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_projection_discriminator_sees_what_was_shown_and_what_was_asked(simultaneous):
    batch = draw()
    shown, asked = tf.constant(one_hot(batch[2], K)), tf.constant(one_hot(batch[3], K))
    latents = tf.constant(batch[1])
    pair = dcgan(discriminator_norm="none")
    generator, discriminator, _ = pair
    with tf.GradientTape() as tape:
        real = discriminator([in_range(batch[0]), shown], training=True)
        fake = discriminator([generator([latents, asked], training=True), asked], training=True)
        loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    before = values(discriminator)
    expected = descend(discriminator, tape, loss)
    if not simultaneous:
        give(discriminator, expected)
    with tf.GradientTape() as tape:
        fake = discriminator([generator([latents, asked], training=True), asked], training=True)
        loss = tf.reduce_mean(tf.nn.softplus(-fake))
    painted = descend(generator, tape, loss)
    give(discriminator, before)
    step(make_gan(pair, simultaneous_updates=simultaneous), batch)
    assert_close(values(discriminator), expected)
    assert_close(values(generator), painted)


@pytest.mark.parametrize("make", [artgan, dcgan])
def test_weights_of_the_auxiliary_losses_count(make):
    class_weights = (0.0, 1.0, 2.0) if make is artgan else (0.0,)
    losses = []
    for weight in class_weights:
        options = {"auxiliary_class_weight": weight, "reconstruction_weight": 0.0}
        losses.append(step(make_gan(make(), rates=(0.0, 0.0), loss=options), draw()))
    if make is artgan:
        for name in ("loss_d", "loss_g"):
            none, once, twice = [scores[name] for scores in losses]
            assert twice - none == pytest.approx(2 * (once - none), rel=1e-4)
            assert once - none > 0.1
    else:
        assert losses[0]["loss_d"] == pytest.approx(2 * np.log(2), abs=0.3)


@pytest.mark.parametrize("variant", ["original", "improved"])
def test_every_path_of_the_step_takes_classes(variant):
    for options in (
        {"simultaneous_updates": True},
        {"batch_size": 3, "discriminator_steps": 2},
        {"gradient_accumulation_steps": 3},
        {"augment": {"name": "diffaugment"}, "flip": True},
        {"loss": {"name": "relativistic"}},
        {"resample_latents": True, "loss": {"label_noise": 0.05}},
    ):
        scores = step(make_gan(artgan(variant=variant), **options), draw())
        assert all(np.isfinite(list(scores.values()))), options


def test_gradient_penalties_take_classes():
    pair = dcgan(discriminator_norm="none")
    penalty = {"r1": 1.0, "r2": 1.0, "wgan_gp": 1.0}
    before = values(pair.discriminator)
    step(make_gan(pair, penalty=penalty, loss={"name": "relativistic"}), draw())
    assert all(moved(before, pair.discriminator))


def test_fresh_latents_are_for_the_generator_alone_and_the_same_by_their_seed():
    results = {}
    for name, fresh, seed in (
        ("same", False, 0),
        ("a", True, 0),
        ("again", True, 0),
        ("b", True, 1),
    ):
        pair = dcgan()
        step(make_gan(pair, resample_latents=fresh, seed=seed), draw())
        results[name] = values(pair.discriminator), values(pair.generator)
    for name in ("a", "again", "b"):
        assert_close(results[name][0], results["same"][0])
    assert_close(results["a"][1], results["again"][1])
    for one, other in (("same", "a"), ("a", "b")):
        pairs = zip(results[one][1], results[other][1], strict=True)
        assert max(np.abs(x - y).max() for x, y in pairs) > 1e-6


def test_fresh_latents_and_one_shared_pass_exclude_each_other():
    with pytest.raises(ValueError, match="resample_latents"):
        TrainParams(resample_latents=True, simultaneous_updates=True)
