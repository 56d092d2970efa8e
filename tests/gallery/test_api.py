"""The API's responses: images that match the pipelines, byte for byte reproducible."""

import base64
import contextlib
import io
import shutil
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.networks.sampling import generate_images, one_hot, sample_latents, slerp
from projects import BY_CLASS, PLAIN, run_kedro

FILES = ("generator.keras", "class_list.json")


def read_pixels(response):
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.data)).convert("RGB"))


def read_file(path):
    return np.asarray(Image.open(path))


def load_generator(trained, model):
    files = sorted(trained.glob(f"data/06_models/{model}/generator.keras/*/generator.keras"))
    return keras.models.load_model(files[-1])


def test_images_of_the_tiny_models_differ(client):
    for model in (PLAIN, BY_CLASS):
        grid = read_pixels(client.post("/api/generate", json={"model": model, "count": 2}))
        first, second = grid[2:34, 2:34].astype(int), grid[2:34, 36:68]
        assert first.std() > 10 and np.abs(first - second).max() > 20


def test_models_are_described(client):
    models = client.get("/api/models").json["models"]
    plain, by_class, pretrained = sorted(models, key=lambda model: model["model"])
    assert [model["pretrained"] for model in (plain, by_class, pretrained)] == [False, False, True]
    assert (plain["model"], plain["side"], plain["latent"], plain["classes"]) == (PLAIN, 32, 6, [])
    assert by_class["column"] == "genre" and len(by_class["classes"]) == 8


