"""Parameters of the export."""

from typing import Annotated, Literal

from pydantic import Field

from ganvas.base_params import Params
from ganvas.networks.sampling import MAX_TRUNCATION


class ExportParams(Params):
    """Parameters of the export."""

    formats: list[Literal["onnx", "litert"]] = Field(["onnx", "litert"], min_length=1)
    checked: int = Field(16, ge=1, le=4096)
    tolerance: float = Field(1e-3, gt=0, le=2)
    truncation: Annotated[float, Field(gt=0, le=MAX_TRUNCATION)] | Literal["input"] = 1.0
