import json
import os
import time
import zipfile

import pytest

from ganvas.disk import usage as module
from ganvas.disk.usage import measure_usage
from ganvas.file_lock import exclusive_lock, shared_lock
from made_up_runs import MODEL, add_entry, add_run, run_name, set_newest, version_name, write

OLD = time.time() - 3 * 86400


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    for number in range(3):
        add_run(data, number)
    set_newest(data, 2)
    return data


def items(data, kind, owner=MODEL):
    return [item for item in measure_usage(data).items if (item.kind, item.owner) == (kind, owner)]


def total(data):
    found = [path for path in data.rglob("*") if path.is_symlink() or path.is_file()]
    return sum(path.lstat().st_size for path in found)


def test_all_files_are_counted_once(data):
    write(data / "01_raw/sample/images/.art.old/0.jpg", 300)
    write(data / "01_raw/.unpacked/0123/art/0.jpg", 200)
    write(data / "02_intermediate/sample/artists.parquet")
    write(data / "03_primary/sample/collection/images-00000.npy")
    write(data / "03_primary/sample/.collection.partial/0.npy")
    write(data / "06_models" / MODEL / "exported/generator.onnx")
    write(data / "06_models" / MODEL / "checkpoints/000000000001/epoch-1.npz.unreadable")
    write(data / "07_model_output" / MODEL / "samples/0.png")
    write(data / "07_model_output" / MODEL / "films/film.webp")
    write(data / "09_tracking/mlflow.db")
    add_entry(data, 0)
    usage = measure_usage(data)
    assert usage.size == total(data) == sum(item.size for item in usage.items)
    assert usage.files == sum(item.files for item in usage.items)
    kinds = {item.kind for item in usage.items}
    assert kinds == {getattr(module, name) for name in vars(module) if name in KINDS}
    # Names in the folder of raw images are the user's.
    temporary = {item.name for item in usage.items if item.kind == module.TEMPORARY}
    assert len(temporary) == 2 and not any("01_raw" in name for name in temporary)


KINDS = {
    *("RAW", "UNPACKED", "COLLECTION", "VERSION", "CHECKPOINTS", "EXPORTED", "SNAPSHOTS"),
    *("SAMPLES", "FILMS", "REPORT", "LEADERBOARD", "TRACKING", "TEMPORARY", "OTHER"),
}


def test_an_empty_or_missing_folder_has_nothing(tmp_path):
    assert measure_usage(tmp_path / "data")[1:] == (0, 0, None, [], [])
    (tmp_path / "data").mkdir()
    assert measure_usage(tmp_path / "data").items == []


def test_links_are_listed_and_not_followed(data, tmp_path):
    write(tmp_path / "elsewhere/generator.keras/x/generator.keras", 5000)
    link = data / "06_models/sample/linked"
    link.symlink_to(tmp_path / "elsewhere")
    usage = measure_usage(data)
    assert usage.links == [link] and usage.size == total(data)
    assert not [item for item in usage.items if "linked" in item.owner]
    # The folder data itself may be a link to another disk.
    (tmp_path / "link").symlink_to(data)
    assert measure_usage(tmp_path / "link").size == usage.size


def test_runs_are_described_by_their_epochs_and_different_parameters(data):
    first, _, newest = items(data, module.CHECKPOINTS)
    assert first.details == f"epochs 11, 12, not known to be finished, begun {run_name(0)}, seed=0"
    assert first.state == "unfinished" and not first.kept
    assert newest.state == "finished" and newest.kept.startswith("it is the newest run")
    add_entry(data, 0)
    assert items(data, module.CHECKPOINTS)[0].state == "finished"
    assert [path.name for path, _ in first.surplus] == ["epoch-000011-step-0000000.npz"]


def test_an_entry_of_an_earlier_version_is_of_a_finished_run_if_it_has_all_epochs(data):
    for epochs, state in ((12, "finished"), (13, "unfinished"), ("none", "unfinished")):
        add_entry(data, 0, ended_by=None, parameters={"train.epochs": epochs})
        assert items(data, module.CHECKPOINTS)[0].state == state


@pytest.mark.parametrize(
    "entry", [{"ended_by": "interrupted"}, {"ended_by": None}, {"epochs": 11}, {"epochs": "x"}]
)
def test_a_run_is_finished_only_if_a_result_says_so(data, entry):
    add_entry(data, 0, **entry)
    assert items(data, module.CHECKPOINTS)[0].state == "unfinished"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip"])
def test_of_damaged_checkpoints_the_last_readable_one_stays(data, content):
    run = data / "06_models" / MODEL / "checkpoints/000000000000"
    (run / "epoch-000012-step-0000000.npz").write_bytes(content)
    assert items(data, module.CHECKPOINTS)[0].surplus == ()
    with zipfile.ZipFile(run / "epoch-000011-step-0000000.npz", "w") as archive:
        archive.writestr("run_state.json", "[]")
    (item, *_) = items(data, module.CHECKPOINTS)
    assert item.surplus == () and "not known to be finished" in item.details


