"""A training step of StyleGAN2: mean style, constants, path lengths and seeds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.errors import GanvasError
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from reference_step import build_smooth, copy_network, make_gan, run_step

NARROW = Stylegan2Params(channel_base=64, max_width=4, latent=6, style=5, mapping_layers=2)
RATE = 0.05
WEIGHT, INTERVAL, DECAY = 2.0, 2, 0.1
PATH_LENGTH = {"weight": WEIGHT, "interval": INTERVAL, "decay": DECAY}


def make_stylegan2(network_seed: int = 0, classes: int = 0, **params) -> GAN:
    """Build a GAN for 8×8 pixels with plain SGD."""
    keras.utils.set_random_seed(network_seed)
    networks = build_stylegan2(NARROW, (8, 8, 3), classes)
    for layer in networks.generator.get_layer("synthesis").layers:
        # Noise has no effect at first.
        if layer.name.endswith("noise_strength"):
            layer.kernel.assign([[0.3]])
    ema_generator = build_stylegan2(NARROW, (8, 8, 3), classes).generator
    gan = GAN(networks, ema_generator, TrainParams(**({"batch_size": 8, "seed": 3} | params)))
    gan.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE))
    return gan


def draw_batch(seed: int = 0, classes: int = 0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    labels = [rng.integers(0, classes, 8).astype(np.int32) for _ in range(2) if classes]
    return images, rng.standard_normal((8, 6), dtype=np.float32), *labels


def trained_weights(gan: GAN) -> list[np.ndarray]:
    return [weight.numpy() for weight in gan.generator.trainable_weights]


def naive_path_gradients(gan: GAN, parts: int, mean_length: float) -> tuple[list, float]:
    """Compute the regularization's gradients image by image, by whole Jacobians.

    The random numbers are those that come next.
    """
    seed, count = gan.adversary.seed, 8 // parts // 2
    weights = gan.generator.trainable_weights
    total, means = [np.zeros(w.shape) for w in weights], []
    for _ in range(parts):
        latents = keras.random.normal((count, 6), seed=seed)
        with tf.GradientTape(persistent=True) as tape:
            with tf.GradientTape(persistent=True) as inner:
                images, _, styles = gan.fused_generator(latents, training=True)
                noise = keras.random.normal(images.shape, seed=seed)
                projections = [tf.reduce_sum(images[n] * noise[n]) / 8 for n in range(count)]
            lengths = []
            for n in range(count):
                by_style = inner.gradient(projections[n], styles)[n]
                lengths.append(tf.norm(by_style) / np.sqrt(by_style.shape[0]))
            target = (1 - DECAY) * mean_length + DECAY * tf.add_n(lengths) / count
            penalty = tf.add_n([(length - target) ** 2 for length in lengths]) / count
        gradients = tape.gradient(penalty, weights)
        for i, gradient in enumerate(gradients):
            total[i] += 0 if gradient is None else gradient.numpy() / parts
        means.append(np.mean([float(length) for length in lengths]))
    return total, np.mean(means)


@pytest.mark.parametrize(
    "params",
    [
        {"gradient_accumulation_steps": 2},
        pytest.param({"simultaneous_updates": True}, marks=pytest.mark.exhaustive),
    ],
    ids=["alternating, micro-batches", "simultaneous"],
)
def test_a_step_adds_the_gradient_of_path_lengths_at_intervals(params):
    plain = make_stylegan2(**params)
    gan = make_stylegan2(path_length=PATH_LENGTH, **params)
    gan.mean_path_length.assign(0.5)
    run_step(plain, draw_batch())
    # Nothing is drawn after the noise of path lengths, so these are its random numbers.
    reference = make_stylegan2(**params)
    reference.adversary.seed.state.assign(plain.adversary.seed.state)
    parts = params.get("gradient_accumulation_steps", 1)
    gradients, mean = naive_path_gradients(reference, parts, 0.5)
    run_step(gan, draw_batch())
    for with_it, without, gradient in zip(
        trained_weights(gan), trained_weights(plain), gradients, strict=True
    ):
        expected = -RATE * INTERVAL * WEIGHT * gradient
        # Weights of the mapping network are about 100, of which float32 rounds the difference.
        rounding = 3e-7 * max(10, np.abs(without).max())
        np.testing.assert_allclose(with_it - without, expected, rtol=1e-3, atol=rounding)
    assert max(np.abs(gradient).max() for gradient in gradients) > 1e-3
    assert float(gan.mean_path_length) == pytest.approx(0.9 * 0.5 + 0.1 * mean, rel=1e-5)
    # The next step is not due.
    before = float(gan.mean_path_length)
    run_step(gan, draw_batch(1))
    assert float(gan.mean_path_length) == before


def test_the_mean_style_follows_the_styles_of_a_step():
    gan = make_stylegan2()
    images, latents = draw_batch()
    w = np.asarray(gan.generator.get_layer("mapping")(latents))
    run_step(gan, (images, latents))
    first = gan.generator.get_layer("style_mean").kernel.numpy()
    np.testing.assert_allclose(first, 0.005 * w.mean(0, keepdims=True), rtol=1e-4)
    # Of micro-batches it is the mean over all.
    parts = make_stylegan2(gradient_accumulation_steps=4)
    run_step(parts, (images, latents))
    mean = parts.generator.get_layer("style_mean").kernel.numpy()
    np.testing.assert_allclose(mean, first, rtol=1e-4)


def test_the_ema_generator_has_the_same_constants_and_mean_style():
    gan = make_stylegan2(ema_decay=0.9)
    before = {weight.path: weight.numpy() for weight in gan.generator.weights}
    for seed in range(2):
        run_step(gan, draw_batch(seed))
    frozen = {id(weight) for weight in gan.generator.non_trainable_weights}
    assert len(frozen) == 5
    for ema, weight in zip(gan.ema_weights, gan.generator.weights, strict=True):
        same = np.array_equal(ema.numpy(), weight.numpy())
        assert same == (id(weight) in frozen), weight.path
        if "noise_const" in weight.path or "truncation" in weight.path:
            np.testing.assert_array_equal(weight.numpy(), before[weight.path])


def test_training_generates_by_the_seed_of_training_alone():
    latents = draw_batch()[1]

    def generate(gan):
        return np.asarray(gan.fused_generator(latents, training=True)[0])

    gan = make_stylegan2()
    state = gan.adversary.seed.state.numpy()
    first, second = generate(gan), generate(gan)
    # Noise and mixed styles are new each time, and come again with the state.
    assert np.abs(first - second).max() > 0.01
    gan.adversary.seed.state.assign(state)
    np.testing.assert_array_equal(generate(gan), first)
    # Keras draws other seeds for layers, from Python's random numbers.
    other = make_stylegan2(network_seed=5)
    other.generator.set_weights(gan.generator.get_weights())
    np.testing.assert_array_equal(generate(other), first)
    other = make_stylegan2(seed=4)
    assert np.abs(generate(other) - first).max() > 0.01


def test_path_lengths_of_a_generator_without_styles_are_refused():
    with pytest.raises(GanvasError, match=r"weight=2 regularizes .* set network\.name=stylegan2"):
        make_gan(build_smooth(), path_length={"weight": 2})


@pytest.mark.parametrize("ramp", [None, 0.5, "cosine"])
def test_the_ema_by_images_is_that_of_published_training_loops(ramp):
    """Those of StyleGAN2-ADA and, by the cosine, R3GAN."""
    networks = build_smooth()
    options = {"ema_images": 20, "ema_ramp": ramp, "discriminator_steps": 2, "batch_size": 4}
    if ramp == "cosine":
        options |= {"ema_ramp": None, "schedule": {"name": "cosine", "factor": 1, "ema": True}}
    gan = make_gan(networks, ema_generator=copy_network(networks[0]), **options)
    gan.adversary.schedule_steps = 5
    averages = [weight.numpy().astype(float) for weight in networks[0].weights]
    images_so_far, batch_size = 0, 8
    for seed in range(7):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
        run_step(gan, (images, rng.standard_normal((8, 6), dtype=np.float32)))
        if ramp == "cosine":
            share = min(images_so_far / (5 * batch_size), 1)
            half_life = 20 * (1 - 0.5 * (1 + np.cos(np.pi * share)))
        else:
            half_life = 20 if ramp is None else min(20, images_so_far * ramp)
        beta = 0.5 ** (batch_size / max(half_life, 1e-8))
        for i, weight in enumerate(gan.generator.get_weights()):
            averages[i] = weight + beta * (averages[i] - weight)
        images_so_far += batch_size
        for ema, expected in zip(gan.ema_weights, averages, strict=True):
            np.testing.assert_allclose(ema.numpy(), expected, atol=1e-6)


def test_compilation_of_a_generator_with_styles_is_refused():
    with pytest.raises(GanvasError, match=r"set train\.jit_compile=false"):
        make_stylegan2(jit_compile=True)
