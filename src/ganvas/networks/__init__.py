"""What is trained: each network in a file of its own, chosen by name."""

from collections.abc import Callable
from typing import Any, Literal

import keras
from pydantic import Field

from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.pair import Pair
from ganvas.networks.r3gan import R3ganParams, build_r3gan
from ganvas.params import Params

# A network is added by its file, its line here and its parameters below.
BUILDERS: dict[str, Callable[[Any, tuple[int, int, int], int], Pair]] = {
    "artgan": build_artgan,
    "dcgan": build_dcgan,
    "r3gan": build_r3gan,
}


# These paint by class whether or not someone has said by which.
BY_CLASS = {"artgan"}


class NetworkParams(Params):
    """Which network, and the parameters of each under its own name.

    Attributes:
        name: The network.
        label: Column of the collection's index whose values are the classes to paint by; None:
            the network's own habit, which is no classes, or for ArtGAN the first such column.
    """

    name: Literal["dcgan", "artgan", "r3gan"] = "dcgan"
    label: str | None = Field(None, pattern=r"^[^/\\.]+$")
    dcgan: DcganParams = DcganParams()
    artgan: ArtganParams = ArtganParams()
    r3gan: R3ganParams = R3ganParams()

    @property
    def folder(self) -> str:
        """Name of the folders for its models and figures."""
        return f"{self.name}_by_{self.label}" if self.label else self.name

    @property
    def chosen(self) -> Params:
        """The parameters of the chosen network."""
        return getattr(self, self.name)


def build(
    params: NetworkParams,
    image_shape: tuple[int, int, int],
    classes: int = 0,
    precision: str = "float32",
) -> Pair:
    """Build the chosen network.

    Args:
        params: Which network, with which parameters.
        image_shape: (H, W, 3) of the pictures.
        classes: How many classes K there are; 0: pictures without classes.
        precision: Name of Keras's policy for the arithmetic; weights are float32 in any.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return BUILDERS[params.name](params.chosen, image_shape, classes)
    finally:
        keras.config.set_dtype_policy(before)
