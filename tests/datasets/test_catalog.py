"""The catalog: versions of models, and files that can't be read."""

import copy
import functools
import json
import logging
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from ganvas.datasets.catalog import GanvasCatalog, check_versions
from ganvas.errors import GanvasError
from ganvas.pipeline_registry import register_pipelines
from projects import load_config

OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
FUTURE = "2099-01-01T00.00.00.000Z"
MODELS, REPORTING = "data/06_models/sample/dcgan", "data/08_reporting/sample/dcgan"


@pytest.fixture(autouse=True)
def pipelines(monkeypatch):
    """The project's pipelines, which Kedro knows in a run."""
    registered = register_pipelines()
    monkeypatch.setattr("ganvas.datasets.catalog.pipelines", registered)
    return registered


@functools.cache
def read_config() -> dict:
    return load_config("catalog", params={"network": {"name": "dcgan", "label": None}})


def make_catalog(folder: Path, save_version: str | None = None, **load_versions: str):
    """The catalog of the project, with its data in a folder."""
    config = copy.deepcopy(read_config())
    for entry in config.values():
        for key in ("filepath", "path"):
            if key in entry:
                entry[key] = str(folder / entry[key])
    credentials = {"kaggle": None, "huggingface": None, "object_store": None}
    return GanvasCatalog.from_config(
        config, credentials, load_versions=load_versions, save_version=save_version
    )


def save_classes(folder: Path, version: str, *names: str) -> None:
    classes = {"column": "genre", "names": list(names)}
    make_catalog(folder, version).save("class_list", classes)


def write_summary(folder: Path, **values: object) -> None:
    file = folder / REPORTING / "training.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values))


def load_names(catalog: GanvasCatalog) -> list[str]:
    return catalog.load("class_list")["names"]


def test_a_run_loads_what_it_has_saved_itself(tmp_path):
    save_classes(tmp_path, FUTURE, "of a clock that was ahead")
    catalog = make_catalog(tmp_path, NEW)
    assert catalog.exists("class_list")
    catalog.save("class_list", {"column": "genre", "names": ["new"]})
    assert load_names(catalog) == ["new"]
    # So does a later run, whose training.json is missing or of an earlier version of Ganvas.
    assert load_names(make_catalog(tmp_path, "2026-01-03T00.00.00.000Z")) == ["new"]
    write_summary(tmp_path, epochs=3)
    assert load_names(make_catalog(tmp_path)) == ["new"]


def test_the_version_of_the_last_training_is_loaded(tmp_path, caplog):
    for version in (OLD, NEW, FUTURE):
        save_classes(tmp_path, version, version)
    write_summary(tmp_path, version=OLD)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert load_names(make_catalog(tmp_path)) == [OLD]
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / MODELS / 'class_list.json' / FUTURE} is not used")
    assert load_names(make_catalog(tmp_path, class_list=NEW)) == [NEW]
    (tmp_path / REPORTING / "training.json").write_text('{"version": "20')
    assert load_names(make_catalog(tmp_path)) == [NEW]


def check(folder: Path, pipeline: str, **versions: str) -> None:
    check_versions(register_pipelines()[pipeline], make_catalog(folder, **versions), versions)


def test_a_version_that_is_not_there_is_told_with_those_that_are(tmp_path):
    for version in (OLD, NEW):
        save_classes(tmp_path, version, version)
        file = tmp_path / MODELS / "generator.keras" / version / "generator.keras"
        file.parent.mkdir(parents=True)
        file.touch()
    check(tmp_path, "sample", generator=OLD, class_list=OLD)
    with pytest.raises(GanvasError) as caught:
        check(tmp_path, "sample", generator=FUTURE, class_list=FUTURE)
    assert str(caught.value) == (
        f"There is no version '{FUTURE}' of generator in "
        f"{tmp_path / MODELS / 'generator.keras'}: there are {NEW}, {OLD}."
    )
    with pytest.raises(GanvasError, match=r"generator in .*: there is none yet"):
        check(tmp_path / "empty", "sample", generator=OLD, class_list=OLD)


@pytest.mark.parametrize(
    ("pipeline", "name", "message"),
    [
        ("report", "metrics", "can't have metrics, which has no versions: .* generator, "),
        ("__default__", "generator", "this run creates it itself: leave it out"),
        ("ingest", "generator", "this run doesn't read it: leave it out"),
    ],
)
def test_a_version_without_effect_is_refused(tmp_path, pipeline, name, message):
    with pytest.raises(GanvasError, match=message):
        check(tmp_path, pipeline, **{name: OLD})


def test_a_version_of_an_unknown_dataset_is_refused(tmp_path):
    with pytest.raises(GanvasError, match="has models, but there are versions of generator, "):
        make_catalog(tmp_path, models=OLD)


def test_models_of_another_training_than_the_recorded_one_are_not_evaluated(tmp_path):
    save_classes(tmp_path, OLD, "old")
    write_summary(tmp_path, version=NEW)
    with pytest.raises(GanvasError, match=f"no version '{NEW}' of class_list in .*copy it there"):
        check(tmp_path, "report")
    save_classes(tmp_path, NEW, "new")
    check(tmp_path, "report")


