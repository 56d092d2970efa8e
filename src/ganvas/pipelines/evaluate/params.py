"""Parameters of evaluation."""

from pydantic import Field

from ganvas.metrics.features import ExtractorName
from ganvas.params import Params


class EvaluateParams(Params):
    """Parameters of evaluation.

    Attributes:
        count: Generated pictures that are judged.
        seed: Of their latents, and of what else is drawn.
        extractor: The network whose features are compared; None: nothing that needs features.
        real: Training pictures, at most, whose features are computed.
        parzen: Generated pictures of the Parzen window, 10,000 in the papers; 0: no such figure.
    """

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0)
    extractor: ExtractorName | None = "efficientnet_lite2"
    real: int = Field(1000, ge=1, le=100_000)
    parzen: int = Field(0, ge=0, le=100_000)
