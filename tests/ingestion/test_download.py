"""Fetching by the real clients, from hubs on this machine."""

import errno
import hashlib
import json
import logging
import os
import random
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, find_images, huggingface
from ganvas.ingestion.download import MARK, FetchParams, fetch
from ganvas.ingestion.wikiart import WikiartParams, read_wikiart
from hubs import ARTWORKS, WIKIART, archive, files, image, point_clients, running_hub

AGAIN = "kedro run --pipelines=fetch"
LOCAL = "conf/local/credentials.yml"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_hub() as hub:
        point_clients(hub.url, tmp_path / "home", monkeypatch)
        yield hub


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw" / "mine"


def refused(source, folder, **credentials) -> str:
    """The one sentence of a fetch that fails, after which nothing looks like a source."""
    with pytest.raises(GanvasError) as caught:
        fetch(source, folder, FetchParams(), credentials)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize(("source", "images", "others"), [("artworks", 12, 13), ("celeba", 6, 2)])
def test_an_archive_of_kaggle_becomes_a_source(hub, raw, caplog, capfd, source, images, others):
    with caplog.at_level(logging.INFO, "ganvas"):
        fetched = fetch(source, raw, FetchParams(), {})
    assert fetched["version"] == "7" and fetched["files"] == images + others
    sizes = [len(content) for path, content in files(raw).items() if path != MARK]
    assert fetched["bytes"] == sum(sizes)
    assert [record.message.split()[0] for record in caplog.records] == ["Fetching", "Fetched"]
    assert f"{fetched['files']} files, {fetched['bytes']} bytes" in caplog.text
    records, remarks, artists = find_images(raw, SourceParams(name=source))
    assert len(records) == images and remarks.empty
    if source == "artworks":
        assert set(records["artist"]) == {"Claude Monet"} == set(artists["name"])
        assert records["path"][0] == "images/Claude_Monet/Claude_Monet_0.jpg"
    assert [path.name for path in raw.parent.iterdir()] == ["mine"]
    said = "".join(capfd.readouterr())
    assert "%|" not in said and "Extracting" not in said


def test_a_second_fetch_asks_nothing_and_changes_nothing(hub, raw, caplog):
    first = fetch("artworks", raw, FetchParams(), {})
    before = {path: path.stat().st_mtime_ns for path in raw.rglob("*")}
    hub.asked.clear()
    with caplog.at_level(logging.INFO, "ganvas"):
        assert fetch("artworks", raw, FetchParams(), {}) == first
    assert hub.asked == [] and "already: 25 files" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in raw.rglob("*")} == before


def test_a_cut_download_goes_on_where_it_stopped(hub, raw):
    content = random.Random(0).randbytes(3 << 20)
    hub.archives[ARTWORKS] = archive({"artists.csv": b"", "images/images/A/1.jpg": content})
    hub.stop_after = 5 << 19
    assert AGAIN in refused("artworks", raw)
    assert not raw.exists()
    hub.stop_after = None
    fetch("artworks", raw, FetchParams(), {})
    # kagglehub writes whole mebibytes.
    assert hub.asked[-1] == f"GET /storage/{ARTWORKS} bytes={2 << 20}-"
    assert files(raw)["images/A/1.jpg"] == content


def test_a_damaged_archive_is_thrown_away(hub, raw):
    whole = hub.archives[ARTWORKS]
    for damaged in (b"no archive", whole.replace(b"Claude Monet,1840", b"Claude Monet,1841")):
        hub.archives[ARTWORKS] = damaged
        assert "arrived damaged" in refused("artworks", raw)
        assert not raw.exists()
    hub.archives[ARTWORKS] = whole
    fetch("artworks", raw, FetchParams(), {})


