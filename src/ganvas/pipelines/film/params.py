"""Parameters of films."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ganvas.base_params import Params
from ganvas.latents.films import Easing, Interpolation, count_frames
from ganvas.latents.video import MAX_GIF_FPS, MIN_FPS, FilmFormat, Resampling
from ganvas.networks.sampling import MAX_TRUNCATION
from ganvas.networks.styles import Noise
from ganvas.pipelines.sample.params import LAYERS, LAYERS_PATTERN, read_name

MAX_KEYFRAMES, MAX_FRAMES, MAX_SECONDS = 256, 20_000, 3600
# Names that the sample pipeline gives to images: seed, number and, if there are any, class.
SAMPLE_NAME = re.compile(r"seed(\d+)_(\d+)(?:_([\w-]+))?")
LATENT_SUFFIXES = (".npy", ".npz")
Count = Annotated[int, Field(ge=0)]
# Far more than the range of any direction.
MAX_STRENGTH = 1000


class KeyframeParams(Params):
    """A point of the latent space that a film passes through."""

    # `class` is no name that Python allows.
    model_config = ConfigDict(serialize_by_alias=True)

    seed: Count | None = None
    number: Annotated[int, Field(ge=0, lt=1_000_000)] | None = None
    image: str | None = None
    latent: str | None = None
    row: Count = 0
    class_name: str | dict[str, str | bool | int | float] | None = Field(None, alias="class")
    truncation: float = Field(1.0, ge=-MAX_TRUNCATION, le=MAX_TRUNCATION)
    edits: dict[str, float] = Field(default_factory=dict)
    duration: float = Field(1.0, gt=0, le=1000)

    @field_validator("class_name", mode="before")
    @classmethod
    def _read_class(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {read_name(name): share for name, share in value.items()}
        return read_name(value)

    @field_validator("edits", mode="before")
    @classmethod
    def _check_strengths(cls, value: Any) -> Any:
        for name, strength in value.items() if isinstance(value, dict) else ():
            try:
                # No comparison with .nan is true.
                is_strength = (
                    not isinstance(strength, bool) and abs(float(strength)) <= MAX_STRENGTH
                )
            except (TypeError, ValueError):
                is_strength = False
            if not is_strength:
                raise ValueError(
                    f"the strength of '{name}' must be a number from -{MAX_STRENGTH} to "
                    f"{MAX_STRENGTH}"
                )
        return value

    @model_validator(mode="after")
    def _check_one(self) -> "KeyframeParams":
        sampled = self.seed is not None or self.number is not None
        if sum([sampled, self.image is not None, self.latent is not None]) > 1:
            raise ValueError(
                "a keyframe is a seed and number, an image or a latent, not several of them"
            )
        if self.row and self.latent is None:
            raise ValueError("row is that of a file of latents: name it as latent")
        return self


def _read_keyframe(value: Any) -> Any:
    """Return the mapping that a short form stands for."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"number": value}
    if not isinstance(value, str):
        return value
    if match := SAMPLE_NAME.fullmatch(value):
        return {"seed": match[1], "number": match[2], "class": match[3]}
    if value.isdecimal():
        return {"number": value}
    if "." not in value:
        raise ValueError(
            "as a text, a keyframe is the name of a sample such as seed0_000003, or a file: an "
            "image, or latents in .npy or .npz"
        )
    return {"latent" if value.lower().endswith(LATENT_SUFFIXES) else "image": value}


Keyframes = Annotated[
    list[Annotated[KeyframeParams, BeforeValidator(_read_keyframe)]],
    Field(max_length=MAX_KEYFRAMES),
]


class FilmStylesParams(Params):
    """Styles of some layers that a film of StyleGAN2 takes from other keyframes."""

    keyframes: Keyframes = Field(default_factory=list)
    layers: str = Field("fine", pattern=LAYERS_PATTERN, description=LAYERS)


class FilmParams(Params):
    """Parameters of films."""

    keyframes: Keyframes = Field(default_factory=list)
    seed: int = Field(0, ge=0)
    seconds: float = Field(10.0, gt=0, le=MAX_SECONDS)
    fps: float = Field(24, ge=MIN_FPS, le=120)
    hold: float = Field(0.0, ge=0, le=MAX_SECONDS)
    loop: bool = False
    interpolation: Interpolation = "slerp"
    easing: Easing = "linear"
    formats: list[FilmFormat] = Field(["webp"], min_length=1)
    name: str = Field(
        "film",
        pattern=r"^\w[\w-]{0,99}$",
        description="text of letters, digits, _ and -",
    )
    scale: int = Field(1, ge=1, le=64)
    resampling: Resampling = "lanczos"
    quality: int = Field(90, ge=1, le=100)
    dither: bool = False
    noise: Noise = "const"
    style_mixing: FilmStylesParams = Field(default_factory=FilmStylesParams)

    @field_validator("formats", mode="before")
    @classmethod
    def _read_formats(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_frames(self) -> "FilmParams":
        if "gif" in self.formats and self.fps > MAX_GIF_FPS:
            raise ValueError(
                f"GIF shows at most {MAX_GIF_FPS} frames a second: set film.fps={MAX_GIF_FPS} or "
                "less, or leave gif out of film.formats"
            )
        if (frames := self.frames) > MAX_FRAMES:
            raise ValueError(
                f"film.seconds={self.seconds:g} with film.fps={self.fps:g} are {frames} frames, "
                f"and at most {MAX_FRAMES} are allowed: make the film shorter, or set a smaller "
                "film.fps"
            )
        return self

    @property
    def frames(self) -> int:
        """Number of frames."""
        return count_frames(self.seconds, self.fps)
