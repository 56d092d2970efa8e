"""What is trained: each network in a file of its own, chosen by name."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import keras
from pydantic import Field, create_model

from ganvas.base_params import Params
from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.networks.r3gan import R3ganParams, build_r3gan


class Network(NamedTuple):
    """A network that can be chosen.

    Attributes:
        params: The model of its parameters; each has a default.
        build: Of such parameters, the images' shape (H, W, 3) and the number of classes, 0 for
            none, makes a generator and a discriminator.
        by_class: Whether it paints by class even where no one has said by which.
    """

    params: type[Params]
    build: Callable[[Any, tuple[int, int, int], int], GanNetworks]
    by_class: bool = False


# A network is added by its file and its line here.
NETWORKS = {
    "artgan": Network(ArtganParams, build_artgan, by_class=True),
    "dcgan": Network(DcganParams, build_dcgan),
    "projected": Network(ProjectedParams, build_projected),
    "r3gan": Network(R3ganParams, build_r3gan),
}

# Paints by the source's own classes.
AUTO = "auto"


class _Choice(Params):
    """Which network.

    Attributes:
        name: The network.
        label: Column of the collection's index whose values are the classes to paint by; auto: the
            source's own, where it has some; None: the network's own habit, which is no classes, or
            for ArtGAN the first such column.
    """

    name: Literal[*NETWORKS] = "dcgan"  # type: ignore[valid-type]  # the table decides
    label: str | None = Field(None, pattern=r"^[^/\\.]+$")

    def resolve_label(self, classes: str | None) -> Self:
        """Put the label column that a source's images are best told apart by in place of auto."""
        return self.model_copy(update={"label": classes}) if self.label == AUTO else self

    @property
    def folder(self) -> str:
        """Name of the folders for its models and figures."""
        return f"{self.name}_by_{self.label}" if self.label else self.name

    @property
    def chosen(self) -> Params:
        """The parameters of the chosen network."""
        return getattr(self, self.name)


# Which network, and the parameters of each under its own name.
NetworkParams = create_model(  # type: ignore[call-overload]
    "NetworkParams",
    __base__=_Choice,
    **{name: (each.params, each.params()) for name, each in NETWORKS.items()},
)


def build(
    params: NetworkParams,
    image_shape: tuple[int, int, int],
    classes: int = 0,
    precision: str = "float32",
) -> GanNetworks:
    """Build the chosen network.

    Args:
        params: Which network, with which parameters.
        image_shape: (H, W, 3) of the images.
        classes: How many classes K there are; 0: images without classes.
        precision: Name of Keras's policy for the arithmetic; weights are float32 in any.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return NETWORKS[params.name].build(params.chosen, image_shape, classes)
    finally:
        keras.config.set_dtype_policy(before)
