import logging
import re
import threading
from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from ganvas import hooks as hooks_module
from ganvas import stop_signals
from ganvas.errors import GanvasError
from ganvas.hooks import (
    GanvasHooks,
    LockHooks,
    StageHooks,
    check_evaluated,
    describe_metrics,
)
from ganvas.ingestion.collection import replace_collection
from ganvas.pipeline_registry import register_pipelines
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.stop_signals import Interrupted
from ganvas.training.config import TrainParams


def test_a_diverged_run_raises_its_message_and_the_next_run_does_not():
    hooks, pipeline = GanvasHooks(), Pipeline([])
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    summary = {"ended_by": "diverged", "message": "Training diverged."}
    hooks.after_dataset_saved("training_summary", summary)
    with pytest.raises(GanvasError, match="Training diverged"):
        hooks.after_pipeline_run(pipeline, DataCatalog())
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    hooks.after_pipeline_run(pipeline, DataCatalog())


class CompleteCatalog(DataCatalog):
    """A catalog in which every dataset exists."""

    def exists(self, name):
        return True


OLD_VERSION = "2026-01-01T00.00.00.000Z"


def check_old_versions(pipeline, *names):
    """Run the checks before a pipeline with old versions of some datasets."""
    run_params = {"load_versions": dict.fromkeys(names, OLD_VERSION)}
    catalog = CompleteCatalog({"params:evaluate": MemoryDataset({})})
    GanvasHooks().before_pipeline_run(register_pipelines()[pipeline], catalog, run_params)


@pytest.mark.parametrize("pipeline", ["evaluate", "report"])
@pytest.mark.parametrize("name", ["generator", "class_list"])
def test_older_models_are_not_evaluated_as_the_newest_training(pipeline, name):
    check_old_versions(pipeline)
    with pytest.raises(GanvasError, match=f"An older version of {name} can't be evaluated"):
        check_old_versions(pipeline, name)


@pytest.mark.parametrize("pipeline", ["sample", "film", "export"])
def test_a_generator_needs_the_class_list_of_its_own_version(pipeline):
    check_old_versions(pipeline)
    for name in ("generator", "class_list"):
        with pytest.raises(GanvasError, match="generator and class_list must be of the same"):
            check_old_versions(pipeline, name)


@pytest.mark.parametrize(
    ("pipelines", "images", "message"),
    [
        (["__default__"], "art", r"evaluate\.images is art, but this run .*=evaluate_images` with"),
        (["evaluate"], "art.zip", "art.zip, but this run evaluates a trained generator"),
        (["evaluate_images"], None, r"is null.*--params=evaluate\.images=/path/to/images`"),
        (["evaluate_images"], "art", None),
        (["train"], "art", None),
        (["evaluate"], None, None),
    ],
)
def test_images_to_evaluate_are_never_ignored(pipelines, images, message):
    pipeline = sum((register_pipelines()[name] for name in pipelines), Pipeline([]))
    params = EvaluateParams(images=images)
    if message is None:
        check_evaluated(pipeline, params)
        return
    with pytest.raises(GanvasError, match=message):
        check_evaluated(pipeline, params)


TRAIN = Node(lambda x: x, "collection", "generator", name="train_gan", namespace="train")


def start(tmp_path, name: str, **train) -> LockHooks:
    """Run the hooks before a pipeline as a process of its own would."""
    hooks = LockHooks()
    paths = {
        "collection": "data/collection",
        "checkpoints": "models/checkpoints",
        "samples": "output/samples",
        "films": "output/films",
        "exported": "models/exported",
    }
    hooks.after_catalog_created(
        {key: {"filepath": f"{tmp_path}/{path}"} for key, path in paths.items()}
    )
    params = TrainParams(**({"epochs": 1} | train))
    catalog = DataCatalog({"params:train": MemoryDataset(params)})
    hooks.before_pipeline_run(register_pipelines()[name], catalog)
    if "ingest" in {node.namespace for node in register_pipelines()[name].nodes}:
        # Training begins.
        hooks.before_dataset_loaded("collection", TRAIN)
    return hooks


def save(hooks: LockHooks) -> None:
    """Run the hook before the first output of training is saved."""
    hooks.before_dataset_saved(TRAIN)