def test_an_image_equals_that_of_the_sample_pipeline(trained, client, monkeypatch):
    monkeypatch.chdir(trained)
    params = {"sample__count": 5, "sample__seed": 9, "sample__truncation": 0.5}
    assert run_kedro(trained, "--pipelines=sample", **params).exit_code == 0
    samples = trained / "data/07_model_output/sample/dcgan/samples"
    query = {"model": PLAIN, "seed": 9, "number": 4, "truncation": 0.5}
    pixels = read_pixels(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(pixels, read_file(samples / "seed9_000004.png"))


@pytest.mark.parametrize("with_class", [True, False])
def test_an_image_of_a_class_equals_that_of_the_sample_pipeline(
    with_class, trained, client, monkeypatch
):
    monkeypatch.chdir(trained)
    params = {"sample__classes": "Night Skies"} if with_class else {}
    run_kedro(trained, "--pipelines=sample", network__label="genre", sample__count=11, **params)
    samples = trained / "data/07_model_output/sample/dcgan_by_genre/samples"
    file = next(samples.glob("seed0_000010_*.png"))
    query = {"model": BY_CLASS, "number": 10} | ({"class": "Night Skies"} if with_class else {})
    response = client.get("/api/picture", query_string=query)
    np.testing.assert_array_equal(read_pixels(response), read_file(file))
    metadata = Image.open(io.BytesIO(response.data)).text
    assert metadata["class"].replace(" ", "-") in file.name
    assert (metadata["model"], metadata["number"], metadata["seed"]) == (BY_CLASS, "10", "0")
    assert metadata["truncation"] == "1.0" and metadata["version"]
    assert "Ganvas" in metadata["Software"]


def test_a_grid_holds_the_images_in_order(client):
    body = {"model": PLAIN, "count": 3, "first": 2}
    grid = read_pixels(client.post("/api/generate", json=body))
    assert grid.shape == (36, 3 * 34 + 2, 3)
    query = {"model": PLAIN, "number": 4}
    image = read_pixels(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(grid[2:34, 70:102], image)
    webp = client.post("/api/generate", json=body | {"format": "webp"})
    np.testing.assert_array_equal(read_pixels(webp), grid)


def test_json_holds_each_image_with_its_metadata(client):
    body = {"model": BY_CLASS, "count": 2, "format": "json"}
    images = client.post("/api/generate", json=body).json["pictures"]
    assert [image["number"] for image in images] == [0, 1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[1]["png"]))))
    query = {"model": BY_CLASS, "number": 1}
    expected = read_pixels(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(pixels, expected)


def test_an_interpolation_follows_slerp_between_its_ends(client, trained, genres):
    body = {
        "model": BY_CLASS,
        "steps": 5,
        "start": {"seed": 3, "number": 1, "class": "Ink Waves"},
        "end": {"seed": 4, "number": 0, "class": "Still Lifes"},
    }
    strip = read_pixels(client.post("/api/interpolate", json=body))
    generator = load_generator(trained, BY_CLASS)
    ends = [sample_latents(generator, 2, 3)[1:], sample_latents(generator, 1, 4)]
    first, last = (one_hot(np.array([genres.index(n)]), 8) for n in ("Ink Waves", "Still Lifes"))
    weights = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    labels = (1 - weights) * first + weights * last
    expected = generate_images(generator, slerp(*ends, 5)[0], labels)
    np.testing.assert_array_equal(strip, np.concatenate(expected, axis=1))
    webp = client.post("/api/interpolate", json=body | {"format": "webp"})
    frames = Image.open(io.BytesIO(webp.data))
    # Forward and backward, without a longer last frame.
    assert frames.n_frames == 8
    assert {(frames.seek(n), frames.load(), frames.info["duration"])[2] for n in range(8)} == {120}


def test_concurrent_requests_do_not_change_the_bytes(app, client):
    body = {"model": BY_CLASS, "count": 20, "seed": 5, "truncation": 0.75}
    expected = client.post("/api/generate", json=body).data

    def generate(seed):
        other = {"model": BY_CLASS, "count": 1 + seed, "seed": seed}
        json = body if seed % 3 == 0 else other
        return seed, app.test_client().post("/api/generate", json=json).data

    with ThreadPoolExecutor(8) as pool:
        concurrent = [data for seed, data in pool.map(generate, range(24)) if seed % 3 == 0]
    assert len(concurrent) == 8 and all(data == expected for data in concurrent)


@contextlib.contextmanager
def later_version(trained, year, write_generator):
    """Add a newer version of the unconditional model; its class list is still to be written."""
    models = trained / "data/06_models" / PLAIN
    folders = [models / name / f"{year}-01-01T00.00.00.000Z" for name in FILES]
    for folder in folders:
        folder.mkdir()
    write_generator(folders[0] / FILES[0])
    classes = next(models.glob("class_list.json/20[0-8]*/class_list.json"))
    try:
        yield folders[1] / FILES[1], classes
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def test_an_older_version_stays_available(trained, client, versions):
    def get_image(**query):
        return client.get("/api/picture", query_string={"model": PLAIN} | query)

    def write_generator(file):
        generator = load_generator(trained, PLAIN)
        generator.set_weights([weight * 2 for weight in generator.get_weights()])
        generator.save(file)

    version = versions[PLAIN]
    before = get_image(version=version).data
    with later_version(trained, 2099, write_generator) as (class_list, classes):
        # The version of a run that is still saving is not served yet.
        assert get_image().data == before
        shutil.copy(classes, class_list)
        later = class_list.parent.name
        assert (read_pixels(get_image(version=later)) != read_pixels(get_image())).any()
        assert get_image(version=version).data == before


def test_a_server_error_does_not_reveal_its_reason(client, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr("ganvas.gallery.generation.generate_image", fail)
    response = client.get("/api/picture", query_string={"model": PLAIN})
    assert response.status_code == 500 and response.mimetype == "application/json"
    assert response.json == {"error": "Something went wrong here."}
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_an_image_is_cached_only_with_a_version(client, versions):
    ages = [
        client.get("/api/picture", query_string={"model": PLAIN} | query).cache_control.max_age
        for query in ({}, {"version": versions[PLAIN]})
    ]
    assert ages == [None, 86_400]
