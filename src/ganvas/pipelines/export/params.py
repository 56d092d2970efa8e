"""Parameters of the export."""

from typing import Literal

from pydantic import Field

from ganvas.base_params import Params


class ExportParams(Params):
    """Parameters of the export."""

    formats: list[Literal["onnx", "litert"]] = Field(["onnx", "litert"], min_length=1)
    checked: int = Field(16, ge=1, le=4096)
    tolerance: float = Field(1e-3, gt=0, le=2)
