"""Kedro hooks: checks before a run, its times and results, divergence, and MLflow tracking."""

import logging
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Node, Pipeline

from ganvas.base_params import check_params
from ganvas.command_line import write_command
from ganvas.datasets.catalog import SUMMARY, check_versions, creating_pipeline
from ganvas.datasets.equal_versions import drop_equal_version
from ganvas.datasets.model_arrays import ModelArraysDataset
from ganvas.errors import Finished, GanvasError
from ganvas.file_lock import exclusive_lock, release_locks, waiting_lock
from ganvas.ingestion.collection import use_collection
from ganvas.ingestion.object_store import check_protocol, is_url
from ganvas.log_lines import use_log_lines
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.invert.params import InvertParams
from ganvas.pipelines.train.params import run_parameters
from ganvas.progress import format_duration
from ganvas.project_folder import set_project_folder
from ganvas.project_params import ProjectParams
from ganvas.stop_signals import end_if_terminated
from ganvas.tracking import RunReport, connect, log_run
from ganvas.training.config import TrainParams
from ganvas.training.gpu import check_devices
from ganvas.training.tf_config import read_tf_config

logger = logging.getLogger(__name__)

# Datasets whose paths are logged at the end of a run.
RESULTS = {"samples": "Samples", "report": "Report", "comparison": "Comparison"}
RESULTS |= {"inverted_distances": "Distances", "inverted_sheet": "Images side by side"}
RESULTS |= {"external_report": "Report", "external_rejected": "Rejected files"}
# Metrics that are logged at the end of a run; others only where an evaluation has none of these.
MAIN_METRICS = ("frechet_distance", "precision", "recall")
# What a run does with the folders that all runs of one dataset and network share.
SHARED_TASK = "evaluates or reports on"


class GanvasHooks:
    """Check a run's inputs, log where its results are, and fail it if training diverged."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._divergence: str | None = None
        self._metrics: dict[str, Any] = {}
        self._config_loader: Any = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Configure logging, and the folder from which relative paths start."""
        set_project_folder(context.project_path)
        self._config_loader = context.config_loader
        # The command line prints errors itself. Set here rather than in logging.yml, which Kedro
        # does not read from a packaged conf.
        logging.getLogger("kedro.pipeline.node").setLevel(logging.CRITICAL)
        use_log_lines()

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
        """Check that inputs exist, that their versions belong together, and the devices.

        Before that, log what presets replace in one another.
        """
        for sentence in getattr(self._config_loader, "replacements", ()):
            logger.info("%s", sentence)
        # One process may run several pipelines.
        self._divergence, self._metrics = None, {}
        self._version, self._catalog = run_params.get("run_id"), catalog
        # Asynchronous saves may not be complete when the summary is about to be saved.
        self._saves_in_order = not run_params.get("is_async")
        check_versions(pipeline, catalog, run_params.get("load_versions") or {})
        if "params:train" in pipeline.inputs():
            train = TrainParams.model_validate(catalog.load("params:train"))
            check_devices("none" if train.dry_run else train.distribute)
        if "params:evaluate" in pipeline.inputs():
            check_evaluated(
                pipeline, EvaluateParams.model_validate(catalog.load("params:evaluate"))
            )
        if "params:invert" in pipeline.inputs():
            check_inverted(InvertParams.model_validate(catalog.load("params:invert")))
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters" or catalog.exists(name):
                continue
            smallest = creating_pipeline(name)
            if smallest is None:
                continue
            place = f" at {self._paths[name]}" if self._paths.get(name) else ""
            raise GanvasError(
                f"There is no {name} yet{place}: create it by "
                f"`{write_command('run', f'--pipelines={smallest}')}` with the same environment "
                "and parameters."
            )

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Record in training.json which version of the models it describes.

        It is the last training's if the models, which were saved before, are equal to them. Arrays
        learn whether their generator is that of the node, which may be saved later.
        """
        if isinstance(arrays := self._catalog.get(dataset_name), ModelArraysDataset):
            arrays.is_saved_with_generator = "generator" in node.outputs
        if dataset_name == SUMMARY:
            data["version"] = self._version
            if self._version and self._saves_in_order:
                data["version"] = drop_equal_version(self._catalog, self._version)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Remember that training diverged; its last good models are still evaluated.

        Raises:
            Interrupted: SIGTERM has ended training, whose models are now saved.
        """
        if dataset_name == "training_summary":
            self._divergence = data["message"] if data["ended_by"] == "diverged" else None
            # Ctrl-C ends the training alone, but SIGTERM is followed by SIGKILL.
            end_if_terminated()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Remember the metrics, which the report is made of."""
        if dataset_name in ("metrics", "external_metrics"):
            self._metrics = data

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Log the results and what to do with them; raise GanvasError if training diverged."""
        for name, title in RESULTS.items():
            if name in pipeline.all_outputs():
                logger.info("%s: %s", title, self._paths[name])
        if "report" in pipeline.all_outputs():
            logger.info("Model: %s", self._newest_path(catalog, "generator"))
            logger.info("Gallery: %s", write_command("gallery"))
        if {"report", "external_report"} & pipeline.all_outputs():
            logger.info("Metrics: %s", describe_metrics(self._metrics))
        if self._divergence:
            raise GanvasError(self._divergence)

    def _newest_path(self, catalog: CatalogProtocol[Any, Any], name: str) -> str:
        """Return the path of the version that the run has saved or loaded."""
        path, dataset = self._paths[name], catalog.get(name)
        if not isinstance(dataset, AbstractVersionedDataset):
            return path
        version = dataset.resolve_load_version()
        return f"{path}/{version}/{path.rpartition('/')[2]}" if version else path


