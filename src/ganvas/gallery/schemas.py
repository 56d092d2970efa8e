"""Schemas of the gallery's requests, and how bodies, query strings and uploads are parsed.

`ganvas.gallery.openapi` derives the description of the API from the same models.
"""

import json
import re
import threading
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args

from flask import request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from ganvas.gallery.batching import TIMEOUT, RequestTimeoutError, acquire
from ganvas.gallery.encoding import Format
from ganvas.gallery.model_store import MAX_LOADED, MAX_NAME
from ganvas.gallery.request_checks import InvalidRequestError, check_json
from ganvas.image_shape import LARGEST
from ganvas.networks.sampling import MAX_TRUNCATION

MAX_COUNT = 64
# The latents of a seed are drawn in order, so the last one costs as much as all before it.
MAX_NUMBER = 10_000
MAX_STEPS = 64
END_FIELDS = ("seed", "number", "class")
# Uploads that are read from their requests at a time, which takes twice their memory.
_reading = threading.BoundedSemaphore(2)
UPLOAD_FIELDS = ("model", "version", "class")


def _to_int(value: Any) -> Any:
    """Convert 3.0 to 3, since JSON has a single type of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The validator stands behind the bounds: in front, it would hide them from the API's description.
INTEGRAL = BeforeValidator(_to_int)
Seed = Annotated[
    int, Field(ge=0, le=2**32 - 1, description="Random seed of the latents."), INTEGRAL
]
Number = Annotated[
    int, Field(ge=0, lt=MAX_NUMBER, description="Which image of the seed, from 0."), INTEGRAL
]
Truncation = Annotated[
    float,
    Field(
        ge=0.05,
        le=MAX_TRUNCATION,
        description="Below 1: more typical, less varied images; above 1: rarer ones. A factor of "
        "latents; for StyleGAN2, of the styles' distance to the mean style (of the class).",
    ),
]
Name = Annotated[str | None, Field(max_length=MAX_NAME)]
ClassName = Annotated[Name, Field(alias="class", description="For models with classes.")]


class StrictSchema(BaseModel):
    """A schema without conversions and unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelRequest(StrictSchema):
    """The fields of all requests: which model."""

    model: Name = Field(None, description="As listed by /api/models; null: the newest.")
    version: Name = Field(None, description="As saved; null: the newest.")


class GenerateRequest(ModelRequest):
    """Consecutive images of a seed, the same as those of `kedro run --pipelines=sample`."""

    seed: Seed = 0
    first: Number = 0
    count: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_COUNT,
            description="Number of images; above 512×512 pixels fewer, such as 16 of 1024×1024.",
        ),
        INTEGRAL,
    ] = 16
    class_name: ClassName = None
    truncation: Truncation = 1.0
    format: Annotated[
        Literal["png", "webp", "jpeg", "json"],
        Field(
            description="A grid as PNG, lossless WebP or JPEG, which shows transparent images on "
            "white; or each image as PNG in base64."
        ),
    ] = "png"


class ImageRequest(ModelRequest):
    """One image."""

    seed: Seed = 0
    number: Number = 0
    class_name: ClassName = None
    truncation: Truncation = 1.0


class FileRequest(ImageRequest):
    """One image as a file."""

    format: Annotated[
        Format,
        Field(
            description="png and webp keep gray and transparent images; jpeg shows transparent "
            "ones on white. webp is lossless unless the image is scaled down."
        ),
    ] = "png"
    side: Annotated[
        int,
        Field(
            ge=16,
            le=LARGEST,
            description="Longer side in pixels to which larger images are scaled down.",
        ),
        INTEGRAL,
    ] = LARGEST


class ArchiveRequest(StrictSchema):
    """Single images, such as favorites, for a ZIP file."""

    images: list[ImageRequest] = Field(
        min_length=1, max_length=MAX_COUNT, description="The images; repeated ones are left out."
    )

    @field_validator("images")
    @classmethod
    def _limit_models(cls, images: list[ImageRequest]) -> list[ImageRequest]:
        if len({(image.model, image.version) for image in images}) > MAX_LOADED:
            raise ValueError(f"at most {MAX_LOADED} models and versions are allowed at a time")
        return images


class End(StrictSchema):
    """One end of an interpolation: a latent and its class."""

    seed: Seed = 0
    number: Number = 0
    class_name: ClassName = None


class InterpolateRequest(ModelRequest):
    """An interpolation between two latents and their classes."""

    start: End = End()
    end: End = End(number=1)
    steps: Annotated[
        int,
        Field(
            ge=2,
            le=MAX_STEPS,
            description="Number of images, with both ends; above 512×512 pixels fewer, such as 16 "
            "of 1024×1024.",
        ),
        INTEGRAL,
    ] = 24
    truncation: Truncation = 1.0
    format: Annotated[
        Literal["png", "webp", "json"],
        Field(
            description="A strip as PNG or an animated WebP, both scaled down to 512 pixels; or "
            "each image as PNG in base64."
        ),
    ] = "png"


