"""Typed parameters of the networks; `conf/base/parameters_train.yml` documents their meaning.

They are apart from the networks, since parameters are validated by every command, and Keras takes
seconds to import.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.image_shape import LARGEST, STEP, count_doublings, describe_size

Widths = list[Annotated[int, Field(ge=1, le=4096)]]
# Halvings of the image at which DCGAN's channels stop to double: those of 256 pixels.
DOUBLED_HALVINGS = 6
# Largest absolute value after a convolution of StyleGAN2 in half precision.
HALF_PRECISION_CLAMP = 256.0
# Factors of the sides of images for a backbone.
INPUT_SCALES = (0.25, 0.5, 1, 2, 4, 8)
INPUT_SCALE_TEXT = "0.25, 0.5, 1, 2, 4 or 8"


class ArtganParams(Params):
    """Parameters of ArtGAN.

    At 64 pixels a width of 128 is the paper's network. Larger images have more stages, at most four
    times as wide; smaller ones have fewer.
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

    Channels double at each halving of the image, down to a 64th of its sides: the maps of 4 pixels
    at 256. Those of larger images have no more, unless `max_width` is lower still.

    Spectral normalization is Keras's layer: it divides the kernels at each training step, without
    a gradient through the singular value; batch norms stay, so that the network as a whole is not
    1-Lipschitz. The class embedding beside the latent is needed because conditional batch norm
    scales and shifts whole feature maps, which can't change where things are in an image.
    """

    latent: int = Field(100, ge=1, le=4096)
    smallest_side: Literal[4, 8] = 4
    max_width: int | None = Field(None, ge=1, le=4096)
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
        self.list_generator_widths(height, width)
        self.list_discriminator_widths(height, width)

    def list_generator_widths(self, height: int, width: int) -> list[int]:
        """Return the channels of the generator's feature maps for images of a size, in its order.

        Example:
            >>> DcganParams(generator_width=32).list_generator_widths(64, 64)
            [256, 128, 64, 32]
        """
        # An output convolution follows maps at full size.
        first = 1 if self.output_convolution is None else 0
        halvings = range(count_doublings(height, width, self.smallest_side), first - 1, -1)
        if self.generator_widths is None:
            return self._double(self.generator_width, halvings, first)
        return _check_widths("generator_widths", self.generator_widths, height, width, halvings)

    def list_discriminator_widths(self, height: int, width: int) -> list[int]:
        """Return the channels of the discriminator's feature maps, from half the size on."""
        halvings = range(1, count_doublings(height, width, self.smallest_side) + 1)
        if self.discriminator_widths is None:
            return self._double(self.discriminator_width, halvings, 1)
        widths = self.discriminator_widths
        return _check_widths("discriminator_widths", widths, height, width, halvings)

    def _double(self, width: int, halvings: range, first: int) -> list[int]:
        """Return a width of maps halved `first` times, doubled for those halved more often."""
        widths = [width << min(n, DOUBLED_HALVINGS) - first for n in halvings]
        return widths if self.max_width is None else [min(w, self.max_width) for w in widths]


def _check_widths(
    name: str, widths: list[int], height: int, width: int, halvings: range
) -> list[int]:
    if len(widths) == len(halvings):
        return widths
    maps = [(height >> n, width >> n) for n in halvings]
    if height == width:
        what, sizes = f"images of {height} pixels", f"sides {', '.join(str(h) for h, _ in maps)}"
    else:
        what = f"images of {describe_size(height, width)} pixels"
        sizes = f"sizes {', '.join(describe_size(*size) for size in maps)}"
    raise GanvasError(
        f"Parameter 'network.dcgan.{name}' can't be {widths}: {what} need {len(maps)} widths, for "
        f"feature maps of {sizes}; list as many in this order, or set null for widths that double "
        "at each halving of the side."
    )


class ProjectedParams(Params):
    """Parameters of Projected GAN; the cost of `input_upscale` grows with its square.

    The backbone is not allowed as extractor of metrics, see `ganvas.project_params`.
    """

    latent: int = Field(100, ge=1, le=4096)
    generator: Literal["dcgan", "fastgan"] = "dcgan"
    generator_width: int = Field(32, ge=1, le=512)
    max_width: int = Field(512, ge=1, le=4096)
    kernel: int = Field(4, ge=3, le=7)
    mixing: Literal["across_scales", "across_channels", "none"] = "across_scales"
    projection: int = Field(64, ge=1, le=1024)
    head_width: int = Field(64, ge=1, le=1024)
    pixel_width: int = Field(24, ge=1, le=512)
    backbone: Literal["efficientnet_lite0", "efficientnet_lite1"] = "efficientnet_lite0"
    input_upscale: int | float = Field(1, description=INPUT_SCALE_TEXT)

    @field_validator("input_upscale")
    @classmethod
    def _check_scale(cls, value: float) -> float:
        if value not in INPUT_SCALES:
            rule = f"it must be one of {INPUT_SCALE_TEXT}"
            raise PydanticCustomError("input_scale", "{rule}", {"rule": rule})
        # Runs are identified by whole numbers.
        return value if value < 1 else int(value)

    def check_size(self, height: int, width: int) -> None:
        """Check that the backbone's coarsest maps have whole sides for images of a size.

        Raises:
            GanvasError: They don't.
        """
        *allowed, last = (
            scale for scale in INPUT_SCALES if not (height * scale % STEP or width * scale % STEP)
        )
        if self.input_upscale not in (*allowed, last):
            scaled = (int(side * self.input_upscale) for side in (height, width))
            raise GanvasError(
                f"Parameter 'network.projected.input_upscale' can't be {self.input_upscale}: "
                f"images of {describe_size(height, width)} pixels would be "
                f"{describe_size(*scaled)} for the backbone, whose input must have sides that are "
                f"multiples of {STEP}; set {', '.join(map(str, allowed))} or {last}."
            )


