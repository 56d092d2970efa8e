"""The whole tree of parameters, as it stands in conf."""

from typing import Literal

from pydantic import model_validator

from ganvas.base_params import Params
from ganvas.ingestion import IngestParams
from ganvas.ingestion.download import FetchParams
from ganvas.networks import NetworkParams
from ganvas.networks.projected_gan import BACKBONE
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.export.nodes import ExportParams
from ganvas.pipelines.report.nodes import ReportParams
from ganvas.pipelines.sample.nodes import SampleParams
from ganvas.pipelines.train.callbacks import EXTRACTOR
from ganvas.tracking import TrackingParams
from ganvas.training.config import TrainParams


class ProjectParams(Params):
    """All parameters; checked as a whole before any work begins.

    Attributes:
        profile: What the sizes in conf/base that read `${by_profile:CPU,GPU}` are for; auto: for a
            GPU where there is one.
    """

    profile: Literal["auto", "cpu", "gpu"] = "auto"
    fetch: FetchParams
    ingest: IngestParams
    network: NetworkParams
    train: TrainParams
    evaluate: EvaluateParams
    report: ReportParams
    sample: SampleParams
    export: ExportParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _check_judges(self) -> "ProjectParams":
        if self.train.kid_validation.interval and self.evaluate.extractor == EXTRACTOR:
            raise ValueError(
                f"evaluate.extractor is {EXTRACTOR}, which train.kid_validation compares epochs "
                "by, so it would judge its own choice: take efficientnet_lite2, or "
                "train.kid_validation.interval=null"
            )
        if self.network.name == "projected":
            self._check_looks()
        return self

    def _check_looks(self) -> None:
        """Refuse to judge a generator by the network that it has learnt to please."""
        told = f"network.name is projected, which trains by looking through {BACKBONE}"
        if self.evaluate.extractor == BACKBONE:
            raise ValueError(
                f"{told}, and evaluate.extractor is the same network, whose word would mean "
                "nothing: take efficientnet_lite2"
            )
        if self.train.kid_validation.interval and EXTRACTOR == BACKBONE:
            raise ValueError(
                f"{told}, and train.kid_validation compares epochs by the same network: set "
                "train.kid_validation.interval=null"
            )

    def choices(self) -> dict[str, str]:
        """What the catalog's paths follow: `${chosen:…}` in conf/base/catalog_*.yml."""
        return {
            "dataset": self.ingest.dataset_name,
            "network": self.network.resolve_label(self.ingest.classes).folder,
            "source": self.ingest.raw_path,
            "mirror": self.ingest.mirror_path,
        }
