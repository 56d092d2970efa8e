"""The training step of networks with classes, against the papers' steps written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import one_hot
from ganvas.training import adversary as adversary_module
from ganvas.training import gan as gan_module
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from reference_step import LEARNING_RATE, to_unit_range

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]

NUM_CLASSES, COUNT = 3, 6
Batch = tuple[np.ndarray, ...]


def draw_batch(latent: int = 6, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    latents = rng.standard_normal((COUNT, latent), dtype=np.float32)
    real_labels = np.arange(COUNT, dtype=np.int32) % NUM_CLASSES
    return images, latents, real_labels, np.full(COUNT, 1, np.int32)


def make_artgan(**params) -> GanNetworks:
    keras.utils.set_random_seed(0)
    # Without noise and dropout, so that a step can be repeated by hand.
    params = {"width": 4, "latent": 6, "noise": 0, "dropout": 0} | params
    networks = build_artgan(ArtganParams(**params), (32, 32, 3), NUM_CLASSES)
    for model in (networks.generator, networks.discriminator):
        for weight in model.trainable_variables:
            if weight.name == "kernel":
                # At the paper's scale so few channels vary less than batch norm's epsilon.
                weight.assign(10 * weight)
    return networks


def make_dcgan(**params) -> GanNetworks:
    keras.utils.set_random_seed(0)
    widths = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
    return build_dcgan(DcganParams(**(widths | params)), (32, 32, 3), NUM_CLASSES)


def make_gan(
    networks: GanNetworks,
    learning_rates: tuple[float, float] = (LEARNING_RATE, LEARNING_RATE),
    **params,
) -> GAN:
    gan = GAN(networks, networks.generator, TrainParams(**({"batch_size": COUNT} | params)))
    gan.compile(*(keras.optimizers.SGD(rate) for rate in learning_rates))
    return gan


def run_step(gan: GAN, batch: Batch) -> dict[str, float]:
    scores = tf.function(gan.train_step)(tuple(map(tf.constant, batch)))
    return {name: float(value) for name, value in scores.items()}


def weights_of(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.trainable_variables]


def descend(model: keras.Model, tape: tf.GradientTape, loss: tf.Tensor) -> list[np.ndarray]:
    """Return the weights after a step of SGD."""
    gradients = tape.gradient(loss, model.trainable_variables)
    pairs = zip(model.trainable_variables, gradients, strict=True)
    return [weight.numpy() - LEARNING_RATE * np.asarray(gradient) for weight, gradient in pairs]


def assign(model: keras.Model, arrays: list[np.ndarray]) -> None:
    for weight, array in zip(model.trainable_variables, arrays, strict=True):
        weight.assign(array)


def assert_close(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-6)


def assert_same_step(
    before: list[np.ndarray], actual: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    """Compare two steps as a whole: single weights may hardly move."""
    start, a, b = (np.concatenate([x.ravel() for x in xs]) for xs in (before, actual, expected))
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b - start)


def original_artgan_step(
    networks: GanNetworks, batch: Batch
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The step of arXiv 1702.03410: binary cross-entropies of K + 1 sigmoids, and the decoder's."""
    generator, discriminator, decoder, _ = networks
    (dense,) = [layer for layer in discriminator.layers if isinstance(layer, layers.Dense)]
    classifier = keras.Model(discriminator.input, [dense.output, discriminator.output["features"]])
    real, fake_labels = to_unit_range(batch[0]), one_hot(batch[3], NUM_CLASSES)

    def cross_entropy(logits: tf.Tensor, labels: np.ndarray) -> tf.Tensor:
        p = tf.sigmoid(logits)
        terms = labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p)
        return -tf.reduce_mean(tf.reduce_sum(terms, axis=1))

    fake = generator([batch[1], fake_labels], training=True)
    with tf.GradientTape() as tape:
        real_labels = one_hot(batch[2], NUM_CLASSES + 1)
        loss = cross_entropy(classifier(real, training=True)[0], real_labels)
        fake_class = one_hot(np.full(COUNT, NUM_CLASSES), NUM_CLASSES + 1)
        loss += cross_entropy(classifier(fake, training=True)[0], fake_class)
    discriminator_weights = descend(discriminator, tape, loss)
    assign(discriminator, discriminator_weights)
    with tf.GradientTape() as tape:
        fake = generator([batch[1], fake_labels], training=True)
        targets = one_hot(batch[3], NUM_CLASSES + 1)
        loss = cross_entropy(classifier(fake, training=True)[0], targets)
        features = tf.stop_gradient(classifier(real, training=True)[1])
        loss += tf.reduce_mean((decoder(features, training=True) - real) ** 2) / 2
    return discriminator_weights, descend(generator, tape, loss)