def test_a_run_that_ends_while_folders_are_lifted_is_finished_by_the_next(hub, raw, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.download._lift", lambda content, name: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fetch("artworks", raw, FetchParams(), {})
    content = next(raw.parent.rglob("versions/7"))
    (content / "images").rename(content / ".images.outer")
    fetch("artworks", raw, FetchParams(), {})
    assert len(list((raw / "images" / "Claude_Monet").iterdir())) == 12
    assert not (raw / ".images.outer").exists()


def test_only_folders_of_the_same_name_without_neighbors_are_lifted(hub, raw):
    names = ["images/images/A/1.jpg", "images/B/2.jpg", "resized/A_1.jpg", "artists.csv"]
    hub.archives[ARTWORKS] = archive(dict.fromkeys(names, b"x"))
    fetch("artworks", raw, FetchParams(), {})
    assert set(files(raw)) == {*names, MARK}


def test_wikiart_is_written_in_the_layout_that_is_read(hub, raw):
    fetched = fetch("wikiart", raw, FetchParams(), {})
    assert fetched["version"] == "a" * 40 and fetched["files"] == 33
    styles, remarks = read_wikiart(raw, WikiartParams())
    assert len(styles) == 30 and remarks.empty
    assert set(styles["style"]) == {"Cubism", "Pop_Art"}
    assert set(styles["artist"]) == {"Unknown Artist", "claude monet", "m.c. escher"}
    assert files(raw)["Pop_Art/claude-monet_000007.jpg"] == image(7)
    genres, remarks = read_wikiart(raw, WikiartParams(labels="genre"))
    assert genres["genre"].value_counts().to_dict() == {"portrait": 10, "landscape": 10}
    digests = [hashlib.sha256((raw / path).read_bytes()).digest() for path in genres["path"]]
    expected = ["validation" if digest[0] / 256 < 0.3 else "train" for digest in digests]
    assert genres["split"].tolist() == expected and len(set(expected)) == 2
    assert len(remarks) == 10 and remarks["reason"].str.startswith("no label").all()


def test_an_export_resumes_where_it_stopped(hub, raw, monkeypatch):
    monkeypatch.setattr(huggingface, "ROWS", 3)
    hub.lost = "data/train-00002"
    assert "wants a credential" in refused("wikiart", raw)
    assert not raw.exists()
    written = {path: path.stat().st_mtime_ns for path in raw.parent.rglob("*.jpg")}
    assert len(written) == 20
    hub.lost = None
    hub.asked.clear()
    fetch("wikiart", raw, FetchParams(), {})
    # The first file is opened for its columns alone; rows 18 and 19 are read, not written, again.
    assert sum("train-00000" in asked for asked in hub.asked) == 1
    times = {path.name: path.stat().st_mtime_ns for path in raw.rglob("*.jpg")}
    assert len(times) == 30 and all(times[path.name] == time for path, time in written.items())
    resumed = files(raw)
    fetch("wikiart", raw.with_name("anew"), FetchParams(), {})
    anew = files(raw.with_name("anew"))
    assert {name for name in anew if anew[name] != resumed[name]} <= {MARK}
    assert set(resumed) == set(anew)


def test_an_export_of_another_client_version_is_read_again_but_not_written_again(
    hub, raw, monkeypatch
):
    monkeypatch.setattr(huggingface, "ROWS", 3)
    hub.lost = "data/train-00002"
    refused("wikiart", raw)
    checkpoint = next(raw.parent.rglob(huggingface.CHECKPOINT))
    checkpoint.write_text(json.dumps(json.loads(checkpoint.read_text()) | {"client": "old"}))
    written = {path.name: path.stat().st_mtime_ns for path in raw.parent.rglob("*.jpg")}
    hub.lost = None
    fetch("wikiart", raw, FetchParams(), {})
    times = {path.name: path.stat().st_mtime_ns for path in raw.rglob("*.jpg")}
    assert all(times[name] == time for name, time in written.items())
    assert len(read_wikiart(raw, WikiartParams(labels="genre"))[0]) == 20


def test_a_data_set_of_other_columns_is_told(hub, raw):
    content = next(iter(hub.shards.values())).replace(b"genre", b"gente")
    hub.shards = dict.fromkeys(hub.shards, content)
    assert "not laid out like huggan/wikiart" in refused("wikiart", raw)


@pytest.mark.parametrize(("source", "name"), [("artworks", "Kaggle"), ("wikiart", "Hugging Face")])
def test_no_network_is_told(tmp_path, raw, monkeypatch, source, name):
    with running_hub() as hub:
        url = hub.url
    point_clients(url, tmp_path / "home", monkeypatch)
    message = refused(source, raw)
    assert name in message and "can't be reached" in message and AGAIN in message


@pytest.mark.parametrize(("source", "entry"), [("celeba", "kaggle"), ("wikiart", "huggingface")])
def test_credentials_are_handed_over_and_their_refusal_is_told(hub, raw, source, entry):
    hub.token = "right"
    for given, words in [({}, "wants a credential"), ({"token": "wrong"}, "refuses your")]:
        message = refused(source, raw, **{entry: given})
        assert words in message and LOCAL in message and f"'{entry}'" in message
        assert "wrong" not in message
    fetch(source, raw, FetchParams(), {entry: {"token": "right"}})


def test_kaggles_user_name_and_key_go_before_the_environment(hub, raw, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    hub.token = "Basic YW5uOjE3"  # ann:17
    fetch("celeba", raw, FetchParams(), {"kaggle": {"username": "ann", "key": 17}})
    assert os.environ["KAGGLE_API_TOKEN"] == "wrong" and "KAGGLE_KEY" not in os.environ


@pytest.mark.parametrize(
    ("source", "variable"), [("celeba", "KAGGLE_API_TOKEN"), ("wikiart", "HF_TOKEN")]
)
def test_without_an_entry_the_clients_variables_count(hub, raw, monkeypatch, source, variable):
    hub.token = "right"
    monkeypatch.setenv(variable, "right")
    fetch(source, raw, FetchParams(), {"kaggle": None})


def test_a_broken_file_of_the_client_itself_is_told(hub, tmp_path, raw):
    file = tmp_path / "home" / ".kaggle" / "kaggle.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert f"Invalid Kaggle credentials file at {file}" in refused("celeba", raw)


@pytest.mark.parametrize(
    "entry",
    [{"tokn": "s3cret"}, {"username": "s3cret"}, {"token": ""}, {"token": None}, "s3cret", ["a"]],
)
def test_an_entry_that_cannot_be_used_is_told_but_not_shown(hub, raw, entry):
    message = refused("artworks", raw, kaggle=entry)
    assert "{token: …} or {username: …, key: …}" in message and LOCAL in message
    assert "s3cret" not in message and hub.asked == []


@pytest.mark.parametrize("source", ["artworks", "wikiart"])
def test_an_unknown_data_set_is_told(hub, raw, source):
    with pytest.raises(GanvasError, match="has no data set nobody/nothing: set 'fetch'"):
        fetch(source, raw, FetchParams(**{source: "nobody/nothing"}), {})


@pytest.mark.parametrize("source", ["artworks", "wikiart"])
def test_a_hub_in_trouble_is_told(hub, raw, source):
    hub.status = 500
    assert "status 500" in refused(source, raw)


@pytest.mark.parametrize(("source", "client"), [("artworks", "kagglehub"), ("wikiart", "datasets")])
def test_a_missing_client_is_told(hub, raw, monkeypatch, source, client):
    monkeypatch.setitem(sys.modules, client, None)
    message = refused(source, raw)
    assert client in message and 'pip install "ganvas[fetch]"' in message


def test_a_full_disk_is_told(hub, raw, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("kagglehub.clients._download_file", Mock(side_effect=full))
    assert f"The disk of {raw} is full" in refused("artworks", raw)


def test_a_disk_that_fills_up_leaves_no_half_image(hub, raw, monkeypatch):
    def fill(file, content):
        with file.open("wb") as stream:
            stream.write(content[:500])
        if ".jpg" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        assert f"The disk of {raw} is full" in refused("wikiart", raw)
    fetch("wikiart", raw, FetchParams(), {})
    assert files(raw)["Cubism/Unknown-Artist_000000.jpg"] == image(0)


def test_foreign_files_are_left_alone(hub, raw):
    raw.mkdir(parents=True)
    (raw / "treasure.txt").write_text("mine")
    assert "not fetched by Ganvas" in refused("artworks", raw)
    assert files(raw) == {"treasure.txt": b"mine"} and hub.asked == []
    assert "not fetched by Ganvas" in refused("artworks", raw / "treasure.txt")


def test_a_folder_of_another_data_set_is_left_alone(hub, raw):
    fetch("artworks", raw, FetchParams(), {})
    before = files(raw)
    assert f"was fetched from {ARTWORKS}, not {WIKIART}" in refused("wikiart", raw)
    assert files(raw) == before


def test_what_was_begun_is_not_mixed_with_another_data_set(hub, raw):
    hub.stop_after = 5000
    refused("artworks", raw)
    assert f"holds a part of {ARTWORKS}" in refused("wikiart", raw)


def test_files_that_are_gone_are_told(hub, raw):
    fetch("artworks", raw, FetchParams(), {})
    (raw / "artists.csv").unlink()
    assert "only 24 are left" in refused("artworks", raw)


def test_an_empty_folder_and_a_link_to_one_are_filled(hub, tmp_path, raw):
    (tmp_path / "big").mkdir()
    raw.parent.mkdir()
    raw.symlink_to(tmp_path / "big")
    fetch("celeba", raw, FetchParams(), {})
    assert raw.is_symlink() and (tmp_path / "big" / MARK).is_file()
