"""A project with two tiny trained models, and the gallery over it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from selenium import webdriver

from browsers import start_browser
from ganvas.gallery.app import create_app
from ganvas.gallery.connections import create_server
from ganvas.gallery.model_store import ModelStore
from ganvas.label_columns import make_table, write_class_list
from ganvas.latents.directions import Direction, to_arrays
from projects import make_project, run_kedro
from shaped_models import LATENT, SHAPES, build_discriminator, save_model, save_networks
from studio_requests import create_styled_app


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


@pytest.fixture(scope="session")
def styled_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application over generators with and without styles, a mapping, a prior and classes."""
    return create_styled_app(tmp_path_factory.mktemp("styled"))


@pytest.fixture(scope="session")
def studio_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a generator of disks, and directions that change their colors."""
    data = tmp_path_factory.mktemp("studio")
    save_model(data / "06_models", "disks/dcgan", (64, 64, 3))
    vectors = np.eye(LATENT, dtype=np.float32)
    arrays = to_arrays(
        [
            Direction("Color", "supervised", vectors[0], -2, 3, 0.25, {"attribute": "brightness"}),
            Direction("Other color", "ganspace", vectors[1], -2.13, 2.2, 0.5, {}),
        ]
    )
    version = "2026-01-01T00.00.00.000Z"
    file = data / "06_models/disks/dcgan/directions.npz" / version / "directions.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, **arrays)
    _save_labeled(data / "06_models")
    return data


def _save_labeled(models: Path) -> None:
    """Save a generator of two label columns, whose images are levels of their weights."""
    latent, labels = keras.Input((2,), name="latent"), keras.Input((5,), name="classes")
    x = keras.layers.Dense(3, activation="tanh", kernel_initializer="orthogonal")(labels)
    y = keras.layers.Dense(3, kernel_initializer="orthogonal")(latent)
    x = keras.layers.Reshape((1, 1, 3))(x + 0.1 * y)
    images = keras.layers.UpSampling2D(16)(x)
    discriminator = build_discriminator((16, 16, 3))
    save_networks(models, "faces/dcgan", keras.Model([latent, labels], images), discriminator)
    table = make_table(
        [("Smiling", ["no", "yes"]), ("Hair", ["black", "blond", "red"])],
        np.array([[0, 1], [1, 2]]),
    )
    (file,) = models.glob("faces/dcgan/class_list.json/*/class_list.json")
    file.write_text(json.dumps(write_class_list(table)))


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
