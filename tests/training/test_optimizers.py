import math

import keras
import numpy as np
import pytest

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import FusedAdam
from ganvas.training.loop import Networks, prepare
from ganvas.training.optimizers import make_optimizer, make_schedule

STEPS = 3


def rates(epochs: int, **schedule) -> list[float]:
    """The rate of every update of some epochs of 3, and of two more."""
    params = TrainParams(epochs=epochs, schedule=schedule)
    made = make_schedule(params, 0.01, STEPS)
    return [float(made(step)) for step in range(epochs * STEPS + 2)]


def test_a_constant_rate_is_a_number():
    assert make_schedule(TrainParams(), 0.01, STEPS) == 0.01


def test_a_step_multiplies_the_rate_after_every_so_many_epochs():
    expected = [0.01 * 0.5 ** (step // (2 * STEPS)) for step in range(6 * STEPS + 2)]
    assert rates(6, name="step", interval=2, factor=0.5) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_cosine_falls_to_its_factor_by_the_last_update_and_stays_there(factor):
    whole = 5 * STEPS
    shares = [(1 + math.cos(math.pi * min(step / whole, 1))) / 2 for step in range(whole + 2)]
    expected = [0.01 * (factor + (1 - factor) * share) for share in shares]
    given = rates(5, name="cosine", factor=factor)
    assert given == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert given[0] == pytest.approx(0.01)
    assert given[whole] == given[whole + 1] == pytest.approx(factor * 0.01, abs=1e-9)


def test_adam_is_made_of_the_parameters():
    optimizer = make_optimizer(
        TrainParams(optimizer={"adam": {"beta_1": 0.25, "beta_2": 0.75}}), 0.003, STEPS
    )
    assert isinstance(optimizer, FusedAdam)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.25, 0.75, 1e-8)
    assert float(optimizer.learning_rate) == pytest.approx(0.003)


def test_rmsprop_is_made_of_the_parameters_and_steps_as_its_formula_says():
    params = TrainParams(optimizer={"name": "rmsprop", "rmsprop": {"rho": 0.8}})
    optimizer = make_optimizer(params, 0.01, STEPS)
    variable, value, mean = keras.Variable(np.float32([1, -2])), np.array([1.0, -2]), np.zeros(2)
    for gradient in np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        mean = 0.8 * mean + 0.2 * gradient**2
        value = value - 0.01 * gradient / np.sqrt(mean + 1e-7)
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_loss_is_scaled_in_float16_alone(precision):
    optimizer = make_optimizer(TrainParams(precision=precision), 0.003, STEPS)
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    assert float(optimizer.learning_rate) == pytest.approx(0.003)


@pytest.mark.parametrize("name", ["step", "cosine"])
def test_both_rates_fall_at_the_same_epoch_however_often_the_discriminator_is_updated(
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
    generator, discriminator = networks
    gan = prepare(Networks(GanNetworks(generator, discriminator), generator), params, steps=2)
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
