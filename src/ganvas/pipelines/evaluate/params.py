"""Parameters of evaluation."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ganvas.base_params import Params
from ganvas.metrics.extractors import INCEPTION_FILE, check_extractor


class EvaluateParams(Params):
    """Parameters of evaluation.

    Attributes:
        count: Generated images that are judged.
        seed: Of their latents, and of what else is drawn.
        extractor: The network whose features are compared, see
            `ganvas.metrics.extractors.load_extractor`; None: nothing that needs features.
        weights: The file of its weights, for those that come without.
        real: Training images, at most, whose features are computed.
        parzen: Generated images of the Parzen window, 10,000 in the papers; 0: no such figure.
        faces: Generated images, and as many real ones, in which faces are looked for; 0: none.
    """

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0, lt=2**32)
    extractor: Annotated[str, AfterValidator(check_extractor)] | None = "efficientnet_lite2"
    weights: str | None = None
    real: int = Field(1000, ge=1, le=100_000)
    parzen: int = Field(0, ge=0, le=100_000)
    faces: int = Field(0, ge=0, le=100_000)

    @model_validator(mode="after")
    def _check_weights(self) -> "EvaluateParams":
        if self.extractor == "inception" and not self.weights:
            raise ValueError(
                f"extractor is inception, which needs its published file {INCEPTION_FILE}: "
                "download it and name it in weights"
            )
        return self
