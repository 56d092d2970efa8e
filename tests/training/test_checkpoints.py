import json
import logging
import os
import shutil
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.training.checkpoints import (
    RUN_STATE_FILE,
    Checkpoint,
    CheckpointStore,
    RunState,
    count_bytes,
    open_store,
)

IDENTITY = {"data": {"images": "abc"}, "train": {"loss": {"name": "hinge"}, "seed": 0}}


def make_checkpoint(epoch: int, step: int = 0) -> Checkpoint:
    arrays = {
        "generator/0000": np.full((2, 3), epoch, np.float32),
        "scalars/0001": np.array(7, np.uint32),
    }
    run_state = RunState(started="2026-01-01T00.00.00", rows=[{"epoch": epoch, "loss": 0.1}])
    return Checkpoint(epoch, step, arrays, run_state.to_dict())


def file_names(store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path, keep=2)


def test_a_checkpoint_is_loaded_as_it_was_saved(store):
    saved = make_checkpoint(3, step=14)
    store.save(saved)
    loaded = store.load_latest()
    assert (loaded.epoch, loaded.step, loaded.run_state) == (3, 14, saved.run_state)
    assert loaded.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype


def test_an_empty_store_has_no_checkpoint(store):
    assert store.load_latest() is None and store.load_best() is None


def test_the_last_few_and_the_best_are_kept(store):
    for epoch in range(1, 4):
        store.save(make_checkpoint(epoch))
        store.save(make_checkpoint(epoch, step=5))
        if epoch == 1:
            store.save_best(make_checkpoint(epoch))
    kept = ["best.npz", "epoch-000003-step-0000000.npz", "epoch-000003-step-0000005.npz"]
    assert file_names(store) == kept
    assert store.load_latest().step == 5 and store.load_best().epoch == 1


@pytest.mark.parametrize("length", [0, 10, -30])
def test_a_damaged_file_is_skipped(store, caplog, length):
    store.save(make_checkpoint(1))
    store.save(make_checkpoint(2))
    file = store.folder / "epoch-000002-step-0000000.npz"
    file.write_bytes(file.read_bytes()[:length])
    assert store.load_latest().epoch == 1
    assert "epoch-000002" in caplog.text and "using the previous one" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"started": "../../../../etc"}, "its started can't be '../../../../etc'"),
        ({"started": "/etc"}, "its started can't be '/etc'"),
        ({"started": 5}, "its started can't be 5"),
        ({"rows": {"epoch": 1}}, "its rows can't be {'epoch': 1}"),
        ({"rows": [{"epoch": "x"}]}, "an entry of its history has the epoch 'x'"),
        ({"rows": [{"epoch": True}]}, "an entry of its history has the epoch True"),
        ({"best": {}}, "an entry of its history has the epoch None"),
        ({"best": {"epoch": 1}}, "its best epoch can't be {'epoch': 1}"),
        ({"best": {"epoch": 1, "kernel_distance": float("nan")}}, "its best epoch can't be"),
        ({"warnings": [{"epoch": 1}]}, "one of its warnings has no name"),
        ({"parts": [{"step": 1}]}, "one of its parts has no step or no parameters"),
        ({"seconds": float("nan")}, "its seconds can't be nan"),
        ({"seconds": -5}, "its seconds can't be -5.0"),
        ({"epoch_start": float("inf")}, "its epoch_start can't be inf"),
        ({"started": "a\nb"}, "its started can't be 'a\\nb'"),
        ({"started": "x" * 300}, "its started can't be"),
        ({"epoch": 10**30}, "it can't be of epoch 1"),
        ({"epoch": True}, "it can't be of epoch True and step 0"),
        ({"warnings": [{}]}, "an entry of its history has the epoch None"),
        ({"seconds": "long"}, "its seconds can't be 'long'"),
        ({"best": [1]}, "its best can't be [1]"),
        ({"epoch": -1}, "it can't be of epoch -1 and step 0"),
        ({"epoch": [2]}, "it can't be of epoch [2] and step 0"),
    ],
)
def test_a_changed_checkpoint_is_not_used(store, caplog, change, reason):
    store.save(make_checkpoint(1))
    changed = make_checkpoint(2)
    header = {"epoch": 2, "step": 0} | changed.run_state | change
    write_file(store.folder / "epoch-000002-step-0000000.npz", changed.arrays, json.dumps(header))
    assert store.load_latest().epoch == 1
    assert f"step-0000000.npz can't be used ({reason}" in caplog.text
    assert "): using the previous" in caplog.text


@pytest.mark.parametrize("header", ["[1, 2]", "null", '"text"', "{}", '{"epoch": 2, "step": 0}'])
def test_a_checkpoint_with_another_run_state_is_not_used(store, caplog, header):
    store.save(make_checkpoint(1))
    file = store.folder / "epoch-000002-step-0000000.npz"
    write_file(file, make_checkpoint(2).arrays, header)
    assert store.load_latest().epoch == 1 and "can't be used (it" in caplog.text


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([1, np.nan], np.float32), "has values that are not finite"),
        (np.array([np.inf], np.float16), "has values that are not finite"),
        (np.array(["a"]), "holds no numbers"),
        (np.array([{}], object), "allow_pickle=False"),
    ],
)
def test_a_checkpoint_with_other_weights_is_not_used(store, caplog, array, reason):
    store.save(make_checkpoint(1))
    for name in ("epoch-000002-step-0000000.npz", "best.npz"):
        arrays = make_checkpoint(2).arrays | {"generator/0000": array}
        header = {"epoch": 2, "step": 0} | make_checkpoint(2).run_state
        write_file(store.folder / name, arrays, json.dumps(header))
    assert store.load_latest().epoch == 1 and store.load_best() is None
    assert caplog.text.count(reason) == 2


