"""The diagnosis of samples during a run, on real images of one gray level or around one a class."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas import arrays
from ganvas.grid_layout import label_rows
from ganvas.ingestion.collection import Collection
from ganvas.label_columns import read_class_list
from ganvas.networks.batches import to_float
from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.pipelines.train import diagnosis
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.diagnostics import GRACE_STEPS


def gray_images(levels):
    return np.full((len(levels), 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)


def make_collection(train, validation):
    splits = ["train"] * len(train) + ["validation"] * len(validation)
    # Hashes in the reverse order of the images.
    hashes = [f"{i:03d}" for i in range(len(splits))][::-1]
    index = pd.DataFrame({"split": splits, "hash": hashes})
    return Collection(gray_images([*train, *validation]), index, pd.DataFrame())


def make_diagnosis(collection, params=None, labels=None, names=()):
    positions = collection.split("train")
    data = TrainingSet(collection.images, positions, labels, len(names))
    params = params or TrainParams(batch_size=128)
    return diagnosis.make_diagnosis(collection, data, class_table(names), params)


def class_table(names=()):
    return read_class_list({"column": "style" if names else None, "names": list(names)})


def make_row(epoch=GRACE_STEPS):
    return {"epoch": epoch, "real_score": 0.5, "fake_score": 0.5}


def names_of(warnings):
    return [warning.name for warning in warnings]


def test_samples_are_compared_with_real_images():
    rows = [make_row()]
    diagnose = make_diagnosis(make_collection([0, 100], [30, 40]))
    assert diagnose(rows, gray_images([10, 60])) == []
    # 50 apart instead of 100; 10 and 40 from the nearest, while validation images keep 30 and 40.
    assert rows[-1]["diversity"] == pytest.approx(0.5)
    assert rows[-1]["novelty"] == pytest.approx(25 / 35)
    # Too few to look at clusters of them.
    assert "class_diversity" not in rows[-1]
    assert names_of(diagnose(rows, gray_images([0, 100]))) == ["memorization"]


def make_class_images(rng, count, spread, classes=4):
    """Noise around an image per class, with labels; `spread` is in gray levels, one per class."""
    centers = np.random.default_rng(9).integers(60, 196, (classes, 8, 8, 3))
    labels = np.repeat(np.arange(classes), count)
    deviations = np.resize(spread, classes)[labels].reshape(-1, 1, 1, 1)
    images = centers[labels] + deviations * rng.normal(size=(len(labels), 8, 8, 3))
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), labels


@pytest.mark.parametrize("shape", [(256, 128, 1), (160, 160, 4)], ids=str)
def test_large_images_of_any_shape_are_compared_reduced_and_few_are_read_at_once(shape):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, shape[0] // 32, shape[1] // 32, shape[2]), dtype=np.uint8)
    images = coarse.repeat(32, 1).repeat(32, 2)
    if shape[2] == 4:
        images[..., 3] = 255
    read = []

    class Recorded:
        shape = images.shape

        def __len__(self):
            return len(images)

        def __getitem__(self, key):
            read.append(images[key])
            return read[-1]

    index = pd.DataFrame({"split": ["train"] * 50 + ["validation"] * 10, "hash": range(60)})
    collection = Collection(Recorded(), index, pd.DataFrame())
    data = TrainingSet(collection.images, np.arange(50))
    params = TrainParams(batch_size=2)
    diagnose = diagnosis.make_diagnosis(collection, data, class_table(), params)
    assert 0 < max(len(x) for x in read) <= arrays.CONVERTED
    rows = [make_row()]
    # Copies of training images are recognized, and are as diverse as these.
    assert names_of(diagnose(rows, images[:32])) == ["memorization"]
    assert rows[0]["novelty"] < 0.01 and rows[0]["diversity"] == pytest.approx(1, abs=0.1)
    before = len(read)
    assert names_of(diagnose([make_row()], images[50:])) == []
    assert names_of(diagnose([make_row()], images[:1].repeat(32, 0))) == ["mode collapse"]
    assert len(read) == before


def test_few_of_many_training_images_are_compared(monkeypatch):
    read = []

    def find(samples, images, positions):
        read.append(positions)
        return positions[:1].repeat(len(samples)), np.ones(len(samples))

    monkeypatch.setattr(diagnosis, "find_nearest_images", find)
    count = diagnosis.COMPARED_TRAINING + 50
    images = np.zeros((count + 10, 8, 8, 3), np.uint8)
    index = {"split": ["train"] * count + ["validation"] * 10, "hash": range(count + 10)}
    collection = Collection(images, pd.DataFrame(index), pd.DataFrame())
    data = TrainingSet(images, np.arange(count))
    diagnosis.make_diagnosis(collection, data, class_table(), TrainParams(batch_size=2))
    (positions,) = read
    assert len(np.unique(positions)) == diagnosis.COMPARED_TRAINING and positions.max() < count
    # A sample of all of them, not the first ones.
    assert positions.max() >= diagnosis.COMPARED_TRAINING


@pytest.fixture
def classes():
    """Training images of four classes, 32 of each, and names of the classes."""
    images, labels = make_class_images(np.random.default_rng(0), 32, 20)
    index = pd.DataFrame({"split": ["train"] * 128, "hash": [str(i) for i in range(128)]})
    return Collection(images, index, pd.DataFrame()), labels, ["Op", "Pop", "Dada", "Fauve"]


def test_a_generator_that_repeats_an_image_of_each_class_is_diagnosed(classes):
    """Keras generators that make noise around an image per class, with 20 and with 2 levels."""
    collection, labels, names = classes
    centers, _ = make_class_images(np.random.default_rng(0), 1, 0)
    latents, one_hot_labels = keras.Input((8 * 8 * 3,)), keras.Input((4,))
    kernel = to_float(centers).reshape(4, -1)
    mean = keras.layers.Dense(8 * 8 * 3, use_bias=False, name="mean")
    warnings = {}
    for spread in (20, 2):
        flat = mean(one_hot_labels) + latents * spread / 127.5
        generator = keras.Model([latents, one_hot_labels], keras.layers.Reshape((8, 8, 3))(flat))
        generator.get_layer("mean").set_weights([kernel])
        params = TrainParams()
        targets = label_rows(4, params.snapshot_rows, params.snapshot_columns)
        samples = generate_images(
            generator, sample_latents(generator, len(targets), 0), one_hot(targets, 4)
        )
        rows = [make_row()]
        warnings[spread] = make_diagnosis(collection, params, labels, names)(rows, samples)
        assert rows[0]["class_diversity"] == pytest.approx(spread / 20, rel=0.1)
        # The classes alone keep most of the diversity of all samples.
        assert rows[0]["diversity"] > 0.75
        assert rows[0]["collapsed_classes"] == (4 if spread == 2 else 0)
    assert warnings[20] == []
    assert names_of(warnings[2]) == ["mode collapse within classes"]


@pytest.mark.parametrize(
    ("repeated", "warning"),
    [
        (1, ["mode collapse within classes"]),
        (2, ["mode collapse within classes"]),
        (8, ["repeated images within classes"]),
        (None, []),
    ],
)
def test_samples_of_one_two_or_eight_images_a_class_are_diagnosed(classes, repeated, warning):
    collection, labels, names = classes
    # Eight choices of eight images have five different ones in the mean, and all of them never.
    fresh, targets = make_class_images(np.random.default_rng(1), 8, 20)
    choice = np.random.default_rng(2).integers(repeated or 8, size=32)
    samples = fresh if repeated is None else fresh[8 * targets + choice]
    rows = [make_row()]
    assert names_of(make_diagnosis(collection, None, labels, names)(rows, samples)) == warning
    # All samples together seem varied, and those of a class too, if there are several.
    assert rows[0]["diversity"] > 0.7 and (rows[0]["class_diversity"] > 0.55) == (
        repeated in (8, None)
    )
    assert rows[0]["class_nearest"] == pytest.approx({None: 1, 8: 0.35}.get(repeated, 0), abs=0.1)


def test_clusters_of_repeated_samples_are_diagnosed(classes):
    collection, _, _ = classes
    diagnose = make_diagnosis(collection, TrainParams(snapshot_rows=8, batch_size=128))
    fresh, targets = make_class_images(np.random.default_rng(1), 16, 20)
    for samples, warning in (
        (fresh, []),
        (fresh[16 * targets + np.arange(64) % 4], ["repeated images within classes"]),
    ):
        rows = [make_row()]
        assert names_of(diagnose(rows, samples)) == warning
        assert rows[0]["class_nearest"] == pytest.approx(0 if warning else 1, abs=0.1)
    # Three clusters of four.
    samples[:16] = fresh[:16]
    rows = [make_row()]
    diagnose(rows, samples)
    assert rows[0]["class_nearest"] == pytest.approx(0.25, abs=0.05)


def test_of_very_many_classes_only_those_of_a_snapshot_are_read():
    read = []

    class Recorded:
        shape = (40 * 9, 8, 8, 3)

        def __len__(self):
            return len(images)

        def __getitem__(self, key):
            read.append(images[key])
            return read[-1]

    images, labels = make_class_images(np.random.default_rng(0), 9, 20, classes=40)
    table = class_table([f"class {number}" for number in range(40)])
    data = TrainingSet(Recorded(), np.arange(360), labels, 40)
    params = TrainParams(batch_size=128)
    measure = diagnosis.make_class_measure(data, table, params)
    assert sum(map(len, read)) == 32 * 9
    shown = label_rows(40, params.snapshot_rows, params.snapshot_columns)
    samples = images[9 * shown + np.arange(256) % 8]
    measured = measure(samples)
    assert len(measured.diversity) == 32
    assert measured.nearest == pytest.approx(1, abs=0.05)


def test_samples_are_compared_eight_at_a_time_however_many_there_are(classes):
    collection, labels, names = classes
    shares = []
    for columns in (8, 32):
        samples, _ = make_class_images(np.random.default_rng(1), columns, 20)
        # Softer than real images: near each other where there are many.
        samples = (
            samples.mean(axis=(1, 2), keepdims=True).repeat(8, 1).repeat(8, 2).astype(np.uint8)
        )
        rows = [make_row()]
        params = TrainParams(snapshot_columns=columns, batch_size=128)
        make_diagnosis(collection, params, labels, names)(rows, samples)
        shares.append(rows[0]["class_nearest"])
    assert shares[1] == pytest.approx(shares[0], rel=0.2)


def test_real_images_that_are_nearly_alike_do_not_hide_repeated_samples():
    real, labels = make_class_images(np.random.default_rng(0), 32, [1, 20, 20, 20])
    index = pd.DataFrame({"split": ["train"] * 128, "hash": [str(i) for i in range(128)]})
    names = ["Op", "Pop", "Dada", "Fauve"]
    fresh, targets = make_class_images(np.random.default_rng(1), 8, [9, 20, 20, 20])
    samples = np.where(
        (targets == 0)[:, None, None, None], fresh, fresh[8 * targets + np.arange(32) % 2]
    )
    rows = [make_row()]
    make_diagnosis(Collection(real, index, pd.DataFrame()), None, labels, names)(rows, samples)
    assert rows[0]["class_nearest"] == 0.25


def test_the_warning_names_the_least_diverse_class(classes):
    collection, labels, names = classes
    diagnose = make_diagnosis(collection, None, labels, names)
    samples, _ = make_class_images(np.random.default_rng(1), 8, [20, 9, 4, 20])
    rows = [make_row(epoch=GRACE_STEPS - 1)]
    # A new generator is exempt: here, epochs have one step.
    assert diagnose(rows, samples) == []
    rows = [make_row(epoch) for epoch in range(1, GRACE_STEPS + 1)]
    (warning,) = diagnose(rows, samples)
    assert rows[-1]["least_diverse_class"] == "Dada" and rows[-1]["collapsed_classes"] == 2
    assert "images of Dada differ from each other by 2" in warning.evidence
    assert "below 55%: 2" in warning.evidence
    # It lasts until the next snapshot.
    rows.append(make_row(GRACE_STEPS + 1))
    assert names_of(diagnose(rows, None)) == ["mode collapse within classes"]
    assert "class_diversity" not in rows[-1]


def test_where_all_samples_are_alike_there_is_one_warning(classes):
    collection, labels, names = classes
    rows = [make_row()]
    warnings = make_diagnosis(collection, None, labels, names)(rows, gray_images([99] * 32))
    assert names_of(warnings) == ["mode collapse"] and rows[0]["class_diversity"] == 0


def test_without_classes_clusters_of_similar_real_images_take_their_place(classes):
    collection, _, _ = classes
    diagnose = make_diagnosis(collection, TrainParams(snapshot_rows=8, batch_size=128))
    for spread, expected in ((20, []), (2, ["mode collapse within classes"])):
        rows = [make_row()]
        samples, _ = make_class_images(np.random.default_rng(1), 16, spread)
        assert names_of(diagnose(rows, samples)) == expected
        assert rows[0]["class_diversity"] == pytest.approx(spread / 20, rel=0.1)
    # A cluster that is missed.
    rows = [make_row()]
    samples[:16] = samples[16:32]
    (warning,) = diagnose(rows, samples)
    assert "of 4 differ from each other by 0%" in warning.evidence


def test_too_few_samples_of_a_class_are_not_compared(classes):
    collection, labels, names = classes
    diagnose = make_diagnosis(collection, TrainParams(snapshot_columns=7), labels, names)
    rows = [make_row()]
    samples, _ = make_class_images(np.random.default_rng(1), 7, 2)
    assert diagnose(rows, samples) == []
    assert not {"class_diversity", "class_nearest"} & set(rows[0])
