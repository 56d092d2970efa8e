"""Trained models are found and loaded."""

import pytest

from ganvas.gallery.model_store import ModelStore
from projects import BY_CLASS, PLAIN


def test_a_gallery_without_models_names_the_command_to_train_one(tmp_path):
    with pytest.raises(LookupError, match="make run"):
        ModelStore(tmp_path).load()


def test_only_the_last_models_stay_loaded(trained, monkeypatch):
    monkeypatch.setattr("ganvas.gallery.model_store.MAX_LOADED", 1)
    models = ModelStore(trained / "data/06_models")
    first = models.load(PLAIN)
    assert models.load(PLAIN) is first
    models.load(BY_CLASS)
    assert models.load(PLAIN) is not first
