"""The networks that can be trained: one file each, chosen by name."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, create_model

from ganvas.backbones.precision import dtype_policy
from ganvas.base_params import Params
from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.networks.r3gan import R3ganParams, build_r3gan


class Network(NamedTuple):
    """A network that can be chosen.

    Attributes:
        params: The model of its parameters, each with a default.
        build: Function from such parameters, the image shape (H, W, 3) and the number of classes,
            0 for unconditional networks, to generator and discriminator.
        always_conditional: Whether the network is always class-conditional.
    """

    params: type[Params]
    build: Callable[[Any, tuple[int, int, int], int], GanNetworks]
    always_conditional: bool = False


# To add a network, write its file and add a line here.
NETWORKS = {
    "artgan": Network(ArtganParams, build_artgan, always_conditional=True),
    "dcgan": Network(DcganParams, build_dcgan),
    "projected": Network(ProjectedParams, build_projected),
    "r3gan": Network(R3ganParams, build_r3gan),
}

# The source's default label column.
AUTO_LABEL = "auto"


class _BaseNetworkParams(Params):
    """Name of the network, and its label column."""

    name: Literal[*NETWORKS] = "dcgan"  # type: ignore[valid-type]  # the table decides
    label: str | None = Field(None, pattern=r"^[^/\\.]+$")

    def resolve_label(self, default_label: str | None) -> Self:
        """Replace the label `auto` by the source's default label column."""
        if self.label != AUTO_LABEL:
            return self
        return self.model_copy(update={"label": default_label})

    @property
    def folder(self) -> str:
        """Name of the folders of its models and metrics."""
        return f"{self.name}_by_{self.label}" if self.label else self.name

    @property
    def chosen(self) -> Params:
        """The parameters of the chosen network."""
        return getattr(self, self.name)


# The name of the network, and the parameters of each network under its own name.
NetworkParams = create_model(  # type: ignore[call-overload]
    "NetworkParams",
    __base__=_BaseNetworkParams,
    **{name: (network.params, network.params()) for name, network in NETWORKS.items()},
)


def build(
    params: NetworkParams,
    image_shape: tuple[int, int, int],
    classes: int = 0,
    precision: str = "float32",
) -> GanNetworks:
    """Build the chosen network.

    Args:
        params: Name and parameters of the network.
        image_shape: (H, W, 3) of the images.
        classes: Number of classes K; 0 builds an unconditional network.
        precision: Name of Keras's dtype policy; weights are float32 in any.

    Example:
        >>> networks = build(NetworkParams(name="dcgan"), (64, 64, 3), classes=10)
        >>> [(x.name, x.shape) for x in networks.generator.inputs]
        [('latent', (None, 100)), ('classes', (None, 10))]
    """
    with dtype_policy(precision):
        return NETWORKS[params.name].build(params.chosen, image_shape, classes)
