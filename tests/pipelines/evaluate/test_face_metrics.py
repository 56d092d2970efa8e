"""The evaluation's node that looks for faces, on a photograph of one."""

import importlib.util

import matplotlib.cbook
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.ingestion.collection import Collection
from ganvas.pipelines.evaluate.face_metrics import measure_faces
from ganvas.pipelines.evaluate.params import EvaluateParams


@pytest.fixture(scope="module")
def face():
    """Grace Hopper, a work of the US Navy in the public domain, at 64 pixels."""
    file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(file) as image:
        square = image.convert("RGB").crop((60, 0, 460, 400))
        return np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS))


def collect(face, splits):
    images = np.stack([face, 255 - face, np.full_like(face, 90), face])
    index = pd.DataFrame({"split": splits, "hash": ["a", "b", "c", "d"]})
    return Collection(images, index, pd.DataFrame())


def test_shares_of_generated_and_of_held_out_images(face):
    collection = collect(face, ["train", "validation", "validation", "validation"])
    generated = np.stack([face, face, face, np.zeros_like(face), face])
    found = measure_faces(generated, collection, EvaluateParams(faces=4))["faces"]
    assert found["value"] == 0.75
    assert found["real"] == pytest.approx(1 / 3)
    assert "N=4 and 3 held-out ones" in found["protocol"]


def test_training_images_stand_in_where_none_are_held_out(face):
    found = measure_faces(face[None], collect(face, ["train"] * 4), EvaluateParams(faces=2))
    assert found["faces"]["real"] == 0.5 and "2 training ones" in found["faces"]["protocol"]


def test_nobody_looks_unasked_or_without_the_detector(face, monkeypatch, caplog):
    collection = collect(face, ["train"] * 4)
    assert measure_faces(face[None], collection, EvaluateParams()) == {}
    assert caplog.text == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert measure_faces(face[None], collection, EvaluateParams(faces=1)) == {}
    assert 'pip install "ganvas[faces]"' in caplog.text
