"""A gallery with generators that the latent studio treats differently, and requests to its API."""

import io
from pathlib import Path

import keras
import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import ModelStore
from ganvas.latents.directions import Direction, to_arrays
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.saved_arrays import write_arrays
from shaped_models import LATENT, build_discriminator, save_model, save_networks

STYLES = Stylegan2Params(latent=8, style=8, channel_base=256, max_width=8)
# A generator of styles with classes, one without a mapping, and one with a prior and classes.
STYLED, PLAIN, ANCHORED = "art/stylegan2", "tall/dcgan", "sample/pretrained"
MODELS = {STYLED: "Op", PLAIN: None, ANCHORED: "Ink Waves"}
DIRECTION = Direction(
    "first", "sefa", np.eye(LATENT, dtype=np.float32)[0] * 2, -1.5, 2.0, 1.0, {"rank": 1}
)


def create_styled_app(data: Path) -> Flask:
    """Save the generators in a data folder, and return the application over them."""
    keras.utils.set_random_seed(0)
    models = data / "06_models"
    save_model(models, PLAIN, (96, 64, 3))
    networks = build_stylegan2(STYLES, (16, 16, 3), 3)
    networks.generator.get_layer("style_mean").kernel.assign(
        np.random.default_rng(1).normal(0, 0.2, (1, 8))
    )
    discriminator = build_discriminator((16, 16, 3))
    save_networks(models, STYLED, networks.generator, discriminator, ("Op", "Pop", "Dada"))
    (folder,) = (models / PLAIN / "generator.keras").iterdir()
    file = models / PLAIN / "directions.npz" / folder.name / "directions.npz"
    file.parent.mkdir(parents=True)
    write_arrays(file, to_arrays([DIRECTION]))
    return create_app(ModelStore(models), data)


def point_of(name: str, **values: object) -> dict[str, object]:
    """Return a point of an image of a seed of a model's class."""
    labels = {"class": MODELS[name]} if MODELS[name] else {}
    return {"seed": 3, "number": 2} | labels | values


def read(response: TestResponse) -> np.ndarray:
    """Return the pixels of a response."""
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.data)))


def post(client: FlaskClient, path: str, **body: object) -> TestResponse:
    """Send JSON to the API."""
    return client.post(f"/api/{path}", json=body)
