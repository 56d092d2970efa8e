import json

import numpy as np
import pytest
from kedro.io import DatasetError
from kedro.io.core import Version

from ganvas.datasets.atomic import AtomicJSONDataset
from ganvas.datasets.catalog import SUMMARY, GanvasCatalog
from ganvas.datasets.equal_versions import drop_equal_version
from ganvas.datasets.model_arrays import ModelArraysDataset

OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
ARRAYS = {"matrix": np.arange(6, dtype=np.float16).reshape(2, 3), "name": np.array("b0")}


def make_catalog(folder, load: str | None = None, save: str | None = None, protocol: str = ""):
    """A catalog whose models are JSON files; datasets of versions differ in nothing else."""
    models = {
        name: AtomicJSONDataset(
            filepath=f"{protocol}{folder}/{name}.json", version=Version(load, save)
        )
        for name in ("generator", "discriminator", "class_list")
    }
    encoder = ModelArraysDataset(filepath=f"{protocol}{folder}/encoder.npz")
    summary = AtomicJSONDataset(filepath=f"{folder}/training.json")
    return GanvasCatalog({**models, "encoder": encoder, SUMMARY: summary})


def save_version(folder, version: str, encoder: dict, content: int = 1) -> GanvasCatalog:
    """Save a version as a run does."""
    catalog = make_catalog(folder, save=version)
    catalog.save("generator", {"weights": content})
    catalog.save("discriminator", {"weights": content})
    catalog["encoder"].is_saved_with_generator = True
    catalog.save("encoder", encoder)
    catalog.save("class_list", {"names": []})
    return catalog


def files(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.npz*/*/*"))


def test_arrays_lie_beside_the_version_of_the_generator_that_is_loaded(tmp_path):
    save_version(tmp_path, OLD, ARRAYS)
    save_version(tmp_path, NEW, {"matrix": np.ones(1)})
    assert files(tmp_path) == [f"encoder.npz/{version}/encoder.npz" for version in (OLD, NEW)]
    old = make_catalog(tmp_path, load=OLD).load("encoder")
    assert {name: (x.tolist(), x.dtype) for name, x in old.items()} == {
        name: (x.tolist(), x.dtype) for name, x in ARRAYS.items()
    }
    assert make_catalog(tmp_path).load("encoder").keys() == {"matrix"}


def test_a_run_that_loads_an_old_generator_saves_beside_it(tmp_path):
    save_version(tmp_path, OLD, {})
    save_version(tmp_path, NEW, {})
    assert files(tmp_path) == []
    make_catalog(tmp_path, load=OLD, save="2026-01-03T00.00.00.000Z").save("encoder", ARRAYS)
    assert files(tmp_path) == [f"encoder.npz/{OLD}/encoder.npz"]
    assert make_catalog(tmp_path).load("encoder") == {}
    # {} removes them again.
    make_catalog(tmp_path, load=OLD).save("encoder", {})
    assert files(tmp_path) == []


def test_arrays_that_are_saved_before_their_new_generator_are_its_own(tmp_path):
    save_version(tmp_path, OLD, {"matrix": np.zeros(1)})
    catalog = make_catalog(tmp_path, save=NEW)
    catalog["encoder"].is_saved_with_generator = True
    catalog.save("encoder", ARRAYS)
    assert files(tmp_path) == [f"encoder.npz/{version}/encoder.npz" for version in (OLD, NEW)]


def test_without_a_generator_there_are_no_arrays(tmp_path):
    catalog = make_catalog(tmp_path)
    assert catalog.exists("encoder") and catalog.load("encoder") == {}
    with pytest.raises(DatasetError, match="There is no generator"):
        catalog.save("encoder", ARRAYS)


@pytest.mark.parametrize(("earlier", "kept"), [({}, 3), ({"matrix": np.zeros(2)}, 2)])
def test_of_equal_models_the_earlier_version_keeps_or_gets_the_arrays(tmp_path, earlier, kept):
    save_version(tmp_path, OLD, earlier)
    (tmp_path / "training.json").write_text(json.dumps({"version": OLD}))
    catalog = save_version(tmp_path, NEW, {"matrix": np.zeros(3)})
    assert drop_equal_version(catalog, NEW) == OLD
    assert files(tmp_path) == [f"encoder.npz/{OLD}/encoder.npz"]
    assert not (tmp_path / "encoder.npz" / NEW).exists()
    assert len(catalog.load("encoder")["matrix"]) == kept


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4"])
def test_a_damaged_file_is_named(tmp_path, content):
    save_version(tmp_path, OLD, ARRAYS)
    file = tmp_path / "encoder.npz" / OLD / "encoder.npz"
    file.write_bytes(content)
    with pytest.raises(DatasetError) as raised:
        make_catalog(tmp_path).load("encoder")
    assert f"{file} can't be read" in str(raised.value) and "\n" not in str(raised.value)


def test_arrays_of_objects_are_refused(tmp_path):
    catalog = save_version(tmp_path, OLD, ARRAYS)
    with pytest.raises(DatasetError, match="arrays of objects"):
        catalog.save("encoder", {"matrix": np.array([{}])})
    assert catalog.load("encoder").keys() == ARRAYS.keys()


def test_arrays_are_saved_to_object_stores():
    catalog = make_catalog("/models", save=NEW, protocol="memory:/")
    catalog.save("generator", {})
    catalog.save("encoder", ARRAYS)
    assert make_catalog("/models", protocol="memory:/").load("encoder").keys() == ARRAYS.keys()
