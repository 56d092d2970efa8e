import json
import zipfile

import pytest

from ganvas.disk.busy import RUNNING
from ganvas.disk.items import CHECKPOINTS, REPORT, SNAPSHOTS, TEMPORARY, VERSION
from ganvas.disk.usage import measure_usage
from ganvas.file_lock import exclusive_lock, shared_lock
from made_up_runs import MODEL, add_entry, add_runs, find_items, run_name, version_name, write


@pytest.fixture
def data(tmp_path):
    return add_runs(tmp_path / "data", 3)


def test_runs_are_described_by_their_epochs_and_different_parameters(data):
    first, _, newest = find_items(data, CHECKPOINTS)
    assert first.details == f"epochs 11, 12, not known to be finished, begun {run_name(0)}, seed=0"
    assert first.state == "unfinished" and not first.kept
    assert newest.state == "finished" and newest.kept.startswith("it is the newest run")
    add_entry(data, 0)
    assert find_items(data, CHECKPOINTS)[0].state == "finished"
    assert [path.name for path, _ in first.surplus] == ["epoch-000011-step-0000000.npz"]


def test_an_entry_of_an_earlier_version_is_of_a_finished_run_if_it_has_all_epochs(data):
    for epochs, state in ((12, "finished"), (13, "unfinished"), ("none", "unfinished")):
        add_entry(data, 0, ended_by=None, parameters={"train.epochs": epochs})
        assert find_items(data, CHECKPOINTS)[0].state == state


@pytest.mark.parametrize(
    "entry", [{"ended_by": "interrupted"}, {"ended_by": None}, {"epochs": 11}, {"epochs": "x"}]
)
def test_a_run_is_finished_only_if_a_result_says_so(data, entry):
    add_entry(data, 0, **entry)
    assert find_items(data, CHECKPOINTS)[0].state == "unfinished"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip"])
def test_of_damaged_checkpoints_the_last_readable_one_stays(data, content):
    run = data / "06_models" / MODEL / "checkpoints/000000000000"
    (run / "epoch-000012-step-0000000.npz").write_bytes(content)
    assert find_items(data, CHECKPOINTS)[0].surplus == ()
    with zipfile.ZipFile(run / "epoch-000011-step-0000000.npz", "w") as archive:
        archive.writestr("run_state.json", "[]")
    (item, *_) = find_items(data, CHECKPOINTS)
    assert item.surplus == () and "not known to be finished" in item.details


def test_marked_epochs_keep_their_run_and_are_no_surplus(data):
    run = data / "06_models" / MODEL / "checkpoints/000000000000"
    (run / "marked.json").write_text(json.dumps([11]))
    (item, *_) = find_items(data, CHECKPOINTS)
    assert item.kept == "epochs of it are marked" and item.surplus == ()
    (run / "marked.json").write_text("{")
    assert find_items(data, CHECKPOINTS)[0].kept


def test_snapshots_of_powers_of_two_of_checkpoints_and_the_last_are_needed(data):
    first, _, newest = find_items(data, SNAPSHOTS)
    thinned = [int(path.stem.removeprefix("epoch_")) for path, _ in first.surplus]
    assert thinned == [3, 5, 6, 7, 9, 10] and not first.kept
    assert newest.kept == "it is the newest run, whose report shows them"


def test_half_a_version_is_temporary(data):
    (data / "06_models" / MODEL / "class_list.json" / version_name(0) / "class_list.json").unlink()
    (item,) = find_items(data, TEMPORARY)
    assert item.name == version_name(0) and item.details == "without class_list.json"
    add_entry(data, 0, model_version=version_name(0))
    assert find_items(data, TEMPORARY) == []


def test_arrays_beside_a_generator_belong_to_its_version(data):
    before = find_items(data, VERSION)
    for name in ("encoder.npz", "directions.npz"):
        write(data / "06_models" / MODEL / name / version_name(0) / name, 500)
    after = find_items(data, VERSION)
    sizes = [(one.name, other.size - one.size) for one, other in zip(before, after, strict=True)]
    assert dict(sizes)[version_name(0)] == 1000
    assert sum(size for _, size in sizes) == 1000


def test_everything_of_a_model_with_a_run_is_kept(data):
    with exclusive_lock(data / "06_models" / MODEL, "trains", "wait"):
        found = [item for item in measure_usage(data).items if item.owner == MODEL]
        assert {item.kept for item in found if item.kind != REPORT} == {RUNNING}


def test_checkpoints_that_a_starting_run_may_resume_are_kept(data):
    with shared_lock(data / "03_primary/sample/collection.in-use", "packs", "wait"):
        assert {item.kept for item in find_items(data, CHECKPOINTS)} == {RUNNING}
        assert RUNNING not in {item.kept for item in find_items(data, VERSION)}
