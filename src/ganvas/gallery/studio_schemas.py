"""Schemas of the latent studio's requests: points of a latent space, edits, films and uploads."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ganvas.gallery.schemas import (
    INTEGRAL,
    MAX_COUNT,
    ClassName,
    ModelRequest,
    Number,
    Seed,
    StrictSchema,
    Truncation,
)
from ganvas.latents.films import Easing, Interpolation
from ganvas.latents.latent_text import decode_w

MAX_KEYFRAMES, MAX_SECONDS, MAX_FPS = 16, 30, 60
# Latents of training are within about 5 of 0, and styles of StyleGAN2 within about 30.
MAX_LATENT = 1000.0
MAX_STRENGTH = 1000.0
MAX_EDITS = 50
# Steps of refinement of a found image.
MAX_INVERSION_STEPS = 200
PointFormat = Literal["png", "webp", "jpeg", "json"]


def parse_numbers(value: Any) -> np.ndarray | None:
    """Convert nested lists of JSON, or the text form of an array, to float32.

    Text has one dimension, and its shape is that which the model needs.

    Raises:
        ValueError: They are no finite numbers within ±`MAX_LATENT` in lists of equal lengths.
    """
    if value is None:
        return None
    if isinstance(value, str):
        array = decode_w(value)
    else:
        if not isinstance(value, list) or not value:
            raise ValueError("input should be a list of numbers, or text in base64url")
        array = _to_array(value)
    return check_numbers(array)


def check_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array as float32.

    Raises:
        ValueError: It has values that are not finite or not within ±`MAX_LATENT`.
    """
    # Comparisons with NaN are false.
    if not (np.abs(array) <= MAX_LATENT).all():
        raise ValueError(f"numbers should be between -{MAX_LATENT:.0f} and {MAX_LATENT:.0f}")
    return array.astype(np.float32)


def _to_array(value: list[Any]) -> np.ndarray:
    fault = ValueError("input should have numbers alone, in lists of equal lengths")
    pending = list(value)
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, bool) or not isinstance(item, int | float):
            raise fault
    try:
        # Integers may be too large for any float.
        array = np.array(value, np.float64)
    except (ValueError, OverflowError) as error:
        raise fault from error
    if not array.size:
        raise fault
    return array


def _numbers(description: str) -> WithJsonSchema:
    kinds = [{"type": "string"}, {"type": "array", "minItems": 1}, {"type": "null"}]
    return WithJsonSchema({"anyOf": kinds, "default": None, "description": description})


Z = Annotated[
    Any,
    BeforeValidator(parse_numbers),
    _numbers(
        "Latent (Z): a list of numbers, or base64url of little-endian float32. In place of seed "
        "and number."
    ),
]
W = Annotated[
    Any,
    BeforeValidator(parse_numbers),
    _numbers(
        "Intermediate latent, of the shape that /api/models lists as w: nested lists, or base64url "
        "of little-endian float32. In place of seed and number."
    ),
]
Weights = Annotated[
    Any,
    BeforeValidator(parse_numbers),
    _numbers(
        "Weights of the classes (K), 0 or more, in place of a class; of several labels those of "
        "each label one after the other. They are scaled to the sum 1."
    ),
]


class Point(StrictSchema):
    """A point of a model's latent space: a seed and number, z or w; and its class or weights."""

    seed: Seed = 0
    number: Number = 0
    z: Z = None
    w: W = None
    class_name: ClassName = None
    weights: Weights = None
    truncation: Truncation = 1.0

    @model_validator(mode="after")
    def _check_one(self) -> "Point":
        given = [self.z is not None, self.w is not None]
        given.append(bool({"seed", "number"} & self.model_fields_set))
        if sum(given) > 1:
            raise ValueError("a point is given by seed and number, by z or by w, not by several")
        if self.class_name is not None and self.weights is not None:
            raise ValueError("a point has a class or weights, not both")
        return self


class SavedPoint(ModelRequest):
    """The point of a saved image."""

    point: Point


class OpenRequest(StrictSchema):
    """A saved image, whose text names its model."""


Points = Annotated[list[Point], Field(min_length=1, max_length=MAX_COUNT)]


class LatentsRequest(ModelRequest):
    """The latents of some points."""

    points: Points = Field(description="The points.")
    space: Literal["w", "z"] = Field(
        "w", description="w: intermediate latents, truncated; z: latents, which w points lack."
    )
    format: Literal["json", "npy"] = Field(
        "json", description="JSON, with the weights of the classes; or a .npy file."
    )


class SynthesizeRequest(ModelRequest):
    """The images of some points."""

    points: Points = Field(description="The points.")
    format: PointFormat = Field(
        "png", description="A grid as PNG, lossless WebP or JPEG; or each image as PNG in base64."
    )


class ArrayRequest(ModelRequest):
    """The images of the latents of a .npy file."""

    space: Literal["w", "z"] = Field("w", description="The space of the latents.")
    class_name: ClassName = None
    weights: Weights = None
    truncation: Truncation = 1.0
    format: PointFormat = Field(
        "png", description="A grid as PNG, lossless WebP or JPEG; or each image as PNG in base64."
    )


Strength = Annotated[float, Field(ge=-MAX_STRENGTH, le=MAX_STRENGTH)]
DirectionName = Annotated[str, Field(min_length=1, max_length=64)]


class EditRequest(ModelRequest):
    """A point, moved along directions."""

    point: Point = Field(Point(), description="Where the edit begins.")
    edits: dict[DirectionName, Strength] = Field(
        {},
        max_length=MAX_EDITS,
        description="Strengths of directions by their names, see /api/directions.",
    )
    weights: Weights = None
    compare: bool = Field(
        False,
        description="Also the image without the edits: left of the other, or in JSON as `before`.",
    )
    format: PointFormat = Field(
        "png", description="PNG, with the point; lossless WebP, JPEG, or PNG in base64."
    )


class FilmRequest(ModelRequest):
    """A film through keyframes."""

    keyframes: list[Point] = Field(
        min_length=2, max_length=MAX_KEYFRAMES, description="Points that the film passes through."
    )
    seconds: float = Field(4.0, gt=0, le=MAX_SECONDS, description="Duration.")
    fps: Annotated[
        int,
        Field(ge=1, le=MAX_FPS, description="Frames a second, of GIF at most 50."),
        INTEGRAL,
    ] = 24
    loop: bool = Field(False, description="Whether the film returns to the first keyframe.")
    interpolation: Interpolation = Field(
        "slerp", description="slerp: arcs; spline: a smooth curve; linear: straight lines."
    )
    easing: Easing = Field("linear", description="Speed between two keyframes.")
    format: Literal["webp", "gif", "mp4", "zip"] = Field(
        "webp", description="Animated WebP or GIF, MP4, or a ZIP file of PNG files."
    )
    side: Annotated[
        int,
        Field(
            ge=16, le=1024, description="Longer side in pixels to which larger images are reduced."
        ),
        INTEGRAL,
    ] = 512


class InvertRequest(ModelRequest):
    """The latent of an uploaded image."""

    class_name: ClassName = None
    steps: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_INVERSION_STEPS,
            description="Steps of refinement; 0: the encoder's estimate alone. Default: those of "
            "`kedro run --pipelines=invert`, or fewer where these would take too long.",
        ),
        INTEGRAL,
    ] = None
