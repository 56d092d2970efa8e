"""Mirroring from the in-memory store of fsspec."""

import logging
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry as registry
from fsspec.registry import known_implementations

from ganvas.datasets.folder import MirroredFolderDataset
from ganvas.errors import GanvasError
from ganvas.ingestion import object_store
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.object_store import MARKER, mirror

URL = "memory://bucket/images"


@pytest.fixture
def store():
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name in ("a.png", "deep/er/b.png", "c.csv"):
        store.pipe(f"/bucket/images/{name}", name.encode())
    store.pipe("/bucket/images-too/no.png", b"another folder")
    yield store
    store.store.clear()


def contents(folder: Path) -> dict[str, str]:
    return {path: (folder / path).read_text() for path, *_ in list_files(folder)}


def test_a_mirror_holds_the_objects_of_the_store(store, tmp_path):
    folder = tmp_path / "raw" / "mine"
    store.pipe("/bucket/images/.hidden", b"")
    store.pipe("/bucket/images/../outside.png", b"")
    mirror(URL, folder, {})
    names = ["a.png", "deep/er/b.png", "c.csv"]
    assert contents(folder) == {name: name for name in names}
    assert not (tmp_path / "raw" / "outside.png").exists()


def test_only_changed_objects_are_downloaded_again(store, tmp_path, monkeypatch, caplog):
    mirror(URL, tmp_path / "m", {})
    before = sorted(list_files(tmp_path / "m"))
    requests = []
    get = type(store).get
    monkeypatch.setattr(
        type(store),
        "get",
        lambda self, names, *rest: requests.extend(names) or get(self, names, *rest),
    )
    with caplog.at_level(logging.INFO):
        mirror(URL, tmp_path / "m", {})
    assert not requests and "is unchanged: 3 files" in caplog.text
    assert sorted(list_files(tmp_path / "m")) == before
    time.sleep(0.01)
    store.pipe("/bucket/images/a.png", b"again")
    store.rm("/bucket/images/c.csv")
    (tmp_path / "m" / "deep/er/b.png").unlink()
    mirror(URL, tmp_path / "m", {})
    assert sorted(requests) == ["/bucket/images/a.png", "/bucket/images/deep/er/b.png"]
    assert contents(tmp_path / "m") == {"a.png": "again", "deep/er/b.png": "deep/er/b.png"}


def test_other_files_in_a_mirror_are_kept(store, tmp_path):
    mirror(URL, tmp_path, {})
    for name in ("labels.csv", "deep/own.png"):
        (tmp_path / name).write_text("mine")
    store.rm("/bucket/images/a.png")
    store.rm("/bucket/images/c.csv")
    (tmp_path / "c.csv").unlink()
    mirror(URL, tmp_path, {})
    left = {"deep/er/b.png": "deep/er/b.png", "labels.csv": "mine", "deep/own.png": "mine"}
    assert contents(tmp_path) == left
    # A name that was mirrored earlier, but no longer.
    (tmp_path / "a.png").write_text("mine")
    mirror(URL, tmp_path, {})
    assert contents(tmp_path) == left | {"a.png": "mine"}


def test_a_second_mirror_has_the_same_file_stats(store, tmp_path):
    for name in ("one", "two"):
        mirror(URL, tmp_path / name, {})
    one, two = (sorted(list_files(tmp_path / name)) for name in ("one", "two"))
    assert one == two and len(one) == 3


def test_an_interrupted_mirror_resumes(store, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "BATCH", 1)
    get, requests = type(store).get, []

    def failing(self, names, *rest):
        requests.extend(names)
        if len(requests) == 2:
            raise OSError("the line\nis down")
        get(self, names, *rest)

    monkeypatch.setattr(type(store), "get", failing)
    with pytest.raises(GanvasError, match=rf"{URL} can't be read \(the line is down\): check"):
        mirror(URL, tmp_path, {})
    mirror(URL, tmp_path, {})
    assert len(requests) == 4 and len(set(requests)) == 3
    assert len(contents(tmp_path)) == 3


def test_a_complete_mirror_is_kept_if_the_store_can_not_be_read(
    store, tmp_path, monkeypatch, caplog
):
    def fail(*_, **__):
        raise OSError("the line is down")

    mirror(URL, tmp_path / "m", {})
    store.rm("/bucket/images/c.csv")
    mirror(URL, tmp_path / "m", {})
    before = contents(tmp_path / "m")
    monkeypatch.setattr(type(store), "find", fail)
    mirror(URL, tmp_path / "m", {})
    assert contents(tmp_path / "m") == before
    assert "can't be read (the line is down): check ingest.source.path" in caplog.text
    assert f"The files that were mirrored to {tmp_path / 'm'} are used." in caplog.text
    (tmp_path / "m" / "a.png").unlink()
    for folder in ("m", "new"):
        with pytest.raises(GanvasError, match=r"can't be read \(the line is down\)"):
            mirror(URL, tmp_path / folder, {})


