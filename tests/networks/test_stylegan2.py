"""StyleGAN2's networks."""

import keras
import numpy as np

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.stylegan2 import build_stylegan2

NARROW = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=8)


def test_a_style_based_generator_is_recognized():
    generator = build_stylegan2(NARROW, (16, 24, 1)).generator
    assert is_style_based(generator)
    assert generator(np.zeros((2, 6), np.float32)).shape == (2, 16, 24, 1)
    assert not is_style_based(keras.Sequential([keras.layers.Dense(1)]))