def check_evaluated(pipeline: Pipeline, params: EvaluateParams) -> None:
    """Check that a run evaluates the images that its parameters name.

    Raises:
        GanvasError: Another pipeline would ignore `evaluate.images`, or there are none to evaluate.
    """
    stages = {node.namespace for node in pipeline.nodes}
    command = write_command("run", "--pipelines=evaluate_images")
    if "evaluate_images" in stages and not params.images:
        raise GanvasError(
            "evaluate.images is null, so there are no images to evaluate: set it to a folder, a "
            f"ZIP or TAR archive or an .npz file, as in `{command} "
            "--params=evaluate.images=/path/to/images`."
        )
    if "evaluate" in stages and params.images:
        raise GanvasError(
            f"evaluate.images is {params.images}, but this run evaluates a trained generator: "
            f"evaluate these images by `{command}` with the same --env and --params, or set "
            "evaluate.images and evaluate.against to null."
        )


def check_inverted(params: InvertParams) -> None:
    """Check that there are images to invert.

    Raises:
        GanvasError: `invert.images` is null.
    """
    if not params.images:
        command = write_command("run", "--pipelines=invert")
        raise GanvasError(
            "invert.images is null, so there are no images to find latents of: set it to a folder, "
            "a ZIP or TAR archive, an .npz file or a single image, as in "
            f"`{command} --params=invert.images=/path/to/images`."
        )


