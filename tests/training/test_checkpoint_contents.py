import json
import zipfile

import numpy as np
import pytest

from ganvas.training.checkpoint_contents import RUN_STATE_FILE, Checkpoint, RunState
from ganvas.training.checkpoints import CheckpointStore
from made_up_checkpoints import make_checkpoint


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


def test_a_failed_save_leaves_the_file_before(store, monkeypatch):
    store.save(make_checkpoint(1))
    monkeypatch.setattr(json, "dumps", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.save(make_checkpoint(1))
    monkeypatch.undo()
    assert store.load_latest().arrays["generator/0000"][0, 0] == 1