def test_marked_epochs_keep_their_run_and_are_no_surplus(data):
    run = data / "06_models" / MODEL / "checkpoints/000000000000"
    (run / "marked.json").write_text(json.dumps([11]))
    (item, *_) = items(data, module.CHECKPOINTS)
    assert item.kept == "epochs of it are marked" and item.surplus == ()
    (run / "marked.json").write_text("{")
    assert items(data, module.CHECKPOINTS)[0].kept


def test_snapshots_of_powers_of_two_of_checkpoints_and_the_last_are_needed(data):
    first, _, newest = items(data, module.SNAPSHOTS)
    thinned = [int(path.stem.removeprefix("epoch_")) for path, _ in first.surplus]
    assert thinned == [3, 5, 6, 7, 9, 10] and not first.kept
    assert newest.kept == "it is the newest run, whose report shows them"


def test_half_a_version_is_temporary(data):
    (data / "06_models" / MODEL / "class_list.json" / version_name(0) / "class_list.json").unlink()
    (item,) = items(data, module.TEMPORARY)
    assert item.name == version_name(0) and item.details == "without class_list.json"
    add_entry(data, 0, model_version=version_name(0))
    assert items(data, module.TEMPORARY) == []


def test_arrays_beside_a_generator_belong_to_its_version(data):
    before = items(data, module.VERSION)
    for name in ("encoder.npz", "directions.npz"):
        write(data / "06_models" / MODEL / name / version_name(0) / name, 500)
    after = items(data, module.VERSION)
    sizes = [(one.name, other.size - one.size) for one, other in zip(before, after, strict=True)]
    assert dict(sizes)[version_name(0)] == 1000
    assert sum(size for _, size in sizes) == 1000


def test_recent_temporary_files_and_those_of_a_run_are_kept(data):
    fresh = data / "06_models" / MODEL / "checkpoints/000000000000/.epoch-1.npz.partial"
    write(fresh)
    stale = data / "03_primary/sample/.collection.partial"
    write(stale / "whole/images.npy")
    for path in (stale, stale / "whole", stale / "whole/images.npy"):
        os.utime(path, (OLD, OLD))
    (item,) = items(data, module.TEMPORARY)
    assert item.kept == "it was changed less than a day ago"
    (item,) = items(data, module.TEMPORARY, "sample")
    assert not item.kept
    with exclusive_lock(data / "03_primary/sample/collection", "packs", "wait"):
        assert items(data, module.TEMPORARY, "sample")[0].kept == module.RUNNING


def test_everything_of_a_model_with_a_run_is_kept(data):
    with exclusive_lock(data / "06_models" / MODEL, "trains", "wait"):
        found = [item for item in measure_usage(data).items if item.owner == MODEL]
        assert {item.kept for item in found if item.kind != module.REPORT} == {module.RUNNING}


def test_checkpoints_that_a_starting_run_may_resume_are_kept(data):
    with shared_lock(data / "03_primary/sample/collection.in-use", "packs", "wait"):
        assert {item.kept for item in items(data, module.CHECKPOINTS)} == {module.RUNNING}
        assert module.RUNNING not in {item.kept for item in items(data, module.VERSION)}


@pytest.fixture
def collection(data):
    """A collection that no model refers to, and whose images are there."""
    source = data / "01_raw/art"
    write(source / "0.jpg")
    folder = data / "03_primary/art/collection"
    write(folder / "images-00000.npy")
    (folder / "manifest.json").write_text(json.dumps({"source": str(source)}))
    return folder


def test_a_collection_is_unused_until_anything_refers_to_it(data, collection):
    (item,) = items(data, module.COLLECTION, "art")
    assert (item.state, item.kept) == ("unused", "")
    with exclusive_lock(data / "06_models/art/dcgan", "trains", "wait"):
        assert items(data, module.COLLECTION, "art")[0].kept == module.RUNNING
    (data / "06_models/art/dcgan").mkdir()
    assert items(data, module.COLLECTION, "art")[0].kept == "art/dcgan refers to it"
    (data / "06_models/art/dcgan").rmdir()
    add_entry(data, 0, dataset="art")
    assert items(data, module.COLLECTION, "art")[0].kept.startswith("the leaderboard's")


@pytest.mark.parametrize("locked", [".", "collection", "collection.in-use"])
def test_a_collection_that_a_run_ingests_or_uses_is_kept(data, collection, locked):
    with shared_lock(data / "03_primary/art" / locked, "packs", "wait"):
        assert items(data, module.COLLECTION, "art")[0].kept == module.RUNNING


def test_a_collection_whose_images_are_gone_is_kept(data, collection):
    (data / "01_raw/art/0.jpg").unlink()
    assert "are not there any more" in items(data, module.COLLECTION, "art")[0].kept


def test_unpacked_files_may_go_while_their_archive_is_there(data, tmp_path):
    archive, folder = tmp_path / "art.zip", data / "01_raw/.unpacked/0123/art"
    write(archive)
    write(folder / "0.jpg")
    assert "not known" in items(data, module.UNPACKED, "")[0].kept
    status = archive.stat()
    marker = {"archive": str(archive), "bytes": 100, "modified_ns": status.st_mtime_ns}
    (folder / ".unpacked.json").write_text(json.dumps(marker))
    (item,) = items(data, module.UNPACKED, "")
    assert not item.kept and item.details == f"of {archive}"
    write(archive, 101)
    assert items(data, module.UNPACKED, "")[0].kept
