"""The gallery over StyleGAN2's networks, beside others: truncation in W, classes, all pages."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import ModelStore
from ganvas.metrics.discriminator_accuracy import compute_logits, compute_logits_among
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import (
    cycle_classes,
    generate_images,
    one_hot,
    sample_latents,
    slerp,
)
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import class_mean_styles, map_latents, mean_style, synthesize, truncate
from shaped_models import save_model, save_networks

STYLES = Stylegan2Params(latent=8, style=8, channel_base=256, max_width=8)
NAMES = ("Op", "Pop", "Dada")
PLAIN, BY_CLASS, OTHER = "abstract/stylegan2", "abstract/stylegan2_by_genre", "abstract/dcgan"


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """Return the gallery's data folder, and its style-based generators by name."""
    keras.utils.set_random_seed(0)
    data = tmp_path_factory.mktemp("styles")
    save_model(data / "06_models", OTHER, (16, 16, 3))
    by_name = {}
    for name, class_names in {PLAIN: (), BY_CLASS: NAMES}.items():
        networks = build_stylegan2(STYLES, (16, 16, 3), len(class_names))
        generator = networks.generator
        rng = np.random.default_rng(1)
        generator.get_layer("style_mean").kernel.assign(rng.normal(0, 0.2, (1, 8)))
        save_networks(data / "06_models", name, generator, networks.discriminator, class_names)
        by_name[name] = generator
    return data, by_name


@pytest.fixture(scope="module")
def client(generators):
    data, _ = generators
    return create_app(ModelStore(data / "06_models"), data).test_client()


def read(response):
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.data)))


def truncate_styles(generator, latents, labels, psi):
    """Return images by the functions of `ganvas.networks.styles` alone."""
    has_classes = labels.shape[1] > 0
    mean = labels @ class_mean_styles(generator) if has_classes else mean_style(generator)
    return synthesize(generator, truncate(map_latents(generator, latents, labels), mean, psi))


def test_truncation_moves_styles_to_the_mean_of_their_class(generators, client):
    generator = generators[1][BY_CLASS]
    latents, labels = sample_latents(generator, 3, seed=4), one_hot(np.full(3, 1), 3)
    images = {}
    for psi in (0.5, 1.0):
        query = {"model": BY_CLASS, "seed": 4, "number": 2, "class": NAMES[1], "truncation": psi}
        response = client.get("/api/picture", query_string=query)
        assert Image.open(io.BytesIO(response.data)).text["truncation"] == str(psi)
        images[psi] = read(response).astype(int)
        expected = truncate_styles(generator, latents, labels, psi)[2]
        assert np.abs(images[psi] - expected).max() <= 1
    assert np.abs(images[0.5] - images[1.0]).max() > 5
    body = {"model": BY_CLASS, "seed": 4, "count": 3, "truncation": 0.5, "class": NAMES[1]}
    grid = read(client.post("/api/generate", json=body))
    np.testing.assert_array_equal(grid[2:18, 38:54], images[0.5])


def test_truncation_moves_styles_to_the_mean_without_classes(generators, client):
    generator = generators[1][PLAIN]
    image = read(client.get("/api/picture", query_string={"model": PLAIN, "truncation": 0.3}))
    expected = truncate_styles(generator, sample_latents(generator, 1, 0), np.zeros((1, 0)), 0.3)
    assert np.abs(image.astype(int) - expected[0]).max() <= 1


def test_images_on_the_arc_between_two_latents_are_truncated(generators, client):
    generator = generators[1][BY_CLASS]
    ends = [{"seed": 3, "number": 0, "class": "Op"}, {"seed": 5, "number": 1, "class": "Dada"}]
    body = {"model": BY_CLASS, "steps": 4, "start": ends[0], "end": ends[1], "truncation": 0.6}
    strip = read(client.post("/api/interpolate", json=body))
    path = slerp(sample_latents(generator, 1, 3), sample_latents(generator, 2, 5)[1:], 4)[0]
    weights = np.linspace(0, 1, 4, dtype=np.float32)[:, None]
    labels = weights * one_hot(np.array([2]), 3) + (1 - weights) * one_hot(np.array([0]), 3)
    expected = truncate_styles(generator, path, labels, 0.6)
    assert np.abs(strip.astype(int) - np.concatenate(expected, axis=1)).max() <= 1


def test_an_image_is_scored_among_generated_ones(generators, client):
    # The discriminator compares the images of a batch, and an image alone has no deviation.
    data, by_name = generators
    images = [client.get("/api/picture", query_string={"model": BY_CLASS, "seed": 9})]
    form = {"picture": (io.BytesIO(images[0].data), "a.png"), "model": BY_CLASS, "class": "Pop"}
    score = client.post("/api/judge", data=form).json["score"]
    (file,) = data.glob(f"06_models/{BY_CLASS}/discriminator.keras/*/*.keras")
    discriminator = keras.models.load_model(file)
    copies, labels = np.repeat(read(images[0])[None], 3, axis=0), np.eye(3, dtype=np.float32)
    generator = by_name[BY_CLASS]
    other_labels = cycle_classes(generator, 64)
    others = generate_images(generator, sample_latents(generator, 64, 0), other_labels)
    among = compute_logits_among(discriminator, copies, labels, others, other_labels)[1]
    assert score == pytest.approx(among, abs=1e-4)
    alone = compute_logits(discriminator, copies, labels)[1]
    assert abs(score - alone) > 10 * abs(score - among)


def test_all_pages_and_scores_of_a_mixed_gallery(client):
    models = {model["model"]: model for model in client.get("/api/models").json["models"]}
    assert models[BY_CLASS]["classes"] == list(NAMES) and models[PLAIN]["latent"] == 8
    for name in (PLAIN, BY_CLASS, OTHER):
        query = {"model": name}
        for page in ["/", "/picture", "/walk", *["/mix"] * (name == BY_CLASS)]:
            response = client.get(page, query_string=query | {"truncation": 0.5})
            assert response.status_code == 200 and "0.5" in response.text, (name, page)
        for page in ("/judge", "/game", "/about"):
            assert client.get(page, query_string=query).status_code == 200, (name, page)
        content = client.get("/api/picture", query_string=query).data
        form = {"picture": (io.BytesIO(content), "a.png"), "model": name}
        scores = client.post("/api/judge", data=form)
        assert scores.status_code == 200 and np.isfinite(scores.json["score"])
    images = [{"model": name, "truncation": 0.5} for name in (PLAIN, BY_CLASS, OTHER)]
    assert client.post("/api/zip", json={"images": images}).status_code == 200
