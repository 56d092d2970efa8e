"""End-to-end tests of `kedro run` at a tiny size."""

import json
import logging
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganvas.networks import NetworkParams, build
from ganvas.networks.gan_networks import remove_prior
from ganvas.training.gan import SCORES

MODELS = "data/06_models/sample/dcgan"
OUTPUT = "data/07_model_output/sample/dcgan"
REPORTING = "data/08_reporting/sample/dcgan"


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def newest_model(project: Path, name: str) -> Path:
    versions = sorted((project / MODELS / f"{name}.keras").iterdir())
    return versions[-1] / f"{name}.keras"


def load_newest(project: Path, name: str) -> keras.Model:
    return keras.saving.load_model(newest_model(project, name), safe_mode=True)


def error_message(result) -> str:
    """Return the error of a failed run, which must be one line without a traceback."""
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and "Traceback" not in result.output
    return lines[0]


def assert_image_equals(path: Path, expected: np.ndarray) -> None:
    """Compare a PNG with a generator's float image, up to rounding."""
    with Image.open(path) as image:
        assert np.abs(np.asarray(image) - (expected + 1) * 127.5).max() <= 0.51


# The whole way, with each network


def test_the_default_pipeline_produces_models_metrics_and_a_report(project, kedro_run, caplog):
    with caplog.at_level(logging.INFO):
        result = kedro_run()
    assert result.exit_code == 0, result.output

    # Ingest
    assert len(pd.read_parquet(project / "data/02_intermediate/sample/artists.parquet")) == 8
    index = pd.read_parquet(project / "data/03_primary/sample/image_index.parquet")
    assert len(index) == 24 and {"path", "artist", "genre", "split", "hash"} <= set(index.columns)

    # Train
    history = pd.read_csv(project / REPORTING / "history.csv")
    diagnostics = ["diversity", "novelty", "warnings"]
    assert list(history.columns) == ["epoch", *SCORES, "seconds", "images_per_second", *diagnostics]
    assert len(history) == 2
    snapshots = sorted(path.name for path in (project / OUTPUT / "snapshots").rglob("epoch_*.png"))
    assert snapshots == ["epoch_00001.png", "epoch_00002.png"]

    # Evaluate
    metrics = read_json(project / REPORTING / "metrics.json")
    assert metrics["loss_g"]["value"] == pytest.approx(history["loss_g"].iloc[-1])
    assert 0 <= metrics["discriminator_accuracy_generated"]["value"] <= 1
    assert metrics["nearest_training_distance"]["value"] > 0
    # A generator of two epochs, and too few images for more than one cluster.
    diversity = metrics["class_diversity_pixels"]
    assert diversity["by_class"] == {"cluster 1": diversity["value"]}
    assert diversity["value"] < 0.3 < diversity["real"]
    assert all(metric["protocol"] for metric in metrics.values())

    # Report
    report = project / REPORTING / "report.html"
    assert f"Report: {report}" in caplog.text
    assert "<h1>sample · DCGAN · 32×32 pixels</h1>" in report.read_text()
    assert "Mode collapse within groups of similar images" in report.read_text()
    card = (project / MODELS / "model_card.md").read_text()
    assert "# sample · DCGAN · 32×32 pixels" in card and "Discriminator accuracy" in card
    assert (project / MODELS / "samples.png").is_file()

    # Compare and sample
    assert kedro_run("--pipelines=compare").exit_code == 0
    page = (project / "data/08_reporting/comparison.html").read_text()
    assert "1. dcgan" in page and page.count("<h2>") == 1
    (entry,) = (project / "data/08_reporting/leaderboard").glob("*.json")
    run = read_json(entry)
    assert run["history"]["loss_g"] == pytest.approx(history["loss_g"])
    training = read_json(project / REPORTING / "training.json")
    assert (run["model_version"], run["ended_by"]) == (training["version"], training["ended_by"])
    assert run["command"] == training["command"]
    check_samples(project, kedro_run)


