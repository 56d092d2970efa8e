import dataclasses
import json

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.training.checkpoint_contents import Checkpoint, RunState, read_checkpoint
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.kept_epochs import (
    choose_epoch,
    find_started,
    find_swept,
    has_trained_with,
    list_ranges,
    mark_epoch,
    read_kept,
    unmark_epoch,
    write_select_command,
)

DISTANCES = [0.5, 0.2, 0.3, 0.1, 0.4]


def make_checkpoint(epoch: int, step: int = 0) -> Checkpoint:
    rows = [
        {"epoch": n, "kernel_distance": DISTANCES[n - 1], "diversity": n / 10}
        for n in range(1, epoch + 1)
    ]
    state = RunState(started="2026-01-01T00.00.00", rows=rows)
    if rows:
        best = min(rows, key=lambda row: row["kernel_distance"])
        state.best = {key: best[key] for key in ("epoch", "kernel_distance")}
    return Checkpoint(
        epoch, step, {"generator/0000": np.full(3, epoch, np.float32)}, state.to_dict()
    )


def save_run(folder, keep=2, every=None, epochs=range(1, 6), steps=(0,)) -> CheckpointStore:
    store = CheckpointStore(folder, keep, every)
    for epoch in epochs:
        checkpoint = make_checkpoint(epoch)
        for step in steps:
            store.save(checkpoint._replace(step=step))
        if checkpoint.run_state["best"]["epoch"] == epoch:
            store.save_best(checkpoint)
    return store


def names(folder) -> list[str]:
    return sorted(file.name for file in folder.glob("*.npz"))


def reasons(folder, keep=2) -> dict[int, tuple[str, ...]]:
    return {kept.epoch: kept.reasons for kept in read_kept(folder, keep).epochs}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, {4: ("last", "best"), 5: ("last",)}),
        ({"keep": 1}, {4: ("best",), 5: ("last",)}),
        ({"keep": 1, "every": 2}, {2: ("every",), 4: ("every", "best"), 5: ("last",)}),
    ],
)
def test_every_rule_keeps_its_epochs(tmp_path, rules, expected):
    save_run(tmp_path, **rules)
    assert reasons(tmp_path, rules.get("keep", 2)) == expected


def test_checkpoints_within_an_epoch_are_never_kept_for_good(tmp_path):
    save_run(tmp_path, keep=1, every=1, steps=(0, 7))
    kept = [f"epoch-00000{epoch}-step-0000000.npz" for epoch in range(1, 6)]
    assert names(tmp_path) == ["best.npz", *kept, "epoch-000005-step-0000007.npz"]
    run = read_kept(tmp_path, 1)
    assert run.position == (5, 7) and [kept.epoch for kept in run.epochs] == [1, 2, 3, 4, 5]
    # The last checkpoint is that within the epoch; the end of epoch 5 is an earlier one.
    assert choose_epoch(run, "last", "kernel_distance")[:2] == (run.last, None)
    assert choose_epoch(run, 5, "kernel_distance").epoch == 5


def test_epochs_kept_for_good_and_marked_ones_stay_when_a_run_resumes_with_other_rules(tmp_path):
    save_run(tmp_path, keep=3, every=2, epochs=range(1, 5))
    mark_epoch(read_kept(tmp_path, 3), 3)
    # Of those that only keep=3 has kept, none is left.
    save_run(tmp_path, keep=1, epochs=[5])
    assert reasons(tmp_path, 1) == {
        **{2: ("every",), 3: ("marked",), 4: ("every", "best"), 5: ("last",)},
    }
    unmark_epoch(read_kept(tmp_path, 1), 3)
    assert reasons(tmp_path, 1)[3] == ()
    CheckpointStore(tmp_path, 1).save(make_checkpoint(5))
    assert list(reasons(tmp_path, 1)) == [2, 4, 5]


def test_a_marked_best_epoch_stays_when_another_is_best(tmp_path):
    save_run(tmp_path, keep=1, epochs=range(1, 4))
    assert reasons(tmp_path, 1) == {2: ("best",), 3: ("last",)}
    mark_epoch(read_kept(tmp_path, 1), 2)
    save_run(tmp_path, keep=1, epochs=(4, 5))
    assert reasons(tmp_path, 1) == {2: ("marked",), 4: ("best",), 5: ("last",)}
    file = next(kept.file for kept in read_kept(tmp_path, 1).epochs if kept.epoch == 2)
    assert read_checkpoint(file).arrays["generator/0000"][0] == 2
    assert json.loads((tmp_path / "marked.json").read_text()) == [2]


