"""Latents of uploaded images: found, compared, and prepared for without blocking others."""

import base64
import io
import time
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.gallery import inverter as module
from ganvas.gallery.app import create_app
from ganvas.gallery.inverter import (
    Distances,
    ImageInverter,
    PreparingError,
    _limit_steps,
    _Prepared,
    _read_encoder,
)
from ganvas.gallery.model_store import ModelStore
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.latents.fit_encoder import fit_encoder
from ganvas.networks.image_encoder import to_arrays
from ganvas.saved_arrays import write_arrays
from shaped_models import build_discriminator, build_generator, save_networks

NAME, SHAPE = "small/dcgan", (32, 32, 3)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The application over one small generator without a saved encoder."""
    keras.utils.set_random_seed(0)
    data = tmp_path_factory.mktemp("inverter")
    save_networks(data / "06_models", NAME, build_generator(SHAPE), build_discriminator(SHAPE))
    with pytest.MonkeyPatch.context() as patch:
        # Of few images, and with few steps.
        patch.setattr(module, "fit_encoder", partial(fit_encoder, count=48))
        patch.setattr(module, "REFERENCES", 1)
        patch.setattr(module, "STEPS", 3)
        yield create_app(ModelStore(data / "06_models"), data)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def model(app):
    return app.extensions["ganvas_gallery"].models.load(NAME)


@pytest.fixture
def inverter(app):
    return app.extensions["ganvas_gallery"].inverter


def upload(client, content, **fields):
    data = fields | {"picture": (io.BytesIO(content), "picture"), "model": NAME}
    return client.post("/api/invert", data=data)


def generate(client, **query):
    return client.get("/api/picture", query_string=query | {"model": NAME}).data


def wait_until_prepared(inverter, model):
    while True:
        try:
            return inverter._prepare(model)
        except PreparingError:
            time.sleep(0.1)


def test_an_upload_is_found_once_the_model_is_prepared(client, model, inverter, monkeypatch):
    content = generate(client, seed=4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "PREPARATION_SECONDS", 0)
        early = upload(client, content)
    assert early.status_code == 429 and early.headers["Retry-After"]
    assert "is being prepared" in early.json["error"]
    # Meanwhile others are answered.
    assert client.get("/api/picture", query_string={"model": NAME, "seed": 5}).status_code == 200
    prepared = wait_until_prepared(inverter, model)
    found = upload(client, content, steps="20")
    assert found.status_code == 200, found.text
    answer = found.json
    # What was found is the point of the returned image.
    point = {"w": answer["w"]}
    again = client.post("/api/synthesize", json={"model": NAME, "points": [point]})
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(again.data))), image)
    target = np.asarray(Image.open(io.BytesIO(content)))
    pixel = np.abs(image.astype(float) - target).mean() / 255
    assert answer["distances"]["pixel"] == pytest.approx(pixel, abs=1e-3)
    assert answer["generated"] == prepared.generated._asdict()
    # Steps refine what the encoder finds.
    estimate = upload(client, content, steps="0").json["distances"]
    assert answer["distances"]["feature"] < estimate["feature"]
    assert answer["neighbors"] == []


def test_neighbors_are_found_by_the_encoders_codes(client, model, inverter, monkeypatch):
    wait_until_prepared(inverter, model)
    files = [generate(client, seed=0, number=n) for n in range(9)]
    images = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    collection = SimpleNamespace(images=images)
    monkeypatch.setattr(module, "find_collection", lambda *_: collection)
    assert inverter.find_neighbors(model, images[5], 3) == []
    model.kept["codes"].result(60)
    found = inverter.find_neighbors(model, images[5], 3)
    assert len(found) == 3 and found[0].position == 5
    assert found[0].distance < 1e-3 < found[1].distance <= found[2].distance
    np.testing.assert_array_equal(found[0].image, images[5])
    # Another collection is encoded anew.
    collection = SimpleNamespace(images=images[:4])
    assert inverter.find_neighbors(model, images[5], 3) == []
    model.kept["codes"].result(60)
    assert max(x.position for x in inverter.find_neighbors(model, images[5], 9)) == 3


def test_more_uploads_than_may_wait_are_refused(client, inverter):
    for _ in range(module.MAX_UPLOADS):
        assert inverter._slots.acquire(blocking=False)
    try:
        busy = upload(client, generate(client))
    finally:
        inverter._slots.release(module.MAX_UPLOADS)
    assert busy.status_code == 429 and busy.headers["Retry-After"]


@pytest.mark.parametrize(
    ("content", "fields", "status", "message"),
    [
        (b"no image", {}, 400, "The image can't be used"),
        (None, {"class": "Cubism"}, 404, "has no class 'Cubism'"),
        (None, {"steps": "201"}, 400, "steps: input should be less than or equal to 200"),
        (None, {"steps": "many"}, 400, "steps: input should be a valid integer"),
        (None, {"size": "9"}, 400, "optional fields are model, version, class, steps"),
    ],
)
def test_an_upload_is_refused_in_a_sentence(content, fields, status, message, client):
    response = upload(client, content or generate(client), **fields)
    assert response.status_code == status and message in response.json["error"]


def test_a_failed_preparation_is_explained_and_tried_again(client, app, monkeypatch):
    tries = []

    def fail(*_):
        tries.append(1)
        raise GanvasError("The backbone's weights are missing.") if len(tries) < 2 else OSError("x")

    inverter = ImageInverter(app.extensions["ganvas_gallery"].data)
    monkeypatch.setattr(module, "fit_encoder", fail)
    other = ModelStore(app.extensions["ganvas_gallery"].data / "06_models").load(NAME)
    content = generate(client)
    for message in ("can't find images: The backbone's weights are missing.", "see the gallery's"):
        with pytest.raises(module.NotFoundError, match=message):
            inverter.invert(other, content)


def test_steps_that_take_too_long_are_refused_and_the_default_lowered(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 100)
    prepared = _Prepared(None, None, Distances(0, 0), module.INVERSION_SECONDS / 20)
    assert _limit_steps(prepared, None) == 20 and _limit_steps(prepared, 7) == 7
    with pytest.raises(InvalidRequestError, match="steps: at most 20 with this model"):
        _limit_steps(prepared, 21)


def test_a_saved_encoder_that_fits_is_used(model, inverter):
    encoder = wait_until_prepared(inverter, model).encoder
    file = model.saved.file("encoder.npz")
    file.parent.mkdir(parents=True)
    assert _read_encoder(model) is None
    write_arrays(file, to_arrays(encoder))
    assert _read_encoder(model).w_shape == encoder.w_shape
    write_arrays(file, to_arrays(encoder._replace(image_shape=(64, 64, 3))))
    assert _read_encoder(model) is None
    file.write_bytes(b"damaged")
    assert _read_encoder(model) is None
    file.unlink()
