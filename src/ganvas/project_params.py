"""The tree of all parameters, as in conf."""

from typing import Literal

from pydantic import model_validator

from ganvas.base_params import Params
from ganvas.image_shape import check_network_size
from ganvas.networks import NETWORKS, NetworkParams
from ganvas.pipelines.directions.params import DirectionsParams
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.export.params import ExportParams
from ganvas.pipelines.fetch.params import FetchParams
from ganvas.pipelines.film.params import FilmParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.invert.params import InvertParams
from ganvas.pipelines.report.params import ReportParams
from ganvas.pipelines.sample.params import SampleParams
from ganvas.pipelines.select.params import SelectParams
from ganvas.pipelines.train.params import KID_EXTRACTOR
from ganvas.tracking import TrackingParams
from ganvas.training.config import TrainParams


class ProjectParams(Params):
    """All parameters, which are checked as a whole before a run does any work."""

    profile: Literal["auto", "cpu", "gpu"] = "auto"
    fetch: FetchParams
    ingest: IngestParams
    train: TrainParams
    network: NetworkParams
    # Folders of configuration of earlier versions lack it.
    select: SelectParams = SelectParams()
    evaluate: EvaluateParams
    report: ReportParams
    sample: SampleParams
    # Folders of configuration of earlier versions lack it.
    film: FilmParams = FilmParams()
    directions: DirectionsParams = DirectionsParams()
    export: ExportParams
    # Folders of configuration of earlier versions lack it.
    invert: InvertParams = InvertParams()
    tracking: TrackingParams

    @model_validator(mode="after")
    def _check_extractors(self) -> "ProjectParams":
        """Refuse to evaluate with a network that training has optimized or selected by."""
        kid_validation = self.train.kid_validation.interval is not None
        if kid_validation and self.evaluate.extractor == KID_EXTRACTOR:
            raise ValueError(
                f"evaluate.extractor is {KID_EXTRACTOR}, by which train.kid_validation also "
                "selects the best epoch, so metrics would be biased: set "
                "evaluate.extractor=efficientnet_lite2, or train.kid_validation.interval=null"
            )
        name, backbone = self.network.name, getattr(self.network.chosen, "backbone", None)
        if backbone and self.evaluate.extractor == backbone:
            raise ValueError(
                f"network.name is {name}, whose discriminator's backbone is {backbone}, and "
                "evaluate.extractor is the same network, so metrics would be biased: set "
                "evaluate.extractor=efficientnet_lite2"
            )
        if kid_validation and backbone == KID_EXTRACTOR:
            raise ValueError(
                f"network.{name}.backbone is {backbone}, by which train.kid_validation selects the "
                f"best epoch, so the choice would be biased: set network.{name}.backbone="
                "efficientnet_lite0, or train.kid_validation.interval=null"
            )
        return self

    @model_validator(mode="after")
    def _check_training_of_the_network(self) -> "ProjectParams":
        """Check what only some networks use, or can't be trained with."""
        network = self.network.chosen
        size = self.ingest.image_shape[:2]
        check_network_size(*size)
        if NETWORKS[self.network.name].anchored:
            self.train.check_anchors()
        if not NETWORKS[self.network.name].style_based:
            self.train.check_without_styles()
        # A network of one's own needs no such property: training checks its layers too.
        if getattr(network, "discriminator_has_batch_norm", False):
            self.train.penalty.check_batch_norm()
        frozen = getattr(network, "freeze_layers", 0)
        if frozen and self.train.weights_from is None:
            raise ValueError(
                f"network.{self.network.name}.freeze_layers={frozen} would keep random weights: "
                "set train.weights_from to the model that training starts from, or freeze_layers=0"
            )
        if check_size := getattr(network, "check_size", None):
            check_size(*size)
        return self.model_copy(update={"train": self.train.resolve(*size)})

    def choices(self) -> dict[str, str]:
        """Return the values of `${chosen:…}` in the paths of conf/base/catalog_*.yml."""
        return {
            "dataset": self.ingest.dataset_name,
            "network": self.network.resolve_label(self.ingest.classes).folder,
            "source": self.ingest.raw_path,
            "mirror": self.ingest.mirror_path,
            **self.evaluate.choices(self.ingest.dataset_name),
        }