class LockHooks:
    """Lock the folders that a run writes to, so that two runs at once don't mix their results.

    Runs of one dataset and network may train at the same time, each with checkpoints of its own,
    which training locks. From the moment that the first of its models is saved until the end of
    its pipeline, a run alone has the folders that all of them share: models, metrics and report.
    Another one waits for this moment. A run that doesn't train is refused at its start while
    another one has them. Readers of saved models need no lock, since each version is complete and
    stays.

    Runs that train wait for each other's ingestion, and packing waits for no one: it is refused
    while a run uses the collection.
    """

    def __init__(self) -> None:
        self._locks, self._ingestion = ExitStack(), ExitStack()
        self._paths: dict[str, Path] = {}
        self._trains = self._locks_collection = False

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the folders to lock, which are local wherever the models are."""
        self._paths = {
            name: Path(conf_catalog[name]["filepath"])
            for name in (
                "collection",
                "checkpoints",
                "samples",
                "films",
                "exported",
                "inverted_latents",
                "direction_strips",
            )
            # Folders of configuration of earlier versions lack some.
            if name in conf_catalog
        }

    # The last check before a run.
    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Lock the folders of the pipeline's stages; raise GanvasError if another run holds one."""
        # An interrupted run in this process, such as a notebook's, has not released its own.
        self._release()
        stages = {node.namespace for node in pipeline.nodes}
        self._trains, self._locks_collection = "train" in stages, False
        if self._trains and not _writes(catalog["params:train"].load()):
            self._trains = False
            return
        self._locks_collection = True
        if "ingest" in stages:
            folder = self._paths["collection"].parent
            self._ingestion.enter_context(waiting_lock(folder, f"ingests to {folder}"))
        if not self._trains and stages & {"select", "evaluate", "report"}:
            self._lock(self._paths["checkpoints"].parent, SHARED_TASK)
        if "sample" in stages:
            self._lock(self._paths["samples"], "writes to")
        if "film" in stages:
            self._lock(self._paths["films"], "writes to")
        if "directions" in stages:
            # Of two runs at once, the second would lose the directions of the first.
            self._lock(self._paths["direction_strips"], "writes to")
        if "export" in stages:
            self._lock(self._paths["exported"], "writes to")
        if "invert" in stages:
            self._lock(self._paths["inverted_latents"].parent, "writes to")

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Share the collection once it is ingested, and let other runs ingest."""
        if dataset_name == "collection" and node.namespace != "ingest" and self._locks_collection:
            self._locks_collection = False
            self._locks.enter_context(use_collection(self._paths["collection"]))
            self._ingestion.close()

    @hook_impl
    def before_dataset_saved(self, node: Node) -> None:
        """Lock the folders that runs share, once training has ended.

        Raises:
            Interrupted: SIGTERM has ended training, and another run has them. The checkpoints are
                saved, and SIGKILL may follow soon.
        """
        if not self._trains or node.namespace != "train":
            return
        self._trains, folder = False, self._paths["checkpoints"].parent
        try:
            self._lock(folder, SHARED_TASK)
        except GanvasError:
            end_if_terminated()
            self._locks.enter_context(waiting_lock(folder, f"{SHARED_TASK} {folder}"))

    def _lock(self, folder: Path, task: str) -> None:
        advice = "set another ingest.dataset or network.name"
        self._locks.enter_context(exclusive_lock(folder, f"{task} {folder}", advice))

    # Before hooks that may raise an error.
    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Release the locks."""
        self._release()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """Release the locks."""
        self._release()

    def _release(self) -> None:
        self._ingestion.close()
        self._locks.close()
        release_locks()


def _writes(params: TrainParams) -> bool:
    """Return whether training with these parameters writes files in this process."""
    if params.dry_run:
        return False
    workers = read_tf_config() if params.distribute in ("auto", "multi_worker") else None
    # The chief alone writes.
    return workers is None or workers.number == 0


class StageHooks:
    """Log how long each stage of a run took, once all its outputs are saved."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """List the outputs of each stage."""
        self._seconds: Counter[str | None] = Counter()
        self._missing: dict[str | None, set[str]] = {}
        for node in pipeline.nodes:
            self._missing.setdefault(node.namespace, set()).update(node.outputs)
        self._last = time.monotonic()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Add the time since the last output to the stage of this one."""
        stage, now = node.namespace, time.monotonic()
        self._seconds[stage] += now - self._last  # type: ignore[assignment]  # Counters take floats
        self._last = now
        self._missing[stage].discard(dataset_name)
        if not self._missing[stage]:
            logger.info("Finished %s in %s.", stage, format_duration(self._seconds[stage]))


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


def describe_metrics(metrics: dict[str, dict[str, Any]]) -> str:
    """Return the main metrics with their real-data baselines, in one line.

    Example:
        >>> describe_metrics({"recall": {"title": "Recall", "value": 0.25, "real": 0.75}})
        'Recall 0.25 (real images 0.75)'
    """
    # Without a feature extractor, the first ones that can be compared with real images.
    comparable = [name for name, metric in metrics.items() if metric["real"] is not None]
    names = [name for name in MAIN_METRICS if name in metrics] or comparable[: len(MAIN_METRICS)]
    texts = []
    for name in names:
        metric = metrics[name]
        real = f" (real images {metric['real']:.3g})" if metric["real"] is not None else ""
        texts.append(f"{metric['title']} {metric['value']:.3g}{real}")
    return ", ".join(texts)
