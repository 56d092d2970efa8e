"""Parameters of evaluation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ganvas.base_params import Params
from ganvas.metrics.extractor_names import INCEPTION_FILE, check_extractor


class EvaluateParams(Params):
    """Which metrics are computed, on how many images."""

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0, lt=2**32)
    extractor: Annotated[str, AfterValidator(check_extractor)] | None = "efficientnet_lite2"
    weights: str | None = None
    real: int = Field(1000, ge=1, le=100_000)
    protocol: Literal["halves", "all"] = "halves"
    parzen: int = Field(0, ge=0, le=100_000)
    faces: int = Field(0, ge=0, le=100_000)
    images: str | None = Field(None, min_length=1)
    against: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check_weights(self) -> "EvaluateParams":
        if self.extractor == "inception" and not self.weights:
            raise ValueError(
                f"extractor is inception, which needs its published file {INCEPTION_FILE}: "
                "download it and set weights to its path"
            )
        return self

    @model_validator(mode="after")
    def _check_against(self) -> "EvaluateParams":
        if self.against and not self.images:
            raise ValueError(
                f"against is {self.against}, but images is null: set images to the folder, archive "
                "or .npz file of images that are compared with it"
            )
        return self
