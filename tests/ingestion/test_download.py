"""Downloads by the real clients from local servers."""

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
from ganvas.ingestion import SourceParams, huggingface, list_images
from ganvas.ingestion.download import MARKER, download_source
from ganvas.ingestion.wikiart import WikiartParams, read_wikiart
from hubs import ARTWORKS, CELEBA, WIKIART, archive, files, image, point_clients, running_hub

pytestmark = pytest.mark.slow

AGAIN = "run the same command again"
LOCAL = "conf/local/credentials.yml"
HANDLES = {"artworks": ARTWORKS, "celeba": CELEBA, "wikiart": WIKIART}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_hub() as hub:
        point_clients(hub.url, tmp_path / "home", monkeypatch)
        yield hub


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw" / "mine"


def download(source, folder, credentials=None):
    return download_source(source, HANDLES[source], folder, credentials or {})


def failed(source, folder, **credentials) -> str:
    """Return the message of a download that fails, which must be one sentence."""
    with pytest.raises(GanvasError) as caught:
        download(source, folder, credentials)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize(("source", "images", "others"), [("artworks", 12, 13), ("celeba", 6, 2)])
def test_a_kaggle_archive_becomes_a_source(hub, raw, caplog, capfd, source, images, others):
    with caplog.at_level(logging.INFO, "ganvas"):
        downloaded = download(source, raw)
    assert downloaded["version"] == "7" and downloaded["files"] == images + others
    sizes = [len(content) for path, content in files(raw).items() if path != MARKER]
    assert downloaded["bytes"] == sum(sizes)
    assert [record.message.split()[0] for record in caplog.records] == ["Downloading", "Downloaded"]
    assert f"{downloaded['files']} files, {downloaded['bytes']} bytes" in caplog.text
    records, skipped, artists, *_ = list_images(raw, SourceParams(name=source))
    assert len(records) == images and skipped.empty
    if source == "artworks":
        assert set(records["artist"]) == {"Claude Monet"} == set(artists["name"])
        assert records["path"][0] == "images/Claude_Monet/Claude_Monet_0.jpg"
    assert {path.name for path in raw.parent.iterdir()} == {"mine", ".mine.lock"}
    output = "".join(capfd.readouterr())
    assert "%|" not in output and "Extracting" not in output


def test_a_second_download_sends_no_request_and_changes_nothing(hub, raw, caplog):
    first = download("artworks", raw)
    before = {path: path.stat().st_mtime_ns for path in raw.rglob("*")}
    hub.requests.clear()
    with caplog.at_level(logging.INFO, "ganvas"):
        assert download("artworks", raw) == first
    assert hub.requests == [] and "already: 25 files" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in raw.rglob("*")} == before
    for damaged in ("", '{"handle": "a', "[]"):
        (raw / MARKER).write_text(damaged)
        with pytest.raises(GanvasError, match=rf"{MARKER} is damaged \(.*delete {raw} to"):
            download("artworks", raw)


def test_an_interrupted_download_resumes(hub, raw):
    content = random.Random(0).randbytes(3 << 20)
    hub.archives[ARTWORKS] = archive({"artists.csv": b"", "images/images/A/1.jpg": content})
    hub.stop_after = 5 << 19
    assert AGAIN in failed("artworks", raw)
    assert not raw.exists()
    hub.stop_after = None
    download("artworks", raw)
    # kagglehub writes whole mebibytes.
    assert hub.requests[-1] == f"GET /storage/{ARTWORKS} bytes={2 << 20}-"
    assert files(raw)["images/A/1.jpg"] == content


def test_a_damaged_archive_is_deleted(hub, raw):
    whole = hub.archives[ARTWORKS]
    for damaged in (b"no archive", whole.replace(b"Claude Monet,1840", b"Claude Monet,1841")):
        hub.archives[ARTWORKS] = damaged
        assert "is damaged and was deleted" in failed("artworks", raw)
        assert not raw.exists()
    hub.archives[ARTWORKS] = whole
    download("artworks", raw)