def check_samples(project, kedro_run):
    """Check that the same seed generates the same files, and that the count is kept to."""
    folder = project / OUTPUT / "samples"
    contents = []
    for count in (7, 7, 5):
        kedro_run("--pipelines=sample", sample__count=count, sample__seed=7, sample__columns=4)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1] and len(contents[0]) == 7 + 1
    assert len(contents[2]) == 5 + 1
    names = sorted(set(contents[2]) - {"grid.png"})
    assert all(contents[2][name] == contents[0][name] for name in names)
    with Image.open(folder / names[0]) as image:
        assert image.size == (32, 32) and image.format == "PNG"
    latents = np.random.default_rng(7).standard_normal((7, 6), dtype=np.float32)
    expected = np.asarray(load_newest(project, "generator")(latents))
    assert_image_equals(folder / names[4], expected[4])


def test_the_default_network_runs_through_the_default_pipeline(project, kedro_run):
    tiny = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}
    result = kedro_run(
        network__name="projected",
        network__label="auto",
        train__loss__name="hinge",
        train__augment__name="diffaugment",
        train__anchor__every=2,
        train__simultaneous_updates="true",
        evaluate__extractor="efficientnet_lite2",
        ingest__source__sample__images=48,
        ingest__validation_share=0.3,
        **{f"network__projected__{name}": value for name, value in tiny.items()},
    )
    assert result.exit_code == 0, result.output
    reporting = project / "data/08_reporting/sample/projected_by_genre"
    metrics = read_json(reporting / "metrics.json")
    assert metrics["kernel_distance"]["value"] > 0
    assert 0 <= metrics["discriminator_accuracy_held_out"]["value"] <= 1
    assert "<h1>sample · Projected GAN, by genre · 32×32" in (reporting / "report.html").read_text()
    # The saved generator takes N(0, I) to latents like those of training.
    models = project / "data/06_models/sample/projected_by_genre"
    generator = keras.saving.load_model(next(models.glob("generator.keras/*/*.keras")))
    assert remove_prior(generator) is not generator
    assert generator.get_layer("prior_centers").weights[0].shape[1] == 6
    check_inversion(project, kedro_run, models)


def check_inversion(project, kedro_run, models):
    """The encoder that training has saved beside the generator finds the latents of images."""
    (encoder,) = models.glob("encoder.npz/*/encoder.npz")
    (generator,) = models.glob("generator.keras/*")
    assert encoder.parent.name == generator.name
    image = next((project / "data/01_raw/sample").rglob("*.jpg"))
    result = kedro_run(
        "--pipelines=invert",
        network__name="projected",
        network__label="auto",
        invert__images=image,
        invert__steps=2,
    )
    assert result.exit_code == 0, result.output
    output = project / "data/07_model_output/sample/projected_by_genre/inverted"
    latents = np.load(output / "latents.npz")
    assert latents["w"].shape == (1, 6) and latents["labels"].sum() == 1
    assert latents["names"].tolist() == [image.name]
    (row,) = pd.read_csv(output / "distances.csv").to_dict("records")
    assert row["file"] == image.name and 0 < row["feature_distance"] < 4
    # It is a training image, or one of another split, and JPEG and resizing change little.
    assert row["random_training_pixel_distance"] > 0
    medians = read_json(output / "medians.json")
    assert {"images", "encoder", "generated", "random_training"} < medians.keys()
    assert (output / "sheet.png").is_file()
    # Saved again beside the same generator, not as a version of its own.
    assert list(models.glob("encoder.npz/*/encoder.npz")) == [encoder]


ARTGAN = {
    "network__name": "artgan",
    "network__label": "genre",
    "network__artgan__width": 4,
    "network__artgan__latent": 6,
    "train__uniform_class_sampling": "true",
}


