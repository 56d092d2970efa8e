"""Nodes of evaluation, on uniformly gray images and networks that compute gray levels."""

import importlib.util

import keras
import matplotlib.cbook
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.metrics.parzen import parzen
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.pipelines.evaluate.feature_metrics import extract_features
from ganvas.pipelines.evaluate.nodes import (
    HISTORY_TITLES,
    generate_for_evaluation,
    join_metrics,
    make_leaderboard_entry,
    measure_discriminator_accuracy,
    measure_faces,
    measure_likelihood,
    summarize_history,
)
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.report.nodes import write_card
from ganvas.visualization.image_grid import split_grid

NO_CLASSES = {"column": None, "names": []}


def make_summary(loss="hinge", images_seen=60):
    """A training summary with the keys that these nodes read."""
    return {
        "dataset": "grays",
        "network": "dcgan",
        "started": "2026-01-02T03.04.05",
        "epochs": 3,
        "images_seen": images_seen,
        "seconds": 90.0,
        "versions": {"ganvas": "1"},
        "parameters": {"train": {"seed": 4, "loss": {"name": loss}}},
    }


def make_collection(**grays: list[int]) -> Collection:
    """Images of the gray levels of each split; the order of their hashes is reversed."""
    levels = [level for split_levels in grays.values() for level in split_levels]
    splits = [split for split, split_levels in grays.items() for _ in split_levels]
    hashes = [f"{len(levels) - number:03d}" for number in range(len(levels))]
    images = np.broadcast_to(
        np.array(levels, np.uint8)[:, None, None, None], (len(levels), 8, 8, 3)
    )
    return Collection(
        images.copy(), pd.DataFrame({"split": splits, "hash": hashes}), pd.DataFrame()
    )


@pytest.fixture
def discriminator() -> keras.Model:
    """Logits of 4 times the mean pixel, from -4 for black to 4 for white."""
    inputs = keras.Input((8, 8, 3))
    mean = keras.layers.Dense(1, use_bias=False, name="mean")
    network = keras.Model(inputs, mean(keras.layers.GlobalAveragePooling2D()(inputs)))
    mean.set_weights([np.full((3, 1), 4 / 3, np.float32)])
    return network


@pytest.fixture
def generator() -> keras.Model:
    """Uniformly gray images, whose level depends on the latent."""
    latents = keras.Input((2,))
    gray = keras.ops.tanh(latents[:, :1] + 0.4 * latents[:, 1:])
    images = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    return keras.Model(latents, keras.ops.repeat(images, 3, axis=-1))


def accuracies(discriminator, collection, generated, loss):
    grays = np.zeros((len(generated), 8, 8, 3), np.uint8) + np.reshape(generated, (-1, 1, 1, 1))
    target_classes = np.zeros(len(generated), int)
    metrics = measure_discriminator_accuracy(
        discriminator,
        grays.astype(np.uint8),
        target_classes,
        collection,
        NO_CLASSES,
        make_summary(loss),
    )
    return {key.rpartition("accuracy_")[2]: metric["value"] for key, metric in metrics.items()}


def test_discriminator_accuracy_is_computed_for_each_group_of_images(discriminator):
    collection = make_collection(train=[250, 250, 250, 10], validation=[250, 10], test=[10] * 4)
    assert accuracies(discriminator, collection, [250, 10, 10, 10], "hinge") == {
        "training": 0.75,
        "held_out": 0.5,
        "generated": 0.75,
    }


def test_the_decision_threshold_depends_on_the_loss(discriminator):
    # A logit of 0.25 is real for hinge, but nearer to least squares' label of generated images.
    collection = make_collection(train=[135, 135])
    assert accuracies(discriminator, collection, [135], "hinge")["training"] == 1
    least_squares = accuracies(discriminator, collection, [135], "least_squares")
    assert least_squares == {"training": 0, "generated": 1}
    for loss in ("wasserstein", "relativistic"):
        assert accuracies(discriminator, collection, [135], loss) == {}