@pytest.mark.parametrize("name", ["evaluate", "report"])
def test_a_training_that_is_saved_is_evaluated_by_one_process_at_a_time(tmp_path, name):
    first = start(tmp_path, "__default__")
    start(tmp_path, name).on_pipeline_error()
    save(first)
    with pytest.raises(GanvasError, match=r"^Another run \(process \d+ on .*models: wait for it"):
        start(tmp_path, name)
    # It reads saved models, and writes elsewhere.
    sampling = start(tmp_path, "sample")
    with pytest.raises(GanvasError, match=r"writes to .*samples: wait for it, or set another"):
        start(tmp_path, "sample")
    filming = start(tmp_path, "film")
    with pytest.raises(GanvasError, match=r"writes to .*films: wait for it"):
        start(tmp_path, "film")
    filming.on_pipeline_error()
    start(tmp_path, "export").on_pipeline_error()
    for hooks in (first, sampling):
        hooks.after_pipeline_run()
    start(tmp_path, name).on_pipeline_error()
    start(tmp_path, "sample").on_pipeline_error()


def test_two_runs_train_at_once_and_the_second_waits_to_save(tmp_path, caplog):
    first, second = (start(tmp_path, "__default__") for _ in range(2))
    save(first)
    threading.Timer(0.5, first.after_pipeline_run).start()
    with caplog.at_level(logging.INFO):
        save(second)
    assert re.search(
        "Waiting for another run .*, which evaluates or reports on .*models", caplog.text
    )
    # Only the first output is waited for.
    save(second)
    second.after_pipeline_run()


def test_after_sigterm_no_run_waits_to_save(tmp_path, monkeypatch):
    first, second = (start(tmp_path, "__default__") for _ in range(2))
    save(first)
    monkeypatch.setattr(stop_signals, "_terminated", True)
    with pytest.raises(Interrupted):
        save(second)
    for hooks in (first, second):
        hooks.on_pipeline_error()


def test_a_collection_is_not_replaced_while_a_run_uses_it(tmp_path):
    first = start(tmp_path, "__default__")
    second = start(tmp_path, "__default__")
    with (
        pytest.raises(GanvasError, match=r"trains or evaluates with .*collection: wait for it, or"),
        replace_collection(tmp_path / "data/collection"),
    ):
        pass
    for hooks in (first, second):
        hooks.after_pipeline_run()
    with replace_collection(tmp_path / "data/collection"):
        pass


@pytest.mark.parametrize("train", [{"dry_run": True}, {"distribute": "auto"}])
def test_a_dry_run_and_a_worker_that_is_not_the_chief_write_nothing(tmp_path, monkeypatch, train):
    first = start(tmp_path, "train")
    if "distribute" in train:
        cluster = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}'
        monkeypatch.setenv("TF_CONFIG", cluster)
    save(first)
    other = start(tmp_path, "train", **train)
    save(other)
    first.after_pipeline_run()
    with replace_collection(tmp_path / "data/collection"):
        pass


def test_each_stage_logs_its_time_once_all_its_outputs_are_saved(monkeypatch, caplog):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(hooks_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    first = Node(lambda: (1, 2), None, ["a", "b"], name="first", namespace="train")
    other = Node(lambda a: a, "a", "c", name="other", namespace="report")
    last = Node(lambda b: b, "b", "d", name="last", namespace="train")
    hooks = StageHooks()
    hooks.before_pipeline_run(Pipeline([first, other, last]))
    with caplog.at_level(logging.INFO):
        for seconds, dataset, node in [
            (10, "a", first),
            (1, "b", first),
            (5, "c", other),
            (100, "d", last),
        ]:
            clock.now += seconds
            hooks.after_dataset_saved(dataset, node)
    assert caplog.messages == ["Finished report in 5.0 s.", "Finished train in 1 min 51 s."]


def test_the_main_metrics_are_described_with_their_baselines():
    def metric(title, value, real):
        return {"title": title, "value": value, "real": real}

    others = {
        "loss": metric("Generator loss", 1.0, None),
        "diversity": metric("Diversity", 0.5, 0.9),
    }
    assert describe_metrics(others) == "Diversity 0.5 (real images 0.9)"
    main = {
        "recall": metric("Recall", 0.39843, None),
        "frechet_distance": metric("Fréchet distance (FID)", 95.0651, 34.5024),
    }
    assert (
        describe_metrics(others | main)
        == "Fréchet distance (FID) 95.1 (real images 34.5), Recall 0.398"
    )
