"""The whole way through Kedro itself, at a tiny size."""

import json
import logging

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.training.callbacks import EpochTable
from ganvas.training.gan import SCORES

REPORTING = "data/08_reporting/sample/dcgan"
OUTPUT = "data/07_model_output/sample/dcgan"


def newest(project, name):
    versions = sorted((project / "data/06_models/sample/dcgan" / f"{name}.keras").iterdir())
    return versions[-1] / f"{name}.keras"


def sentence(result) -> str:
    """The error's text, which must be one line without a traceback."""
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and "Traceback" not in result.output
    return lines[0]


def test_the_default_pipeline_leads_from_nothing_to_a_report(project, kedro_run, caplog):
    with caplog.at_level(logging.INFO):
        result = kedro_run()
    assert result.exit_code == 0, result.output
    report = project / REPORTING / "report.html"
    assert f"Report: {report}" in caplog.text
    assert "<h1>sample, painted by dcgan</h1>" in report.read_text()
    history = pd.read_csv(project / REPORTING / "history.csv")
    assert list(history.columns) == ["epoch", *SCORES, "seconds", "images_per_second"]
    assert len(history) == 2
    metrics = json.loads((project / REPORTING / "metrics.json").read_text())
    assert metrics["loss_g"]["value"] == pytest.approx(history["loss_g"].iloc[-1])
    assert 0 <= metrics["discriminator_accuracy_generated"]["value"] <= 1
    assert metrics["nearest_training_distance_generated"]["value"] > 0
    assert all(figure["protocol"] for figure in metrics.values())
    snapshots = sorted(path.name for path in (project / OUTPUT / "snapshots").rglob("*.png"))
    assert snapshots == ["epoch_00001.png", "epoch_00002.png"]
    assert len(pd.read_parquet(project / "data/02_intermediate/sample/artists.parquet")) == 8
    index = pd.read_parquet(project / "data/03_primary/sample/image_index.parquet")
    assert len(index) == 24 and {"path", "artist", "genre", "split", "hash"} <= set(index.columns)
    sample_after_training(project, kedro_run)


def sample_after_training(project, kedro_run):
    """The same seed gives the same bytes, in as many files as asked for and one grid."""
    folder = project / OUTPUT / "samples"
    contents = []
    for count in (7, 7, 5):
        kedro_run("--pipelines=sample", sample__count=count, sample__seed=7, sample__columns=4)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1] and len(contents[0]) == 7 + 1
    assert len(contents[2]) == 5 + 1
    singles = sorted(set(contents[2]) - {"grid.png"})
    assert all(contents[2][name] == contents[0][name] for name in singles)
    with Image.open(folder / singles[0]) as picture:
        assert picture.size == (32, 32) and picture.format == "PNG"
    generator = keras.saving.load_model(newest(project, "generator"), safe_mode=True)
    latents = np.random.default_rng(7).standard_normal((7, 6), dtype=np.float32)
    expected = (np.asarray(generator(latents)) + 1) * 127.5
    with Image.open(folder / singles[4]) as picture:
        assert np.abs(np.asarray(picture) - expected[4]).max() <= 0.51


@pytest.mark.parametrize("option", ["--pipeline=train", "--pipelines=train"])
def test_training_alone_works_on_a_fresh_clone(project, kedro_run, option):
    assert kedro_run(option, train__epochs=1).exit_code == 0
    for name in ("generator", "discriminator"):
        keras.saving.load_model(newest(project, name), safe_mode=True)
    assert not (project / REPORTING / "report.html").exists()


def test_training_again_with_other_parameters_keeps_the_first_model(project, kedro_run):
    kedro_run("--pipelines=train", train__epochs=1)
    first = newest(project, "generator")
    content = first.read_bytes()
    kedro_run("--pipelines=train", train__epochs=1, train__seed=1)
    assert newest(project, "generator") != first and first.read_bytes() == content


def test_a_diverged_run_fails_but_its_last_good_model_is_saved(project, kedro_run, monkeypatch):
    record = EpochTable.on_epoch_end

    def record_and_injure(self, epoch, logs=None):
        record(self, epoch, logs)
        kernel = self.model.discriminator.trainable_weights[0]
        kernel.assign(np.full(kernel.shape, np.nan, np.float32))

    monkeypatch.setattr(EpochTable, "on_epoch_end", record_and_injure)
    assert "became nan in epoch 2" in sentence(kedro_run())
    summary = json.loads((project / REPORTING / "training.json").read_text())
    assert summary["ended_by"] == "diverged" and summary["epochs"] == 1
    for name in ("generator", "discriminator"):
        weights = keras.saving.load_model(newest(project, name)).get_weights()
        assert all(np.isfinite(array).all() for array in weights)
    assert not (project / REPORTING / "report.html").exists()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"train__epochs": 0}, ["'train.epochs'", "0", "greater than or equal to 1"]),
        ({"train__epoch": 5}, ["'train.epoch'", "did you mean 'epochs'"]),
        ({"network__name": "vgg"}, ["'network.name'", "'vgg'", "'dcgan'"]),
        ({"ingest__size": 50}, ["'ingest.size'", "50", "32, 64, 128 or 256"]),
        ({"ingest__dataset": "../up"}, ["'ingest.dataset'", "../up"]),
        ({"traim__epochs": 5}, ["'traim'", "did you mean 'train'"]),
    ],
)
def test_a_wrong_parameter_stops_before_any_work(project, kedro_run, params, words):
    message = sentence(kedro_run(**params))
    assert all(word in message for word in words), message
    assert not (project / "data").exists()


def test_a_missing_source_folder_is_told(kedro_run):
    params = {"ingest__source__name": "artworks", "ingest__source__path": "nowhere"}
    message = sentence(kedro_run("--pipelines=ingest", **params))
    assert "nowhere does not exist" in message and "ingest.source.path" in message


def test_sampling_before_training_says_what_to_run(kedro_run):
    message = sentence(kedro_run("--pipelines=sample"))
    assert "no generator yet" in message and "kedro run --pipelines=train" in message


def test_a_generator_of_another_size_is_not_judged(kedro_run):
    kedro_run("--pipelines=train", train__epochs=1)
    kedro_run("--pipelines=ingest", ingest__size=64)
    message = sentence(kedro_run("--pipelines=evaluate", ingest__size=64))
    assert "32×32" in message and "64×64" in message and "ingest.size" in message


def test_the_artworks_preset_follows_its_own_paths(project, kedro_run):
    kedro_run("--pipelines=ingest")
    params = {"ingest__source__path": "data/01_raw/sample"}
    result = kedro_run("--env=artworks", "--pipelines=train", train__epochs=1, **params)
    assert result.exit_code == 0, result.output
    assert (project / "data/06_models/artworks/dcgan/generator.keras").is_dir()
    assert not (project / "data/06_models/sample").exists()
