"""Images and models on an S3 server."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import keras
import pandas as pd
import pytest
import s3fs
import yaml
from kedro.io import DatasetError
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from ganvas.datasets.atomic import (
    AtomicCSVDataset,
    AtomicJSONDataset,
    AtomicModelDataset,
    AtomicTextDataset,
)
from ganvas.errors import GanvasError
from ganvas.sample_collection import draw_collection
from projects import ROOT, error_sentence

KEYS = {"key": "ada", "secret": "lovelace"}


@pytest.fixture
def credentials(monkeypatch) -> Iterator[dict]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # Objects of earlier tests stay in the process.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"")
    try:
        yield KEYS | {"endpoint_url": f"http://{host}:{port}"}
    finally:
        server.stop()


@pytest.fixture
def bucket(credentials, tmp_path_factory) -> s3fs.S3FileSystem:
    """Return a server whose bucket `art` holds the sample collection in the folder `images`."""
    store = s3fs.S3FileSystem(**credentials, skip_instance_cache=True)
    store.mkdir("art")
    works = tmp_path_factory.mktemp("works") / "works"
    draw_collection(works, count=24, seed=0)
    store.put(str(works) + "/", "art/images", recursive=True)
    return store


def write_conf(project: Path, credentials: dict) -> None:
    written = yaml.safe_dump({"object_store": credentials})
    (project / "conf/local/credentials.yml").write_text(written)


SOURCE = {"ingest__source__name": "artworks", "ingest__source__path": "s3://art/images"}


def test_images_of_a_bucket_are_ingested_once(project, kedro_run, bucket, credentials, caplog):
    write_conf(project, credentials)
    with caplog.at_level("INFO"):
        result = kedro_run("--pipelines=ingest", **SOURCE)
        assert result.exit_code == 0, result.output
        index = project / "data/03_primary/artworks/image_index.parquet"
        assert len(pd.read_parquet(index)) == 24
        assert "49 of 49 files of s3://art/images downloaded" in caplog.text
        caplog.clear()
        assert kedro_run("--pipelines=ingest", **SOURCE).exit_code == 0
        # Listed once, so that a run uses one state of the bucket.
        assert caplog.text.count("list-type=2") == 1
        assert "s3://art/images is unchanged: 49 files" in caplog.text
        assert "unchanged since they were packed" in caplog.text
        gone = bucket.find("art/images/images")[0]
        bucket.rm(gone)
        assert kedro_run("--pipelines=ingest", **SOURCE).exit_code == 0
    assert len(pd.read_parquet(index)) == 23


@pytest.mark.parametrize("path", ["s3://nowhere/images", "s3://art/nowhere"])
def test_a_missing_bucket_or_folder_is_an_error(project, kedro_run, bucket, credentials, path):
    write_conf(project, credentials)
    result = kedro_run("--pipelines=ingest", **SOURCE | {"ingest__source__path": path})
    message = error_sentence(result)
    assert path in message and "ingest.source.path" in message


@pytest.mark.exhaustive
def test_an_unreachable_server_is_an_error(project, kedro_run):
    write_conf(project, KEYS | {"endpoint_url": "http://127.0.0.1:9"})
    message = error_sentence(kedro_run("--pipelines=ingest", **SOURCE))
    assert "s3://art/images can't be read" in message and "object_store" in message


def put_models_in(bucket: str, project: Path) -> None:
    """Configure models in a bucket as in docs/deployment.md."""
    page = (ROOT / "docs/deployment.md").read_text()
    (entries,) = re.findall(r"```yaml\n(generator:.*?)```", page, flags=re.DOTALL)
    (project / "conf/local/catalog.yml").write_text(entries.replace("//bucket/", f"//{bucket}/"))


def test_models_are_saved_to_and_loaded_from_a_bucket(project, kedro_run, bucket, credentials):
    write_conf(project, credentials)
    put_models_in("art", project)
    result = kedro_run(train__epochs=1)
    assert result.exit_code == 0, result.output
    found = bucket.find("art/models/sample/dcgan")
    names = ["class_list.json", "discriminator.keras", "generator.keras"]
    assert sorted(path.rpartition("/")[2] for path in found) == names
    assert not (project / "data/06_models/sample/dcgan/generator.keras").exists()
    result = kedro_run("--pipelines=sample", sample__count=3)
    assert result.exit_code == 0, result.output
    assert len(list((project / "data/07_model_output/sample/dcgan/samples").iterdir())) == 4


@pytest.mark.exhaustive
def test_a_missing_bucket_for_models_is_an_error_and_training_resumes(
    project, kedro_run, bucket, credentials, caplog
):
    write_conf(project, credentials)
    put_models_in("nowhere", project)
    message = error_sentence(kedro_run("--pipelines=train", train__epochs=1))
    assert "s3://nowhere/models/sample/dcgan/generator.keras" in message
    assert "object_store" in message
    bucket.mkdir("nowhere")
    caplog.clear()
    with caplog.at_level("INFO"):
        assert kedro_run("--pipelines=train", train__epochs=1).exit_code == 0
    assert "Resuming after epoch 1." in caplog.text and "epoch 1/1" not in caplog.text
    saved = bucket.find("nowhere/models")
    assert len(saved) == 3
    # The same models again, which the run itself loads too.
    assert kedro_run("--pipelines=train,sample", train__epochs=1, sample__count=2).exit_code == 0
    bucket.invalidate_cache()
    assert bucket.find("nowhere/models") == saved


@pytest.mark.slow
def test_a_saved_model_leaves_no_other_object(bucket, credentials, networks):
    path = "s3://art/models/generator.keras"
    dataset = AtomicModelDataset(filepath=path, credentials=credentials)
    assert not dataset.exists()
    dataset.save(networks[0])
    assert dataset.exists() and bucket.find("art/models") == ["art/models/generator.keras"]
    weights = dataset.load().get_weights()
    assert all((a == b).all() for a, b in zip(weights, networks[0].get_weights(), strict=True))
    assert isinstance(dataset.load(), keras.Model)


@pytest.mark.slow
def test_tables_and_texts_are_saved_atomically(bucket, credentials):
    table = pd.DataFrame({"epoch": [1, 2]})
    for kind, name, data in (
        (AtomicCSVDataset, "a.csv", table),
        (AtomicJSONDataset, "a.json", {"loss": 0.5}),
        (AtomicTextDataset, "a.html", "<p>ü</p>"),
    ):
        dataset = kind(filepath=f"s3://art/texts/{name}", credentials=credentials)
        dataset.save(data)
        assert bucket.cat(f"art/texts/{name}")
    dataset = AtomicJSONDataset(filepath="s3://art/texts/a.json", credentials=credentials)
    with pytest.raises(DatasetError) as failure:
        dataset.save({"half": 1, "a set": {1}})
    assert isinstance(failure.value.__cause__, GanvasError)
    assert dataset.load() == {"loss": 0.5}