class InterpolateQuery(ModelRequest):
    """An interpolation as the query string of a page; without classes each end has its default.

    The default images are of classes in the middle and at the end of the sample collection, which
    differ more than the first two.
    """

    seed_a: Seed = 0
    number_a: Number = 2
    class_a: Name = None
    seed_b: Seed = 0
    number_b: Number = 7
    class_b: Name = None
    truncation: Truncation = 1.0

    def to_request(self) -> InterpolateRequest:
        """Return the same request as the API takes it."""
        start, end = (
            End.model_validate({name: getattr(self, f"{name}_{end}") for name in END_FIELDS})
            for end in "ab"
        )
        return InterpolateRequest(
            model=self.model,
            version=self.version,
            start=start,
            end=end,
            truncation=self.truncation,
        )


class Upload(NamedTuple):
    """An uploaded image file, and the model and class that it is scored with."""

    content: bytes
    model: str | None
    version: str | None
    class_name: str | None


Schema = TypeVar("Schema", bound=BaseModel)


def read_json(schema: type[Schema]) -> Schema:
    """Parse the current request's JSON body.

    Raises:
        InvalidRequestError: It is not JSON, or does not match the schema.
    """
    if request.mimetype != "application/json":
        raise InvalidRequestError("The body's Content-Type must be application/json.")
    content = request.get_data() or b"{}"
    check_json(content)
    return parse_json(schema, content)


def read_query(schema: type[Schema], query: Iterable[tuple[str, str]]) -> Schema:
    """Parse the names and values of a query string.

    Raises:
        InvalidRequestError: They do not match the schema, or a name is repeated.
    """
    pairs = list(query)
    fields = schema.model_fields.items()
    numeric = {
        name
        for name, field in fields
        if {int, float} & {field.annotation, *get_args(field.annotation)}
    }
    values = {name: _to_number(value) if name in numeric else value for name, value in pairs}
    if len(values) < len(pairs):
        raise InvalidRequestError("Each field can be given only once.")
    return parse_json(schema, json.dumps(values).encode())


def read_upload() -> Upload:
    """Parse the current request's multipart form.

    Raises:
        InvalidRequestError: The file is missing or empty, or a field is unknown or repeated.
    """
    content, fields = _read_form("picture", UPLOAD_FIELDS)
    return Upload(content, *(fields.get(name) for name in UPLOAD_FIELDS))


def read_file(schema: type[Schema], field: str = "picture") -> tuple[bytes, Schema]:
    """Parse the current request's multipart form: the content of its file, and its other fields.

    Raises:
        InvalidRequestError: The file is missing or empty, or the fields do not match the schema.
    """
    names = [info.alias or name for name, info in schema.model_fields.items()]
    content, fields = _read_form(field, names)
    return content, read_query(schema, fields.items())


def _read_form(field: str, names: Sequence[str]) -> tuple[bytes, dict[str, str]]:
    """Return the content of a form's file, and its other fields but for empty ones."""
    with acquire(_reading, TIMEOUT, RequestTimeoutError):
        form, files = request.form, request.files
    if set(form) - set(names) or set(files) != {field} or len(files.getlist(field)) != 1:
        raise InvalidRequestError(
            f"Send one file in the form's field '{field}'; optional fields are {', '.join(names)}."
        )
    if any(len(form.getlist(name)) > 1 for name in names):
        raise InvalidRequestError("Each field can be given only once.")
    content = files[field].read()
    if not content:
        raise InvalidRequestError(f"The file in the field '{field}' is empty.")
    return content, {name: form[name] for name in names if form.get(name)}


def _to_number(text: str) -> int | float | str:
    if re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{0,20}\.\d{1,20}", text, re.ASCII) else text


def parse_json(schema: type[Schema], content: bytes) -> Schema:
    """Parse JSON.

    Raises:
        InvalidRequestError: It is not JSON, or does not match the schema.
    """
    try:
        # Pydantic's parser reports invalid UTF-8 and deep nesting as errors of the input, too.
        return schema.model_validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        message = str(details["msg"]).removeprefix("Value error, ")
        value = details["input"]
        if details["type"] == "json_invalid":
            raise InvalidRequestError(f"The body must be JSON in UTF-8: {message}.") from error
        field = ".".join(map(str, details["loc"])) or "The request"
        actual = f", not {_quote(value)!r}" if isinstance(value, str | int | float) else ""
        raise InvalidRequestError(f"{field}: {message[0].lower()}{message[1:]}{actual}.") from error


def _quote(value: str | int | float) -> str:
    """Return the beginning of a value as text."""
    try:
        return str(value)[:60]
    # Python refuses to convert integers of thousands of digits.
    except ValueError:
        return "a number of thousands of digits"
