"""Runs logged to MLflow, read back by its own client."""

import json

import keras
import mlflow
import numpy as np
import pandas as pd
import pytest

from ganvas.base_params import flatten
from ganvas.networks.sampling import sample_latents
from ganvas.tracking import (
    TrackingParams,
    connect,
    find_experiment,
    log_history,
    log_parameters,
    resume_run,
)

pytestmark = pytest.mark.slow

REPORTING = "data/08_reporting/sample/dcgan"


@pytest.fixture
def tracked_run(kedro_run):
    """`kedro run` with tracking enabled."""
    return lambda *options, **params: kedro_run(*options, tracking__mlflow="true", **params)


def read_back(project):
    """Return a client of the project's own database, and the runs in it, oldest first."""
    client = mlflow.MlflowClient(f"sqlite:///{project}/data/09_tracking/mlflow.db")
    experiment = client.get_experiment_by_name("ganvas")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return client, runs


def series(client, run, name):
    return [(point.step, point.value) for point in client.get_metric_history(run, name)]


def newest_generator(project):
    versions = sorted((project / "data/06_models/sample/dcgan/generator.keras").iterdir())
    return keras.saving.load_model(versions[-1] / "generator.keras", safe_mode=True)


def test_a_run_is_logged_with_parameters_history_metrics_and_files(project, tracked_run):
    result = tracked_run()
    assert result.exit_code == 0, result.output
    client, (run,) = read_back(project)
    identifier = run.info.run_id
    assert run.info.status == "FINISHED" and run.info.run_name.startswith("sample/dcgan 20")
    summary = json.loads((project / REPORTING / "training.json").read_text())
    expected = flatten(summary["parameters"])
    logged = {
        key: value for key, value in run.data.params.items() if not key.startswith("evaluate.")
    }
    assert logged == {
        key: "none" if value is None else str(value) for key, value in expected.items()
    }
    assert run.data.params["evaluate.count"] == "10"
    assert run.data.tags["ganvas.command"].startswith("kedro run --params=")

    history = pd.read_csv(project / REPORTING / "history.csv")
    for column in ("loss_g", "loss_d", "real_score", "seconds", "images_per_second"):
        points = series(client, identifier, f"train/{column}")
        assert [step for step, _ in points] == [1, 2]
        np.testing.assert_allclose([value for _, value in points], history[column])
    metrics = json.loads((project / REPORTING / "metrics.json").read_text())
    for name, metric in metrics.items():
        assert run.data.metrics[f"evaluate/{name}"] == pytest.approx(metric["value"])

    files = {file.path for file in client.list_artifacts(identifier, "report")}
    names = [
        *("epochs.html", "history.csv", "metrics.json"),
        *("model_card.md", "report.html", "training.json"),
    ]
    assert files == {f"report/{name}" for name in names}
    images = {file.path for file in client.list_artifacts(identifier, "pictures")}
    assert {f"pictures/{name}.png" for name in ("sample_grid", "curves", "neighbours")} <= images
    copy = client.download_artifacts(identifier, "pictures/sample_grid.png", str(project))
    original = project / REPORTING / "sample_grid.png"
    assert (project / copy).read_bytes() == original.read_bytes()


def test_the_registered_model_is_the_generator(project, tracked_run):
    assert tracked_run("--pipelines=train", train__epochs=1).exit_code == 0
    client, (run,) = read_back(project)
    (version,) = client.search_model_versions("name='sample-dcgan'")
    assert version.run_id == run.info.run_id
    mlflow.set_tracking_uri(client.tracking_uri)
    loaded = mlflow.keras.load_model(f"models:/sample-dcgan/{version.version}")
    generator = newest_generator(project)
    latents = sample_latents(generator, 5, 0)
    np.testing.assert_array_equal(loaded(latents), generator(latents))
    info = mlflow.models.get_model_info(f"models:/sample-dcgan/{version.version}")
    assert info.signature.inputs.inputs[0].shape == (-1, 6)
    assert info.signature.outputs.inputs[0].shape == (-1, 32, 32, 3)
    names = [file.name for file in (project / "data/09_tracking/artifacts").rglob("*")]
    assert "model.keras" in names
    assert not any(name.endswith((".pkl", ".pickle")) for name in names)