def test_marks_that_can_not_be_read_remove_nothing(tmp_path, caplog):
    save_run(tmp_path, keep=1, epochs=range(1, 3))
    (tmp_path / "marked.json").write_text('{"epochs": 3}')
    save_run(tmp_path, keep=1, epochs=[3])
    assert "epoch-000002-step-0000000.npz" in names(tmp_path)
    assert "marked.json is damaged" in caplog.text and "No checkpoint is removed" in caplog.text
    with pytest.raises(GanvasError, match=r"marked\.json is damaged"):
        read_kept(tmp_path, 1)


def test_marking_what_is_not_there_is_refused(tmp_path):
    save_run(tmp_path, keep=1)
    run = read_kept(tmp_path, 1)
    with pytest.raises(GanvasError, match=r"Epoch 2 of 5 is not kept: kept are 4, 5 in .*every=1"):
        mark_epoch(run, 2)
    with pytest.raises(GanvasError, match="Epoch 4 is not marked: no epoch is"):
        unmark_epoch(run, 4)
    assert not (tmp_path / "marked.json").exists()


def test_the_best_is_chosen_as_the_measure_says_and_a_better_one_that_is_lost_is_named(tmp_path):
    save_run(tmp_path)
    run = read_kept(tmp_path, 2)
    best = choose_epoch(run, "best", "kernel_distance")
    assert best.epoch == 4 and best.reason == "the best kept one by kernel_distance, 0.1"
    # Higher is better, and the last epoch needs no name.
    assert choose_epoch(run, "best", "diversity")[:2] == (run.last, None)
    with pytest.raises(GanvasError, match=r"No kept epoch of this run has a novelty.*select\.by="):
        choose_epoch(run, "best", "novelty")
    (tmp_path / "best.npz").unlink()
    (tmp_path / "epoch-000004-step-0000000.npz").unlink()
    save_run(tmp_path / "other", keep=1, every=3, epochs=range(1, 4))
    run = read_kept(tmp_path / "other", 1)
    (tmp_path / "other" / "best.npz").unlink()
    run = read_kept(tmp_path / "other", 1)
    assert choose_epoch(run, "best", "kernel_distance").reason == (
        "the best kept one by kernel_distance, 0.3 (epoch 2 had 0.2, but is not kept)"
    )


def test_best_and_numbers_take_the_checkpoint_of_the_epoch(tmp_path):
    save_run(tmp_path, keep=1)
    run = read_kept(tmp_path, 1)
    for epoch in (4, "best"):
        file = choose_epoch(run, epoch, "kernel_distance").file
        assert read_checkpoint(file).epoch == 4
    assert choose_epoch(run, 5, "kernel_distance") == (run.last, None, "by select.epoch=5")
    with pytest.raises(GanvasError, match=r"^There is no epoch 6 yet, since the run has 5"):
        choose_epoch(run, 6, "kernel_distance")


def test_damaged_checkpoints_are_left_out_and_left_alone(tmp_path, caplog):
    save_run(tmp_path, every=1)
    damaged = tmp_path / "epoch-000002-step-0000000.npz"
    damaged.write_bytes(b"x")
    assert [kept.epoch for kept in read_kept(tmp_path, 2).epochs] == [1, 3, 4, 5]
    assert damaged.exists() and "can't be read" in caplog.text
    assert read_kept(tmp_path / "nothing", 2) is None


def test_a_run_is_found_by_its_start(tmp_path):
    save_run(tmp_path / "0123456789ab")
    other = make_checkpoint(1)
    other = other._replace(run_state={**other.run_state, "started": "2027-01-01T00.00.00"})
    CheckpointStore(tmp_path / "ba9876543210", 1).save(other)
    assert find_started(tmp_path, "2026-01-01T00.00.00").name == "0123456789ab"
    assert find_started(tmp_path, "2025-01-01T00.00.00") is None


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3, 1], "1, 3"), ([1, 2, 4, 5, 6], "1, 2, 4 to 6")]
)
def test_numbers_in_a_row_are_ranges(numbers, text):
    assert list_ranges(numbers) == text


def test_the_command_has_the_parameters_of_the_run(monkeypatch):
    monkeypatch.delenv("MAKELEVEL", raising=False)
    command = write_select_command(3, {"train.seed": 1}, "--env=gpu")
    end = "--pipelines=select,evaluate,report --env=gpu --params=train.seed=1,select.epoch=3"
    assert command.endswith(end)


# --- The best epoch through a kill ----------------------------------------------------------


def resume(store: CheckpointStore) -> RunState:
    state = RunState.from_dict(store.load_latest().run_state)
    store.restore_best(state)
    return state


def test_a_kill_between_the_last_and_the_best_checkpoint_loses_neither(tmp_path):
    store = save_run(tmp_path, epochs=range(1, 4))
    # The checkpoint of epoch 4, the best one, was written, and best.npz not yet.
    store.save(make_checkpoint(4))
    assert store.load_best().epoch == 2
    state = resume(store)
    assert store.load_best().epoch == state.best["epoch"] == 4


