"""StyleGAN2 with everything that has a state, stopped and resumed, against a run that wasn't."""

from pathlib import Path

import keras
import numpy as np
import pytest

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.trainer import train

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.usefixtures("eager")]

NARROW = Stylegan2Params(channel_base=64, max_width=4, latent=6, style=5, mapping_layers=2)
# Three steps an epoch.
PARAMS = TrainParams(
    epochs=2,
    batch_size=4,
    gradient_accumulation_steps=2,
    resample_latents=True,
    augment={"name": "ada", "speed": 100},
    ema_images=30,
    ema_ramp=0.5,
    penalty={"r1": "auto", "interval": 3},
    path_length={"weight": 2.0, "interval": 2},
    checkpoint={"steps": 2},
)
RNG = np.random.default_rng(3)
DATA = TrainingSet(
    RNG.integers(0, 256, (13, 8, 8, 3), dtype=np.uint8), np.arange(13), RNG.integers(0, 2, 13), 2
)


class Kill(BaseException):
    """Ends a run as a kill does: nothing catches it."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.steps) == self.step:
            raise Kill


def run(folder: Path, network_seed: int, kill_at: int = -1) -> list[np.ndarray]:
    """Train from the folder's last checkpoint; return all weights."""
    keras.utils.set_random_seed(network_seed)
    networks = build_stylegan2(NARROW, (8, 8, 3), classes=2)
    ema_generator = build_stylegan2(NARROW, (8, 8, 3), classes=2).generator
    folder.mkdir(exist_ok=True)
    store = CheckpointStore(folder, keep=2)
    train(networks, ema_generator, DATA, PARAMS, store, [KillAt(kill_at)])
    models = [networks.generator, networks.discriminator, ema_generator]
    return [array for model in models for array in model.get_weights()]


def test_a_stopped_run_of_stylegan2_ends_with_the_same_weights(tmp_path):
    expected = run(tmp_path / "whole", network_seed=0)
    # Within an epoch, where path lengths are due next.
    with pytest.raises(Kill):
        run(tmp_path / "stopped", network_seed=0, kill_at=4)
    # Once there is a checkpoint, neither initial weights nor seeds of layers matter.
    resumed = run(tmp_path / "stopped", network_seed=99)
    for a, b in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(a, b)