def test_a_run_killed_while_it_flattens_folders_is_finished_by_the_next(hub, raw, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.download._flatten", lambda content, name: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            download("artworks", raw)
    content = next(raw.parent.rglob("versions/7"))
    (content / "images").rename(content / ".images.outer")
    download("artworks", raw)
    assert len(list((raw / "images" / "Claude_Monet").iterdir())) == 12
    assert not (raw / ".images.outer").exists()


def test_only_folders_of_the_same_name_without_siblings_are_flattened(hub, raw):
    names = ["images/images/A/1.jpg", "images/B/2.jpg", "resized/A_1.jpg", "artists.csv"]
    hub.archives[ARTWORKS] = archive(dict.fromkeys(names, b"x"))
    download("artworks", raw)
    assert set(files(raw)) == {*names, MARKER}


def test_wikiart_is_written_in_the_layout_that_ingestion_reads(hub, raw):
    downloaded = download("wikiart", raw)
    assert downloaded["version"] == "a" * 40 and downloaded["files"] == 33
    styles, skipped = read_wikiart(raw, WikiartParams())
    assert len(styles) == 30 and skipped.empty
    assert set(styles["style"]) == {"Cubism", "Pop_Art"}
    assert set(styles["artist"]) == {"Unknown Artist", "claude monet", "m.c. escher"}
    assert files(raw)["Pop_Art/claude-monet_000007.jpg"] == image(7)
    genres, skipped = read_wikiart(raw, WikiartParams(labels="genre"))
    assert genres["genre"].value_counts().to_dict() == {"portrait": 10, "landscape": 10}
    digests = [hashlib.sha256((raw / path).read_bytes()).digest() for path in genres["path"]]
    expected = ["validation" if digest[0] / 256 < 0.3 else "train" for digest in digests]
    assert genres["split"].tolist() == expected and len(set(expected)) == 2
    assert len(skipped) == 10 and skipped["reason"].str.startswith("no label").all()


def test_an_export_resumes_where_it_stopped(hub, raw, monkeypatch):
    monkeypatch.setattr(huggingface, "CHECKPOINT_ROWS", 3)
    hub.lost = "data/train-00002"
    assert "needs credentials" in failed("wikiart", raw)
    assert not raw.exists()
    written = {path: path.stat().st_mtime_ns for path in raw.parent.rglob("*.jpg")}
    assert len(written) == 20
    hub.lost = None
    hub.requests.clear()
    download("wikiart", raw)
    # The first file is opened for its columns alone; rows 18 and 19 are read, not written, again.
    assert sum("train-00000" in request for request in hub.requests) == 1
    times = {path.name: path.stat().st_mtime_ns for path in raw.rglob("*.jpg")}
    assert len(times) == 30 and all(times[path.name] == time for path, time in written.items())
    resumed = files(raw)
    download("wikiart", raw.with_name("again"))
    again = files(raw.with_name("again"))
    assert {name for name in again if again[name] != resumed[name]} <= {MARKER}
    assert set(resumed) == set(again)


def test_an_export_of_another_client_version_rereads_but_does_not_rewrite(hub, raw, monkeypatch):
    monkeypatch.setattr(huggingface, "CHECKPOINT_ROWS", 3)
    hub.lost = "data/train-00002"
    failed("wikiart", raw)
    checkpoint = next(raw.parent.rglob(huggingface.CHECKPOINT))
    checkpoint.write_text(json.dumps(json.loads(checkpoint.read_text()) | {"client": "old"}))
    written = {path.name: path.stat().st_mtime_ns for path in raw.parent.rglob("*.jpg")}
    hub.lost = None
    download("wikiart", raw)
    times = {path.name: path.stat().st_mtime_ns for path in raw.rglob("*.jpg")}
    assert all(times[name] == time for name, time in written.items())
    assert len(read_wikiart(raw, WikiartParams(labels="genre"))[0]) == 20


def test_a_dataset_with_other_columns_is_an_error(hub, raw):
    content = next(iter(hub.shards.values())).replace(b"genre", b"gente")
    hub.shards = dict.fromkeys(hub.shards, content)
    assert "does not have the columns of huggan/wikiart" in failed("wikiart", raw)


@pytest.mark.parametrize(("source", "name"), [("artworks", "Kaggle"), ("wikiart", "Hugging Face")])
def test_no_network_is_an_error(tmp_path, raw, monkeypatch, source, name):
    with running_hub() as hub:
        url = hub.url
    point_clients(url, tmp_path / "home", monkeypatch)
    message = failed(source, raw)
    assert name in message and "can't be reached" in message and AGAIN in message


@pytest.mark.parametrize(("source", "entry"), [("celeba", "kaggle"), ("wikiart", "huggingface")])
def test_credentials_are_used_and_their_rejection_is_an_error(hub, raw, source, entry):
    hub.token = "right"
    for values, words in [
        ({}, "needs credentials"),
        ({"token": "wrong"}, "rejects the credentials"),
    ]:
        message = failed(source, raw, **{entry: values})
        assert words in message and LOCAL in message and f"'{entry}'" in message
        assert "wrong" not in message
    download(source, raw, {entry: {"token": "right"}})


def test_kaggles_user_name_and_key_override_the_environment(hub, raw, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    hub.token = "Basic YW5uOjE3"  # ann:17
    download("celeba", raw, {"kaggle": {"username": "ann", "key": 17}})
    assert os.environ["KAGGLE_API_TOKEN"] == "wrong" and "KAGGLE_KEY" not in os.environ


@pytest.mark.parametrize(
    ("source", "variable"), [("celeba", "KAGGLE_API_TOKEN"), ("wikiart", "HF_TOKEN")]
)
def test_without_an_entry_the_clients_variables_are_used(hub, raw, monkeypatch, source, variable):
    hub.token = "right"
    monkeypatch.setenv(variable, "right")
    download(source, raw, {"kaggle": None})


def test_an_invalid_configuration_of_the_client_is_an_error(hub, tmp_path, raw):
    file = tmp_path / "home" / ".kaggle" / "kaggle.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert f"Invalid Kaggle credentials file at {file}" in failed("celeba", raw)


@pytest.mark.parametrize(
    "entry",
    [{"tokn": "s3cret"}, {"username": "s3cret"}, {"token": ""}, {"token": None}, "s3cret", ["a"]],
)
def test_an_invalid_entry_is_an_error_without_its_values(hub, raw, entry):
    message = failed("artworks", raw, kaggle=entry)
    assert "{token: …} or {username: …, key: …}" in message and LOCAL in message
    assert "s3cret" not in message and hub.requests == []


@pytest.mark.parametrize("source", ["artworks", "wikiart"])
def test_an_unknown_dataset_is_an_error(hub, raw, source):
    with pytest.raises(GanvasError, match="has no dataset nobody/nothing: set 'fetch'"):
        download_source(source, "nobody/nothing", raw, {})


@pytest.mark.parametrize("source", ["artworks", "wikiart"])
def test_a_server_error_is_an_error(hub, raw, source):
    hub.status = 500
    assert "status 500" in failed(source, raw)


@pytest.mark.parametrize(("source", "client"), [("artworks", "kagglehub"), ("wikiart", "datasets")])
def test_a_missing_client_is_an_error(hub, raw, monkeypatch, source, client):
    monkeypatch.setitem(sys.modules, client, None)
    message = failed(source, raw)
    assert client in message and 'pip install -e ".[fetch]"' in message


def test_a_full_disk_is_an_error(hub, raw, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("kagglehub.clients._download_file", Mock(side_effect=full))
    assert f"The disk of {raw} is full" in failed("artworks", raw)


def test_a_disk_that_fills_up_leaves_no_truncated_image(hub, raw, monkeypatch):
    def fill(file, content):
        with file.open("wb") as stream:
            stream.write(content[:500])
        if ".jpg" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        assert f"The disk of {raw} is full" in failed("wikiart", raw)
    download("wikiart", raw)
    assert files(raw)["Cubism/Unknown-Artist_000000.jpg"] == image(0)


def test_other_files_are_kept(hub, raw):
    raw.mkdir(parents=True)
    (raw / "treasure.txt").write_text("mine")
    assert "not downloaded by Ganvas" in failed("artworks", raw)
    assert files(raw) == {"treasure.txt": b"mine"} and hub.requests == []
    assert "not downloaded by Ganvas" in failed("artworks", raw / "treasure.txt")


def test_a_folder_of_another_dataset_is_kept(hub, raw):
    download("artworks", raw)
    before = files(raw)
    assert f"was downloaded from {ARTWORKS}, not {WIKIART}" in failed("wikiart", raw)
    assert files(raw) == before


def test_partial_downloads_of_two_datasets_are_not_mixed(hub, raw):
    hub.stop_after = 5000
    failed("artworks", raw)
    assert f"holds a part of {ARTWORKS}" in failed("wikiart", raw)


def test_missing_files_are_an_error(hub, raw):
    download("artworks", raw)
    (raw / "artists.csv").unlink()
    assert "only 24 are left" in failed("artworks", raw)


def test_an_empty_folder_and_a_link_to_one_are_filled(hub, tmp_path, raw):
    (tmp_path / "big").mkdir()
    raw.parent.mkdir()
    raw.symlink_to(tmp_path / "big")
    download("celeba", raw)
    assert raw.is_symlink() and (tmp_path / "big" / MARKER).is_file()
