"""Runs recorded in MLflow, where it is installed and asked for.

MLflow is imported inside functions alone: it is optional, and takes a second.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.visualization.report import list_parameters

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

DATABASE = "data/09_tracking/mlflow.db"
SQLITE = "sqlite:///"
# Servers refuse more: characters of a parameter, parameters and points of a request.
LONGEST, PARAMS_AT_ONCE, POINTS_AT_ONCE = 500, 100, 1000
ABSENT = (
    "tracking.mlflow is true, but MLflow is not installed with all that it takes: run "
    '`pip install "ganvas[mlflow]"`, or set tracking.mlflow=false.'
)
# Tags by which a run is found again: its training, and the command that makes it.
TRAINING, COMMAND = "ganvas.training", "ganvas.command"
# Files that are recorded, by their names in the catalog, and the folders they are put in.
FILES = {
    "report": "report",
    "model_card": "report",
    "metrics": "report",
    "history": "report",
    "training_summary": "report",
    "curves": "pictures",
    "sample_grid": "pictures",
    "real_grid": "pictures",
    "generated_grid": "pictures",
    "latent_walk": "pictures",
    "progress_strip": "pictures",
    "neighbours": "pictures",
    "class_sheets": "pictures/class_sheets",
}


class TrackingParams(Params):
    """Parameters of tracking.

    Attributes:
        mlflow: Whether runs are recorded in MLflow.
        uri: Its database or server; None: an SQLite file of the project's.
        experiment: The experiment that runs are put in.
        register_models: Whether generators are entered in the registry of models.
    """

    mlflow: bool = False
    uri: str | None = None
    experiment: str = Field("ganvas", min_length=1)
    register_models: bool = True


class RunReport(NamedTuple):
    """What there is to record of a run.

    Attributes:
        dataset: Name of the collection.
        network: Name of the network's folders.
        command: What makes the run again.
        parameters: A tree.
        made: What it has made: generator, history and metrics, as far as there are any.
        files: Files and folders that it has written, by their names in the catalog.
        summary: The training's facts; None: it failed before its end.
        status: FINISHED or FAILED.
        message: What went wrong.
    """

    dataset: str
    network: str
    command: str
    parameters: dict[str, Any]
    made: dict[str, Any]
    files: dict[str, Path]
    summary: dict[str, Any] | None
    status: str
    message: str = ""


def record(client: MlflowClient, params: TrackingParams, told: RunReport) -> None:
    """Record a run; one that goes on with an earlier training is added to that one's record."""
    name = f"{told.dataset}/{told.network}"
    started = told.summary["started"] if told.summary else None
    run = join_run(client, find_experiment(client, params.experiment), name, told.command, started)
    try:
        log_parameters(client, run, told.parameters)
        if "history" in told.made:
            log_history(client, run, told.made["history"])
        if "metrics" in told.made and told.summary:
            log_metrics(client, run, told.made["metrics"], told.summary["epochs"])
        for dataset, folder in FILES.items():
            if dataset in told.files:
                log_file(client, run, told.files[dataset], folder)
        if "generator" in told.made:
            register = name.replace("/", "-") if params.register_models else None
            log_generator(client, run, told.made["generator"], register)
        # Also where there is none: what an earlier part failed of no longer holds.
        message = told.message or (told.summary or {}).get("message") or ""
        client.set_tag(run, "mlflow.note.content", message[:LONGEST])
    finally:
        client.set_terminated(run, told.status)


def log_file(client: MlflowClient, run: str, path: Path, folder: str) -> None:
    """Log a file, or all files of a folder, if there are any."""
    if path.is_dir():
        client.log_artifacts(run, str(path), folder)
    elif path.is_file():
        client.log_artifact(run, str(path), folder)


