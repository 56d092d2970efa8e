"""MLflow tracking, which is optional.

MLflow is imported inside functions only, since it may be missing and takes a second to import.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.redaction import redact
from ganvas.visualization.report import list_parameters

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

DATABASE = "data/09_tracking/mlflow.db"
SQLITE = "sqlite:///"
# Limits of MLflow servers: characters of a value, parameters and metrics of a request.
MAX_LENGTH, MAX_PARAMS, MAX_METRICS = 500, 100, 1000
NOT_INSTALLED = (
    "tracking.mlflow is true, but MLflow or a package that it needs is not installed: run "
    f"`{install_command('mlflow')}`, or set tracking.mlflow=false."
)
# Tags that identify a run: its training, and the command that reproduces it.
TRAINING_TAG, COMMAND_TAG = "ganvas.training", "ganvas.command"
# Artifact folders of the datasets that are logged as files.
ARTIFACT_FOLDERS = {
    "report": "report epochs_page model_card metrics history training_summary",
    "pictures": "curves sample_grid real_grid generated_grid latent_walk truncation_sweep "
    "style_mixing progress_strip neighbours",
    "pictures/class_sheets": "class_sheets",
}


class TrackingParams(Params):
    """Whether and where runs are logged to MLflow."""

    mlflow: bool = False
    uri: str | None = None
    experiment: str = Field("ganvas", min_length=1)
    register_models: bool = True


class RunReport(NamedTuple):
    """What is logged of a run.

    Attributes:
        name: Dataset and network, as in the paths of the catalog.
        command: Command that reproduces the run.
        parameters: Nested parameters.
        outputs: The generator, history and metrics that the run has produced.
        files: Paths of the datasets that it has saved, by their names in the catalog.
        summary: The training summary; None: training failed.
        status: FINISHED or FAILED.
        message: Error message of a failed run.
    """

    name: str
    command: str
    parameters: dict[str, Any]
    outputs: dict[str, Any]
    files: dict[str, Path]
    summary: dict[str, Any] | None
    status: str
    message: str = ""


def connect(params: TrackingParams, project: Path) -> MlflowClient:
    """Connect to the tracking server or database; an SQLite file is created if missing.

    Args:
        params: Parameters of tracking.
        project: Folder of the project, which holds the default database.

    Raises:
        GanvasError: MLflow is not installed or can't be reached.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if importlib.util.find_spec("mlflow") is None:
        raise GanvasError(NOT_INSTALLED)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = resolve_uri(params.uri or f"{SQLITE}{DATABASE}", project)
    try:
        if uri.startswith(SQLITE):
            Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except ImportError as error:
        # mlflow-skinny can use servers, but no databases.
        raise GanvasError(NOT_INSTALLED) from error
    except (MlflowException, OSError) as error:
        raise GanvasError(
            f"MLflow can't be reached at {uri}: {str(error).splitlines()[0].rstrip('.')}. "
            "Correct tracking.uri, or set tracking.mlflow=false."
        ) from error
    return client


def resolve_uri(uri: str, project: Path) -> str:
    """Return a tracking URI in which the path of a file or folder is absolute.

    Args:
        uri: URI or path, which starts from the project if it is relative.
        project: Folder of the project.

    Example:
        >>> resolve_uri("sqlite:///data/mlflow.db", Path("/project"))
        'sqlite:////project/data/mlflow.db'
    """
    if uri.startswith(SQLITE):
        path = uri.removeprefix(SQLITE)
        in_memory = path in ("", ":memory:")
        return uri if in_memory else f"{SQLITE}{project / Path(path).expanduser()}"
    if uri.startswith("file:") and not uri.startswith("file:/"):
        return (project / uri.removeprefix("file:")).as_uri()
    # Databricks is named without an address.
    is_path = ":" not in uri and not uri.startswith("databricks") and uri != "uc"
    return str(project / Path(uri).expanduser()) if is_path else uri


def log_run(client: MlflowClient, params: TrackingParams, report: RunReport) -> None:
    """Log a run; a resumed or re-evaluated training is added to its existing MLflow run."""
    started = report.summary["started"] if report.summary else None
    experiment = find_experiment(client, params.experiment)
    run = resume_run(client, experiment, report.name, report.command, started)
    try:
        log_parameters(client, run, report.parameters)
        if "history" in report.outputs:
            log_history(client, run, report.outputs["history"])
        if "metrics" in report.outputs and report.summary:
            log_metrics(client, run, report.outputs["metrics"], report.summary["epochs"])
        for folder, names in ARTIFACT_FOLDERS.items():
            for path in (report.files[name] for name in names.split() if name in report.files):
                if path.is_dir():
                    client.log_artifacts(run, str(path), folder)
                elif path.is_file():
                    client.log_artifact(run, str(path), folder)
        if "generator" in report.outputs:
            model_name = report.name.replace("/", "-") if params.register_models else None
            log_generator(client, run, report.outputs["generator"], model_name)
        # An empty message replaces that of an earlier failure.
        message = report.message or (report.summary or {}).get("message") or ""
        client.set_tag(run, "mlflow.note.content", redact(message)[:MAX_LENGTH])
    finally:
        client.set_terminated(run, report.status)