def test_a_subset_of_the_validation_split_is_not_its_first_images(discriminator):
    collection = make_collection(train=[250], validation=[10, 10, 250, 250])
    assert accuracies(discriminator, collection, [10, 10], "hinge")["held_out"] == 1


def test_losses_have_the_unit_of_the_loss_function():
    history = pd.DataFrame([{"loss_g": 1.0, "loss_d": 2.0, "real_score": 0.5, "fake_score": 0.4}])
    for loss, unit in (("non_saturating", "nats"), ("hinge", "")):
        metrics = summarize_history(history, make_summary(loss) | {"epochs": 1})
        assert {metric["unit"] for key, metric in metrics.items() if "loss" in key} == {unit}
        assert metrics["real_score"]["unit"] == ""


def test_losses_are_those_of_the_epoch_whose_networks_were_saved():
    rows = [
        {"epoch": epoch, "loss_g": epoch / 4, "loss_d": 1.0, "real_score": 0.5, "fake_score": 0.5}
        for epoch in (1, 2, 3)
    ]
    summary = make_summary() | {"best": {"epoch": 2, "kernel_distance": 0.1}}
    assert summarize_history(pd.DataFrame(rows), summary)["loss_g"]["value"] == 0.75
    summary["parameters"]["train"]["kid_validation"] = {"keep": "best"}
    metric = summarize_history(pd.DataFrame(rows), summary)["loss_g"]
    assert metric["value"] == 0.5 and "epoch 2," in metric["protocol"]


def test_runs_of_earlier_versions_are_evaluated_by_their_old_parameters(discriminator):
    old = make_summary(loss="least_squares") | {"best": {"epoch": 1, "kernel_distance": 0.1}}
    old["parameters"]["train"]["loss"]["class_weight"] = 1.0
    old["parameters"]["train"]["judge"] = {"every": 1, "keep": "best"}
    history = pd.DataFrame({key: [1.0, 2.0, 3.0] for key in HISTORY_TITLES})
    assert summarize_history(history, old)["loss_d"]["value"] == 1.0
    new = make_summary(loss="least_squares")
    generated = np.zeros((2, 8, 8, 3), np.uint8)
    classes = np.zeros(2, int)
    arguments = discriminator, generated, classes, make_collection(validation=[0, 255]), NO_CLASSES
    assert measure_discriminator_accuracy(*arguments, old) == measure_discriminator_accuracy(
        *arguments, new
    )


def test_the_parzen_window_is_chosen_on_validation_and_measured_on_test_images(generator):
    collection = make_collection(train=[0] * 9, validation=[60, 100, 140, 180], test=[90, 120, 150])
    params = EvaluateParams(parzen=40)
    metrics = measure_likelihood(generator, collection, NO_CLASSES, params)
    samples = generate_images(generator, sample_latents(generator, 40, params.seed))
    images = collection.images
    expected = parzen(samples, images[[12, 11, 10, 9]], images[[15, 14, 13]])
    metric = metrics["parzen_log_likelihood"]
    assert metric["value"] == pytest.approx(expected.mean)
    assert f"{expected.images} test images" in metric["protocol"]


def test_without_a_test_split_the_validation_split_is_halved(generator):
    collection = make_collection(train=[0] * 9, validation=[60, 100, 140, 180, 220])
    params = EvaluateParams(parzen=40)
    metrics = measure_likelihood(generator, collection, NO_CLASSES, params)
    samples = generate_images(generator, sample_latents(generator, 40, 0))
    expected = parzen(samples, collection.images[[13, 12]], collection.images[[11, 10, 9]])
    assert metrics["parzen_log_likelihood"]["value"] == pytest.approx(expected.mean)
    with pytest.raises(GanvasError, match=r"raise ingest\.validation_share"):
        measure_likelihood(generator, make_collection(train=[0] * 9), NO_CLASSES, params)


