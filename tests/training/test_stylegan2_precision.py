"""StyleGAN2's training step in half precision, with everything that has gradients of gradients."""

import keras
import numpy as np
import pytest

from ganvas.networks import NetworkParams, build
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from ganvas.training.optimizers import make_optimizer
from reference_step import run_step

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.usefixtures("eager")]

NARROW = {"channel_base": 64, "max_width": 4, "latent": 6, "style": 5, "mapping_layers": 1}
STEPS = 10


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_networks_stay_finite_and_learn_in_half_precision(precision):
    keras.utils.set_random_seed(0)
    params = TrainParams(
        batch_size=4,
        precision=precision,
        ema_images=30,
        augment={"name": "ada", "set": "color", "probability": 0.5},
        penalty={"r1": "auto", "interval": 2},
        path_length={"weight": 2.0, "interval": 2},
    )
    network = NetworkParams(name="stylegan2", stylegan2=NARROW)
    networks = build(network, (8, 8, 3), 0, precision)
    ema_generator = build(network.limit_values(precision), (8, 8, 3)).generator
    gan = GAN(networks, ema_generator, params)
    gan.compile(*(make_optimizer(params, 1e-3, STEPS) for _ in range(2)))
    before = [[w.numpy() for w in model.trainable_weights] for model in networks[:2]]
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        images = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
        scores = run_step(gan, (images, rng.standard_normal((4, 6), dtype=np.float32)))
    assert np.isfinite(list(scores.values())).all() and 0 < float(gan.mean_path_length) < np.inf
    for model, old in zip(networks[:2], before, strict=True):
        new = [weight.numpy() for weight in model.trainable_weights]
        assert all(np.isfinite(weight).all() for weight in new)
        assert any((a != b).any() for a, b in zip(new, old, strict=True))
    assert all(np.isfinite(weight).all() for weight in ema_generator.get_weights())
