"""Trained models are found and loaded."""

import json
import zipfile

import pytest

from ganvas.gallery.data_files import KERAS_FILES
from ganvas.gallery.model_store import PRETRAINED_NAME, ModelStore, NotFoundError
from projects import BY_CLASS, PLAIN


def test_without_trained_models_the_pretrained_one_is_loaded(tmp_path):
    models = ModelStore(tmp_path)
    assert list(models.newest()) == [PRETRAINED_NAME]
    model = models.load()
    assert model.saved.pretrained and model.saved.dataset == "sample"
    assert model.image_shape == (64, 64, 3) and len(model.class_names) == 8
    with pytest.raises(NotFoundError, match="there are sample/pretrained"):
        models.load(PLAIN)


def test_a_trained_model_takes_the_place_of_the_pretrained_one(trained):
    models = ModelStore(trained / "data/06_models")
    assert list(models.newest()) == [BY_CLASS, PLAIN, PRETRAINED_NAME]
    assert not models.load().saved.pretrained
    assert models.load(PRETRAINED_NAME).saved.pretrained


def test_only_the_last_models_stay_loaded(trained, monkeypatch):
    monkeypatch.setattr("ganvas.gallery.model_store.MAX_LOADED", 1)
    models = ModelStore(trained / "data/06_models")
    first = models.load(PLAIN)
    assert models.load(PLAIN) is first
    models.load(BY_CLASS)
    assert models.load(PLAIN) is not first


def test_the_newest_model_is_the_recorded_one_and_not_the_largest_name(tmp_path):
    def save(name, version):
        for file in ("generator.keras", "class_list.json"):
            path = tmp_path / "06_models" / name / file / version / file
            path.parent.mkdir(parents=True)
            if path.suffix == ".json":
                path.write_text('{"column": null, "names": []}')
            else:
                with zipfile.ZipFile(path, "w") as archive:
                    for member in KERAS_FILES:
                        archive.writestr(member, "")

    old, new, future = (f"{year}-01-01T00.00.00.000Z" for year in (2025, 2026, 2099))
    for version in (old, new, future):
        save(PLAIN, version)
    save("others/ahead", future)
    save("others/old", old)
    models = ModelStore(tmp_path / "06_models")
    expected = {PLAIN: new, "others/old": old, "others/ahead": future}
    newest = {name: saved.version for name, saved in models.newest().items()}
    assert list(newest) == [*expected, PRETRAINED_NAME]
    assert newest.items() >= expected.items()
    summary = tmp_path / "08_reporting" / PLAIN / "training.json"
    summary.parent.mkdir(parents=True)
    summary.write_text(json.dumps({"version": old}))
    assert models.newest()[PLAIN].version == old
