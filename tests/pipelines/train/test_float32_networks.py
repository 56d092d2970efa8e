"""The networks in float32 that are saved after training in half precision."""

import keras
import numpy as np
import pytest

from ganvas.networks import NetworkParams
from ganvas.networks.gan_networks import align_weights
from ganvas.pipelines.train.nodes import build_networks, to_float32
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet

NARROW = {"latent": 6, "style": 5, "channel_base": 64, "max_width": 4, "mapping_layers": 1}


@pytest.mark.parametrize(("precision", "is_limited"), [("mixed_float16", True), ("float32", False)])
def test_the_generator_that_is_saved_limits_values_as_that_of_training(precision, is_limited):
    keras.utils.set_random_seed(0)
    network = NetworkParams(name="stylegan2", stylegan2=NARROW)
    data = TrainingSet(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4))
    params = TrainParams(batch_size=4, precision=precision, ema_images=10)
    networks, generator = build_networks(network, params, data)
    # Those of half precision have another order.
    trained = networks.discriminator
    for number, weight in enumerate(trained.weights):
        weight.assign(np.full(weight.shape, number))
    saved = to_float32(network, params, trained, data)
    for number, weight in enumerate(align_weights(saved, trained)):
        assert weight.path.split("/")[-2:] == trained.weights[number].path.split("/")[-2:]
        assert (weight.numpy() == number).all()
    generator.set_weights([1e4 * weight for weight in generator.get_weights()])
    images = np.asarray(generator(np.ones((2, 6), np.float32)))
    # Each of the two sizes adds at most 256 to the image, which upsampling doesn't increase.
    assert np.isfinite(images).all() and (np.abs(images).max() <= 2 * 256) == is_limited