def improved_artgan_step(
    networks: GanNetworks, batch: Batch
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The step of arXiv 1708.09533, its losses as the authors' code has them."""
    generator, discriminator, *_ = networks
    real, fake_labels = to_unit_range(batch[0]), one_hot(batch[3], NUM_CLASSES)
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)

    def forward(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = discriminator(images, training=True)
        classes, reconstruction = outputs["softmax_classes"], outputs["reconstruction"]
        error = tf.reduce_mean((reconstruction - images) ** 2) / 2
        return classes, tf.reduce_logsumexp(classes, 1), error

    fake = generator([batch[1], fake_labels], training=True)
    with tf.GradientTape() as tape:
        classes, logits, error = forward(real)
        real_labels = one_hot(batch[2], NUM_CLASSES)
        loss = cross_entropy(real_labels, classes) - tf.reduce_mean(logits) + error
        loss += tf.reduce_mean(tf.nn.softplus(logits))
        loss += tf.reduce_mean(tf.nn.softplus(forward(fake)[1]))
    discriminator_weights = descend(discriminator, tape, loss)
    assign(discriminator, discriminator_weights)
    with tf.GradientTape() as tape:
        classes, logits, error = forward(generator([batch[1], fake_labels], training=True))
        loss = cross_entropy(fake_labels, classes) - tf.reduce_mean(logits) + error
        loss += tf.reduce_mean(tf.nn.softplus(logits))
    return discriminator_weights, descend(generator, tape, loss)


@pytest.mark.parametrize(
    ("variant", "reference_step"),
    [("original", original_artgan_step), ("improved", improved_artgan_step)],
)
def test_artgans_step_is_that_of_its_paper(variant, reference_step, monkeypatch):
    # Fused norms round differently, which networks as deep as these amplify.
    monkeypatch.setattr(adversary_module, "with_fused_norms", lambda network: network)
    monkeypatch.setattr(
        gan_module, "with_fused_norms", lambda network, update_statistics=True: network
    )
    batch = draw_batch()
    expected = reference_step(make_artgan(variant=variant), batch)
    networks = make_artgan(variant=variant)
    before = weights_of(networks.discriminator), weights_of(networks.generator)
    run_step(make_gan(networks), batch)
    assert_same_step(before[0], weights_of(networks.discriminator), expected[0])
    assert_same_step(before[1], weights_of(networks.generator), expected[1])


def changed(before: list[np.ndarray], model: keras.Model) -> list[bool]:
    return [bool((a != b).any()) for a, b in zip(before, weights_of(model), strict=True)]


def test_the_generators_loss_trains_znet_and_decoder_only():
    networks = make_artgan()
    generator, discriminator = weights_of(networks.generator), weights_of(networks.discriminator)
    run_step(make_gan(networks, learning_rates=(LEARNING_RATE, 0.0)), draw_batch())
    assert all(changed(generator, networks.generator))
    assert not any(changed(discriminator, networks.discriminator))


def test_the_discriminators_loss_trains_encoder_and_clsnet_only():
    networks = make_artgan()
    generator, discriminator = weights_of(networks.generator), weights_of(networks.discriminator)
    run_step(make_gan(networks, learning_rates=(0.0, LEARNING_RATE)), draw_batch())
    assert all(changed(discriminator, networks.discriminator))
    assert not any(changed(generator, networks.generator))


def test_the_reconstruction_loss_of_real_images_trains_the_decoder_only():
    networks, without = make_artgan(), make_artgan()
    rates = (LEARNING_RATE, 0.0)
    run_step(make_gan(networks, learning_rates=rates), draw_batch())
    run_step(
        make_gan(without, learning_rates=rates, loss={"reconstruction_weight": 0}), draw_batch()
    )
    decoder_count = len(weights_of(networks.decoder))
    znet_count = len(weights_of(networks.generator)) - decoder_count
    by_loss = changed(weights_of(without.generator), networks.generator)
    assert by_loss == [False] * znet_count + [True] * decoder_count


def test_the_decoders_moving_averages_follow_generated_images_only():
    networks, without = make_artgan(), make_artgan()
    for case, weight in ((networks, 1), (without, 0)):
        loss = {"reconstruction_weight": weight}
        run_step(make_gan(case, learning_rates=(0.0, 0.0), loss=loss), draw_batch())
    statistics = [
        [w.numpy() for w in case.generator.non_trainable_variables] for case in (networks, without)
    ]
    initial = [w.numpy() for w in make_artgan().generator.non_trainable_variables]
    assert_close(*statistics)
    assert any((a != b).any() for a, b in zip(statistics[0], initial, strict=True))


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_projection_discriminator_gets_real_labels_and_target_classes(simultaneous):
    batch = draw_batch()
    real_labels = tf.constant(one_hot(batch[2], NUM_CLASSES))
    fake_labels = tf.constant(one_hot(batch[3], NUM_CLASSES))
    latents = tf.constant(batch[1])
    networks = make_dcgan(discriminator_norm="none")
    generator, discriminator, *_ = networks

    def forward_fake() -> tf.Tensor:
        images = generator([latents, fake_labels], training=True)
        return discriminator([images, fake_labels], training=True)

    with tf.GradientTape() as tape:
        real = discriminator([to_unit_range(batch[0]), real_labels], training=True)
        fake = forward_fake()
        loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    before = weights_of(discriminator)
    expected_discriminator = descend(discriminator, tape, loss)
    if not simultaneous:
        assign(discriminator, expected_discriminator)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.softplus(-forward_fake()))
    expected_generator = descend(generator, tape, loss)
    assign(discriminator, before)
    run_step(make_gan(networks, simultaneous_updates=simultaneous), batch)
    assert_close(weights_of(discriminator), expected_discriminator)
    assert_close(weights_of(generator), expected_generator)


