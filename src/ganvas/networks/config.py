"""Typed parameters of the networks; `conf/base/parameters_train.yml` documents their meaning.

They are apart from the networks, since parameters are validated by every command, and Keras takes
seconds to import.
"""

from typing import Annotated, Literal

from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError

Widths = list[Annotated[int, Field(ge=1, le=4096)]]
# The backbone of Projected GAN's discriminator; not allowed as extractor of metrics, see
# `ganvas.project_params`.
BACKBONE = "efficientnet_lite0"
# Sides of R3GAN's feature maps.
FIRST_SIDE, LARGEST_SIDE = 4, 256


class ArtganParams(Params):
    """Parameters of ArtGAN.

    At 64 pixels a width of 128 is the paper's network. Larger sides have more stages, at most four
    times as wide; smaller sides have fewer.
    """

    variant: Literal["original", "improved"] = "original"
    class_loss: Literal["sigmoid", "softmax"] = "sigmoid"
    latent: int = Field(100, ge=1, le=4096)
    width: int = Field(128, ge=4, le=512, multiple_of=4)
    dropout: float | None = Field(None, ge=0, lt=1)
    noise: float | None = Field(None, ge=0, le=1)

    @property
    def discriminator_has_batch_norm(self) -> bool:
        """Whether the discriminator has batch norm, which excludes gradient penalties."""
        return True


class DcganParams(Params):
    """Parameters of DCGAN.

    Spectral normalization is Keras's layer: it divides the kernels at each training step, without
    a gradient through the singular value; batch norms stay, so that the network as a whole is not
    1-Lipschitz. The class embedding beside the latent is needed because conditional batch norm
    scales and shifts whole feature maps, which can't change where things are in an image.
    """

    latent: int = Field(100, ge=1, le=4096)
    smallest_side: Literal[4, 8] = 4
    generator_width: int = Field(64, ge=1, le=512)
    generator_widths: Widths | None = None
    discriminator_width: int = Field(64, ge=1, le=512)
    discriminator_widths: Widths | None = None
    kernel: int = Field(4, ge=3, le=7)
    bias: bool = False
    initializer: Literal["normal", "glorot"] = "normal"
    stem: Literal["convolution", "dense"] = "convolution"
    stem_activation: bool = True
    generator_norm: Literal["batch", "none"] = "batch"
    generator_activation: Literal["relu", "leaky_relu"] = "relu"
    output_convolution: int | None = Field(None, ge=1, le=9)
    output_activation: Literal["tanh", "sigmoid"] = "tanh"
    head: Literal["convolution", "dense"] = "convolution"
    dropout: float = Field(0.0, ge=0, lt=1)
    discriminator_norm: Literal["batch", "none"] = "batch"
    spectral_norm: bool = False
    class_embedding: int = Field(32, ge=1, le=1024)

    @property
    def discriminator_has_batch_norm(self) -> bool:
        """Whether the discriminator has batch norm, which excludes gradient penalties."""
        return self.discriminator_norm == "batch"

    def check_size(self, height: int, width: int) -> None:
        """Check that lists of widths fit images of a size.

        Raises:
            GanvasError: One is too short or too long.
        """
        self.list_generator_widths(min(height, width))
        self.list_discriminator_widths(min(height, width))

    def list_generator_widths(self, side: int) -> list[int]:
        """Return the channels of the generator's feature maps for images of a side, in its order.

        Example:
            >>> DcganParams(generator_width=32).list_generator_widths(64)
            [256, 128, 64, 32]
        """
        # An output convolution follows maps at full size.
        largest = side // 2 if self.output_convolution is None else side
        sides = self._sides(largest)
        if self.generator_widths is None:
            return [self.generator_width * largest // s for s in sides]
        return _check_widths("generator_widths", self.generator_widths, sides, side)

    def list_discriminator_widths(self, side: int) -> list[int]:
        """Return the channels of the discriminator's feature maps, from half the side on."""
        sides = self._sides(side // 2)[::-1]
        if self.discriminator_widths is None:
            return [self.discriminator_width * sides[0] // s for s in sides]
        return _check_widths("discriminator_widths", self.discriminator_widths, sides, side)

    def _sides(self, largest: int) -> list[int]:
        """Return the sides of the feature maps, from the smallest to the largest."""
        doublings = (largest // self.smallest_side).bit_length()
        return [self.smallest_side << depth for depth in range(doublings)]


def _check_widths(name: str, widths: list[int], sides: list[int], side: int) -> list[int]:
    if len(widths) == len(sides):
        return widths
    raise GanvasError(
        f"Parameter 'network.dcgan.{name}' can't be {widths}: images of {side} pixels need "
        f"{len(sides)} widths, for feature maps of sides {', '.join(map(str, sides))}; list as "
        "many in this order, or set null for widths that double at each halving of the side."
    )


class ProjectedParams(Params):
    """Parameters of Projected GAN; the cost of `input_upscale` grows with its square."""

    latent: int = Field(100, ge=1, le=4096)
    generator_width: int = Field(32, ge=1, le=512)
    max_width: int = Field(512, ge=1, le=4096)
    kernel: int = Field(4, ge=3, le=7)
    mixing: Literal["across_scales", "across_channels", "none"] = "across_scales"
    projection: int = Field(64, ge=1, le=1024)
    head_width: int = Field(64, ge=1, le=1024)
    pixel_width: int = Field(24, ge=1, le=512)
    input_upscale: Literal[1, 2, 4, 8] = 1


class R3ganParams(Params):
    """Parameters of R3GAN.

    Many groups are for GPUs: TensorFlow has no fast CPU kernels for grouped convolutions.
    """

    latent: int = Field(64, ge=1, le=4096)
    width: int = Field(384, ge=1, le=1024)
    max_width: int = Field(768, ge=1, le=4096)
    blocks: int = Field(2, ge=1, le=8)
    expansion: int = Field(2, ge=1, le=8)
    group_width: int = Field(16, ge=1, le=4096)
    class_embedding: int = Field(64, ge=1, le=1024)

    def check_if_chosen(self) -> None:
        """Check that channels can be divided into groups.

        Raises:
            ValueError: They can't.
        """
        for width in (self.width, self.max_width):
            expanded = width * self.expansion
            if expanded > self.group_width and expanded % self.group_width:
                raise ValueError(
                    "network.r3gan.width and max_width times expansion must be multiples of "
                    f"group_width ({self.group_width}), or less, and {width} × {self.expansion} is "
                    "neither: change one of the four"
                )
        for width in self.stage_widths(LARGEST_SIDE):
            expanded = width * self.expansion
            if expanded % self.count_groups(expanded):
                raise ValueError(
                    f"network.r3gan.width, doubled at each halving, comes to {width}, and {width} "
                    f"× {self.expansion} can't be divided into groups of {self.group_width} "
                    "(group_width) or a little more: change width, expansion or group_width"
                )

    def stage_widths(self, side: int) -> list[int]:
        """Return the channels of the feature maps, from the smallest side to the largest."""
        doublings = range((side // FIRST_SIDE).bit_length())
        return [min(self.width << depth, self.max_width) for depth in doublings][::-1]

    def count_groups(self, channels: int) -> int:
        """Return the number of groups of a convolution of so many channels."""
        return max(channels // self.group_width, 1)
