"""A project with two tiny trained models, and the gallery over it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from flask import Flask
from flask.testing import FlaskClient
from selenium import webdriver

from browsers import start_browser
from ganvas.gallery.app import create_app
from ganvas.gallery.connections import create_server
from ganvas.gallery.model_store import ModelStore
from projects import make_project, run_kedro
from shaped_models import SHAPES, save_model


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained unconditional model and one with eight classes."""
    root = make_project(tmp_path_factory.mktemp("gallery"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for label in ("null", "genre"):
            parts = "--pipelines=train,evaluate,report"
            result = run_kedro(root, parts, network__label=label)
            assert result.exit_code == 0, result.output
    for file in root.glob("data/06_models/*/*/generator.keras/*/generator.keras"):
        generator = keras.models.load_model(file)
        # After two epochs all images are gray: larger weights make them differ.
        for weight in generator.trainable_weights:
            weight.assign(weight * (60 if "kernel" in weight.path else 1))
        generator.save(file)
    return root


@pytest.fixture(scope="session")
def app(trained: Path) -> Flask:
    """The application over these models."""
    data = trained / "data"
    return create_app(ModelStore(data / "06_models"), data, hosts=["localhost"])


@pytest.fixture(scope="session")
def pretrained_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application over the pretrained model alone, which needs no training."""
    data = tmp_path_factory.mktemp("data")
    models = ModelStore(data / "06_models")
    models.load()
    return create_app(models, data)


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, dict[str, keras.Model]]:
    """The application over generators of several shapes, and these by name."""
    data = tmp_path_factory.mktemp("shapes")
    models = data / "06_models"
    generators = {name: save_model(models, name, shape) for name, shape in SHAPES.items()}
    return create_app(ModelStore(models), data), generators


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that calls the application without a server."""
    return app.test_client()


@pytest.fixture
def versions(client: FlaskClient) -> dict[str, str]:
    """The newest version of each model."""
    return {model["model"]: model["version"] for model in client.get("/api/models").json["models"]}


@pytest.fixture
def genres(client: FlaskClient) -> list[str]:
    """The classes of the conditional model."""
    models = client.get("/api/models").json["models"]
    return next(model["classes"] for model in models if model["classes"])


@pytest.fixture(scope="session")
def address(app: Flask) -> Iterator[str]:
    """The URL of the application, served by waitress."""
    yield from serve(app)


@pytest.fixture(scope="session")
def shaped_address(shaped: tuple[Flask, dict[str, keras.Model]]) -> Iterator[str]:
    """The URL of the application over generators of several shapes."""
    yield from serve(shaped[0])


def serve(app: Flask) -> Iterator[str]:
    """Serve an application in a thread."""
    server = create_server(app, host="127.0.0.1", port=0, threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://localhost:{server.effective_port}"
    server.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Headless Chromium."""
    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()
