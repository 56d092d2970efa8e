import json
import os

import keras
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from kedro.io.core import Version

from ganvas.datasets.atomic import (
    AtomicCSVDataset,
    AtomicJSONDataset,
    AtomicModelDataset,
    AtomicParquetDataset,
    AtomicTextDataset,
)

TABLE = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})
CASES = [
    (AtomicCSVDataset, "a.csv", TABLE, {"save_args": {"index": False}}),
    (AtomicParquetDataset, "a.parquet", TABLE, {}),
    (AtomicJSONDataset, "a.json", {"loss": 0.5}, {}),
    (AtomicTextDataset, "a.html", "<p>ü</p>", {}),
]


def names(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@pytest.mark.parametrize(("kind", "name", "data", "options"), CASES)
def test_saved_data_is_loaded_and_no_temporary_file_is_left(tmp_path, kind, name, data, options):
    dataset = kind(filepath=str(tmp_path / name), **options)
    for _ in range(2):
        dataset.save(data)
        loaded = dataset.load()
        assert loaded.equals(data) if isinstance(data, pd.DataFrame) else loaded == data
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(("kind", "name", "data", "options"), CASES[:3])
def test_a_failing_save_keeps_the_old_file(tmp_path, kind, name, data, options):
    dataset = kind(filepath=str(tmp_path / name), **options)
    dataset.save(data)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(DatasetError):
        dataset.save({"a set is no": {"table", "and no JSON"}} if name == "a.json" else object())
    assert (tmp_path / name).read_bytes() == before
    assert names(tmp_path) == [name]


def test_two_runs_may_save_the_same_file_at_once(tmp_path):
    other = AtomicJSONDataset(filepath=str(tmp_path / "a.json"))

    def save_meanwhile(_: object) -> str:
        other.save({"loss": "of the other run"})
        return "of this run"

    dataset = AtomicJSONDataset(
        filepath=str(tmp_path / "a.json"), save_args={"default": save_meanwhile}
    )
    dataset.save({"loss": object()})
    assert dataset.load() == {"loss": "of this run"}
    assert names(tmp_path) == ["a.json"]


def test_temporary_files_of_killed_runs_are_removed_a_day_later(tmp_path):
    old, fresh = (tmp_path / f".a.json.{letter}.partial" for letter in "xy")
    for file in (old, fresh):
        file.write_text('{"loss":')
    os.utime(old, (0, 0))
    AtomicJSONDataset(filepath=str(tmp_path / "a.json")).save({"loss": 0.5})
    assert names(tmp_path) == [fresh.name, "a.json"]


def test_models_are_versioned(tmp_path, networks):
    generator, _ = networks
    latents = np.random.default_rng(0).standard_normal((2, 6), dtype=np.float32)
    generated = []
    for version in ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"):
        generator.set_weights([weights * 0.9 for weights in generator.get_weights()])
        generated.append(np.asarray(generator(latents)))
        dataset = AtomicModelDataset(
            filepath=str(tmp_path / "g.keras"), version=Version(None, version)
        )
        dataset.save(generator)
    assert names(tmp_path)[1:] == [
        "g.keras/2026-01-01T00.00.00.000Z",
        "g.keras/2026-01-01T00.00.00.000Z/g.keras",
        "g.keras/2026-01-02T00.00.00.000Z",
        "g.keras/2026-01-02T00.00.00.000Z/g.keras",
    ]
    newest = AtomicModelDataset(filepath=str(tmp_path / "g.keras"), version=Version(None, None))
    loaded = newest.load()
    assert isinstance(loaded, keras.Model)
    np.testing.assert_array_equal(np.asarray(loaded(latents)), generated[1])


def test_a_parquet_preview_shows_lists_and_missing_values(tmp_path):
    table = pd.DataFrame({"name": ["A", "B", "C"], "genres": [["x", "y"], [], ["z"]]})
    table["first_year"] = pd.Series([1900, None, 1950], dtype="Int64")
    dataset = AtomicParquetDataset(filepath=str(tmp_path / "a.parquet"))
    dataset.save(table)
    preview = json.loads(json.dumps(dataset.preview(nrows=2)))
    assert preview["columns"] == ["name", "genres", "first_year"]
    assert preview["data"] == [["A", "x, y", 1900], ["B", "", ""]]


def test_a_preview_has_four_digits_and_empty_missing_values(tmp_path):
    dataset = AtomicCSVDataset(filepath=str(tmp_path / "a.csv"), save_args={"index": False})
    dataset.save(pd.DataFrame({"epoch": [10001, 2, 3], "loss": [0.123456, None, 20000.0]}))
    preview = json.loads(json.dumps(dataset.preview(), allow_nan=False))
    assert preview["columns"] == ["epoch", "loss"]
    assert preview["data"] == [[10001, 0.1235], [2, ""], [3, 20000.0]]
    assert len(dataset.preview(nrows=1)["data"]) == 1
