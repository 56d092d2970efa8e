"""Parameters of sampling."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ganvas.base_params import Params
from ganvas.networks.sampling import MAX_TRUNCATION
from ganvas.networks.styles import GROUPS, Noise

Numbers = Annotated[list[Annotated[int, Field(ge=0, lt=1_000_000)]], Field(max_length=64)]
# In words too, since a pattern explains nothing.
LAYERS = f"{', '.join(GROUPS)}, a number or a range of layers such as 0-6"
LAYERS_PATTERN = rf"^({'|'.join(GROUPS)}|[0-9]+(-[0-9]+)?)$"


class StyleMixingParams(Params):
    """Samples to mix by their styles, see `ganvas.networks.styles.mix_styles`."""

    rows: Numbers = Field(default_factory=list)
    columns: Numbers = Field(default_factory=list)
    layers: str = Field("middle", pattern=LAYERS_PATTERN, description=LAYERS)

    @model_validator(mode="after")
    def _check_both(self) -> "StyleMixingParams":
        if bool(self.rows) != bool(self.columns):
            raise ValueError(
                "style mixing needs numbers of samples in both rows and columns, or in none"
            )
        return self


class SampleParams(Params):
    """Parameters of sampling."""

    count: int = Field(64, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0)
    truncation: float = Field(1.0, gt=0, le=MAX_TRUNCATION)
    truncation_cutoff: int | None = Field(None, ge=1)
    truncation_mean: Literal["class", "global"] = "class"
    noise: Noise = "const"
    style_mixing: StyleMixingParams = Field(default_factory=StyleMixingParams)
    classes: str | Annotated[list[str], Field(min_length=1)] | None = None
    unstretch: bool = False
    grid: int = Field(64, ge=1, le=4096)
    columns: int = Field(8, ge=1, le=64)

    @field_validator("classes", mode="before")
    @classmethod
    def _read_names(cls, value: Any) -> Any:
        return [read_name(x) for x in value] if isinstance(value, list) else read_name(value)


def read_name(value: Any) -> Any:
    """Undo YAML's conversion of a name such as 19; that of yes or on can't be undone."""
    if isinstance(value, bool):
        raise ValueError(
            "a class name that YAML reads as true or false needs quotation marks, such as 'yes'"
        )
    return str(value) if isinstance(value, int | float) else value
