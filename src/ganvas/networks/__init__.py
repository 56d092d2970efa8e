"""What is trained: each network in a file of its own, chosen by name."""

from typing import Literal

import keras

from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.params import Params


class NetworkParams(Params):
    """Which network, and the parameters of each under its own name."""

    name: Literal["dcgan"] = "dcgan"
    dcgan: DcganParams = DcganParams()


def build(
    params: NetworkParams, image_shape: tuple[int, int, int], precision: str = "float32"
) -> tuple[keras.Model, keras.Model]:
    """Build the chosen network.

    Args:
        params: Which network, with which parameters.
        image_shape: (H, W, 3) of the pictures.
        precision: Name of Keras's policy for the arithmetic; weights are float32 in any.

    Returns:
        The generator, latent (N, Z) to pictures (N, H, W, 3) in [-1, 1]; and the discriminator,
        such pictures to logits (N, 1), positive for real.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return build_dcgan(params.dcgan, image_shape)
    finally:
        keras.config.set_dtype_policy(before)
