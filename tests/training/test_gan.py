"""The training step of `GAN` against the same step written out in another way."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import GanNetworks, remove_prior
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.training.augmentation import augment
from ganvas.training.config import LossParams, TrainParams
from ganvas.training.gan import GAN
from ganvas.training.losses import make_loss
from reference_step import (
    LEARNING_RATE,
    SIDE,
    Batch,
    Networks,
    ReferenceStep,
    assert_close,
    build_brightness,
    build_dcgan,
    build_smooth,
    copy_network,
    differ,
    draw_batch,
    fit,
    make_gan,
    run_step,
    trainable_weights_of,
    weights_of,
)

LOSS_NAMES = ("non_saturating", "hinge", "least_squares", "wasserstein", "relativistic")
SMOOTHED = ("non_saturating", "least_squares")
LOSSES = [LossParams(name=name) for name in LOSS_NAMES]
LOSSES += [LossParams(name=name, label_smoothing=0.2) for name in SMOOTHED]


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_step_agrees_with_the_reference_step(networks, simultaneous):
    reference, batch = ReferenceStep(networks), draw_batch(side=32)
    expected = reference.update(batch, simultaneous)
    scores = fit(make_gan(networks, simultaneous_updates=simultaneous), batch)
    assert scores == pytest.approx(expected, rel=1e-4)
    assert_close(weights_of(*networks), weights_of(*reference.networks), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.name} {loss.label_smoothing}")
def test_a_step_minimizes_the_chosen_loss(loss, simultaneous):
    networks = build_smooth()
    reference = ReferenceStep(networks, make_loss(loss))
    gan = make_gan(networks, loss=loss, simultaneous_updates=simultaneous)
    for seed in range(2):
        batch = draw_batch(seed=seed)
        expected = reference.update(batch, simultaneous)
        assert run_step(gan, batch) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*reference.networks))


def test_each_optimizer_updates_its_own_network_only(networks):
    before = [trainable_weights_of(model) for model in networks]
    run_step(make_gan(networks, learning_rates=(0.0, 0.1)), draw_batch(side=32))
    after = [trainable_weights_of(model) for model in networks]
    assert all((a == b).all() for a, b in zip(before[0], after[0], strict=True))
    assert all((a != b).any() for a, b in zip(before[1], after[1], strict=True))


MICRO_BATCH_PARAMS = {
    "plain": {},
    "smoothed": {"loss": {"label_smoothing": 0.2}},
    "relativistic": {"loss": {"name": "relativistic"}},
    "penalized": {"penalty": {"r1": 2.0, "r2": 1.0}},
}


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("params", MICRO_BATCH_PARAMS.values(), ids=MICRO_BATCH_PARAMS)
def test_gradient_accumulation_has_the_result_of_the_whole_batch(params, simultaneous):
    weights, scores = [], []
    for steps in (1, 4):
        networks = build_smooth()
        gan = make_gan(
            networks,
            gradient_accumulation_steps=steps,
            simultaneous_updates=simultaneous,
            **params,
        )
        scores.append([run_step(gan, draw_batch(seed=seed)) for seed in range(2)])
        weights.append(weights_of(*networks))
    assert_close(*weights, atol=1e-6)
    for whole, accumulated in zip(*scores, strict=True):
        assert accumulated == pytest.approx(whole, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_images_and_latents_of_every_micro_batch_are_used(simultaneous):
    def run(batch: Batch) -> list[list[np.ndarray]]:
        networks = build_smooth()
        run_step(
            make_gan(networks, gradient_accumulation_steps=2, simultaneous_updates=simultaneous),
            batch,
        )
        return [weights_of(model) for model in networks]

    images, latents = draw_batch()
    before = run((images, latents))
    for index in (0, 4):
        changed = images.copy(), latents.copy()
        changed[0][index] = 255 - changed[0][index]
        changed[1][index] *= -1
        assert differ(run((changed[0], latents))[1], before[1])
        assert all(map(differ, run((images, changed[1])), before))


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_each_discriminator_update_has_other_images(simultaneous, accumulation_steps):
    networks = build_smooth()
    reference, (images, latents) = ReferenceStep(networks), draw_batch(24)
    *extra, last = [(images[i : i + 8], latents[i : i + 8]) for i in (0, 8, 16)]
    for batch in extra:
        reference.update_discriminator(batch)
    expected = reference.update(last, simultaneous)
    options = {
        "simultaneous_updates": simultaneous,
        "gradient_accumulation_steps": accumulation_steps,
    }
    gan = make_gan(networks, discriminator_steps=3, **options)
    assert run_step(gan, (images, latents)) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*reference.networks))
    assert int(gan.generator_optimizer.iterations) == int(gan.steps) == 1
    assert int(gan.discriminator_optimizer.iterations) == 3


@pytest.mark.slow
def test_the_ema_follows_the_generators_weights_with_a_ramp(networks):
    ema_generator = copy_network(networks[0])
    ema_generator.set_weights([0 * weight for weight in weights_of(ema_generator)])
    gan = make_gan(networks, ema_generator=ema_generator, ema_decay=0.5)
    expected = weights_of(networks[0])
    assert_close(weights_of(ema_generator), expected, atol=0)
    for i in range(20):
        fit(gan, draw_batch(seed=i, side=32))
        decay = min(0.5, (1 + i) / (10 + i))
        expected = [
            decay * ema + (1 - decay) * weight.astype(float)
            for ema, weight in zip(expected, weights_of(networks[0]), strict=True)
        ]
    assert_close(weights_of(ema_generator), expected, atol=1e-6)
    statistics = [weight.name for weight in ema_generator.non_trainable_weights]
    assert {"moving_mean", "moving_variance"} <= set(statistics)
    assert differ(weights_of(ema_generator), weights_of(networks[0]))
    np.testing.assert_array_equal(gan(draw_batch()[1]), ema_generator(draw_batch()[1]))


def test_without_an_ema_images_come_from_the_generator_itself():
    networks = build_smooth()
    gan = make_gan(networks)
    before = gan(draw_batch()[1]).numpy()
    run_step(gan, draw_batch())
    assert gan.ema_generator is networks[0] and not gan.has_ema
    assert gan.state()["ema_generator"] == []
    np.testing.assert_array_equal(gan(draw_batch()[1]), networks[0](draw_batch()[1]))
    assert differ([gan(draw_batch()[1]).numpy()], [before])


@pytest.mark.parametrize("has_ema", [False, True])
def test_the_ema_generator_begins_with_the_prior_and_training_does_not(has_ema):
    networks, latents = build_smooth(), draw_batch()[1]
    ema_generator = copy_network(networks[0]) if has_ema else networks[0]
    anchors = np.random.default_rng(0).standard_normal((20, 6), dtype=np.float32)
    prior = LatentPrior(anchors, anchors.std(axis=0), noise=0.3)
    params = TrainParams(batch_size=8, ema_decay=0.5 if has_ema else 0, seed=3)
    gan = GAN(networks, ema_generator, params, prior=prior)
    gan.compile(*(keras.optimizers.SGD(LEARNING_RATE) for _ in range(2)))
    plain = make_gan(build_smooth(), ema_decay=0)
    for step in range(2):
        assert_close(
            list(run_step(gan, draw_batch(seed=step)).values()),
            list(run_step(plain, draw_batch(seed=step)).values()),
        )
    # Neither training nor checkpoints contain the prior.
    assert gan.has_ema == has_ema
    saved = [x.path for x in gan.state()["ema_generator"]]
    assert saved == [x.path for x in ema_generator.weights if has_ema]
    assert gan.generator is networks[0]
    assert differ(weights_of(networks[0]), weights_of(build_smooth()[0]))
    # The trained weights generate from mapped latents.
    assert remove_prior(gan.ema_generator) is ema_generator
    mapped = add_prior(ema_generator, prior)(latents)
    np.testing.assert_array_equal(gan(latents), mapped)
    assert np.abs(mapped - np.asarray(ema_generator(latents))).max() > 1e-3


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("name", ["diffaugment", "adaptive_diffaugment"])
def test_both_networks_are_trained_on_augmented_images(name, simultaneous):
    networks, policy = build_smooth(), ("color", "translation", "cutout")
    probability = {"diffaugment": 1.0, "adaptive_diffaugment": 0.5}[name]
    seed = keras.random.SeedGenerator(3)
    reference = ReferenceStep(
        networks, augment=lambda images: augment(images, policy, probability, seed)
    )
    without = ReferenceStep(networks)
    gan = make_gan(networks, augment={"name": name}, simultaneous_updates=simultaneous)
    if name == "adaptive_diffaugment":
        gan.adversary.augment_probability.assign(probability)
    expected = reference.update(draw_batch(), simultaneous)
    without.update_alternating(draw_batch())
    assert run_step(gan, draw_batch()) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*reference.networks))
    for trained, unaugmented in zip(networks, without.networks, strict=True):
        assert differ(weights_of(trained), weights_of(unaugmented))


def test_flip_mirrors_about_half_of_the_real_images():
    generator, discriminator = build_brightness()
    sign = np.where(np.arange(SIDE) < SIDE // 2, 1.0, -1.0).astype(np.float32)
    kernel = np.ones((SIDE, 1, 3), np.float32) * sign[:, None] / (SIDE * SIDE * 3)
    discriminator.set_weights([kernel.reshape(-1, 1), np.zeros(1, np.float32)])
    images = np.zeros((200, SIDE, SIDE, 3), np.uint8)
    images[:, :, : SIDE // 2] = 255
    gan = make_gan((generator, discriminator), learning_rates=(0.0, 0.0), batch_size=200, flip=True)
    low, high = 1 / (1 + np.e), 1 / (1 + 1 / np.e)
    shares = [
        (run_step(gan, (images, draw_batch(200, seed)[1]))["real_score"] - low) / (high - low)
        for seed in range(3)
    ]
    assert all(0.35 < share < 0.65 for share in shares)
    assert all(share * 200 == pytest.approx(round(share * 200), abs=0.01) for share in shares)
    assert len(set(shares)) > 1


def test_quarter_turns_need_square_images():
    inputs = keras.Input((6,))
    generator = keras.Model(inputs, keras.layers.Reshape((1, 2, 3))(inputs))
    networks = GanNetworks(generator, build_brightness()[1])
    with pytest.raises(GanvasError, match="2×1 pixels, which a quarter turn would change"):
        GAN(networks, generator, TrainParams(rotate_quarters=True))
    GAN(networks, generator, TrainParams(flip=True, flip_vertically=True))


def run_four_steps(
    build_networks: Callable[[], Networks], compile_options: dict, **params
) -> list[np.ndarray]:
    """Run four steps in a graph; return the weights after them."""
    networks = build_networks()
    ema_generator = copy_network(networks[0])
    gan = make_gan(
        networks,
        ema_generator=ema_generator,
        compile_options=compile_options,
        ema_decay=0.9,
        **params,
    )
    side, steps = networks[1].input_shape[1], []
    record_steps = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(int(gan.steps))
    )
    fit(gan, *(draw_batch(8, seed, side) for seed in range(4)), callbacks=[record_steps])
    steps_per_execution = compile_options.get("steps_per_execution", 1)
    assert steps == list(range(steps_per_execution, 5, steps_per_execution))
    return weights_of(*networks, ema_generator)


LAZY = {"r1": 1.0, "interval": 2, "lecam": 0.3, "lecam_start": 1}
COMPILED_CASES = {
    "batch norm": (build_dcgan, {"simultaneous_updates": True}),
    "penalties": (build_smooth, {"gradient_accumulation_steps": 2, "penalty": LAZY}),
}


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("build_networks", "params"), COMPILED_CASES.values(), ids=COMPILED_CASES)
def test_xla_and_steps_per_execution_have_the_result_of_plain_steps(build_networks, params):
    plain = run_four_steps(build_networks, {}, **params)
    for compile_options in ({"jit_compile": True}, {"steps_per_execution": 2}):
        assert_close(run_four_steps(build_networks, compile_options, **params), plain, atol=2e-5)
    assert differ(plain, weights_of(*build_networks(), build_networks()[0]), by=1e-3)


@pytest.mark.parametrize("accumulation_steps", [2, 4])
def test_micro_batches_of_one_image_are_refused_where_norms_would_make_vectors_zero(
    accumulation_steps, caplog
):
    norms = {
        shape: keras.layers.BatchNormalization(name=f"norm_{len(shape)}")
        for shape in ((6,), (2, 3, 1))
    }
    for shape, norm in norms.items():
        latent = keras.Input((6,))
        x = norm(keras.layers.Reshape(shape)(latent))
        x = keras.layers.Dense(SIDE * SIDE * 3)(keras.layers.Flatten()(x))
        generator = keras.Model(latent, keras.layers.Reshape((SIDE, SIDE, 3))(x), name="generator")
        networks = GanNetworks(generator, build_smooth()[1])
        params = {"batch_size": 4, "gradient_accumulation_steps": accumulation_steps}
        if accumulation_steps == 4 and len(shape) == 1:
            with pytest.raises(GanvasError, match=r"steps=4 makes micro-batches of one .* set 2, "):
                make_gan(networks, **params)
            assert not caplog.text
        else:
            make_gan(networks, **params)
    assert ("batch normalization is that of each image" in caplog.text) == (accumulation_steps == 4)
