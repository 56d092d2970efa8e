"""A model that can't be read is left out, and the others are shown."""

import json
import os
import shutil
import sys
import zipfile

import pytest

from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import (
    PRETRAINED_NAME,
    ModelStore,
    ModelVersion,
    NotFoundError,
)
from ganvas.networks.dcgan import DcganParams, build_dcgan

NAME, OLD, NEW = "art/dcgan", "2026-01-01T00.00.00.000Z", "2026-02-02T00.00.00.000Z"
CLASSES = {"names": [], "column": None}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small generator without classes."""
    params = DcganParams(latent=4, generator_width=2, discriminator_width=2)
    file = tmp_path_factory.mktemp("saved") / "generator.keras"
    build_dcgan(params, (32, 32, 3)).generator.save(file)
    return file


@pytest.fixture(autouse=True)
def small_pretrained(saved, monkeypatch):
    """A small generator in the place of the pretrained one, which takes seconds to load."""
    (saved.parent / "class_list.json").write_text(json.dumps(CLASSES))
    version = ModelVersion(PRETRAINED_NAME, "1", saved.parent, pretrained=True)
    monkeypatch.setattr("ganvas.gallery.model_store.find_pretrained", lambda: version)


@pytest.fixture
def models(tmp_path, saved):
    """A folder of data with a sound version of a model."""
    add_version(tmp_path, saved, OLD)
    return tmp_path


def add_version(data, generator, version, name=NAME, classes=CLASSES):
    folder = data / "06_models" / name
    for filename in ("generator.keras", "class_list.json"):
        (folder / filename / version).mkdir(parents=True)
    shutil.copy(generator, folder / "generator.keras" / version / "generator.keras")
    content = classes if isinstance(classes, bytes) else json.dumps(classes).encode()
    (folder / "class_list.json" / version / "class_list.json").write_bytes(content)
    return folder / "generator.keras" / version / "generator.keras"


def open_client(data):
    return create_app(ModelStore(data / "06_models"), data).test_client()


def check_left_out(data, reason, caplog):
    """Check that all pages work with the sound version, say what is left out, and log it."""
    client = open_client(data)
    listed = client.get("/api/models").json["models"]
    assert [(model["model"], model["version"]) for model in listed][:-1] == [(NAME, OLD)]
    for path in ("/", "/about", "/walk", "/judge", "/game", "/docs", "/favorites", "/nothing"):
        response = client.get(path)
        assert response.status_code == (404 if path == "/nothing" else 200), path
        assert "can't be read and is left out" in response.text and reason in response.text, path
    assert reason in caplog.text and "The gallery leaves out" in caplog.text
    assert caplog.text.count("The gallery leaves out") == 1


def write_archive(file, files):
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def flip_bytes(file):
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 255 for byte in content[middle : middle + 64])
    file.write_bytes(content)


LAMBDA = {
    "module": "keras",
    "class_name": "Lambda",
    "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}},
    "registered_name": None,
}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: os.truncate(file, file.stat().st_size // 2), "generator.keras is damaged"),
        (lambda file: os.truncate(file, 0), "generator.keras is damaged"),
        (lambda file: write_archive(file, {"a.txt": "a"}), "generator.keras has no config.json"),
        (
            lambda file: write_archive(
                file, {"config.json": json.dumps(LAMBDA), "model.weights.h5": b""}
            ),
            "generator.keras can&#39;t be loaded",
        ),
        (flip_bytes, "generator.keras can&#39;t be loaded"),
    ],
)
def test_a_damaged_generator_is_left_out(damage, reason, models, saved, caplog):
    damage(add_version(models, saved, NEW))
    client = open_client(models)
    assert client.get("/").status_code == 200
    # What only loading shows is known once the model was asked for.
    page = client.get("/").text
    assert "left out" in page and reason in page and OLD in client.get("/about").text
    listed = client.get("/api/models").json["models"]
    assert [model["version"] for model in listed][:1] == [OLD]
    response = client.get("/api/picture", query_string={"model": NAME, "version": NEW})
    assert response.status_code == 404 and "generator.keras" in response.json["error"]
    # Visitors need not know the folders of this machine.
    assert str(models) not in page and str(models) not in response.json["error"]
    assert "The gallery leaves out" in caplog.text


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ([], "class_list.json is damaged"),
        (b"", "class_list.json is damaged"),
        (b"\xff\xfe", "class_list.json is damaged"),
        (b"[" * 100_000, "class_list.json is damaged"),
        ({"names": [1], "column": None}, "class_list.json is damaged (names.0"),
        ({"names": None, "column": None}, "class_list.json is damaged (names"),
        (b'{"names": ["\\ud800", "b"], "column": "class"}', "class_list.json is damaged"),
        ({"names": ["a" * 1001, "b"], "column": "class"}, "more than 1,000 characters"),
    ],
)
def test_a_damaged_class_list_is_left_out(classes, reason, models, saved, caplog):
    add_version(models, saved, NEW, classes=classes)
    check_left_out(models, reason, caplog)


def test_a_class_list_of_another_generator_is_left_out(models, saved, caplog):
    add_version(models, saved, NEW, classes={"names": ["a", "b"], "column": "class"})
    check_left_out(models, "generator.keras has 0 classes, and class_list.json 2", caplog)


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
@pytest.mark.parametrize("folder", ["art\udcff/dcgan", "art/dc\x1b[31mgan", "art/\u2028"])
def test_a_folder_without_a_proper_name_is_left_out(folder, models, saved, caplog):
    add_version(models, saved, NEW, name=folder)
    check_left_out(models, "the name of its folder is not UTF-8", caplog)


def test_a_long_name_can_be_requested(tmp_path, saved):
    name = f"{'a' * 240}/{'ü' * 120}"
    add_version(tmp_path, saved, OLD, name=name)
    client = open_client(tmp_path)
    assert client.get("/", query_string={"model": name, "version": OLD}).status_code == 200
    assert client.post("/api/generate", json={"model": name, "count": 1}).status_code == 200


def test_with_no_readable_model_the_pretrained_one_is_shown(tmp_path, saved):
    os.truncate(add_version(tmp_path, saved, NEW), 100)
    models = ModelStore(tmp_path / "06_models")
    assert list(models.newest()) == [PRETRAINED_NAME]
    with pytest.raises(NotFoundError, match=r"no model 'art/dcgan'.* Left out: .* is damaged"):
        models.load(NAME)


def test_a_repaired_model_is_found(models, saved):
    file = add_version(models, saved, NEW)
    write_archive(file, {"config.json": "{}", "model.weights.h5": b""})
    store = ModelStore(models / "06_models")
    assert store.load().saved.version == OLD and list(store.left_out())
    shutil.copy(saved, file)
    assert store.load().saved.version == NEW and not store.left_out()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("03_primary/art/rejected.csv", b""),
        ("03_primary/art/rejected.csv", b"\x00\xff,\n\n,,,"),
        ("03_primary/art/rejected.csv", b"name,why\na,b\n"),
        ("03_primary/art/rejected.csv", b'path,reason\n"a'),
        ("08_reporting/art/dcgan/training.json", b"[]"),
        ("08_reporting/art/dcgan/training.json", b'{"parameters": {"ingest": []}}'),
        ("08_reporting/art/dcgan/training.json", b"[" * 100_000),
        ("08_reporting/art/dcgan/metrics.json", b"{"),
        ("06_models/art/dcgan/model_card.md", b"---\n\xff\xfe # <b>\n"),
        ("03_primary/art/collection/manifest.json", b"[]"),
    ],
)
def test_other_damaged_files_stop_no_page(path, content, models):
    (models / path).parent.mkdir(parents=True, exist_ok=True)
    (models / path).write_bytes(content)
    client = open_client(models)
    for page in ("/", "/about", "/judge", "/game"):
        assert client.get(page).status_code == 200, page
    if path.endswith("rejected.csv"):
        assert "can't be read" in client.get("/about").text


def test_a_damaged_discriminator_is_reported(models, saved):
    file = models / "06_models" / NAME / "discriminator.keras" / OLD / "discriminator.keras"
    file.parent.mkdir(parents=True)
    file.write_bytes(saved.read_bytes()[:500])
    client = open_client(models)
    response = client.get("/judge", query_string={"example": "generated"})
    assert response.status_code == 404 and "can&#39;t be loaded" in response.text