class FastganParams(Params):
    """Parameters of FastGAN; widths of 64 are the paper's networks."""

    latent: int = Field(256, ge=1, le=4096)
    generator_width: int = Field(64, ge=1, le=512)
    discriminator_width: int = Field(64, ge=2, le=512, multiple_of=2)
    class_embedding: int = Field(64, ge=1, le=1024)

    @property
    def discriminator_has_batch_norm(self) -> bool:
        """Whether the discriminator has batch norm, which excludes gradient penalties."""
        return True


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
        for width in self.stage_widths(LARGEST, LARGEST):
            expanded = width * self.expansion
            if expanded % self.count_groups(expanded):
                raise ValueError(
                    f"network.r3gan.width, doubled at each halving, comes to {width}, and {width} "
                    f"× {self.expansion} can't be divided into groups of {self.group_width} "
                    "(group_width) or a little more: change width, expansion or group_width"
                )

    def stage_widths(self, height: int, width: int) -> list[int]:
        """Return the channels of the feature maps for images of a size, from the smallest map on.

        Example:
            >>> R3ganParams(width=96).stage_widths(256, 256)
            [768, 768, 768, 768, 384, 192, 96]
        """
        halvings = range(count_doublings(height, width), -1, -1)
        return [min(self.width << n, self.max_width) for n in halvings]

    def count_groups(self, channels: int) -> int:
        """Return the number of groups of a convolution of so many channels."""
        return max(channels // self.group_width, 1)


# StyleGAN2-ADA's configurations: mapping layers, channels × side, and images of a group.
STYLEGAN2_CONFIGS: dict[str, dict[str, int]] = {
    "stylegan2": {"mapping_layers": 8, "channel_base": 32768, "group": 4},
    "paper256": {"mapping_layers": 8, "channel_base": 16384, "group": 8},
    "paper512": {"mapping_layers": 8, "channel_base": 32768, "group": 8},
    "paper1024": {"mapping_layers": 8, "channel_base": 32768, "group": 4},
    "cifar": {"mapping_layers": 2, "channel_base": 32768, "group": 32},
}


class Stylegan2Params(Params):
    """Parameters of StyleGAN2; those that are None are the configuration's.

    `auto` is the configuration of StyleGAN2-ADA's code for any dataset: two mapping layers, and
    half the channels below 512 pixels. Channels are `channel_base` divided by the side of the
    feature map, and at most `max_width`. As in that code, `clamp` is 256 in half precision, unless
    it is set.
    """

    config: Literal["auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar"] = "auto"
    latent: int = Field(512, ge=1, le=4096)
    style: int = Field(512, ge=1, le=4096)
    mapping_layers: int | None = Field(None, ge=1, le=16)
    channel_base: int | None = Field(None, ge=64, le=131072)
    max_width: int = Field(512, ge=1, le=4096)
    group: int | None = Field(None, ge=1, le=1024)
    architecture: Literal["residual", "plain"] | None = None
    style_mixing: float | None = Field(None, ge=0, le=1)
    noise: bool = True
    half_precision_maps: int = Field(4, ge=0, le=16)
    clamp: float | None = Field(None, gt=0)
    freeze_layers: int = Field(0, ge=0, le=64)

    def limit_values(self, precision: str) -> Self:
        """Return the parameters with the limit of values that a precision needs.

        Args:
            precision: Name of Keras's dtype policy.

        Example:
            >>> Stylegan2Params().limit_values("mixed_float16").clamp
            256.0
        """
        if precision == "float32" or self.clamp is not None or not self.half_precision_maps:
            return self
        return self.model_copy(update={"clamp": HALF_PRECISION_CLAMP})

    def resolve(self, height: int, width: int) -> "ResolvedStylegan2Params":
        """Return the parameters with the configuration's values in place of None.

        Example:
            >>> Stylegan2Params().resolve(256, 256).channel_base
            16384
        """
        large = count_doublings(height, width) >= count_doublings(512, 512)
        auto = {"mapping_layers": 2, "channel_base": 32768 if large else 16384, "group": 4}
        cifar = self.config == "cifar"
        values: dict[str, Any] = {
            "architecture": "plain" if cifar else "residual",
            "style_mixing": 0.0 if cifar else 0.9,
        } | STYLEGAN2_CONFIGS.get(self.config, auto)
        return ResolvedStylegan2Params(**values | self.model_dump(exclude_none=True))


class ResolvedStylegan2Params(Stylegan2Params):
    """Parameters of StyleGAN2 with the configuration's values."""

    mapping_layers: int
    channel_base: int
    group: int
    architecture: Literal["residual", "plain"]
    style_mixing: float

    def list_channels(self, height: int, width: int) -> list[int]:
        """Return the channels of the feature maps, from the smallest map on.

        Example:
            >>> Stylegan2Params().resolve(256, 256).list_channels(256, 256)
            [512, 512, 512, 512, 256, 128, 64]
        """
        halvings = range(count_doublings(height, width) + 1)
        return [max(1, min(self.channel_base // (4 << n), self.max_width)) for n in halvings]