@pytest.mark.exhaustive
def test_a_class_conditional_network_runs_through_the_default_pipeline(project, kedro_run):
    # Several images of each composition of each style, both for training and for validation.
    shares = {"ingest__source__sample__images": 96, "ingest__validation_share": 0.3}
    evaluate = {"evaluate__parzen": 20, "evaluate__extractor": "efficientnet_lite2"}
    result = kedro_run(**ARTGAN, **shares, **evaluate, evaluate__count=24)
    assert result.exit_code == 0, result.output
    reporting = project / "data/08_reporting/sample/artgan_by_genre"
    metrics = read_json(reporting / "metrics.json")

    # The styles of the sample collection are easy to classify, even from few images.
    accuracy = metrics["class_agreement"]
    assert 0 <= accuracy["value"] < 0.6 < accuracy["real"]
    assert "8 classes of genre" in accuracy["protocol"]
    # An untrained generator's images are further from real ones than real ones are.
    assert metrics["nearest_training_features"]["value"] > 0
    for name in ("frechet_distance", "kernel_distance"):
        assert metrics[name]["value"] > 1.5 * abs(metrics[name]["real"])
        assert "efficientnet_lite2" in metrics[name]["title"]
    assert metrics["coverage"]["value"] < metrics["coverage"]["real"] <= 1
    # Only InceptionV3's metrics are called FID, KID and IS.
    assert not re.search(r"\b(FID|KID|IS)\b(?!-)", json.dumps(metrics))
    likelihood = metrics["parzen_log_likelihood"]
    assert f"D={32 * 32 * 3}, range 0 to 1" in likelihood["protocol"]
    # Between that of windows far from all test images and that of one at each of them.
    assert -1e5 < likelihood["value"] < 32 * 32 * 3 * 2.3

    page = (reporting / "report.html").read_text()
    assert "per class</h2>" in page and "Parzen-window log-likelihood" in page
    assert [path.name for path in (reporting / "class_sheets").iterdir()] == ["sheet00.png"]
    check_samples_of_one_class(project, kedro_run)


def check_samples_of_one_class(project, kedro_run):
    params = ARTGAN | {"sample__count": 3, "sample__seed": 5}
    result = kedro_run("--pipelines=sample", **params, sample__classes="Night Skies")
    assert result.exit_code == 0, result.output
    folder = project / "data/07_model_output/sample/artgan_by_genre/samples"
    names = sorted(path.name for path in folder.iterdir() if path.name != "grid.png")
    assert names == [f"seed5_{number:06d}_Night-Skies.png" for number in range(3)]

    models = project / "data/06_models/sample/artgan_by_genre"
    classes = read_json(next(models.glob("class_list.json/*/class_list.json")))
    assert classes["column"] == "genre" and len(classes["names"]) == 8
    generator = keras.saving.load_model(next(models.glob("generator.keras/*/*.keras")))
    one_hot = np.eye(8, dtype=np.float32)[[classes["names"].index("Night Skies")] * 3]
    latents = np.random.default_rng(5).standard_normal((3, 6), dtype=np.float32)
    expected = np.asarray(generator([latents, one_hot]))
    assert_image_equals(folder / names[2], expected[2])

    message = error_message(kedro_run("--pipelines=sample", **params, sample__classes="Day Skies"))
    assert "'Day Skies'" in message and "Night Skies" in message


@pytest.mark.exhaustive
def test_the_r3gan_preset_runs_through_the_default_pipeline(project, kedro_run):
    tiny = {"network__r3gan__width": 4, "network__r3gan__max_width": 8, "train__epochs": 1}
    result = kedro_run("--env=r3gan", **tiny, network__r3gan__group_width=4)
    assert result.exit_code == 0, result.output
    report = project / "data/08_reporting/sample/r3gan/report.html"
    assert "<h1>sample · R3GAN · 32×32 pixels</h1>" in report.read_text()


@pytest.mark.exhaustive
def test_the_artworks_preset_uses_its_own_paths(project, kedro_run):
    kedro_run("--pipelines=ingest")
    params = {"ingest__source__path": "data/01_raw/sample"}
    result = kedro_run("--env=artworks", "--pipelines=train", train__epochs=1, **params)
    assert result.exit_code == 0, result.output
    assert (project / "data/06_models/artworks/dcgan/generator.keras").is_dir()
    assert not (project / "data/06_models/sample").exists()


# Training


@pytest.mark.parametrize("option", ["--pipeline=train", "--pipelines=train"])
def test_the_train_pipeline_alone_works_on_a_fresh_clone(project, kedro_run, option):
    assert kedro_run(option, train__epochs=1).exit_code == 0
    for name in ("generator", "discriminator"):
        load_newest(project, name)
    assert not (project / REPORTING / "report.html").exists()


