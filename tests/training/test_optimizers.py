import math

import keras
import numpy as np
import pytest

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.fused_ops import FusedAdam
from ganvas.training.optimizers import follow_cosine, make_optimizer, make_schedule
from ganvas.training.trainer import build_gan

STEPS = 3


def learning_rates(epochs: int, **schedule) -> list[float]:
    """Return the learning rate of every update of some epochs of 3 steps, and of two more."""
    params = TrainParams(epochs=epochs, schedule=schedule)
    rate = make_schedule(params, 0.01, STEPS)
    return [float(rate(step)) for step in range(epochs * STEPS + 2)]


def test_a_constant_learning_rate_is_a_number():
    assert make_schedule(TrainParams(), 0.01, STEPS) == 0.01


def test_the_step_schedule_multiplies_the_rate_after_every_interval():
    expected = [0.01 * 0.5 ** (step // (2 * STEPS)) for step in range(6 * STEPS + 2)]
    actual = learning_rates(6, name="step", interval=2, factor=0.5)
    assert actual == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_the_cosine_schedule_reaches_its_factor_by_the_last_update_and_stays_there(factor):
    total = 5 * STEPS
    shares = [(1 + math.cos(math.pi * min(step / total, 1))) / 2 for step in range(total + 2)]
    expected = [0.01 * (factor + (1 - factor) * share) for share in shares]
    actual = learning_rates(5, name="cosine", factor=factor)
    assert actual == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert actual[0] == pytest.approx(0.01)
    assert actual[total] == actual[total + 1] == pytest.approx(factor * 0.01, abs=1e-9)


@pytest.mark.parametrize(
    ("limits", "total"),
    [
        ({"epochs": 5, "max_steps": 20}, 15),
        ({"epochs": 5, "max_steps": 7}, 7),
        ({"epochs": None, "max_steps": 7}, 7),
        ({"epochs": None, "max_steps": 7, "max_minutes": 1}, 7),
    ],
    ids=str,
)
@pytest.mark.parametrize("updates", [1, 4])
def test_the_cosine_schedule_is_as_long_as_the_limit_that_comes_first(limits, total, updates):
    params = TrainParams(schedule={"name": "cosine", "factor": 0.1}, **limits)
    rate = make_schedule(params, 0.01, STEPS, updates)
    steps = np.arange(total * updates + 1)
    expected = 0.001 + 0.009 * (1 + np.cos(np.pi * steps / steps[-1])) / 2
    np.testing.assert_allclose([float(rate(step)) for step in steps], expected, rtol=1e-5)


def test_adam_follows_the_parameters():
    optimizer = make_optimizer(
        TrainParams(optimizer={"adam": {"beta_1": 0.25, "beta_2": 0.75}}), 0.003, STEPS
    )
    assert isinstance(optimizer, FusedAdam)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.25, 0.75, 1e-8)
    assert float(optimizer.learning_rate) == pytest.approx(0.003)


def test_rmsprop_follows_the_parameters_and_its_formula():
    params = TrainParams(optimizer={"name": "rmsprop", "rmsprop": {"rho": 0.8}})
    optimizer = make_optimizer(params, 0.01, STEPS)
    variable, value, mean = keras.Variable(np.float32([1, -2])), np.array([1.0, -2]), np.zeros(2)
    for gradient in np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        mean = 0.8 * mean + 0.2 * gradient**2
        value = value - 0.01 * gradient / np.sqrt(mean + 1e-7)
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_loss_is_scaled_in_float16_only(precision):
    optimizer = make_optimizer(TrainParams(precision=precision), 0.003, STEPS)
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (precision == "mixed_float16")
    assert float(optimizer.learning_rate) == pytest.approx(0.003)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["step", "cosine"])
def test_both_rates_change_at_the_same_epoch_at_any_number_of_discriminator_steps(
    networks, images, name
):
    params = TrainParams(
        epochs=4,
        batch_size=4,
        discriminator_steps=3,
        generator_learning_rate=0.001,
        discriminator_learning_rate=0.002,
        schedule={"name": name, "interval": 1, "factor": 0.1},
    )
    gan = build_gan(
        GanNetworks(*networks), networks[0], TrainingSet(images, np.arange(20)), params, steps=2
    )
    latents = np.ones((12, 6), np.float32)
    expected = {"step": [1, 0.1, 0.01], "cosine": [1, 0.1 + 0.9 * 0.5 * (1 + 2**-0.5), 0.55]}
    for factor in expected[name]:
        for optimizer, rate in (
            (gan.generator_optimizer, 1e-3),
            (gan.discriminator_optimizer, 2e-3),
        ):
            assert float(optimizer.learning_rate) == pytest.approx(factor * rate, rel=1e-5)
        for _ in range(2):
            gan.train_step((images[:12], latents))


def published_cosine(images, base_value, final_value, total_nimg):
    """The formula of R3GAN's training loop, without warm-up."""
    if images > total_nimg:
        return final_value
    return base_value + (1 - 0.5 * (1 + np.cos(np.pi * images / total_nimg))) * (
        final_value - base_value
    )


@pytest.mark.parametrize(("start", "end"), [(2, 0.2), (0.9, 0.99), (0, 500_000), (2e-4, 5e-5)])
def test_values_follow_the_cosine_of_published_code(start, end):
    for step in (0, 1, 30, 77, 100, 101, 1000):
        expected = published_cosine(step * 64, start, end, 6400)
        assert float(follow_cosine(start, end, step, 100)) == pytest.approx(expected, rel=2e-4)


def test_learning_rates_end_after_a_number_of_images():
    schedule = {"name": "cosine", "factor": 0.25, "images": 6400}
    params = TrainParams(epochs=None, max_minutes=5, batch_size=64, schedule=schedule)
    rate = make_schedule(params, 2e-4, STEPS)
    for step in (0, 50, 100, 500):
        expected = published_cosine(step * 64, 2e-4, 5e-5, 6400)
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("updates", [1, 3])
def test_adams_beta_2_follows_the_cosine_with_its_bias_correction(updates):
    schedule = {"name": "cosine", "factor": 1, "images": 64 * updates * 4, "beta_2": 0.99}
    params = TrainParams(
        batch_size=64,
        discriminator_steps=updates,
        schedule=schedule,
        optimizer={"adam": {"beta_1": 0.0, "beta_2": 0.9}},
    )
    optimizer = make_optimizer(params, 0.1, STEPS, updates)
    weight = keras.Variable(1.0)
    optimizer.build([weight])
    expected, velocity = 1.0, 0.0
    for update, gradient in enumerate((0.5, -1.0, 2.0, 0.3, 0.7, -0.2)):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        beta_2 = published_cosine(update, 0.9, 0.99, 4 * updates)
        velocity = beta_2 * velocity + (1 - beta_2) * gradient**2
        # PyTorch's Adam, with the present value in the correction.
        corrected = np.sqrt(velocity / (1 - beta_2 ** (update + 1)))
        expected -= 0.1 * gradient / (corrected + 1e-8)
        assert float(weight) == pytest.approx(expected, rel=1e-4)
