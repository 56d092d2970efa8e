"""Typed parameters of the networks; `conf/base/parameters_train.yml` documents their meaning.

They are apart from the networks, since parameters are validated by every command, and Keras takes
seconds to import.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganvas.base_params import Params

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

    @model_validator(mode="after")
    def _check_groups(self) -> "R3ganParams":
        for width in (self.width, self.max_width):
            expanded = width * self.expansion
            if expanded > self.group_width and expanded % self.group_width:
                raise ValueError(
                    f"width and max_width times expansion must be multiples of group_width, or "
                    f"less, and {width} × {self.expansion} is neither"
                )
        for width in self.stage_widths(LARGEST_SIDE):
            expanded = width * self.expansion
            if expanded % self.count_groups(expanded):
                raise ValueError(
                    f"width, doubled at each halving, comes to {width}, and {width} × "
                    f"{self.expansion} can't be divided into groups of {self.group_width} or a "
                    "little more"
                )
        return self

    def stage_widths(self, side: int) -> list[int]:
        """Return the channels of the feature maps, from the smallest side to the largest."""
        doublings = range((side // FIRST_SIDE).bit_length())
        return [min(self.width << depth, self.max_width) for depth in doublings][::-1]

    def count_groups(self, channels: int) -> int:
        """Return the number of groups of a convolution of so many channels."""
        return max(channels // self.group_width, 1)
