"""Mirroring, with fsspec's store in memory."""

import logging
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry as registry
from fsspec.registry import known_implementations

from ganvas.datasets.folder import MirroredFolderDataset
from ganvas.errors import GanvasError
from ganvas.ingestion import object_store as mirroring
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.object_store import MARK, mirror

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
    return {path: (folder / path).read_text() for path, *_ in list_files(folder, "")}


def test_a_mirror_holds_what_the_store_holds(store, tmp_path):
    folder = tmp_path / "raw" / "mine"
    store.pipe("/bucket/images/.hidden", b"")
    store.pipe("/bucket/images/../outside.png", b"")
    mirror(URL, folder, {})
    names = ["a.png", "deep/er/b.png", "c.csv"]
    assert contents(folder) == {name: name for name in names}
    assert not (tmp_path / "raw" / "outside.png").exists()


def test_only_what_has_changed_is_fetched_again(store, tmp_path, monkeypatch, caplog):
    mirror(URL, tmp_path / "m", {})
    before = sorted(list_files(tmp_path / "m", ""))
    asked = []
    get = type(store).get
    monkeypatch.setattr(
        type(store),
        "get",
        lambda self, names, *rest: asked.extend(names) or get(self, names, *rest),
    )
    with caplog.at_level(logging.INFO):
        mirror(URL, tmp_path / "m", {})
    assert not asked and "is unchanged: 3 files" in caplog.text
    assert sorted(list_files(tmp_path / "m", "")) == before
    time.sleep(0.01)
    store.pipe("/bucket/images/a.png", b"again")
    store.rm("/bucket/images/c.csv")
    (tmp_path / "m" / "deep/er/b.png").unlink()
    mirror(URL, tmp_path / "m", {})
    assert sorted(asked) == ["/bucket/images/a.png", "/bucket/images/deep/er/b.png"]
    assert contents(tmp_path / "m") == {"a.png": "again", "deep/er/b.png": "deep/er/b.png"}


def test_files_of_your_own_stay_in_a_mirror(store, tmp_path):
    mirror(URL, tmp_path, {})
    for name in ("labels.csv", "deep/own.png"):
        (tmp_path / name).write_text("mine")
    store.rm("/bucket/images/a.png")
    store.rm("/bucket/images/c.csv")
    (tmp_path / "c.csv").unlink()
    mirror(URL, tmp_path, {})
    left = {"deep/er/b.png": "deep/er/b.png", "labels.csv": "mine", "deep/own.png": "mine"}
    assert contents(tmp_path) == left
    # Of a name that was fetched once, but isn't any more.
    (tmp_path / "a.png").write_text("mine")
    mirror(URL, tmp_path, {})
    assert contents(tmp_path) == left | {"a.png": "mine"}


def test_a_second_mirror_looks_the_same_to_ingestion(store, tmp_path):
    for name in ("one", "two"):
        mirror(URL, tmp_path / name, {})
    one, two = (sorted(list_files(tmp_path / name, "")) for name in ("one", "two"))
    assert one == two and len(one) == 3


def test_a_mirror_that_was_stopped_goes_on(store, tmp_path, monkeypatch):
    monkeypatch.setattr(mirroring, "BATCH", 1)
    get, asked = type(store).get, []

    def failing(self, names, *rest):
        asked.extend(names)
        if len(asked) == 2:
            raise OSError("the line\nis down")
        get(self, names, *rest)

    monkeypatch.setattr(type(store), "get", failing)
    with pytest.raises(GanvasError, match=rf"{URL} can't be read \(the line is down\): check"):
        mirror(URL, tmp_path, {})
    mirror(URL, tmp_path, {})
    assert len(asked) == 4 and len(set(asked)) == 3
    assert len(contents(tmp_path)) == 3


def test_other_files_are_left_alone(store, tmp_path):
    (tmp_path / "mine.png").write_text("mine")
    with pytest.raises(GanvasError, match="holds files that are no mirror of memory://"):
        mirror(URL, tmp_path, {})
    assert contents(tmp_path) == {"mine.png": "mine"}
    mirror(URL, tmp_path / "m", {})
    with pytest.raises(GanvasError, match="mirrors memory://bucket/images, not memory://bucket/p"):
        mirror(URL + "-too", tmp_path / "m", {})


def test_an_empty_place_is_told_and_empties_no_mirror(store, tmp_path):
    mirror(URL, tmp_path, {})
    store.rm("/bucket/images", recursive=True)
    with pytest.raises(GanvasError, match=f"There are no files at {URL}: set ingest.source.path"):
        mirror(URL, tmp_path, {})
    assert len(contents(tmp_path)) == 3 and (tmp_path / MARK).is_file()


def test_what_a_protocol_needs_is_told_before_anything_runs(kedro_run, monkeypatch):
    source = {"ingest__source__name": "folder"}
    result = kedro_run("--pipelines=ingest", **source, ingest__source__path="nowhere://x")
    assert "Error: nowhere://x can't be read, for nothing knows nowhere://" in result.output
    monkeypatch.setitem(known_implementations, "s3", {"class": "nothere.Store", "err": "Get it"})
    monkeypatch.delitem(registry, "s3", raising=False)
    result = kedro_run("--pipelines=ingest", **source, ingest__source__path="s3://art/works")
    assert (
        "Error: s3://art/works needs a package that is not installed (Get it): run "
        '`pip install "ganvas[s3]"`.'
    ) in result.output
    result = kedro_run("--pipelines=ingest", ingest__source__path="s3://art/works")
    assert "Error: Parameters in 'ingest.source' don't go together: name is sample" in result.output


def test_the_dataset_mirrors_urls_alone(store, tmp_path):
    away = MirroredFolderDataset(filepath=URL, path=str(tmp_path / "m"))
    assert away.load() == tmp_path / "m" and len(contents(tmp_path / "m")) == 3
    here = MirroredFolderDataset(filepath=str(tmp_path / "own"), path=str(tmp_path / "n"))
    assert here.load() == tmp_path / "own" and not (tmp_path / "n").exists()
