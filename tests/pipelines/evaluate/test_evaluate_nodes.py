"""The evaluation's other nodes, on images of one gray each and networks that know gray alone."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.metrics.parzen import parzen
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.pipelines.evaluate.feature_metrics import extract_features
from ganvas.pipelines.evaluate.nodes import (
    generate_for_evaluation,
    join_metrics,
    make_leaderboard_entry,
    measure_discriminator_accuracy,
    measure_likelihood,
    summarize_history,
)
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.report.nodes import write_card

WITHOUT = {"column": None, "names": []}


def tell(loss="hinge", seen=60):
    """What is told of a training, as far as these nodes ask."""
    return {
        "dataset": "grays",
        "network": "dcgan",
        "started": "2026-01-02T03.04.05",
        "epochs": 3,
        "images_seen": seen,
        "seconds": 90.0,
        "versions": {"ganvas": "1"},
        "parameters": {"train": {"seed": 4, "loss": {"name": loss}}},
    }


def collect(**grays: list[int]) -> Collection:
    """Images by split, whose hashes go against the order of the list."""
    levels = [level for each in grays.values() for level in each]
    splits = [split for split, each in grays.items() for _ in each]
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
    """Images of one gray, that of the latent's first number."""
    latents = keras.Input((2,))
    gray = keras.ops.tanh(latents[:, :1] + 0.4 * latents[:, 1:])
    images = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    return keras.Model(latents, keras.ops.repeat(images, 3, axis=-1))


def accuracies(discriminator, collection, generated, loss):
    grays = np.zeros((len(generated), 8, 8, 3), np.uint8) + np.reshape(generated, (-1, 1, 1, 1))
    target_classes = np.zeros(len(generated), int)
    found = measure_discriminator_accuracy(
        discriminator, grays.astype(np.uint8), target_classes, collection, WITHOUT, tell(loss)
    )
    return {name.rpartition("accuracy_")[2]: each["value"] for name, each in found.items()}


def test_each_kind_of_image_is_judged_for_what_it_is(discriminator):
    collection = collect(train=[250, 250, 250, 10], validation=[250, 10], test=[10] * 4)
    assert accuracies(discriminator, collection, [250, 10, 10, 10], "hinge") == {
        "training": 0.75,
        "held_out": 0.5,
        "generated": 0.75,
    }


def test_the_boundary_lies_where_the_loss_has_it(discriminator):
    # Logits of 0.25 are real by hinge, and nearer to least squares' label of generated images.
    collection = collect(train=[135, 135])
    assert accuracies(discriminator, collection, [135], "hinge")["training"] == 1
    found = accuracies(discriminator, collection, [135], "least_squares")
    assert found == {"training": 0, "generated": 1}
    for loss in ("wasserstein", "relativistic"):
        assert accuracies(discriminator, collection, [135], loss) == {}


def test_where_not_all_are_judged_it_is_not_the_first_of_the_list(discriminator):
    collection = collect(train=[250], validation=[10, 10, 250, 250])
    assert accuracies(discriminator, collection, [10, 10], "hinge")["held_out"] == 1


def test_losses_have_the_unit_of_their_loss():
    history = pd.DataFrame([{"loss_g": 1.0, "loss_d": 2.0, "real_score": 0.5, "fake_score": 0.4}])
    for loss, unit in (("non_saturating", "nats"), ("hinge", "")):
        found = summarize_history(history, tell(loss))
        assert {each["unit"] for key, each in found.items() if "loss" in key} == {unit}
        assert found["real_score"]["unit"] == ""


def test_losses_are_of_the_epoch_whose_networks_were_saved():
    rows = [
        {"epoch": epoch, "loss_g": epoch / 4, "loss_d": 1.0, "real_score": 0.5, "fake_score": 0.5}
        for epoch in (1, 2, 3)
    ]
    told = tell() | {"best": {"epoch": 2, "kernel_distance": 0.1}}
    assert summarize_history(pd.DataFrame(rows), told)["loss_g"]["value"] == 0.75
    told["parameters"]["train"]["judge"] = {"keep": "best"}
    found = summarize_history(pd.DataFrame(rows), told)["loss_g"]
    assert found["value"] == 0.5 and "epoch 2," in found["protocol"]


