"""Parameters of the report."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ganvas.base_params import Params
from ganvas.networks.sampling import MAX_TRUNCATION


def _check_different(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("a truncation is in it twice")
    return values


Truncation = Annotated[float, Field(ge=-MAX_TRUNCATION, le=MAX_TRUNCATION)]


class PublishedParams(Params):
    """A published result to compare with.

    Attributes:
        metric: Name in metrics.json of the metric that measures the same.
        value: The published value.
        source: Who published it and how it was measured, in a few words.
    """

    metric: str
    value: float
    source: str = Field(min_length=1)


class ReportParams(Params):
    """Parameters of the report."""

    rows: int = Field(6, ge=1, le=64)
    columns: int = Field(12, ge=1, le=64)
    seed: int = Field(1, ge=0)
    truncations: Annotated[
        list[Truncation], Field(min_length=1, max_length=12), AfterValidator(_check_different)
    ] = Field(default_factory=lambda: [0.0, 0.25, 0.5, 0.7, 1.0, 1.25])
    style_rows: int = Field(2, ge=1, le=16)
    style_columns: int = Field(6, ge=1, le=12)
    published: list[PublishedParams] = Field(default_factory=list)