@pytest.mark.exhaustive
def test_a_conditional_dcgan_trains_with_any_label_column(project, kedro_run):
    for label in ("artist", "nationality"):
        result = kedro_run("--pipelines=train", train__epochs=1, network__label=label)
        assert result.exit_code == 0, result.output
        models = project / f"data/06_models/sample/dcgan_by_{label}"
        assert next(models.glob("generator.keras/*/*.keras")).stat().st_size
    message = error_message(kedro_run("--pipelines=train", network__label="school"))
    assert "'school'" in message and "artist, genre, nationality" in message


@pytest.mark.exhaustive
def test_every_training_option_works_in_a_run(project, kedro_run):
    result = kedro_run(
        network__dcgan__discriminator_norm="none",
        train__epochs=3,
        train__loss__name="hinge",
        train__augment__name="adaptive_diffaugment",
        train__ema_decay=0.9,
        train__penalty__r1=1.0,
        train__penalty__interval=2,
        train__gradient_accumulation_steps=2,
        train__simultaneous_updates="true",
        train__precision="mixed_bfloat16",
        train__schedule__name="cosine",
        train__kid_validation__interval=2,
        train__kid_validation__images=10,
        train__kid_validation__keep="best",
        train__tensorboard="true",
    )
    assert result.exit_code == 0, result.output
    history = pd.read_csv(project / REPORTING / "history.csv")
    assert history["kernel_distance"].notna().tolist() == [False, True, False]
    assert {"diversity", "novelty", "augment_probability"} <= set(history.columns)
    summary = read_json(project / REPORTING / "training.json")
    assert summary["best"]["epoch"] == 2
    logs = [path.name for path in (project / OUTPUT / "snapshots").glob("*/tensorboard/*")]
    assert sorted(logs) == ["snapshots", "train"]
    rates = read_tensorboard(project, "epoch_generator_learning_rate")
    assert len(rates) == 3 and 0.001 > rates[0] > rates[1] > rates[2] > 0
    for name in ("generator", "discriminator"):
        layers = load_newest(project, name).layers
        assert all(layer.compute_dtype == "float32" for layer in layers)


def read_tensorboard(project: Path, tag: str) -> list[float]:
    """Read a series as TensorBoard does."""
    (folder,) = (project / OUTPUT / "snapshots").glob("*/tensorboard/train")
    events = EventAccumulator(str(folder))
    events.Reload()
    return [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]


@pytest.mark.exhaustive
def test_training_with_other_parameters_keeps_the_first_model(project, kedro_run):
    kedro_run("--pipelines=train", train__epochs=1)
    first = newest_model(project, "generator")
    content = first.read_bytes()
    kedro_run("--pipelines=train", train__epochs=1, train__seed=1)
    assert newest_model(project, "generator") != first and first.read_bytes() == content