# Datasets of the catalog that are read from single files, with valid content.
SUMMARY = {
    **{"dataset": "sample", "network": "dcgan", "started": "2026-01-01T00.00.00", "epochs": 1},
    **{"finished": "2026-01-01", "ended_by": "epochs", "message": "", "seconds": 1.5},
    **{"images_seen": 8, "snapshots": "a", "warnings": [], "held_out": 2, "versions": {}},
    **{"classes": {"column": None, "names": []}, "parameters": {"train": {"seed": 0}}},
}
METRIC = {"title": "Recall", "value": 0.5, "spread": None, "unit": "", "protocol": "", "real": 1}
ROW = {"epoch": 1, "loss_g": 1, "loss_d": 1, "real_score": 0.5, "fake_score": 0.5}
TABLES = {
    "history": pd.DataFrame([ROW | {"seconds": 1, "images_per_second": 9}]),
    "rejected": pd.DataFrame({"path": ["a.png"], "reason": ["too small: 20×30 pixels"]}),
    "image_index": pd.DataFrame({"path": ["a"], "hash": ["0" * 32], "split": ["train"]}),
    "artists": pd.DataFrame({"name": ["Ann"], "files": [1]}),
}
CONTENTS = {
    "training_summary": ("train", SUMMARY),
    "class_list": ("train", {"column": None, "names": []}),
    "metrics": ("evaluate", {"recall": METRIC}),
    "fetched": ("fetch", {"handle": "a/b"}),
    "export_manifest": ("export", {"files": {}}),
    "history": ("train", TABLES["history"]),
    "rejected": ("ingest", TABLES["rejected"]),
    "image_index": ("ingest", TABLES["image_index"]),
    "artists": ("ingest", TABLES["artists"]),
}
IMAGES = {"sample_grid": "report", "neighbours": "evaluate", "progress_animation": "report"}


def check_sentence(catalog: GanvasCatalog, name: str, file: Path, pipeline: str) -> str:
    """Load a damaged dataset; return the sentence, which has the path and what creates it."""
    with pytest.raises(DatasetError) as caught:
        catalog.load(name)
    cause = caught.value.__cause__
    assert isinstance(cause, GanvasError)
    sentence = str(cause)
    assert sentence.startswith(f"{file} can't be ") and "\n" not in sentence
    assert f"`kedro run --pipelines={pipeline}` with the same" in sentence
    return sentence


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("damage", ["empty", "cut off", "other type", "no text"])
def test_a_damaged_file_is_one_sentence_with_its_path_and_remedy(tmp_path, name, damage):
    pipeline, content = CONTENTS[name]
    catalog = make_catalog(tmp_path, NEW)
    catalog.save(name, content)
    catalog = make_catalog(tmp_path)
    catalog.load(name)
    (file,) = [path for path in (tmp_path / "data").rglob("*.*") if path.is_file()]
    whole = file.read_bytes()
    damaged = {
        "empty": b"",
        "cut off": whole[: len(whole) // 3],
        "other type": b'["a", 1]' if file.suffix == ".json" else b"a,b\n1,2\n",
        "no text": b"\xff\xfe\x00\x81" * 9,
    }
    file.write_bytes(damaged[damage])
    sentence = check_sentence(make_catalog(tmp_path), name, file, pipeline)
    assert ("it is empty" in sentence) == (damage == "empty")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("size", [0, 20, 60])
def test_a_damaged_image_is_one_sentence_with_its_path_and_remedy(tmp_path, images, name, size):
    catalog = make_catalog(tmp_path)
    catalog.save(name, images[:2] if name == "progress_animation" else images[0])
    (file,) = [path for path in (tmp_path / "data").rglob("*.*") if path.is_file()]
    file.write_bytes(file.read_bytes()[:size])
    check_sentence(catalog, name, file, IMAGES[name])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics", {"recall": METRIC | {"value": None}}, "'recall.value' must be a number, not "),
        ("metrics", {"recall": 0.5}, "'recall' must be an object"),
        ("training_summary", SUMMARY | {"classes": []}, "'classes' must be an object"),
        ("training_summary", SUMMARY | {"parameters": {}}, "'parameters.train' is missing"),
        ("class_list", {"column": "a"}, "'names' is missing"),
        ("class_list", {"column": "a", "names": ["b", 3]}, "A name in 'names' must be text, not 3"),
    ],
)
def test_a_wrong_value_in_a_file_is_named(tmp_path, name, content, message):
    catalog = make_catalog(tmp_path, NEW)
    catalog.save(name, CONTENTS[name][1])
    (file,) = (tmp_path / "data").rglob("*.*json/*/*.json" if name == "class_list" else "*.json")
    file.write_text(json.dumps(content))
    sentence = check_sentence(make_catalog(tmp_path), name, file, CONTENTS[name][0])
    assert message in sentence
