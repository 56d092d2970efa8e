import json
import logging

import numpy as np
import pytest

from ganvas.training.checkpoints import Checkpoint, CheckpointStore, open_store

IDENTITY = {"data": {"images": "abc"}, "train": {"loss": {"name": "hinge"}, "seed": 0}}


def make_checkpoint(epoch: int, step: int = 0) -> Checkpoint:
    arrays = {
        "generator/0000": np.full((2, 3), epoch, np.float32),
        "scalars/0001": np.array(7, np.uint32),
    }
    return Checkpoint(epoch, step, arrays, {"rows": [{"epoch": epoch, "loss": 0.1}], "best": None})


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
    assert "train.loss.name hinge → wasserstein" in caplog.text
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
