import json
import shutil

import keras
import numpy as np
import pytest
from kedro.io.core import Version

from ganvas.datasets.atomic import AtomicJSONDataset, AtomicModelDataset
from ganvas.datasets.catalog import SUMMARY, GanvasCatalog
from ganvas.datasets.equal_versions import drop_equal_version, normalize_config

FIRST, SECOND = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
NAMES = {"generator": "generator.keras", "discriminator": "discriminator.keras"}
NAMES |= {"class_list": "class_list.json"}


def make_model(value: float) -> keras.Model:
    """A model whose layers have other names in each call."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dense(3)(inputs)))
    model.set_weights([np.full(weights.shape, value) for weights in model.get_weights()])
    return model


def save(folder, version: str, value: float = 1.0, names: tuple = ("waves",)) -> GanvasCatalog:
    """Save the three files of a version as a run does; return its catalog."""
    models = {
        name: AtomicModelDataset(filepath=str(folder / file), version=Version(None, version))
        for name, file in NAMES.items()
        if file.endswith("keras")
    }
    classes = AtomicJSONDataset(
        filepath=str(folder / "class_list.json"), version=Version(None, version)
    )
    summary = AtomicJSONDataset(filepath=str(folder / "training.json"))
    catalog = GanvasCatalog({**models, "class_list": classes, SUMMARY: summary})
    for name in models:
        catalog.save(name, make_model(value))
    catalog.save("class_list", {"column": "genre", "names": list(names)})
    return catalog


@pytest.fixture
def folder(tmp_path):
    save(tmp_path, FIRST)
    (tmp_path / "training.json").write_text(json.dumps({"version": FIRST}))
    return tmp_path


def versions(folder) -> list[list[str]]:
    return [sorted(path.name for path in (folder / file).iterdir()) for file in NAMES.values()]


def test_equal_models_are_not_kept_twice_and_the_earlier_ones_are_loaded(folder, caplog):
    with caplog.at_level("INFO"):
        catalog = save(folder, SECOND)
        assert drop_equal_version(catalog, SECOND) == FIRST
    assert f"equal to those of version {FIRST}" in caplog.text
    assert versions(folder) == [[FIRST]] * 3
    assert {catalog.get(name).resolve_load_version() for name in NAMES} == {FIRST}
    assert catalog.load("class_list")["names"] == ["waves"]
    assert (catalog.load("generator").get_weights()[0] == 1).all()


def test_without_permission_to_remove_the_new_models_the_earlier_ones_are_whole(
    folder, caplog, monkeypatch
):
    catalog = save(folder, SECOND)
    store = catalog.get("generator")._fs

    def refuse(store, path, recursive=False):
        raise PermissionError(f"{path} is read-only")

    monkeypatch.setattr(type(store), "rm", refuse)
    assert drop_equal_version(catalog, SECOND) == FIRST
    assert caplog.text.count("can't be removed") == 3
    assert all(FIRST in names for names in versions(folder))


@pytest.mark.parametrize("changed", [{"value": 1 + 1e-7}, {"names": ("skies",)}])
def test_other_models_or_classes_are_kept(folder, changed):
    assert drop_equal_version(save(folder, SECOND, **changed), SECOND) == SECOND
    assert versions(folder) == [[FIRST, SECOND]] * 3


def test_nan_is_equal_to_itself(tmp_path):
    save(tmp_path, FIRST, np.nan)
    (tmp_path / "training.json").write_text(json.dumps({"version": FIRST}))
    assert drop_equal_version(save(tmp_path, SECOND, np.nan), SECOND) == FIRST


def delete(folder):
    shutil.rmtree(folder / "discriminator.keras" / FIRST)


def damage(folder):
    (folder / "generator.keras" / FIRST / "generator.keras").write_bytes(b"PK")


def forget(folder):
    (folder / "training.json").write_text("{}")


@pytest.mark.parametrize("change", [delete, damage, forget])
def test_without_a_whole_recorded_version_the_new_one_is_kept(folder, change):
    change(folder)
    assert drop_equal_version(save(folder, SECOND), SECOND) == SECOND
    assert versions(folder)[2] == [FIRST, SECOND]


def test_a_version_in_the_future_does_not_replace_the_new_one(tmp_path):
    save(tmp_path, "2099-01-01T00.00.00.000Z")
    (tmp_path / "training.json").write_text(json.dumps({"version": "2099-01-01T00.00.00.000Z"}))
    assert drop_equal_version(save(tmp_path, SECOND), SECOND) == SECOND


def test_layers_of_other_kinds_or_connections_are_not_equal():
    first = {"layers": [{"name": "dense_1"}, {"name": "dense_2"}], "output_layers": ["dense_2"]}
    second = {"layers": [{"name": "dense_7"}, {"name": "dense_9"}], "output_layers": ["dense_9"]}
    assert normalize_config(first) == normalize_config(second)
    crossed = second | {"output_layers": ["dense_7"]}
    assert normalize_config(first) != normalize_config(crossed)
    renamed = {"layers": [{"name": "dense_7"}, {"name": "out"}], "output_layers": ["out"]}
    assert normalize_config(first) != normalize_config(renamed)