def test_the_same_command_trains_no_further_and_more_epochs_resume(project, kedro_run, caplog):
    # The same command again
    kedro_run("--pipelines=train")
    weights = load_newest(project, "generator").get_weights()
    with caplog.at_level(logging.INFO):
        assert kedro_run("--pipelines=train").exit_code == 0
        again = load_newest(project, "generator").get_weights()
        assert "Resuming after epoch 2." in caplog.text and "epoch 3/" not in caplog.text
        # More epochs
        kedro_run("--pipelines=train", train__epochs=3)
        assert "epoch 3/3" in caplog.text and "epoch 1/3" not in caplog.text
    assert all((a == b).all() for a, b in zip(weights, again, strict=True))
    history = pd.read_csv(project / REPORTING / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    # Another loss starts a new run
    caplog.clear()
    with caplog.at_level(logging.INFO):
        kedro_run("--pipelines=train", train__epochs=1, train__loss__name="hinge")
        assert "train.loss.name non_saturating, then hinge" in caplog.text
        assert "epoch 1/1" in caplog.text
    # So does train.resume=false
    caplog.clear()
    with caplog.at_level(logging.INFO):
        kedro_run("--pipelines=train", train__epochs=1, train__resume="false")
        assert "epoch 1/1" in caplog.text and "the earlier one is kept in" in caplog.text


@pytest.mark.exhaustive
def test_training_can_start_from_the_weights_of_another_run(project, kedro_run, caplog):
    kedro_run("--pipelines=train", train__epochs=1)
    expected = load_newest(project, "generator").trainable_weights
    # Learning rates that leave the weights as they are
    rates = {"train__generator_learning_rate": 1e-12, "train__discriminator_learning_rate": 1e-12}
    params = {"train__epochs": 1, "train__weights_from": project / MODELS}
    with caplog.at_level(logging.INFO):
        assert kedro_run("--pipelines=train", **params, **rates).exit_code == 0
    assert re.search(r"generator starts from (\d+) of \1 layers", caplog.text)
    loaded = load_newest(project, "generator").trainable_weights
    for ours, theirs in zip(loaded, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
    params["train__weights_from"] = project / "nowhere"
    message = error_message(kedro_run("--pipelines=train", **params))
    assert "generator.keras" in message and "train.weights_from" in message


def test_a_dry_run_reports_sizes_and_saves_nothing(project, kedro_run, monkeypatch):
    result = kedro_run("--pipelines=train", train__dry_run="true", train__epochs=10)
    assert result.exit_code == 0 and "Traceback" not in result.output
    generator, discriminator, *_ = build(
        NetworkParams(dcgan={"latent": 6, "generator_width": 2, "discriminator_width": 2}),
        (32, 32, 3),
    )
    for text in (
        f"generator: {generator.count_params():,} parameters",
        f"discriminator: {discriminator.count_params():,} parameters",
        "memory of this process",
        "packed images: 24 of 32×32 pixels, RGB",
        "of disk are free",
        "steps an epoch: 2 of 8 images",
        "all 10 epochs: ",
    ):
        assert text in result.output
    # Neither a dry run nor training begins without the memory that it is estimated to take.
    monkeypatch.setattr("ganvas.pipelines.train.nodes.read_memory_limit", lambda: 1_000_000)
    for dry in ("true", "false"):
        refused = kedro_run("--pipelines=train", train__dry_run=dry)
        assert "memory, and this process may use 1 MB" in error_message(refused)
    assert not (project / "data/06_models/sample").exists()
    assert not (project / REPORTING).exists()


def test_a_dry_run_fails_where_the_run_would(kedro_run):
    result = kedro_run("--pipelines=train", train__dry_run="true", train__batch_size=500)
    assert "train.batch_size (now 500)" in error_message(result)


@pytest.mark.exhaustive
def test_an_early_warning_appears_in_log_history_and_report(
    project, kedro_run, caplog, monkeypatch
):
    monkeypatch.setattr("ganvas.training.diagnostics.GRACE_EPOCHS", 1)
    monkeypatch.setattr("ganvas.training.diagnostics.GRACE_STEPS", 1)
    with caplog.at_level(logging.WARNING):
        # Samples of a generator that learns nothing are nearly equal.
        kedro_run(train__generator_learning_rate=1e-12)
    assert "epoch 1: mode collapse: samples differ" in caplog.text
    assert caplog.text.count("mode collapse") == 1
    history = pd.read_csv(project / REPORTING / "history.csv")
    assert history["warnings"].tolist() == ["mode collapse"] * 2
    page = (project / REPORTING / "report.html").read_text()
    assert "<b>Mode collapse</b> in epoch 1" in page


def test_a_diverged_run_fails_and_saves_its_last_good_model(project, kedro_run, divergence):
    assert "became nan in epoch 2" in error_message(kedro_run())
    summary = read_json(project / REPORTING / "training.json")
    assert summary["ended_by"] == "diverged" and summary["epochs"] == 1
    for name in ("generator", "discriminator"):
        weights = keras.saving.load_model(newest_model(project, name)).get_weights()
        assert all(np.isfinite(array).all() for array in weights)
    page = (project / REPORTING / "report.html").read_text()
    assert re.search(
        r'<p class="summary">Diverged · .*\n<p>Training diverged, \w+ became nan', page
    )


# Errors


@pytest.mark.parametrize(
    ("params", "texts"),
    [
        ({"train__epochs": 0}, ["'train.epochs'", "0", "a whole number from 1"]),
        ({"train__epoch": 5}, ["'train.epoch'", "did you mean 'epochs'"]),
        ({"network__name": "vgg"}, ["'network.name'", "'vgg'", "artgan, dcgan"]),
        ({"ingest__size": 50}, ["'ingest.size'", "50", "multiple of 32 from 32 to 1024"]),
        ({"ingest__dataset": "../up"}, ["'ingest.dataset'", "../up"]),
        ({"traim__epochs": 5}, ["'traim'", "did you mean 'train'"]),
    ],
)
def test_a_wrong_parameter_stops_the_run_before_any_work(project, kedro_run, params, texts):
    message = error_message(kedro_run(**params))
    assert all(text in message for text in texts), message
    assert not (project / "data").exists()


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("--pipelines=tarin", ["no pipeline 'tarin'", "--pipelines takes compare, directions, "]),
        (
            "--pipeline=tarin",
            ["no pipeline 'tarin'", "ingest, invert, report, sample, select, train."],
        ),
        (
            "--namespaces=tarin",
            [
                "no namespace 'tarin' in __default__ (did you mean 'train'?)",
                "there are evaluate, ingest, report, train.",
            ],
        ),
        ("--runner=ParallelRunner", ["ParallelRunner can't be used", "use SequentialRunner"]),
        (
            "--runner=kedro.runner.ThreadRunner",
            ["ThreadRunner can't be used", "Ctrl-C and SIGTERM"],
        ),
        ("--env=artwork", ["no environment 'artwork' in ", "--env takes artworks, base, celeba"]),
    ],
)
def test_a_wrong_option_is_reported_with_the_allowed_values(project, kedro_run, option, texts):
    message = error_message(kedro_run(option))
    assert all(text in message for text in texts), message
    assert not (project / "data").exists()