@pytest.mark.parametrize(("keep", "best"), [(2, 2), (1, 4)])
def test_a_best_checkpoint_of_an_epoch_that_is_trained_again_agrees(tmp_path, keep, best):
    store = save_run(tmp_path, keep=keep, epochs=range(1, 4))
    # As a kill in the order of earlier versions leaves it: epoch 4 has no checkpoint of its own.
    store.save_best(make_checkpoint(4))
    state = resume(store)
    # That of epoch 2 comes back if it is kept.
    assert store.load_best().epoch == state.best["epoch"] == best


def test_a_lost_best_checkpoint_is_told_and_the_next_one_takes_its_place(tmp_path, caplog):
    store = save_run(tmp_path, keep=1, epochs=range(1, 4))
    (tmp_path / "best.npz").write_bytes(b"")
    assert resume(store).best is None
    assert "The checkpoint of the best epoch, 2, is lost" in caplog.text


def test_a_best_checkpoint_that_agrees_is_left_alone(tmp_path):
    store = save_run(tmp_path)
    before = (tmp_path / "best.npz").stat().st_mtime_ns
    state = resume(store)
    assert state.best == {"epoch": 4, "kernel_distance": 0.1}
    assert (tmp_path / "best.npz").stat().st_mtime_ns == before
    without = dataclasses.replace(state, best=None)
    (tmp_path / "best.npz").unlink()
    store.restore_best(without)
    assert without.best is None


def test_a_run_of_a_sweep_is_found_by_what_it_was_trained_with(tmp_path):
    identity = {"data": {"images": "abc"}, "train": {"seed": 0}}
    slow = {"train.generator_learning_rate": 0.001, "profile": "cpu"}
    quick = {"train.generator_learning_rate": 0.002, "train.schedule": {"name": "cosine"}}
    for name, record in {
        "plain": identity,
        "slow": {"sweep": slow} | identity,
        "quick": {"sweep": quick} | identity,
        "other": {"sweep": slow, "data": {"images": "def"}, "train": {"seed": 0}},
        "slow-until-2026-01-01T00.00.00.0": {"sweep": slow} | identity,
        "damaged": {"sweep": [1]} | identity,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(record))
    train = {"generator_learning_rate": 0.001, "schedule": {"name": "constant"}, "epochs": 9}
    assert find_swept(tmp_path, identity, train) == [tmp_path / "slow"]
    assert find_swept(tmp_path, identity, train | {"generator_learning_rate": 0.002}) == []
    other = {"generator_learning_rate": 0.002, "schedule": {"name": "cosine"}}
    assert find_swept(tmp_path, identity, other) == [tmp_path / "quick"]


def test_the_last_part_of_a_run_has_the_parameters_that_it_was_trained_with(tmp_path):
    checkpoint = make_checkpoint(1)
    parts = [{"step": step, "parameters": {"epochs": step}} for step in (1, 2)]
    checkpoint.run_state["parts"] = parts
    CheckpointStore(tmp_path, 1).save(checkpoint)
    run = read_kept(tmp_path, 1)
    assert has_trained_with(run, {"epochs": 2}, ["train.epochs"])
    assert not has_trained_with(run, {"epochs": 1}, ["train.epochs"])
    # Those that it has not recorded.
    assert has_trained_with(run, {"epochs": 2, "max_steps": 8}, ["train.max_steps"])


def test_distances_of_two_extractors_are_not_compared(tmp_path):
    store = save_run(tmp_path, every=1, epochs=range(1, 5))
    # The resumed run has renamed those that an earlier version has measured.
    last = make_checkpoint(5)
    for row in last.run_state["rows"][:4]:
        row["kernel_distance_efficientnet_lite0"] = row.pop("kernel_distance")
    store.save(last)
    run = read_kept(tmp_path, 2)
    measured = {kept.epoch: kept.measure("kernel_distance") for kept in run.epochs}
    assert measured == {1: None, 2: None, 3: None, 4: None, 5: 0.4}
    assert choose_epoch(run, "best", "kernel_distance").file.name.startswith("epoch-000005")


def test_the_best_epoch_by_another_extractor_stays_as_a_marked_one(tmp_path):
    store = save_run(tmp_path)
    for epoch in (6, 7, 8):
        new = make_checkpoint(5)._replace(epoch=epoch)
        new.run_state["best"] = {"epoch": epoch, "kernel_distance": 9, "extractor": "lite1"}
        store.save(new)
        store.save_best(new)
    assert (reasons(tmp_path)[4], reasons(tmp_path)[8]) == (("marked",), ("last", "best"))
    assert read_checkpoint(tmp_path / "epoch-000004-step-0000000.npz").epoch == 4
    assert sorted(reasons(tmp_path)) == [4, 7, 8]
