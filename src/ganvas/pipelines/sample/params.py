"""Parameters of sampling."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from ganvas.base_params import Params
from ganvas.networks.sampling import MAX_TRUNCATION


class SampleParams(Params):
    """Parameters of sampling."""

    count: int = Field(64, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0)
    truncation: float = Field(1.0, gt=0, le=MAX_TRUNCATION)
    classes: str | Annotated[list[str], Field(min_length=1)] | None = None
    unstretch: bool = False
    grid: int = Field(64, ge=1, le=4096)
    columns: int = Field(8, ge=1, le=64)

    @field_validator("classes", mode="before")
    @classmethod
    def _read_names(cls, value: Any) -> Any:
        return [_read_name(x) for x in value] if isinstance(value, list) else _read_name(value)


def _read_name(value: Any) -> Any:
    """Undo YAML's conversion of a name such as 19; that of yes or on can't be undone."""
    if isinstance(value, bool):
        raise ValueError(
            "a class name that YAML reads as true or false needs quotation marks, such as 'yes'"
        )
    return str(value) if isinstance(value, int | float) else value
