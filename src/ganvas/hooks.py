"""Kedro hooks: checks before a run, the paths of its results, divergence, and MLflow tracking."""

import logging
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from rich.logging import RichHandler

from ganvas.base_params import check_params
from ganvas.errors import Finished, GanvasError
from ganvas.ingestion.object_store import check_protocol, is_url
from ganvas.pipelines.train.params import run_parameters
from ganvas.progress import in_terminal
from ganvas.project_params import ProjectParams
from ganvas.tracking import RunReport, connect, log_run

logger = logging.getLogger(__name__)

# Versioned datasets that one training saves together.
TRAINED = ("generator", "discriminator", "class_list")
# Datasets whose paths are logged at the end of a run.
RESULTS = {"samples": "Samples", "report": "Report", "comparison": "Comparison"}
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class GanvasHooks:
    """Check a run's inputs, log where its results are, and fail it if training diverged."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._divergence: str | None = None

    @hook_impl
    def after_context_created(self) -> None:
        """Configure logging."""
        # The command line prints errors itself. Set here rather than in logging.yml, which Kedro
        # does not read from a packaged conf.
        logging.getLogger("kedro.pipeline.node").setLevel(logging.CRITICAL)
        if not in_terminal():
            _use_plain_log_lines()

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the paths of datasets, and check that their protocols are installed."""
        self._paths = {name: entry.get("filepath", "") for name, entry in conf_catalog.items()}
        for path in filter(is_url, self._paths.values()):
            check_protocol(path)

    @hook_impl
    def before_pipeline_run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        run_params: dict[str, Any],
    ) -> None:
        """Check that the pipeline's inputs exist and that their versions belong together."""
        # One process may run several pipelines.
        self._divergence = None
        _check_versions(pipeline, run_params.get("load_versions") or {})
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters" or catalog.exists(name):
                continue
            producers = [key for key, other in pipelines.items() if name in other.all_outputs()]
            if not producers:
                continue
            smallest = min(producers, key=lambda key: len(pipelines[key].nodes))
            place = f" at {self._paths[name]}" if self._paths.get(name) else ""
            raise GanvasError(
                f"There is no {name} yet{place}: create it by `kedro run --pipelines={smallest}` "
                "with the same --env and --params."
            )

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Remember that training diverged; its last good models are still evaluated."""
        if dataset_name == "training_summary":
            self._divergence = data["message"] if data["ended_by"] == "diverged" else None

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Log the paths of the results; raise GanvasError if training diverged."""
        for name, title in RESULTS.items():
            if name in pipeline.all_outputs():
                logger.info("%s: %s", title, self._paths[name])
        if self._divergence:
            raise GanvasError(self._divergence)


class TrackingHooks:
    """Log a run to MLflow at its end, if `tracking.mlflow` is true.

    A killed run logs nothing, but the same command resumes its training and then logs all epochs.
    """

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._outputs: dict[str, Any] = {}
        self._summary: dict[str, Any] | None = None
        self._client: Any = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the context, which has the project's path and its parameters."""
        self._context = context

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the paths of datasets."""
        self._paths = {name: entry.get("filepath", "") for name, entry in conf_catalog.items()}

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Connect to MLflow before any work, if the pipeline trains or evaluates."""
        self._outputs, self._summary, self._client = {}, None, None
        if "training_summary" not in pipeline.datasets():
            return
        self._params = check_params(ProjectParams, self._context.config_loader["parameters"])
        if self._params.tracking.mlflow and not self._params.train.dry_run:
            self._client = connect(self._params.tracking, self._context.project_path)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep the outputs that are logged by value, and the names of all other datasets."""
        if self._client is None:
            return
        by_value = dataset_name in ("generator", "history", "metrics")
        self._outputs[dataset_name] = data if by_value else None
        if dataset_name == "training_summary":
            self._summary = data

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Remember which training is evaluated, if the run itself trains nothing."""
        if dataset_name == "training_summary":
            self._summary = data

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Log the run."""
        diverged = self._summary is not None and self._summary["ended_by"] == "diverged"
        self._log("FAILED" if diverged else "FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Log what a failed run has produced; Finished is no failure."""
        if not isinstance(error, Finished):
            self._log("FAILED", str(error))

    def _log(self, status: str, message: str = "") -> None:
        if self._client is None:
            return
        choices = self._params.choices()
        files = {name: Path(self._paths[name]) for name in self._outputs if self._paths.get(name)}
        report = RunReport(
            name=f"{choices['dataset']}/{choices['network']}",
            command=self._context.catalog.load("command"),
            parameters=self._parameters(),
            outputs={name: data for name, data in self._outputs.items() if data is not None},
            files=files,
            summary=self._summary,
            status=status,
            message=message,
        )
        try:
            log_run(self._client, self._params.tracking, report)
        except Exception as error:
            # A tracking failure must not fail the training run.
            logger.warning("MLflow has not recorded everything of this run: %s", error)

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters of the training, and those of the present evaluation."""
        evaluate = {"evaluate": self._params.evaluate.model_dump(mode="json")}
        if self._summary is not None:
            return self._summary["parameters"] | evaluate
        ingest = self._params.ingest
        network = self._params.network.resolve_label(ingest.classes)
        return run_parameters(ingest, network, self._params.train) | evaluate


def _check_versions(pipeline: Pipeline, versions: dict[str, str]) -> None:
    """Check that the versions in `--load-versions` belong to one training."""
    trained = [name for name in TRAINED if name in versions]
    if trained and "training_summary" in pipeline.inputs():
        raise GanvasError(
            f"An older version of {', '.join(trained)} can't be evaluated or reported on, since "
            "training.json describes the newest training only: leave --load-versions out; "
            "`kedro run --pipelines=sample` generates images with older versions."
        )
    both = {"generator", "class_list"}
    if both <= pipeline.inputs() and len({versions.get(name) for name in both}) > 1:
        raise GanvasError(
            "generator and class_list must be of the same training: set --load-versions for both, "
            "generator:VERSION,class_list:VERSION."
        )


def _use_plain_log_lines() -> None:
    """Replace rich's log handler, which wraps lines at 80 columns outside of a terminal."""
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter(LOG_FORMAT, datefmt="%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, RichHandler)]:
        root.removeHandler(handler)
        root.addHandler(plain)
