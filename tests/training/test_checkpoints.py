import logging
import os
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.training.checkpoint_contents import count_bytes
from ganvas.training.checkpoints import CheckpointStore, open_store
from made_up_checkpoints import make_checkpoint

IDENTITY = {"data": {"images": "abc"}, "train": {"loss": {"name": "hinge"}, "seed": 0}}


def file_names(store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path, keep=2)


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
