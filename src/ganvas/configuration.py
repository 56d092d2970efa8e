"""The whole tree of parameters, as it stands in conf."""

from ganvas.networks import NetworkParams
from ganvas.params import Params
from ganvas.pipelines.evaluate.nodes import EvaluateParams
from ganvas.pipelines.report.nodes import ReportParams
from ganvas.pipelines.sample.nodes import SampleParams
from ganvas.sources import IngestParams
from ganvas.sources.fetching import FetchParams
from ganvas.training.params import TrainParams


class Configuration(Params):
    """All parameters; checked as a whole before any work begins."""

    fetch: FetchParams
    ingest: IngestParams
    network: NetworkParams
    train: TrainParams
    evaluate: EvaluateParams
    report: ReportParams
    sample: SampleParams

    def choices(self) -> dict[str, str]:
        """What the catalog's paths follow: `${chosen:…}` in conf/base/catalog_*.yml."""
        return {
            "dataset": self.ingest.dataset_name,
            "network": self.network.folder,
            "source": self.ingest.raw_path,
        }