def find_experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, which is created if missing.

    The artifacts of a new experiment in an SQLite file are stored beside that file.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    uri, artifacts = client.tracking_uri, None
    if uri.startswith(SQLITE):
        artifacts = (Path(uri.removeprefix(SQLITE)).resolve().parent / "artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=artifacts))


def resume_run(
    client: MlflowClient, experiment: str, name: str, command: str, started: str | None
) -> str:
    """Return the id of the MLflow run of a training, which is created if missing.

    Args:
        client: The MLflow client.
        experiment: Id of the experiment.
        name: Dataset and network.
        command: Command that reproduces the run; identifies a run that failed while training.
        started: When training began, as in the training summary; None: training failed.
    """
    training = f"{name}/{started}" if started else None
    runs = client.search_runs([experiment], order_by=["attributes.start_time DESC"])
    matches = [run for run in runs if training and run.data.tags.get(TRAINING_TAG) == training]
    # Failed runs have no training tag.
    failed = [run for run in runs if TRAINING_TAG not in run.data.tags]
    matches += [run for run in failed if run.data.tags.get(COMMAND_TAG) == command]
    start = datetime.strptime(started, "%Y-%m-%dT%H.%M.%S") if started else datetime.now()
    title = f"{name} {start:%Y-%m-%d %H:%M:%S}"
    run = matches[0] if matches else client.create_run(experiment, _ms(start), run_name=title)
    run_id = str(run.info.run_id)
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, COMMAND_TAG, command)
    if training:
        client.set_tag(run_id, TRAINING_TAG, training)
    return run_id


def log_parameters(client: MlflowClient, run: str, tree: dict[str, Any]) -> None:
    """Log nested parameters with dotted keys, values cut to 500 characters.

    MLflow's parameters are immutable. Parameters that differ in a resumed run, such as the number
    of epochs, are logged as tags `changed.<key>`.
    """
    from mlflow.entities import Param

    logged = client.get_run(run).data.params
    values = {key: str(value)[:MAX_LENGTH] for key, value in list_parameters(tree).items()}
    new = [Param(key, value) for key, value in values.items() if key not in logged]
    for batch in _batched(new, MAX_PARAMS):
        client.log_batch(run, params=batch)
    for key, value in values.items():
        if logged.get(key, value) != value:
            client.set_tag(run, f"changed.{key}", value)


def log_history(client: MlflowClient, run: str, history: pd.DataFrame) -> None:
    """Log the numeric columns of a history by epoch; points already logged are left out."""
    points = []
    for column in history.select_dtypes("number").columns.drop("epoch"):
        name = f"train/{column}"
        # A partial epoch has other values after it was completed on resume: the last one counts.
        logged = sorted(client.get_metric_history(run, name), key=lambda point: point.timestamp)
        values = {point.step: point.value for point in logged}
        points += [
            (name, float(value), int(epoch))
            for epoch, value in zip(history["epoch"], history[column], strict=True)
            if values.get(epoch) != float(value)
        ]
    _log_points(client, run, points)


def log_metrics(
    client: MlflowClient, run: str, metrics: dict[str, dict[str, Any]], epoch: int
) -> None:
    """Log the metrics of an evaluation, and their real-data baselines as `…/real`."""
    points = [
        (f"evaluate/{name}{suffix}", float(metric[key]), epoch)
        for name, metric in metrics.items()
        for key, suffix in {"value": "", "real": "/real"}.items()
        if metric.get(key) is not None
    ]
    _log_points(client, run, points)


def log_generator(client: MlflowClient, run: str, generator: keras.Model, name: str | None) -> None:
    """Log a generator in Keras's own format, without pickles.

    Args:
        client: The MLflow client.
        run: Id of the run.
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        name: Name in the model registry; None: it is not registered.
    """
    import mlflow

    mlflow.set_tracking_uri(client.tracking_uri)
    with mlflow.start_run(run_id=run):
        mlflow.keras.log_model(
            generator,
            name="generator",
            signature=_model_signature(generator),
            pip_requirements=[
                f"{package}=={version(package)}" for package in ("keras", "tensorflow")
            ],
            registered_model_name=name,
        )
    # Leaving the `with` block has ended the run.
    client.update_run(run, status="RUNNING")


def _model_signature(generator: keras.Model) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(tensors: list[Any]) -> Schema:
        dtype = np.dtype(np.float32)
        return Schema(
            [TensorSpec(dtype, (-1, *tensor.shape[1:]), tensor.name) for tensor in tensors]
        )

    return ModelSignature(schema(generator.inputs), schema(generator.outputs))


def _log_points(client: MlflowClient, run: str, points: list[tuple[str, float, int]]) -> None:
    """Log finite values, each with the name of its metric and its step."""
    from mlflow.entities import Metric

    now = _ms(datetime.now())
    metrics = [Metric(name, value, now, step) for name, value, step in points if isfinite(value)]
    for batch in _batched(metrics, MAX_METRICS):
        client.log_batch(run, metrics=batch)


def _batched(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
