"""Trained models are found and loaded."""

import pytest

from ganvas.gallery.model_store import PRETRAINED_NAME, ModelStore, NotFoundError
from projects import BY_CLASS, PLAIN


def test_without_trained_models_the_pretrained_one_is_loaded(tmp_path):
    models = ModelStore(tmp_path)
    assert list(models.newest()) == [PRETRAINED_NAME]
    model = models.load()
    assert model.saved.pretrained and model.saved.dataset == "sample"
    assert model.image_size == 64 and len(model.class_names) == 8
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