@pytest.mark.parametrize("option", ["--nodes", "--from-nodes", "--to-nodes"])
def test_a_wrong_node_name_is_reported_with_similar_ones(kedro_run, option):
    message = error_message(kedro_run("--pipelines=train", f"{option}=train_gan"))
    assert message == (
        "Error: There is no node 'train_gan' in train: names of nodes begin with their stage, "
        "such as train.train_gan."
    )
    message = error_message(kedro_run(f"{option}=evaluate.join_metric"))
    assert "in __default__" in message and "such as evaluate.join_metrics" in message


def test_a_wrong_tag_or_dataset_name_is_reported(kedro_run):
    message = error_message(kedro_run("--tags=training"))
    assert "no tag 'training' in __default__ (did you mean 'train'?): there are evaluate" in message
    for option in ("--from-inputs", "--to-outputs"):
        message = error_message(kedro_run(f"{option}=generators"))
        assert "There is no dataset 'generators' in __default__: perhaps you mean" in message
        assert "generator" in message


def test_a_missing_source_folder_is_reported(kedro_run):
    params = {"ingest__source__name": "artworks", "ingest__source__path": "nowhere"}
    message = error_message(kedro_run("--pipelines=ingest", **params))
    assert "nowhere does not exist" in message and "ingest.source.path" in message


def test_sampling_before_training_names_the_command_to_run(kedro_run):
    message = error_message(kedro_run("--pipelines=sample"))
    assert "There is no " in message and "kedro run --pipelines=train" in message


def test_comparing_before_any_evaluation_names_the_command_to_run(kedro_run):
    assert "There is no leaderboard yet" in error_message(kedro_run("--pipelines=compare"))


def test_a_generator_of_another_image_size_is_not_evaluated(kedro_run):
    kedro_run("--pipelines=train", train__epochs=1)
    kedro_run("--pipelines=ingest", ingest__size=64)
    message = error_message(kedro_run("--pipelines=evaluate", ingest__size=64))
    assert "32×32" in message and "64×64" in message and "ingest.size" in message


def test_the_old_resolver_is_refused_in_one_sentence(project, kedro_run):
    (project / "conf/local/parameters.yml").write_text("ingest: {workers: '${by_device:1,2}'}\n")
    assert "now called ${by_profile:1,2}" in error_message(kedro_run("--pipelines=train"))