def test_what_is_no_file_of_a_checkpoint_is_left_alone(store):
    store.save(make_checkpoint(1))
    # Reading a pipe that nobody writes to never ends.
    os.mkfifo(store.folder / "epoch-000009-step-0000000.npz")
    (store.folder / "epoch-000008-step-0000000.npz").mkdir()
    (store.folder / "epoch-000007-step-0000000.npz").symlink_to("nowhere")
    (store.folder / "epoch-0-copy.npz").write_text("")
    assert store.load_latest().epoch == 1
    assert store.describe().startswith("the checkpoints after epoch 1 are kept")
    store.save(make_checkpoint(2))
    store.save(make_checkpoint(3))
    assert store.load_latest().epoch == 3


def write_file(file, arrays, header: str) -> None:
    np.savez(file, **arrays)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(RUN_STATE_FILE, header)


def test_a_checkpoint_of_an_earlier_version_is_used(store):
    run_state = make_checkpoint(2).run_state
    del run_state["epoch_start"], run_state["parts"]
    run_state |= {"best": {"epoch": 1, "kernel_distance": 0.5}, "seconds": 7}
    store.save(Checkpoint(2, 0, make_checkpoint(2).arrays, run_state))
    restored = RunState.from_dict(store.load_latest().run_state)
    assert restored.epoch_start == 7 and restored.parts == []
    assert repr(restored.best) == "{'epoch': 1, 'kernel_distance': 0.5}"


@pytest.mark.parametrize("text", ["", "[1]", "null", "[" * 200_000])
def test_a_damaged_identity_of_another_run_is_no_obstacle(tmp_path, text):
    other = tmp_path / "0123456789ab"
    other.mkdir()
    (other / "run.json").write_text(text)
    assert open_store(tmp_path, IDENTITY, keep=2, resume=True).load_latest() is None


def test_a_disk_that_is_certainly_too_small_is_refused_before_training(store, monkeypatch, caplog):
    size = count_bytes({"generator": [keras.Variable(np.zeros((10, 100), np.float32))]})

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    leave(16_000)
    store.check_space(size)
    assert not caplog.text
    leave(15_999)
    store.check_space(size)
    assert "has 16 kB free, and the checkpoints may need 16 kB" in caplog.text
    leave(3999)
    with pytest.raises(GanvasError, match=r"has 4 kB free, but the checkpoints need at least 4 kB"):
        store.check_space(size)


def test_damaged_files_do_not_displace_later_checkpoints(store):
    for epoch in (8, 9):
        store.save(make_checkpoint(epoch))
    for file in store.folder.glob("*.npz"):
        file.write_bytes(b"")
    assert store.load_latest() is None
    store.save(make_checkpoint(1))
    assert store.load_latest().epoch == 1
    # They are renamed, not removed.
    assert len(list(store.folder.glob("*.unreadable"))) == 2


def test_a_failed_save_leaves_the_file_before(store, monkeypatch):
    store.save(make_checkpoint(1))
    monkeypatch.setattr(json, "dumps", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.save(make_checkpoint(1))
    monkeypatch.undo()
    assert store.load_latest().arrays["generator/0000"][0, 0] == 1


def test_the_same_identity_resumes_and_another_starts_a_new_run(tmp_path, caplog):
    first = open_store(tmp_path, IDENTITY, keep=2, resume=True)
    first.save(make_checkpoint(5))
    assert open_store(tmp_path, IDENTITY, keep=2, resume=True).load_latest().epoch == 5
    other = {"data": {"images": "abc"}, "train": {"loss": {"name": "wasserstein"}, "seed": 0}}
    with caplog.at_level(logging.INFO):
        second = open_store(tmp_path, other, keep=2, resume=True)
    assert second.load_latest() is None
    assert "train.loss.name hinge, then wasserstein" in caplog.text
    assert str(first.folder) in caplog.text
    assert open_store(tmp_path, IDENTITY, keep=2, resume=True).load_latest().epoch == 5


def test_resume_false_starts_a_new_run_and_keeps_the_earlier_one(tmp_path, caplog):
    first = open_store(tmp_path, IDENTITY, keep=2, resume=True)
    first.save(make_checkpoint(5))
    with caplog.at_level(logging.INFO):
        second = open_store(tmp_path, IDENTITY, keep=2, resume=False)
    assert second.load_latest() is None
    kept = [path for path in tmp_path.iterdir() if path != second.folder]
    assert len(kept) == 1 and str(kept[0]) in caplog.text
    assert CheckpointStore(kept[0], keep=2).load_latest().epoch == 5


def test_a_damaged_identity_of_an_earlier_run_does_not_stop_a_new_one(tmp_path, caplog):
    open_store(tmp_path, {"seed": 0}, keep=2, resume=True).save(make_checkpoint(1))
    (file,) = tmp_path.glob("*/run.json")
    file.write_text('{"se')
    with caplog.at_level(logging.INFO):
        open_store(tmp_path, {"seed": 1}, keep=2, resume=True)
    assert f"the earlier one is kept in {file.parent}" in caplog.text
