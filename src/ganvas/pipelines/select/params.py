"""Parameters of selecting an epoch."""

from typing import Annotated, Literal

from pydantic import Field

from ganvas.base_params import Params
from ganvas.training.kept_epochs import Measure


class SelectParams(Params):
    """Which kept epoch's models are used."""

    epoch: Annotated[int, Field(ge=1)] | Literal["last", "best"] = "last"
    by: Measure = "kernel_distance"