def test_validation_features_are_of_images_in_the_order_of_their_hashes(tmp_path):
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    network.save(tmp_path / "mean.keras")
    params = EvaluateParams(extractor=str(tmp_path / "mean.keras"), count=2, real=3)
    collection = make_collection(train=[0, 10, 20, 30], validation=[40, 50, 60], test=[70])
    features = extract_features(np.zeros((2, 8, 8, 3), np.uint8), collection, params)
    assert features.validation_positions.tolist() == [6, 5]
    np.testing.assert_allclose(features.validation[:, 0], [60, 50], rtol=1e-5)
    assert len(features.training) == 3 and set(features.training_positions) < {0, 1, 2, 3}
    np.testing.assert_allclose(features.training[:, 0], 10 * features.training_positions, atol=1e-4)

    generated = np.full((70, 8, 8, 3), np.arange(70).reshape(-1, 1, 1, 1), np.uint8)
    history = pd.DataFrame({"epoch": range(1, 501), "loss_g": 2.0, "seconds": 30.0, "warnings": ""})
    labels, summary = np.zeros(70, int), make_summary(images_seen=5000)
    rows, grids = make_leaderboard_entry({}, summary, generated, labels, features, history)
    ((run, row),) = rows.items()
    assert row["extractor"] == features.extractor.name and run.endswith(
        f"-{features.extractor.name}"
    )
    assert (row["seed"], row["minutes"], row["dataset"]) == (4, 1.5, "grays")
    assert list(grids) == [run]
    assert (row["ended_by"], row["command"], row["model_version"]) == (None, None, None)
    curves = row["history"]
    assert {len(values) for values in curves.values()} == {200} and "warnings" not in curves
    last = {key: values[-1] for key, values in curves.items()}
    expected = {"epoch": 500, "loss_g": 2, "seconds": 30, "images_seen": 5000, "minutes": 250}
    assert last == expected and curves["minutes"][99] == pytest.approx(curves["epoch"][99] / 2)
    summary |= {"version": "2026-01-01T12.00.00.000Z", "command": "kedro run", "ended_by": "steps"}
    rows, _ = make_leaderboard_entry({}, summary, generated, labels, features, history[:0])
    row = rows[run]
    assert (row["ended_by"], row["command"]) == ("steps", "kedro run")
    assert (row["model_version"], row["history"]) == ("2026-01-01T12.00.00.000Z", {})
    cells = split_grid(grids[run], 8, 8)[:, :, 0, 0, 0]
    np.testing.assert_array_equal(cells, np.arange(64).reshape(8, 8))
    # With classes, a row for each.
    labels = np.arange(70) % 9
    _, grids = make_leaderboard_entry({}, summary, generated, labels, features, history)
    cells = split_grid(grids[run], 8, 8)[:, :, 0, 0, 0]
    assert cells.shape == (8, 8)
    np.testing.assert_array_equal(cells[3], np.arange(3, 70, 9))


def test_a_history_that_was_cut_off_is_not_evaluated():
    history = pd.DataFrame([{"loss_g": 1.0, "loss_d": 2.0, "real_score": 0.5, "fake_score": 0.4}])
    with pytest.raises(GanvasError, match=r"history.csv has 1 epoch\(s\), but training.json 3"):
        summarize_history(history, make_summary())


def test_the_model_card_refuses_metrics_of_another_training(generator):
    history = pd.DataFrame([{"loss_g": 1.0, "loss_d": 2.0, "real_score": 0.5, "fake_score": 0.4}])
    summary = make_summary() | {"epochs": 1}
    metrics = join_metrics(make_summary(), summarize_history(history, summary))
    assert len(metrics) == 4
    with pytest.raises(GanvasError, match=r"05, 60 images.* 90 images seen: run evaluate"):
        write_card(generator, metrics, make_summary(images_seen=90), np.zeros((8, 8, 3), np.uint8))


