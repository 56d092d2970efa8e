import json
import os
import time

import pytest

from ganvas.disk import items
from ganvas.disk.busy import RUNNING
from ganvas.disk.usage import measure_usage
from ganvas.file_lock import exclusive_lock, shared_lock
from made_up_runs import MODEL, add_entry, add_runs, find_items, write

OLD = time.time() - 3 * 86400


@pytest.fixture
def data(tmp_path):
    return add_runs(tmp_path / "data", 3)


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
    assert kinds == {getattr(items, name) for name in vars(items) if name in KINDS}
    # Names in the folder of raw images are the user's.
    temporary = {item.name for item in usage.items if item.kind == items.TEMPORARY}
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


def test_recent_temporary_files_and_those_of_a_run_are_kept(data):
    fresh = data / "06_models" / MODEL / "checkpoints/000000000000/.epoch-1.npz.partial"
    write(fresh)
    stale = data / "03_primary/sample/.collection.partial"
    write(stale / "whole/images.npy")
    for path in (stale, stale / "whole", stale / "whole/images.npy"):
        os.utime(path, (OLD, OLD))
    (item,) = find_items(data, items.TEMPORARY)
    assert item.kept == "it was changed less than a day ago"
    (item,) = find_items(data, items.TEMPORARY, "sample")
    assert not item.kept
    with exclusive_lock(data / "03_primary/sample/collection", "packs", "wait"):
        assert find_items(data, items.TEMPORARY, "sample")[0].kept == RUNNING


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
    (item,) = find_items(data, items.COLLECTION, "art")
    assert (item.state, item.kept) == ("unused", "")
    with exclusive_lock(data / "06_models/art/dcgan", "trains", "wait"):
        assert find_items(data, items.COLLECTION, "art")[0].kept == RUNNING
    (data / "06_models/art/dcgan").mkdir()
    assert find_items(data, items.COLLECTION, "art")[0].kept == "art/dcgan refers to it"
    (data / "06_models/art/dcgan").rmdir()
    add_entry(data, 0, dataset="art")
    assert find_items(data, items.COLLECTION, "art")[0].kept.startswith("the leaderboard's")


@pytest.mark.parametrize("locked", [".", "collection", "collection.in-use"])
def test_a_collection_that_a_run_ingests_or_uses_is_kept(data, collection, locked):
    with shared_lock(data / "03_primary/art" / locked, "packs", "wait"):
        assert find_items(data, items.COLLECTION, "art")[0].kept == RUNNING


def test_a_collection_whose_images_are_gone_is_kept(data, collection):
    (data / "01_raw/art/0.jpg").unlink()
    assert "are not there any more" in find_items(data, items.COLLECTION, "art")[0].kept


def test_unpacked_files_may_go_while_their_archive_is_there(data, tmp_path):
    archive, folder = tmp_path / "art.zip", data / "01_raw/.unpacked/0123/art"
    write(archive)
    write(folder / "0.jpg")
    assert "not known" in find_items(data, items.UNPACKED, "")[0].kept
    status = archive.stat()
    marker = {"archive": str(archive), "bytes": 100, "modified_ns": status.st_mtime_ns}
    (folder / ".unpacked.json").write_text(json.dumps(marker))
    (item,) = find_items(data, items.UNPACKED, "")
    assert not item.kept and item.details == f"of {archive}"
    write(archive, 101)
    assert find_items(data, items.UNPACKED, "")[0].kept
