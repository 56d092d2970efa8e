"""Downloads through Kedro."""

import json

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from ganvas.datasets.credentials import CredentialsDataset
from hubs import point_clients, running_hub
from projects import error_sentence

ARTWORKS = {"ingest__source__name": "artworks"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_hub() as hub:
        point_clients(hub.url, tmp_path / "home", monkeypatch)
        yield hub


@pytest.mark.parametrize("option", ["--pipeline=fetch", "--pipelines=fetch"])
def test_a_download_is_ingested(project, kedro_run, hub, option):
    result = kedro_run(option, **ARTWORKS)
    assert result.exit_code == 0, result.output
    downloaded = json.loads((project / "data/02_intermediate/artworks/fetched.json").read_text())
    assert downloaded["files"] == 25 and downloaded["version"] == "7"
    if option == "--pipelines=fetch":
        result = kedro_run("--pipelines=ingest", **ARTWORKS)
        assert result.exit_code == 0, result.output
        manifest = project / "data/03_primary/artworks/collection/manifest.json"
        assert manifest.is_file()


@pytest.mark.exhaustive
@pytest.mark.parametrize("options", [[], ["--env=artworks"]])
def test_credentials_of_conf_local_are_used_with_any_environment(
    project, kedro_run, hub, caplog, options
):
    hub.token = "s3cret"
    entry = project / "conf/local/credentials.yml"
    entry.write_text("mine: {token: other}\nkaggle: {token: s3cret}\n")
    result = kedro_run("--pipelines=fetch", *options, **ARTWORKS)
    assert result.exit_code == 0, result.output
    assert "s3cret" not in result.output + caplog.text


def test_wrong_keys_of_credentials_are_one_error_sentence(project, kedro_run, hub, caplog):
    (project / "conf/local/credentials.yml").write_text("kaggle: {tokem: s3cret}\n")
    message = error_sentence(kedro_run("--pipelines=fetch", **ARTWORKS))
    assert "'kaggle' in conf/local/credentials.yml can't be used" in message
    assert "s3cret" not in message + caplog.text


@pytest.mark.parametrize("source", ["sample", "folder"])
def test_a_source_without_a_hub_is_one_error_sentence(kedro_run, source):
    message = error_sentence(kedro_run("--pipelines=fetch", ingest__source__name=source))
    assert f"'{source}'" in message and "artworks, celeba, wikiart" in message


def test_an_invalid_handle_is_an_error_before_any_work(project, kedro_run):
    message = error_sentence(kedro_run("--pipelines=ingest", fetch__wikiart="no-owner"))
    assert "'fetch.wikiart'" in message and not (project / "data").exists()


def test_other_pipelines_need_no_credentials(project, kedro_run):
    (project / "conf/local").rmdir()
    (project / "conf/local").mkdir()
    result = kedro_run("--pipelines=ingest")
    assert result.exit_code == 0, result.output


def test_credentials_are_not_in_descriptions(project):
    dataset = CredentialsDataset(credentials={"token": "s3cret"})
    assert dataset.load() == {"token": "s3cret"} and dataset.exists()
    assert "s3cret" not in f"{dataset} {dataset!r}"
    (project / "conf/local/credentials.yml").write_text("kaggle: {token: s3cret}\n")
    bootstrap_project(project)
    with KedroSession.create(project) as session:
        catalog = session.load_context().catalog
        assert catalog.load("kaggle_credentials") == {"token": "s3cret"}
        assert catalog.load("huggingface_credentials") == {}
        assert "s3cret" not in f"{catalog} {catalog!r} {list(catalog.items())}"
