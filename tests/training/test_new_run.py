"""What is logged when a run starts anew, beside earlier ones."""

import logging
import os
from pathlib import Path

import pytest

from ganvas.training.checkpoints import open_store
from ganvas.training.new_run import EarlierRun, describe_differences

IDENTITY = {
    "data": {"images": "abc", "size": 32, "label": "genre", "classes": ["a", "b"]},
    "network": {"name": "dcgan", "latent": 6},
    "train": {"batch_size": 16, "flip": False, "seed": 0, "weights_from": None},
}


def change(**groups) -> dict:
    return {name: IDENTITY.get(name, {}) | groups.get(name, {}) for name in {**IDENTITY, **groups}}


def start(parent: Path, identity: dict, images: int | None = 33, resume: bool = True) -> Path:
    """Open the store of a run as training does, and leave a checkpoint in it."""
    about = {} if images is None else {"training_images": images}
    store = open_store(
        parent, identity, 2, resume, None, about, lambda run: f"kedro run <{run.name}>"
    )
    (store.folder / "epoch-000001-step-0000000.npz").touch()
    return store.folder


@pytest.mark.parametrize(
    ("groups", "images", "words"),
    [
        ({"train": {"batch_size": 32}}, 33, "train.batch_size 16, then 32"),
        ({"data": {"images": "def"}}, 32, "33 training images, then 32"),
        ({"data": {"images": "def"}}, 33, "other images, of which 33 are for training as before"),
        ({"data": {"images": "def"}}, None, "other images"),
        ({"data": {"size": 64}}, 33, "ingest.size 32, then 64"),
        ({"data": {"classes": ["a"]}}, 33, "2 classes, then 1"),
        ({"data": {"classes": ["a", "c"]}}, 33, "2 other classes"),
        ({"data": {"label": None}}, 33, "network.label genre, then null"),
        ({"network": {"latent": 9}}, 33, "network.dcgan.latent 6, then 9"),
        ({"network": {"name": "r3gan", "width": 8}}, 33, "network.name dcgan, then r3gan"),
        (
            {"sweep": {"train.epochs": 2}},
            33,
            "no sweep, then a sweep over train.epochs",
        ),
        ({"train": {"rotate_quarters": True}}, 33, "train.rotate_quarters unset, then true"),
        # As the identity has adaptive_diffaugment, in every version.
        (
            {"train": {"augment": {"name": "ada"}}},
            33,
            "train.augment.name unset, then adaptive_diffaugment",
        ),
    ],
)
def test_a_difference_is_named_in_words(tmp_path, groups, images, words):
    earlier = EarlierRun(tmp_path, IDENTITY, {"training_images": 33})
    about = {"training_images": images}
    assert describe_differences(earlier, change(**groups), about) == [words]


def test_a_change_is_a_warning_with_the_command_that_takes_the_weights(tmp_path, caplog):
    first = start(tmp_path, IDENTITY)
    assert not caplog.records
    other = {"data": {"images": "def"}, "train": {"batch_size": 32}}
    start(tmp_path, change(**other), images=32)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    expected = f"kept in {first}, has others: 33 training images, then 32; train.batch_size 16, "
    assert expected in caplog.text and "abc" not in caplog.text
    assert caplog.text.rstrip().endswith(f"stop this run and enter: kedro run <{first.name}>")
    # It is resumed without another word.
    caplog.clear()
    start(tmp_path, change(**other), images=32)
    assert not caplog.records


def test_the_most_similar_run_is_named_rather_than_the_newest(tmp_path, caplog):
    similar = start(tmp_path, IDENTITY)
    newest = start(tmp_path, change(train={"batch_size": 8, "flip": True}))
    os.utime(similar, (0, 0))
    # A folder without checkpoints has no weights.
    empty = open_store(tmp_path, change(train={"batch_size": 4}), 2, True).folder
    caplog.clear()
    start(tmp_path, change(train={"batch_size": 4, "ema_decay": 0.5}))
    assert similar.name in caplog.text
    assert newest.name not in caplog.text and empty.name not in caplog.text


@pytest.mark.parametrize(
    ("groups", "partly"),
    [({"train": {"flip": True}}, False), ({"network": {"latent": 9}}, True)],
)
def test_other_shapes_are_said_to_be_taken_in_part(tmp_path, caplog, groups, partly):
    start(tmp_path, IDENTITY)
    start(tmp_path, change(**groups))
    assert ("as far as layers have equal shapes" in caplog.text) is partly


@pytest.mark.parametrize(
    "train", [{"seed": 1}, {"batch_size": 32, "weights_from": "checkpoints/0123"}]
)
def test_a_new_run_that_was_asked_for_is_no_warning(tmp_path, caplog, train):
    start(tmp_path, IDENTITY)
    with caplog.at_level(logging.INFO):
        start(tmp_path, change(train=train))
    (record,) = caplog.records
    assert record.levelno == logging.INFO and "<" not in caplog.text
    assert ("from the weights of checkpoints/0123" in caplog.text) is ("weights_from" in train)


def test_many_differences_are_counted(tmp_path, caplog):
    start(tmp_path, IDENTITY)
    start(tmp_path, change(train={f"other_{number}": 1 for number in range(8)}))
    assert "; and 3 more" in caplog.text


def test_a_run_of_a_sweep_is_meant_to_begin_anew(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start(tmp_path, change(sweep={"train.epochs": 2}))
    start(tmp_path, change(sweep={"train.epochs": 3}))
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    # Outside of the sweep it is a surprise, and all of its weights fit.
    caplog.clear()
    start(tmp_path, IDENTITY)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "equal shapes" not in caplog.text
    assert "a sweep over train.epochs, then no sweep" in caplog.text
