"""What may be asked of the gallery; the description of its API is made of these models."""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

MAX_COUNT = 64
# A seed's later latents are drawn after all before them.
MAX_NUMBER = 10_000
MAX_STEPS = 64


class WrongRequestError(ValueError):
    """A request can't be understood; the message says what is allowed."""


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 3.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Behind the bounds: before them it would hide these from the description.
WHOLE = BeforeValidator(_whole)
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Of the latents."), WHOLE]
Number = Annotated[
    int, Field(ge=0, lt=MAX_NUMBER, description="Which latent of the seed, from 0."), WHOLE
]
Truncation = Annotated[
    float,
    Field(ge=0.05, le=1, description="Below 1: likelier pictures, less varied."),
]
ModelName = Annotated[
    str | None,
    Field(max_length=200, description="As /api/models names it; null: the newest."),
]
VersionName = Annotated[
    str | None, Field(max_length=100, description="A saved version; null: the newest.")
]
ClassName = Annotated[
    str | None,
    Field(alias="class", max_length=200, description="For models that paint by class."),
]


class Request(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: ModelName = None
    version: VersionName = None


class GenerateRequest(Request):
    """Pictures of a seed, the same that `kedro run --pipelines=sample` paints."""

    seed: Seed = 0
    first: Number = 0
    count: Annotated[int, Field(ge=1, le=MAX_COUNT), WHOLE] = 16
    class_name: ClassName = None
    truncation: Truncation = 1.0
    format: Annotated[
        Literal["png", "webp", "json"],
        Field(description="A grid as PNG or lossless WebP, or each picture as PNG in base64."),
    ] = "png"


class PictureRequest(Request):
    """One picture."""

    seed: Seed = 0
    number: Number = 0
    class_name: ClassName = None
    truncation: Truncation = 1.0


class End(BaseModel):
    """One end of a walk."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seed: Seed = 0
    number: Number = 0
    class_name: ClassName = None


class InterpolateRequest(Request):
    """A walk from one latent and class to another."""

    start: End = End()
    end: End = End(number=1)
    steps: Annotated[int, Field(ge=2, le=MAX_STEPS), WHOLE] = 24
    truncation: Truncation = 1.0
    format: Annotated[
        Literal["png", "webp", "json"],
        Field(description="A strip as PNG, an animated WebP, or each picture in base64."),
    ] = "png"


class WalkQuery(Request):
    """A walk as the page asks for it; without classes each picture keeps its own."""

    seed_a: Seed = 0
    number_a: Number = 0
    class_a: str | None = Field(None, max_length=200)
    seed_b: Seed = 0
    number_b: Number = 1
    class_b: str | None = Field(None, max_length=200)
    truncation: Truncation = 1.0

    def to_request(self) -> InterpolateRequest:
        """Turn it into the API's request."""
        start = {"seed": self.seed_a, "number": self.number_a, "class": self.class_a}
        end = {"seed": self.seed_b, "number": self.number_b, "class": self.class_b}
        return InterpolateRequest(
            model=self.model,
            version=self.version,
            truncation=self.truncation,
            start=End.model_validate(start),
            end=End.model_validate(end),
        )


Model = TypeVar("Model", bound=BaseModel)


def read_json(model: type[Model], content: bytes) -> Model:
    """Read a request from a JSON body.

    Raises:
        WrongRequestError: It is no JSON, or not such a request.
    """
    return _check(model, content or b"{}")


def read_query(model: type[Model], query: Iterable[tuple[str, str]]) -> Model:
    """Read a request from the names and values of an address.

    Raises:
        WrongRequestError: It is not such a request, or says something twice.
    """
    pairs = list(query)
    fields = model.model_fields.items()
    numbers = {name for name, field in fields if isinstance(field.default, int | float)}
    raw = {name: _number(value) if name in numbers else value for name, value in pairs}
    if len(raw) < len(pairs):
        raise WrongRequestError("Nothing may be said twice.")
    return _check(model, json.dumps(raw).encode())


def _number(text: str) -> int | float | str:
    if re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{0,20}\.\d{1,20}", text, re.ASCII) else text


def _check(model: type[Model], content: bytes) -> Model:
    try:
        # What is strict in JSON is less so in Python: there, no dict stands for a model.
        return model.model_validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        rule, given = str(details["msg"]), details["input"]
        if details["type"] == "json_invalid":
            raise WrongRequestError(f"The body must be JSON in UTF-8: {rule}.") from error
        where = ".".join(map(str, details["loc"])) or "The request"
        told = f", not {str(given)[:60]!r}" if isinstance(given, str | int | float) else ""
        raise WrongRequestError(f"{where}: {rule[0].lower()}{rule[1:]}{told}.") from error
