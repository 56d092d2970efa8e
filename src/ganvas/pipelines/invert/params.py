"""Parameters of inversion."""

from typing import Any, Literal

from pydantic import Field, field_validator

from ganvas.base_params import Params


class InvertParams(Params):
    """Parameters of inversion."""

    images: str | None = None
    count: int = Field(64, ge=1, le=100_000)
    steps: int = Field(100, ge=0, le=10_000)
    space: Literal["w", "w+"] = "w+"
    class_name: str | None = None
    mix_classes: bool = False

    @field_validator("class_name", mode="before")
    @classmethod
    def _read_name(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(
                "a class name that YAML reads as true or false needs quotation marks, such as 'yes'"
            )
        return str(value) if isinstance(value, int | float) else value