def connect(params: TrackingParams, project: Path) -> MlflowClient:
    """Connect to where runs are recorded, and make it if it is a file.

    Args:
        params: Of tracking.
        project: The folder that the default database lies in.

    Raises:
        GanvasError: MLflow is not installed, or can't be reached.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if importlib.util.find_spec("mlflow") is None:
        raise GanvasError(ABSENT)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = params.uri or f"{SQLITE}{project / DATABASE}"
    try:
        if uri.startswith(SQLITE):
            Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except ImportError as error:
        # The small mlflow-skinny, which reaches servers but no databases.
        raise GanvasError(ABSENT) from error
    except (MlflowException, OSError) as error:
        raise GanvasError(
            f"MLflow can't be reached at {uri}: {str(error).splitlines()[0].rstrip('.')}. "
            "Mend tracking.uri, or set tracking.mlflow=false."
        ) from error
    return client


def find_experiment(client: MlflowClient, name: str) -> str:
    """Give an experiment's id; a new one in an SQLite file keeps its artifacts beside that."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    uri = client.tracking_uri
    beside = None
    if uri.startswith(SQLITE):
        beside = (Path(uri.removeprefix(SQLITE)).resolve().parent / "artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=beside))


def join_run(
    client: MlflowClient, experiment: str, name: str, command: str, started: str | None
) -> str:
    """Give the id of the run that records a training; go on with the one that there is.

    Args:
        client: Of MLflow.
        experiment: Its id.
        name: Dataset and network.
        command: What makes the run again. By it alone one is found that failed before its end.
        started: When training began, as its record has it; None: it failed before its end.
    """
    training = f"{name}/{started}" if started else None
    runs = client.search_runs([experiment], order_by=["attributes.start_time DESC"])
    found = [run for run in runs if training and run.data.tags.get(TRAINING) == training]
    untold = [run for run in runs if TRAINING not in run.data.tags]
    found += [run for run in untold if run.data.tags.get(COMMAND) == command]
    began = datetime.strptime(started, "%Y-%m-%dT%H.%M.%S") if started else datetime.now()
    title = f"{name} {began:%Y-%m-%d %H:%M:%S}"
    run = found[0] if found else client.create_run(experiment, _ms(began), run_name=title)
    identifier = str(run.info.run_id)
    client.update_run(identifier, status="RUNNING")
    client.set_tag(identifier, COMMAND, command)
    if training:
        client.set_tag(identifier, TRAINING, training)
    return identifier


def log_parameters(client: MlflowClient, run: str, tree: dict[str, Any]) -> None:
    """Log a tree of parameters with dots in their keys, cut to 500 characters.

    MLflow's parameters can't be changed. What is another when a run goes on, such as the number of
    epochs, is told in a tag `changed.<key>`.
    """
    from mlflow.entities import Param

    known = client.get_run(run).data.params
    values = {key: str(value)[:LONGEST] for key, value in list_parameters(tree).items()}
    fresh = [Param(key, value) for key, value in values.items() if key not in known]
    for batch in _cut(fresh, PARAMS_AT_ONCE):
        client.log_batch(run, params=batch)
    for key, value in values.items():
        if known.get(key, value) != value:
            client.set_tag(run, f"changed.{key}", value)


def log_history(client: MlflowClient, run: str, history: pd.DataFrame) -> None:
    """Log a series for each numeric column of a history, but for what is there already."""
    from mlflow.entities import Metric

    numbers = history.set_index("epoch").select_dtypes("number")
    points = []
    for column in numbers:
        name = f"train/{column}"
        # An epoch that was cut short is another when the run has gone on.
        known = sorted(client.get_metric_history(run, name), key=lambda point: point.timestamp)
        there = {point.step: point.value for point in known}
        points += [
            Metric(name, float(value), _ms(datetime.now()), int(epoch))
            for epoch, value in zip(history["epoch"], numbers[column], strict=True)
            if math.isfinite(value) and there.get(epoch) != float(value)
        ]
    for batch in _cut(points, POINTS_AT_ONCE):
        client.log_batch(run, metrics=batch)


def log_metrics(
    client: MlflowClient, run: str, metrics: dict[str, dict[str, Any]], epoch: int
) -> None:
    """Log the figures of an evaluation after an epoch, and what real images get (`…/real`)."""
    from mlflow.entities import Metric

    points = [
        Metric(f"evaluate/{key}{suffix}", float(figure[part]), _ms(datetime.now()), epoch)
        for key, figure in metrics.items()
        for part, suffix in {"value": "", "real": "/real"}.items()
        if figure.get(part) is not None and math.isfinite(figure[part])
    ]
    for batch in _cut(points, POINTS_AT_ONCE):
        client.log_batch(run, metrics=batch)


def log_generator(client: MlflowClient, run: str, generator: keras.Model, name: str | None) -> None:
    """Log a generator in Keras's own format, without pickles.

    Args:
        client: Of MLflow.
        run: The run's id.
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        name: What it is called in the registry of models; None: it is not entered.
    """
    import mlflow

    mlflow.set_tracking_uri(client.tracking_uri)
    with mlflow.start_run(run_id=run):
        mlflow.keras.log_model(
            generator,
            name="generator",
            signature=_sign(generator),
            pip_requirements=[f"{each}=={version(each)}" for each in ("keras", "tensorflow")],
            registered_model_name=name,
        )
    # MLflow has ended the run with its `with`.
    client.update_run(run, status="RUNNING")


def _sign(generator: keras.Model) -> ModelSignature:
    """Tell the shapes of a generator's inputs and of its images."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def specify(tensors: list[Any]) -> Schema:
        kind = np.dtype(np.float32)
        return Schema([TensorSpec(kind, (-1, *each.shape[1:]), each.name) for each in tensors])

    return ModelSignature(specify(generator.inputs), specify(generator.outputs))


def _cut(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
