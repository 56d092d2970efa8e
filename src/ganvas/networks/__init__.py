"""The networks that can be trained: one file each, chosen by name."""

import hashlib
import re
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import Field, create_model, field_validator, model_validator

from ganvas.base_params import Params
from ganvas.networks.config import (
    ArtganParams,
    DcganParams,
    FastganParams,
    ProjectedParams,
    R3ganParams,
    Stylegan2Params,
)

if TYPE_CHECKING:
    from ganvas.networks.gan_networks import GanNetworks


class Network(NamedTuple):
    """A network that can be chosen.

    Attributes:
        params: The model of its parameters, each with a default.
        builder: `module:function`, which is imported when the network is built. The function takes
            such parameters, the image shape (H, W, C) and the number of classes, 0 for
            unconditional networks, and returns `GanNetworks`.
        always_conditional: Whether the network is always class-conditional.
        anchored: Whether its discriminator has a pretrained backbone, and so `train.anchor` counts.
        style_based: Whether its generator has styles, and so `train.path_length` counts.
        several_labels: Whether it can be conditioned on several label columns at once.
    """

    params: type[Params]
    builder: str
    always_conditional: bool = False
    anchored: bool = False
    style_based: bool = False
    several_labels: bool = True


# To add a network, write its file, its parameters in config.py and a line here.
NETWORKS = {
    "artgan": Network(
        ArtganParams,
        "ganvas.networks.artgan:build_artgan",
        always_conditional=True,
        several_labels=False,
    ),
    "dcgan": Network(DcganParams, "ganvas.networks.dcgan:build_dcgan"),
    "fastgan": Network(FastganParams, "ganvas.networks.fastgan:build_fastgan"),
    "projected": Network(
        ProjectedParams, "ganvas.networks.projected_gan:build_projected", anchored=True
    ),
    "r3gan": Network(R3ganParams, "ganvas.networks.r3gan:build_r3gan"),
    "stylegan2": Network(
        Stylegan2Params, "ganvas.networks.stylegan2:build_stylegan2", style_based=True
    ),
}

# The source's default label column.
AUTO_LABEL = "auto"
# Several label columns, and of those characters of a folder's name that lists them.
MAX_LABELS, MAX_FOLDER = 64, 60
LabelName = Annotated[
    str, Field(pattern=r"^[^/\\.]+$", description="text without slashes and dots")
]


class _BaseNetworkParams(Params):
    """Name of the network, and its label column or columns."""

    name: Literal[*NETWORKS] = "dcgan"  # type: ignore[valid-type]  # the table decides
    label: LabelName | list[LabelName] | None = None

    @field_validator("label")
    @classmethod
    def _check_list(cls, label: str | list[str] | None) -> str | list[str] | None:
        if not isinstance(label, list):
            return label
        if not 1 <= len(label) <= MAX_LABELS:
            raise ValueError(
                f"network.label names {len(label)} columns, and must name 1 to {MAX_LABELS}, or be "
                "null for no classes"
            )
        if repeated := sorted({name for name in label if label.count(name) > 1}):
            raise ValueError(f"network.label names {', '.join(repeated)} more than once")
        if AUTO_LABEL in label:
            raise ValueError("network.label can't have auto among several columns: name them")
        # One column is the same with and without brackets.
        return label[0] if len(label) == 1 else label

    def resolve_label(self, default_label: str | None) -> Self:
        """Replace the label `auto` by the source's default label column."""
        if self.label != AUTO_LABEL:
            return self
        return self.model_copy(update={"label": default_label})

    @model_validator(mode="after")
    def _check_chosen(self) -> Self:
        self.chosen.check_if_chosen()
        if isinstance(self.label, list) and not NETWORKS[self.name].several_labels:
            others = ", ".join(name for name, x in NETWORKS.items() if x.several_labels)
            raise ValueError(
                f"network.name={self.name} classifies images by one label column, and "
                f"network.label has {len(self.label)}: choose one of these, or network.name among "
                f"{others}"
            )
        return self

    def limit_values(self, precision: str) -> Self:
        """Return parameters of float32 networks that limit values as those of a precision do.

        Args:
            precision: Name of the dtype policy in which the network is trained.
        """
        chosen = self.chosen
        if not isinstance(chosen, Stylegan2Params):
            return self
        return self.model_copy(update={self.name: chosen.limit_values(precision)})

    @property
    def folder(self) -> str:
        """Name of the folders of its models and metrics."""
        if not isinstance(self.label, list):
            return f"{self.name}_by_{self.label}" if self.label else self.name
        joined = "_".join(self.label)
        if len(joined) <= MAX_FOLDER and re.fullmatch(r"[\w-]+", joined):
            return f"{self.name}_by_{joined}"
        digest = hashlib.blake2b("\n".join(self.label).encode(), digest_size=4).hexdigest()
        return f"{self.name}_by_{len(self.label)}_labels_{digest}"

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
) -> "GanNetworks":
    """Build the chosen network.

    Args:
        params: Name and parameters of the network.
        image_shape: (H, W, C) of the images, with C = 1, 3 or 4 and sides for which
            `ganvas.image_shape.can_train` is true.
        classes: Number of classes K, or of the values of all label columns; 0 builds an
            unconditional network.
        precision: Name of Keras's dtype policy; weights are float32 in any.

    Example:
        >>> networks = build(NetworkParams(name="dcgan"), (64, 64, 3), classes=10)
        >>> [(x.name, x.shape) for x in networks.generator.inputs]
        [('latent', (None, 100)), ('classes', (None, 10))]
    """
    # Keras takes seconds to import, and parameters are validated without it.
    from ganvas.backbones.precision import dtype_policy

    builder = resolve_name(NETWORKS[params.name].builder)
    with dtype_policy(precision):
        return builder(params.chosen, image_shape, classes)
