"""The variables of a GAN that a checkpoint must hold."""

import numpy as np
import pytest

from ganvas.training.checkpoint_contents import read_variables, write_variables
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from ganvas.training.optimizers import make_optimizer
from reference_step import (
    assert_close,
    build_dcgan,
    build_smooth,
    copy_network,
    draw_batch,
    run_step,
    weights_of,
)

ALL_STATEFUL = {
    "augment": {
        "name": "adaptive_diffaugment",
        "interval": 3,
        "speed": 100,
        "policy": ["color", "cutout"],
    },
    "ema_decay": 0.9,
    "gradient_accumulation_steps": 2,
    "flip": True,
    "penalty": {"r1": 1.0, "wgan_gp": 1.0, "interval": 2, "lecam": 0.3, "lecam_start": 1},
    "schedule": {"name": "cosine"},
}


def make_stateful_gan(seed: int) -> GAN:
    """Build a GAN with everything that can have a state."""
    networks, params = build_smooth(seed), TrainParams(batch_size=8, **ALL_STATEFUL)
    gan = GAN(networks, copy_network(networks[0]), params)
    gan.compile(*(make_optimizer(params, 1e-2, 10) for _ in networks))
    gan.adversary.augment_probability.assign(0.5)
    return gan


def run_three_steps(gan: GAN, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Restore a state; return the state three steps later."""
    write_variables(gan.state(), arrays)
    for seed in range(2, 5):
        run_step(gan, draw_batch(seed=seed))
    return read_variables(gan.state())


@pytest.mark.slow
def test_the_state_determines_the_next_steps():
    gan = make_stateful_gan(seed=0)
    for seed in range(2):
        run_step(gan, draw_batch(seed=seed))
    middle = read_variables(gan.state())
    end = run_three_steps(gan, middle)
    assert all((end[name] != array).any() for name, array in middle.items() if array.size > 1)
    for resumed in (
        run_three_steps(gan, middle),
        run_three_steps(make_stateful_gan(seed=1), middle),
    ):
        for name, array in end.items():
            np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_the_state_has_every_variable_once():
    gan = make_stateful_gan(seed=0)
    state = [variable for group in gan.state().values() for variable in group]
    optimizers = gan.generator_optimizer, gan.discriminator_optimizer
    tracked = [*gan.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
    assert len({id(variable) for variable in state}) == len(state)
    missing = {v.path for v in tracked if not any(v is variable for variable in state)}
    assert missing == set()


@pytest.mark.slow
def test_the_state_in_float16_has_the_loss_scale_and_batch_norms_statistics():
    params = TrainParams(batch_size=8, precision="mixed_float16")
    networks = build_dcgan("mixed_float16")
    gan = GAN(networks, networks[0], params)
    gan.compile(*(make_optimizer(params, 1e-2, 10) for _ in networks))
    start = read_variables(gan.state())
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        optimizer.dynamic_scale.assign(2.0)
    run_step(gan, draw_batch(side=32))
    write_variables(gan.state(), start)
    restored = read_variables(gan.state())
    assert float(gan.generator_optimizer.dynamic_scale) == 2.0**15
    assert float(gan.discriminator_optimizer.dynamic_scale) == 2.0**15
    for model, initial in zip(networks, build_dcgan("mixed_float16"), strict=True):
        assert_close(weights_of(model), weights_of(initial), atol=0)
    assert all((restored[name] == array).all() for name, array in start.items())