@pytest.mark.parametrize("make_networks", [make_artgan, make_dcgan])
def test_auxiliary_losses_are_scaled_by_their_weights(make_networks):
    class_weights = (0.0, 1.0, 2.0) if make_networks is make_artgan else (0.0,)
    scores = []
    for weight in class_weights:
        loss = {"auxiliary_class_weight": weight, "reconstruction_weight": 0.0}
        gan = make_gan(make_networks(), learning_rates=(0.0, 0.0), loss=loss)
        scores.append(run_step(gan, draw_batch()))
    if make_networks is make_artgan:
        for name in ("loss_d", "loss_g"):
            none, once, twice = [values[name] for values in scores]
            assert twice - none == pytest.approx(2 * (once - none), rel=1e-4)
            assert once - none > 0.1
    else:
        assert scores[0]["loss_d"] == pytest.approx(2 * np.log(2), abs=0.3)


@pytest.mark.parametrize("variant", ["original", "improved"])
def test_every_kind_of_step_works_with_classes(variant):
    for params in (
        {"simultaneous_updates": True},
        {"batch_size": 3, "discriminator_steps": 2},
        {"gradient_accumulation_steps": 3},
        {"augment": {"name": "diffaugment"}, "flip": True},
        {"loss": {"name": "relativistic"}},
        {"resample_latents": True, "loss": {"label_noise": 0.05}},
    ):
        scores = run_step(make_gan(make_artgan(variant=variant), **params), draw_batch())
        assert all(np.isfinite(list(scores.values()))), params


def test_gradient_penalties_work_with_classes():
    networks = make_dcgan(discriminator_norm="none")
    penalty = {"r1": 1.0, "r2": 1.0, "wgan_gp": 1.0}
    before = weights_of(networks.discriminator)
    run_step(make_gan(networks, penalty=penalty, loss={"name": "relativistic"}), draw_batch())
    assert all(changed(before, networks.discriminator))


def test_resampled_latents_affect_the_generator_only_and_follow_the_seed():
    results = {}
    for name, resample, seed in (
        ("same", False, 0),
        ("a", True, 0),
        ("again", True, 0),
        ("b", True, 1),
    ):
        networks = make_dcgan()
        run_step(make_gan(networks, resample_latents=resample, seed=seed), draw_batch())
        results[name] = weights_of(networks.discriminator), weights_of(networks.generator)
    for name in ("a", "again", "b"):
        assert_close(results[name][0], results["same"][0])
    assert_close(results["a"][1], results["again"][1])
    for first, second in (("same", "a"), ("a", "b")):
        pairs = zip(results[first][1], results[second][1], strict=True)
        assert max(np.abs(x - y).max() for x, y in pairs) > 1e-6