def test_target_classes_have_training_frequencies_and_condition_the_generator(caplog):
    caplog.set_level("INFO")
    latents, labels = keras.Input((2,)), keras.Input((3,))
    gray = labels[:, 2:] - labels[:, :1] + 0 * latents[:, :1]
    images = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    generator = keras.Model([latents, labels], keras.ops.repeat(images, 3, axis=-1))
    unlabeled = make_collection(train=[0] * 12, validation=[0] * 10)
    kinds = [*"aaaaaabbcc", "", "", *["c"] * 10]
    collection = unlabeled._replace(index=unlabeled.index.assign(kind=kinds))
    class_list, params = {"column": "kind", "names": ["a", "b", "c"]}, EvaluateParams(count=300)
    generated, target_classes = generate_for_evaluation(generator, collection, class_list, params)
    np.testing.assert_array_equal(generated[:, 0, 0, 0], np.array([0, 128, 255])[target_classes])
    np.testing.assert_allclose(
        np.bincount(target_classes, minlength=3) / 300, [0.6, 0.2, 0.2], atol=0.1
    )
    assert "Generating 300 images (evaluate.count)." in caplog.text
    assert "compare 6 of them" in caplog.text and "half of the 12 training images" in caplog.text


def test_both_halves_of_the_training_images_are_random_samples():
    collection = make_collection(train=list(range(200)), validation=[250])
    params, empty = EvaluateParams(extractor=None, real=60), np.zeros((1, 8, 8, 3), np.uint8)
    positions = extract_features(empty, collection, params).training_positions
    assert len(set(positions)) == 60 and set(positions) <= set(range(200))
    # The mean position is 99.5, and means of 30 have a standard error of about 10.
    assert all(55 < half.mean() < 145 for half in (positions[:30], positions[30:]))
    again = extract_features(empty, collection, params).training_positions
    np.testing.assert_array_equal(positions, again)


@pytest.fixture(scope="module")
def face():
    """Grace Hopper at 64 pixels; the photograph is a US Navy work in the public domain."""
    file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(file) as image:
        square = image.convert("RGB").crop((60, 0, 460, 400))
        return np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS))


def make_face_collection(face, splits):
    """Four images, the first and the last of which show a face."""
    images = np.stack([face, 255 - face, np.full_like(face, 90), face])
    index = pd.DataFrame({"split": splits, "hash": ["a", "b", "c", "d"]})
    return Collection(images, index, pd.DataFrame())


@pytest.mark.slow
def test_face_detection_rates_of_generated_and_validation_images(face):
    collection = make_face_collection(face, ["train", "validation", "validation", "validation"])
    generated = np.stack([face, face, face, np.zeros_like(face), face])
    metric = measure_faces(generated, collection, EvaluateParams(faces=4))["faces"]
    assert metric["value"] == 0.75
    assert metric["real"] == pytest.approx(1 / 3)
    assert "N=4 generated and 3 validation images" in metric["protocol"]


def test_face_detection_uses_training_images_if_there_is_no_validation_split(face, caplog):
    collection = make_face_collection(face, ["train"] * 4)
    with caplog.at_level("INFO"):
        metric = measure_faces(face[None], collection, EvaluateParams(faces=2))["faces"]
    assert "1 generated images (evaluate.count) and 2 training images" in caplog.text
    assert "fewer than evaluate.faces=2" in caplog.text
    assert metric["real"] == 0.5 and "2 training images" in metric["protocol"]


def test_face_detection_is_off_by_default_and_skipped_without_mtcnn(face, monkeypatch, caplog):
    collection = make_face_collection(face, ["train"] * 4)
    assert measure_faces(face[None], collection, EvaluateParams()) == {}
    assert caplog.text == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert measure_faces(face[None], collection, EvaluateParams(faces=1)) == {}
    assert 'pip install -e ".[faces]"' in caplog.text