def test_folders_with_other_files_are_an_error(store, tmp_path):
    (tmp_path / "mine.png").write_text("mine")
    with pytest.raises(GanvasError, match="holds files that are no mirror of memory://"):
        mirror(URL, tmp_path, {})
    assert contents(tmp_path) == {"mine.png": "mine"}
    mirror(URL, tmp_path / "m", {})
    with pytest.raises(
        GanvasError, match="mirrors memory://bucket/images, not memory://bucket/images-"
    ):
        mirror(URL + "-too", tmp_path / "m", {})


def test_the_password_of_a_url_is_not_written(store, tmp_path):
    url = "memory://ann:hunter2@bucket/images"
    store.pipe("/ann:hunter2@bucket/images/a.png", b"a")
    mirror(url, tmp_path / "m", {})
    marker = tmp_path / "m" / MARKER
    assert "hunter2" not in marker.read_text() and "memory://***@bucket" in marker.read_text()
    # So does a mirror of an earlier version, which is used on.
    marker.write_text(marker.read_text().replace("***", "ann:hunter2"))
    mirror(url, tmp_path / "m", {})
    with pytest.raises(GanvasError) as caught:
        mirror("memory://ann:hunter2@other/images", tmp_path / "m", {})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", ["", '{"url": "mem', "[1]", '{"url": "memory://a"}'])
def test_a_damaged_record_of_a_mirror_is_an_error(store, tmp_path, content):
    (tmp_path / MARKER).write_text(content)
    with pytest.raises(GanvasError, match=rf"{MARKER} is damaged \(.*delete {tmp_path} "):
        mirror(URL, tmp_path, {})


def test_an_empty_url_is_an_error_and_keeps_the_mirror(store, tmp_path):
    mirror(URL, tmp_path, {})
    store.rm("/bucket/images", recursive=True)
    with pytest.raises(GanvasError, match=f"There are no files at {URL}: set ingest.source.path"):
        mirror(URL, tmp_path, {})
    assert len(contents(tmp_path)) == 3 and (tmp_path / MARKER).is_file()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is no complete JSON"),
        ("[1]", r"its content can't be \[1\]"),
        ('{"objects": {}}', "it has no url"),
        (f'{{"url": "{URL}", "objects": {{"../outside.png": "1"}}}}', "can't be '../outside.png'"),
        (f'{{"url": "{URL}", "objects": {{"/outside.png": "1"}}}}', "can't be '/outside.png'"),
    ],
)
def test_a_changed_marker_deletes_nothing_elsewhere(store, tmp_path, content, reason):
    (tmp_path / "outside.png").touch()
    mirror(URL, tmp_path / "m", {})
    (tmp_path / "m" / MARKER).write_text(content)
    with pytest.raises(GanvasError, match=rf"is damaged \(.*{reason}\): delete .*m to mirror"):
        mirror(URL, tmp_path / "m", {})
    assert (tmp_path / "outside.png").exists()


def test_a_missing_package_is_an_error_before_anything_runs(kedro_run, monkeypatch):
    source = {"ingest__source__name": "folder"}
    result = kedro_run("--pipelines=ingest", **source, ingest__source__path="nowhere://x")
    assert (
        "Error: nowhere://x can't be read, since the protocol nowhere:// is unknown"
        in result.output
    )
    monkeypatch.setitem(known_implementations, "s3", {"class": "nothere.Store", "err": "Get it"})
    monkeypatch.delitem(registry, "s3", raising=False)
    result = kedro_run("--pipelines=ingest", **source, ingest__source__path="s3://art/works")
    assert (
        "Error: s3://art/works needs a package that is not installed (Get it): run "
        '`pip install -e ".[s3]"`.'
    ) in result.output
    result = kedro_run("--pipelines=ingest", ingest__source__path="s3://art/works")
    assert "Error: Parameters in 'ingest.source' don't go together: name is sample" in result.output


def test_the_dataset_mirrors_only_urls(store, tmp_path):
    remote = MirroredFolderDataset(filepath=URL, path=str(tmp_path / "m"))
    assert remote.load() == tmp_path / "m" and len(contents(tmp_path / "m")) == 3
    local = MirroredFolderDataset(filepath=str(tmp_path / "own"), path=str(tmp_path / "n"))
    assert local.load() == tmp_path / "own" and not (tmp_path / "n").exists()