@pytest.mark.exhaustive
def test_resuming_and_evaluating_later_add_to_the_same_run(project, kedro_run, tracked_run):
    assert tracked_run("--pipelines=train").exit_code == 0
    assert tracked_run("--pipelines=train", train__epochs=3).exit_code == 0
    assert tracked_run("--pipelines=evaluate", train__epochs=3).exit_code == 0
    client, (run,) = read_back(project)
    history = pd.read_csv(project / REPORTING / "history.csv")
    points = series(client, run.info.run_id, "train/loss_g")
    assert [step for step, _ in points] == [1, 2, 3]
    np.testing.assert_allclose([value for _, value in points], history["loss_g"])
    assert run.data.params["train.epochs"] == "2" and run.data.tags["changed.train.epochs"] == "3"
    assert "evaluate/nearest_training_distance" in run.data.metrics
    # Another training is another run; sampling is not logged.
    assert tracked_run("--pipelines=train", train__seed=1, train__epochs=1).exit_code == 0
    assert tracked_run("--pipelines=sample", sample__count=2).exit_code == 0
    assert kedro_run("--pipelines=train", train__seed=2, train__epochs=1).exit_code == 0
    assert len(read_back(project)[1]) == 2


@pytest.mark.exhaustive
def test_a_failed_run_is_marked_and_resumed(project, tracked_run, monkeypatch):
    command = {"train__epochs": 1}
    collection = project / "data/03_primary/sample/collection"

    def fail(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("ganvas.training.checkpoints.CheckpointStore.save", fail)
        assert tracked_run("--pipelines=train", **command).exit_code == 1
    assert collection.is_dir()
    client, (run,) = read_back(project)
    assert run.info.status == "FAILED" and run.data.params["train.epochs"] == "1"
    assert "no space left" in run.data.tags["mlflow.note.content"]
    assert not client.get_metric_history(run.info.run_id, "train/loss_g")
    assert tracked_run("--pipelines=train", **command).exit_code == 0
    client, (again,) = read_back(project)
    assert again.info.run_id == run.info.run_id and again.info.status == "FINISHED"
    assert not [name for name in again.data.tags if name.startswith("changed.")]
    assert "no space" not in again.data.tags["mlflow.note.content"]
    assert len(client.get_metric_history(run.info.run_id, "train/loss_g")) == 1


def test_a_failed_resume_is_not_mistaken_for_the_training(tmp_path):
    client = connect(TrackingParams(mlflow=True), tmp_path)
    experiment = find_experiment(client, "ganvas")

    def resume(started):
        return resume_run(client, experiment, "sample/dcgan", "kedro run", started)

    training, failed = resume("2025-01-02T03.04.05"), resume(None)
    assert failed != training
    assert resume("2025-01-02T03.04.05") == training
    # A run that failed while training is resumed by the next run of the same command.
    assert resume("2025-01-03T03.04.05") == failed


def test_a_partial_epoch_is_logged_again_after_it_was_completed(tmp_path):
    client = connect(TrackingParams(mlflow=True), tmp_path)
    experiment = find_experiment(client, "ganvas")
    run = resume_run(client, experiment, "sample/dcgan", "kedro run", None)
    for losses in ([0.5, 0.4], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]):
        epochs = range(1, len(losses) + 1)
        log_history(client, run, pd.DataFrame({"epoch": epochs, "loss_g": losses}))
    points = sorted(client.get_metric_history(run, "train/loss_g"), key=lambda p: p.timestamp)
    assert len(points) == 4
    assert {point.step: point.value for point in points} == {1: 0.5, 2: 0.3, 3: 0.2}


@pytest.mark.exhaustive
def test_a_diverged_run_is_marked_as_failed(project, tracked_run, divergence):
    assert tracked_run("--pipelines=train").exit_code == 1
    client, (run,) = read_back(project)
    assert run.info.status == "FAILED"
    assert "became nan in epoch 2" in run.data.tags["mlflow.note.content"]
    assert [step for step, _ in series(client, run.info.run_id, "train/loss_d")] == [1]


def test_an_unreachable_server_stops_the_run_before_any_work(project, tracked_run):
    result = tracked_run(tracking__uri="nonsense://nowhere")
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert "nonsense://nowhere" in line and "tracking.uri" in line
    assert not (project / "data/03_primary").exists()


@pytest.mark.exhaustive
def test_a_tracking_failure_does_not_fail_the_run(project, tracked_run, monkeypatch, caplog):
    def fail(*_):
        raise OSError("the server is gone")

    monkeypatch.setattr("ganvas.tracking.log_history", fail)
    assert tracked_run("--pipelines=train", train__epochs=1).exit_code == 0
    assert "the server is gone" in caplog.text
    assert newest_generator(project).output_shape == (None, 32, 32, 3)


def test_long_values_are_cut(tmp_path):
    client = connect(TrackingParams(mlflow=True), tmp_path)
    experiment = find_experiment(client, "ganvas")
    run = resume_run(client, experiment, "sample/dcgan", "kedro run", None)
    many = {f"key{number}": number for number in range(250)}
    log_parameters(client, run, {"a": {"b": "x" * 900}} | many)
    params = client.get_run(run).data.params
    assert params["a.b"] == "x" * 500 and len(params) == 251