def test_a_window_is_chosen_on_validation_and_measured_on_test_images(generator):
    collection = collect(train=[0] * 9, validation=[60, 100, 140, 180], test=[90, 120, 150])
    params = EvaluateParams(parzen=40)
    found = measure_likelihood(generator, collection, WITHOUT, params)["parzen_log_likelihood"]
    samples = generate_images(generator, sample_latents(generator, 40, params.seed))
    grays = collection.images
    expected = parzen(samples, grays[[12, 11, 10, 9]], grays[[15, 14, 13]])
    assert found["value"] == pytest.approx(expected.mean)
    assert f"{expected.images} held-out images" in found["protocol"]


def test_without_a_test_split_held_out_images_are_halved(generator):
    collection = collect(train=[0] * 9, validation=[60, 100, 140, 180, 220])
    found = measure_likelihood(generator, collection, WITHOUT, EvaluateParams(parzen=40))
    samples = generate_images(generator, sample_latents(generator, 40, 0))
    expected = parzen(samples, collection.images[[13, 12]], collection.images[[11, 10, 9]])
    assert found["parzen_log_likelihood"]["value"] == pytest.approx(expected.mean)
    with pytest.raises(GanvasError, match=r"raise ingest\.validation_share"):
        measure_likelihood(generator, collect(train=[0] * 9), WITHOUT, EvaluateParams(parzen=40))


def test_held_out_images_are_looked_at_in_no_order_of_theirs(tmp_path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)).save(tmp_path / "eye.keras")
    params = EvaluateParams(extractor=str(tmp_path / "eye.keras"), count=2, real=3)
    collection = collect(train=[0, 10, 20, 30], validation=[40, 50, 60], test=[70])
    features = extract_features(np.zeros((2, 8, 8, 3), np.uint8), collection, params)
    assert features.held_out_positions.tolist() == [6, 5]
    np.testing.assert_allclose(features.held_out[:, 0], [60, 50], rtol=1e-5)
    assert len(features.training) == 3 and set(features.training_positions) < {0, 1, 2, 3}
    np.testing.assert_allclose(features.training[:, 0], 10 * features.training_positions, atol=1e-4)

    ours = make_leaderboard_entry({}, tell(), np.zeros((2, 8, 8, 3), np.uint8), features)
    ((run, row),) = ours[0].items()
    assert row["judge"] == features.extractor.name and run.endswith(f"-{features.extractor.name}")
    assert (row["seed"], row["minutes"], row["dataset"]) == (4, 1.5, "grays")
    assert list(ours[1]) == [run]


def test_a_card_has_figures_of_its_own_model_alone(generator):
    history = pd.DataFrame([{"loss_g": 1.0, "loss_d": 2.0, "real_score": 0.5, "fake_score": 0.4}])
    metrics = join_metrics(tell(), summarize_history(history, tell()))
    assert len(metrics) == 4
    with pytest.raises(GanvasError, match=r"05, 60 images.* 90 images seen: run evaluate"):
        write_card(generator, metrics, tell(seen=90))


def test_classes_are_asked_for_as_training_has_them_and_are_what_is_painted():
    latents, rows = keras.Input((2,)), keras.Input((3,))
    gray = rows[:, 2:] - rows[:, :1] + 0 * latents[:, :1]
    images = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    generator = keras.Model([latents, rows], keras.ops.repeat(images, 3, axis=-1))
    plain = collect(train=[0] * 12, validation=[0] * 10)
    kinds = [*"aaaaaabbcc", "", "", *["c"] * 10]
    collection = plain._replace(index=plain.index.assign(kind=kinds))
    classes, params = {"column": "kind", "names": ["a", "b", "c"]}, EvaluateParams(count=300)
    painted, target_classes = generate_for_evaluation(generator, collection, classes, params)
    np.testing.assert_array_equal(painted[:, 0, 0, 0], np.array([0, 128, 255])[target_classes])
    np.testing.assert_allclose(
        np.bincount(target_classes, minlength=3) / 300, [0.6, 0.2, 0.2], atol=0.1
    )


def test_both_halves_of_the_training_images_are_from_all_over_the_list():
    collection = collect(train=list(range(200)), validation=[250])
    params, nothing = EvaluateParams(extractor=None, real=60), np.zeros((1, 8, 8, 3), np.uint8)
    places = extract_features(nothing, collection, params).training_positions
    assert len(set(places)) == 60 and set(places) <= set(range(200))
    # The list's middle is 99.5, and means of 30 are off by about 10.
    assert all(55 < half.mean() < 145 for half in (places[:30], places[30:]))
    again = extract_features(nothing, collection, params).training_positions
    np.testing.assert_array_equal(places, again)
