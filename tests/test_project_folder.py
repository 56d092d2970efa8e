"""Relative paths in parameters start from the project, wherever the process works."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.networks import NetworkParams
from ganvas.pipelines.evaluate.feature_metrics import extract_features
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.pipelines.train.nodes import build_networks
from ganvas.project_folder import resolve_path, set_project_folder
from ganvas.tracking import resolve_uri
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from projects import make_project


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of a project; the process works in another one."""
    monkeypatch.setattr("ganvas.project_folder._folder", None)
    for name in ("project", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    set_project_folder(tmp_path / "project")
    return tmp_path / "project"


def test_a_relative_path_starts_from_the_project(folder, monkeypatch):
    assert resolve_path("a/b.keras") == folder / "a/b.keras"
    assert resolve_path("/a/b.keras") == Path("/a/b.keras")
    monkeypatch.setenv("HOME", "/home/ann")
    assert resolve_path("~/b.keras") == Path("/home/ann/b.keras")
    monkeypatch.setattr("ganvas.project_folder._folder", None)
    assert resolve_path("a") == Path.cwd() / "a" == folder.parent / "elsewhere/a"


def test_a_session_sets_the_folder_of_its_project(folder):
    make_project(folder)
    set_project_folder(Path("/another"))
    bootstrap_project(folder)
    with KedroSession.create(folder) as session:
        session.load_context()
    assert resolve_path("a") == folder / "a"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///data/mlflow.db", "sqlite:////project/data/mlflow.db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("mlruns", "/project/mlruns"),
        ("./mlruns", "/project/mlruns"),
        ("/mlruns", "/mlruns"),
        ("file:mlruns", "file:///project/mlruns"),
        ("file:./mlruns", "file:///project/mlruns"),
        ("file:///mlruns", "file:///mlruns"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://ann:pass@host/db", "postgresql://ann:pass@host/db"),
        ("databricks", "databricks"),
        ("uc", "uc"),
    ],
)
def test_a_tracking_uri_with_a_relative_path_starts_from_the_project(uri, expected):
    assert resolve_uri(uri, Path("/project")) == expected


def test_a_relative_extractor_is_read_from_the_project(folder, images):
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    network.save(folder / "mean.keras")
    index = pd.DataFrame({"split": ["train"] * 20, "hash": list(map(str, range(20)))})
    collection = Collection(images, index, pd.DataFrame())
    features = extract_features(images, collection, EvaluateParams(extractor="mean.keras"))
    expected = images.mean((1, 2))
    np.testing.assert_allclose(features.generated, expected, atol=1)
    with pytest.raises(GanvasError, match=f"'{folder}/no.pth' is no file"):
        extract_features(
            images, collection, EvaluateParams(extractor="inception", weights="no.pth")
        )


def test_relative_initial_weights_are_read_from_the_project(folder, images):
    network = NetworkParams(name="dcgan", dcgan={"generator_width": 2, "discriminator_width": 2})
    data = TrainingSet(images, np.arange(20), None, 0)
    params = TrainParams(weights_from="models")
    with pytest.raises(GanvasError, match=f"There is no {folder}/models/generator.keras: "):
        build_networks(network, params, data)
    networks, _ = build_networks(network, TrainParams(), data)
    for name in ("generator", "discriminator"):
        file = folder / "models" / f"{name}.keras"
        file.parent.mkdir(exist_ok=True)
        getattr(networks, name).save(file)
    build_networks(network, params, data)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(GanvasError, match=f"{file} can't be read .* Copy it again, or set "):
        build_networks(network, params, data)
