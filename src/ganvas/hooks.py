"""Around a run: missing inputs explained, results named, divergence told, the run recorded."""

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
from ganvas.pipelines.train.nodes import run_parameters
from ganvas.progress import in_terminal
from ganvas.project_params import ProjectParams
from ganvas.tracking import RunReport, connect, record

logger = logging.getLogger(__name__)

# What a training saves under one version.
TRAINED = ("generator", "discriminator", "class_list")
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class GanvasHooks:
    """Kedro's hooks for this project."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._diverged: str | None = None

    @hook_impl
    def after_context_created(self) -> None:
        """Write whole lines to a log, and leave errors to the command line."""
        # Would say each a second time. Not in logging.yml, which a packed conf can't hand to Kedro.
        logging.getLogger("kedro.pipeline.node").setLevel(logging.CRITICAL)
        if not in_terminal():
            _log_plainly()

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember where the datasets lie, to name their places.

        Raises:
            GanvasError: One lies on a store that can't be reached with what is installed.
        """
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
        """Say what to run first when an input of the pipeline has not been made yet.

        Raises:
            GanvasError: An input is missing, or versions are asked for that don't go together.
        """
        # Of an earlier run in the same process.
        self._diverged = None
        _check_versions(pipeline, run_params.get("load_versions") or {})
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters" or catalog.exists(name):
                continue
            makers = [key for key, other in pipelines.items() if name in other.all_outputs()]
            if not makers:
                continue
            maker = min(makers, key=lambda key: len(pipelines[key].nodes))
            place = f" at {self._paths[name]}" if self._paths.get(name) else ""
            raise GanvasError(
                f"There is no {name} yet{place}: make it by `kedro run --pipelines={maker}` "
                "with the same --env and --params."
            )

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note that training diverged: its last good models are still judged and reported."""
        if dataset_name == "training_summary":
            self._diverged = data["message"] if data["ended_by"] == "diverged" else None

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Name the results that a person wants to open.

        Raises:
            GanvasError: Training diverged.
        """
        for name, title in {
            "samples": "Samples",
            "report": "Report",
            "comparison": "Comparison",
        }.items():
            if name in pipeline.all_outputs():
                logger.info("%s: %s", title, self._paths[name])
        if self._diverged:
            raise GanvasError(self._diverged)


class TrackingHooks:
    """Hands what a run has made to MLflow, at its end; nothing unless `tracking.mlflow` is true.

    A run that was killed has told nothing. The same command goes on with its training, and what is
    recorded then has all its epochs.
    """

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._made: dict[str, Any] = {}
        self._summary: dict[str, Any] | None = None
        self._client: Any = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project lies, and its parameters."""
        self._context = context

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember where the datasets lie."""
        self._paths = {name: entry.get("filepath", "") for name, entry in conf_catalog.items()}

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Connect to MLflow before any work, if the pipeline makes or judges a training.

        Raises:
            GanvasError: MLflow is not installed, or can't be reached.
        """
        self._made, self._summary, self._client = {}, None, None
        if "training_summary" not in pipeline.datasets():
            return
        self._params = check_params(ProjectParams, self._context.config_loader["parameters"])
        if self._params.tracking.mlflow and not self._params.train.dry_run:
            self._client = connect(self._params.tracking, self._context.project_path)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep what is recorded by value, and note what is recorded as a file."""
        if self._client is None:
            return
        by_value = dataset_name in ("generator", "history", "metrics")
        self._made[dataset_name] = data if by_value else None
        if dataset_name == "training_summary":
            self._summary = data

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Learn which training is judged, where none was made."""
        if dataset_name == "training_summary":
            self._summary = data

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Record the run."""
        diverged = self._summary is not None and self._summary["ended_by"] == "diverged"
        self._record("FAILED" if diverged else "FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Record what there is of a run that failed; to finish early is no failure."""
        if not isinstance(error, Finished):
            self._record("FAILED", str(error))

    def _record(self, status: str, message: str = "") -> None:
        if self._client is None:
            return
        command = self._context.catalog.load("command")
        choices = self._params.choices()
        told = RunReport(
            dataset=choices["dataset"],
            network=choices["network"],
            command=command,
            parameters=self._tell_parameters(),
            made={name: data for name, data in self._made.items() if data is not None},
            files={name: Path(self._paths[name]) for name in self._made if self._paths.get(name)},
            summary=self._summary,
            status=status,
            message=message,
        )
        try:
            record(self._client, self._params.tracking, told)
        except Exception as error:
            # Hours of training must not end in an error of the book that tells of them.
            logger.warning("MLflow has not recorded everything of this run: %s", error)

    def _tell_parameters(self) -> dict[str, Any]:
        """Those that the generator was trained with, and how it is judged now."""
        judged = {"evaluate": self._params.evaluate.model_dump(mode="json")}
        if self._summary is not None:
            return self._summary["parameters"] | judged
        ingest = self._params.ingest
        network = self._params.network.resolve_label(ingest.classes)
        return run_parameters(ingest, network, self._params.train) | judged


def _check_versions(pipeline: Pipeline, versions: dict[str, str]) -> None:
    """Check that versions which `--load-versions` asks for are of one training.

    Raises:
        GanvasError: They aren't, or can't be known to be.
    """
    asked = [name for name in TRAINED if name in versions]
    if asked and "training_summary" in pipeline.inputs():
        raise GanvasError(
            f"An older version of {', '.join(asked)} can't be judged or reported on, since "
            "training.json tells of the newest training alone: leave --load-versions out; "
            "`kedro run --pipelines=sample` paints with older ones."
        )
    both = {"generator", "class_list"}
    if both <= pipeline.inputs() and len({versions.get(name) for name in both}) > 1:
        raise GanvasError(
            "generator and class_list must be of the same training: give --load-versions both, "
            "generator:VERSION,class_list:VERSION."
        )


def _log_plainly() -> None:
    """Write whole lines: rich's handler, made for terminals, folds them at 80 columns in a log."""
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter(LOG_FORMAT, datefmt="%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, RichHandler)]:
        root.removeHandler(handler)
        root.addHandler(plain)
