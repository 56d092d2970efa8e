"""Parameters of directions."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.latents.directions import NAME_RULE, check_name
from ganvas.latents.image_measures import MEASURES
from ganvas.networks.styles import GROUPS

Method = Literal["ganspace", "sefa", "supervised"]
Measure = Literal[
    "brightness",
    "contrast",
    "saturation",
    "colorfulness",
    "warmth",
    "greenness",
    "sharpness",
    "right_brightness",
    "top_brightness",
    "center_brightness",
    "symmetry",
]


def _check_name(name: str) -> str:
    try:
        check_name(name)
    except GanvasError as error:
        raise ValueError(f"a name has {NAME_RULE}") from error
    return name


Name = Annotated[str, AfterValidator(_check_name)]
LAYERS = f"all, {', '.join(GROUPS)}, a number or a range of layers such as 0-6"


class DirectionsParams(Params):
    """Which directions are found, and how they are called and shown."""

    method: Annotated[list[Method], Field(min_length=1)] | None = None
    count: int = Field(8, ge=1, le=100)
    column: str | Annotated[list[str], Field(min_length=1)] | None = None
    table: str | None = Field(None, min_length=1)
    measure: Annotated[list[Measure], Field(min_length=1)] | None = None
    pairs: Literal["generated", "encoded"] = "generated"
    orthogonal_to: list[Name] = Field(default_factory=list)
    layers: str = Field(
        "all",
        pattern=rf"^(all|{'|'.join(GROUPS)}|[0-9]+(-[0-9]+)?)$",
        description=LAYERS,
    )
    names: list[Name] = Field(default_factory=list)
    rename: dict[str, Name] | None = None
    remove: list[str] = Field(default_factory=list)
    samples: int = Field(4096, ge=256, le=100_000)
    seed: int = Field(0, ge=0, lt=2**32)
    rows: int = Field(6, ge=1, le=64)
    columns: int = Field(7, ge=3, le=33)

    @field_validator("columns")
    @classmethod
    def _check_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("it must be odd, since the middle column is the image without an edit")
        return value

    @field_validator("method", "measure", "names", "remove", "orthogonal_to", mode="before")
    @classmethod
    def _read_one(cls, value: Any) -> Any:
        # One name is written without brackets.
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_together(self) -> "DirectionsParams":
        is_labeled = self.column is not None or self.measure is not None
        if is_labeled and self.method is not None and "supervised" not in as_list(self.method):
            raise ValueError(
                "column and measure are what supervised directions change: leave method out, or "
                "set it to supervised"
            )
        if "supervised" in as_list(self.method) and not is_labeled:
            raise ValueError(
                "method is supervised, which needs what directions are to change: set measure, "
                f"such as {next(iter(MEASURES))}, or column to a label column"
            )
        if self.table is not None and self.column is None:
            raise ValueError("table is set, but column is null: set column to one of its columns")
        if self.pairs == "encoded" and self.column is None:
            raise ValueError(
                "pairs is encoded, which is where a label is learned from, but column is null: set "
                "column to a label column, or leave pairs out"
            )
        if self.orthogonal_to and not is_labeled:
            raise ValueError(
                "orthogonal_to is for supervised directions: set measure or column, or leave it out"
            )
        if self.names and not self.methods:
            raise ValueError(
                "names are those of new directions, but this run only renames or removes: name "
                "saved ones by rename, or set method"
            )
        if twice := [name for name in self.rename or {} if name in self.remove]:
            raise ValueError(f"'{twice[0]}' is both in rename and in remove: choose one")
        if len({name.casefold() for name in self.names}) < len(self.names):
            raise ValueError("two of names are the same")
        return self

    @property
    def methods(self) -> list[str]:
        """The methods of this run: what is set or, by default, what the other parameters need."""
        if self.method is not None:
            return list(dict.fromkeys(as_list(self.method)))
        if self.column is not None or self.measure is not None:
            return ["supervised"]
        return [] if self.rename or self.remove else ["ganspace"]


def as_list(value: str | Iterable[str] | None) -> list[str]:
    """Return one text, several or none as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
