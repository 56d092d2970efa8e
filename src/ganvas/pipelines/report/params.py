"""Parameters of the report."""

from pydantic import Field

from ganvas.base_params import Params


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
    published: list[PublishedParams] = Field(default_factory=list)
