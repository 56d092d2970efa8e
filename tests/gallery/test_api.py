"""The API: what it gives, that it gives the same again, and what it refuses."""

import base64
import contextlib
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.networks.sampling import generate_images, one_hot, sample_latents, slerp
from projects import BY_CLASS, PLAIN, run_kedro

FILES = ("generator.keras", "class_list.json")


def read(answer):
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGB"))


def sentence(answer):
    assert answer.mimetype == "application/json"
    assert list(answer.json) == ["error"]
    return answer.json["error"]


def generator(trained, model):
    files = sorted(trained.glob(f"data/06_models/{model}/generator.keras/*/generator.keras"))
    return keras.models.load_model(files[-1])


def test_the_tiny_models_paint_pictures_that_differ(client):
    for model in (PLAIN, BY_CLASS):
        grid = read(client.post("/api/generate", json={"model": model, "count": 2}))
        some, other = grid[2:34, 2:34].astype(int), grid[2:34, 36:68]
        assert some.std() > 10 and np.abs(some - other).max() > 20


def test_models_are_described(client):
    plain, by_class = sorted(client.get("/api/models").json["models"], key=lambda m: m["model"])
    assert (plain["model"], plain["side"], plain["latent"], plain["classes"]) == (PLAIN, 32, 6, [])
    assert by_class["column"] == "genre" and len(by_class["classes"]) == 8


def test_a_picture_is_the_one_that_the_sample_pipeline_writes(trained, client, monkeypatch):
    monkeypatch.chdir(trained)
    asked = {"sample__count": 5, "sample__seed": 9, "sample__truncation": 0.5}
    assert run_kedro(trained, "--pipelines=sample", **asked).exit_code == 0
    samples = trained / "data/07_model_output/sample/dcgan/samples"
    query = {"model": PLAIN, "seed": 9, "number": 4, "truncation": 0.5}
    pixels = read(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(pixels, read_file(samples / "seed9_000004.png"))


@pytest.mark.parametrize("given", [True, False])
def test_so_is_one_of_a_class(given, trained, client, monkeypatch):
    monkeypatch.chdir(trained)
    wanted = {"sample__classes": "Night Skies"} if given else {}
    run_kedro(trained, "--pipelines=sample", network__label="genre", sample__count=11, **wanted)
    samples = trained / "data/07_model_output/sample/dcgan_by_genre/samples"
    file = next(samples.glob("seed0_000010_*.png"))
    query = {"model": BY_CLASS, "number": 10} | ({"class": "Night Skies"} if given else {})
    answer = client.get("/api/picture", query_string=query)
    np.testing.assert_array_equal(read(answer), read_file(file))
    told = Image.open(io.BytesIO(answer.data)).text
    assert told["class"].replace(" ", "-") in file.name
    assert (told["model"], told["number"], told["seed"]) == (BY_CLASS, "10", "0")
    assert told["truncation"] == "1.0" and told["version"] and "Ganvas" in told["Software"]


def read_file(path):
    return np.asarray(Image.open(path))


def test_a_grid_holds_the_pictures_in_order(client):
    grid = read(client.post("/api/generate", json={"model": PLAIN, "count": 3, "first": 2}))
    assert grid.shape == (36, 3 * 34 + 2, 3)
    one = read(client.get("/api/picture", query_string={"model": PLAIN, "number": 4}))
    np.testing.assert_array_equal(grid[2:34, 70:102], one)
    webp = client.post(
        "/api/generate", json={"model": PLAIN, "count": 3, "first": 2, "format": "webp"}
    )
    np.testing.assert_array_equal(read(webp), grid)


def test_json_holds_each_picture_with_its_facts(client):
    told = client.post("/api/generate", json={"model": BY_CLASS, "count": 2, "format": "json"}).json
    assert [each["number"] for each in told["pictures"]] == [0, 1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["pictures"][1]["png"]))))
    one = read(client.get("/api/picture", query_string={"model": BY_CLASS, "number": 1}))
    np.testing.assert_array_equal(pixels, one)


def test_a_walk_ends_at_its_ends_and_goes_along_the_arc(client, trained):
    walk = {
        "model": BY_CLASS,
        "steps": 5,
        "start": {"seed": 3, "number": 1, "class": "Ink Waves"},
        "end": {"seed": 4, "number": 0, "class": "Still Lifes"},
    }
    strip = read(client.post("/api/interpolate", json=walk))
    network = generator(trained, BY_CLASS)
    ends = [sample_latents(network, 2, 3)[1:], sample_latents(network, 1, 4)]
    names = client.get("/api/models").json["models"]
    names = next(each["classes"] for each in names if each["model"] == BY_CLASS)
    first, last = (one_hot(np.array([names.index(n)]), 8) for n in ("Ink Waves", "Still Lifes"))
    shares = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    expected = generate_images(network, slerp(*ends, 5)[0], (1 - shares) * first + shares * last)
    np.testing.assert_array_equal(strip, np.concatenate(expected, axis=1))
    film = client.post("/api/interpolate", json=walk | {"format": "webp"})
    frames = Image.open(io.BytesIO(film.data))
    # There and back, without a rest.
    assert frames.n_frames == 8
    assert {(frames.seek(n), frames.load(), frames.info["duration"])[2] for n in range(8)} == {120}


def test_the_same_request_gives_the_same_bytes_whatever_else_is_asked(app, client):
    asked = {"model": BY_CLASS, "count": 20, "seed": 5, "truncation": 0.75}
    alone = client.post("/api/generate", json=asked).data

    def ask(seed):
        body = asked if seed % 3 == 0 else {"model": BY_CLASS, "count": 1 + seed, "seed": seed}
        return seed, app.test_client().post("/api/generate", json=body).data

    with ThreadPoolExecutor(8) as pool:
        together = [data for seed, data in pool.map(ask, range(24)) if seed % 3 == 0]
    assert len(together) == 8 and all(data == alone for data in together)


@contextlib.contextmanager
def later_version(trained, year, generator_of):
    """A version of the plain model that is saved after all others, for a while."""
    models = trained / "data/06_models" / PLAIN
    folders = [models / name / f"{year}-01-01T00.00.00.000Z" for name in FILES]
    for folder in folders:
        folder.mkdir()
    generator_of(folders[0] / FILES[0])
    classes = next(models.glob("class_list.json/20[0-8]*/class_list.json"))
    try:
        yield folders[1] / FILES[1], classes
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def test_an_older_version_is_still_painted(trained, client):
    def ask(**query):
        return client.get("/api/picture", query_string={"model": PLAIN} | query)

    def save_another(file):
        network = generator(trained, PLAIN)
        network.set_weights([weight * 2 for weight in network.get_weights()])
        network.save(file)

    told = client.get("/api/models").json["models"]
    version = next(each["version"] for each in told if each["model"] == PLAIN)
    before = ask(version=version).data
    with later_version(trained, 2099, save_another) as (last_file, classes):
        # A run that is still saving shows nothing yet.
        assert ask().data == before
        shutil.copy(classes, last_file)
        assert (read(ask()) != read(ask(version=version))).any()
        assert ask(version=version).data == before


def test_an_error_of_ours_keeps_its_reasons_to_itself(trained, client):
    def save_garbage(file):
        file.write_bytes(b"secret")

    with later_version(trained, 2098, save_garbage) as (last_file, classes):
        shutil.copy(classes, last_file)
        answer = client.get("/api/picture", query_string={"model": PLAIN})
    assert answer.status_code == 500 and sentence(answer) == "Something went wrong here."
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"count": 65}, "count: input should be less than or equal to 64, not '65'"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": "8"}, "count: input should be a valid integer"),
        ({"count": True}, "valid integer"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"first": 10_000}, "first: input should be less than 10000"),
        ({"truncation": 0}, "truncation"),
        ({"truncation": 1.5}, "truncation"),
        ({"format": "exe"}, "format: input should be 'png', 'webp' or 'json'"),
        ({"size": 4096}, "size: extra inputs are not permitted"),
        ([], "The request"),
        ("{", "must be JSON"),
        ('{"truncation": NaN}', "truncation"),
        ("[" * 100_000, "must be JSON"),
        (b"\xff", "must be JSON"),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_one_sentence(body, words, client):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    answer = client.post("/api/generate", data=data, content_type="application/json")
    assert answer.status_code == 400
    assert words in sentence(answer) and "\n" not in answer.json["error"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"model": "../../etc"}, "no model '../../etc': there are"),
        ({"model": PLAIN, "version": "../x"}, "has no version '../x'"),
        ({"model": BY_CLASS, "class": "Dogs"}, "not 'Dogs'"),
        ({"model": PLAIN, "class": "Dogs"}, "paints without classes"),
    ],
)
def test_what_is_not_there_is_told(query, words, client):
    answer = client.get("/api/picture", query_string=query)
    assert answer.status_code == 404 and words in sentence(answer)


def test_other_methods_addresses_and_bodies(client):
    answer = client.get("/api/generate")
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    assert sentence(answer) == "This address takes another method."
    assert client.get("/api/nothing").status_code == 404
    assert client.post("/api/generate", data="{}").status_code == 400
    large = client.post("/api/judge", data={"picture": (io.BytesIO(b"0" * 9_000_000), "x.png")})
    assert large.status_code == 413 and "8 MB" in sentence(large)
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/", "/about", "/nothing", "/static/gallery.js", "/api/models"])
def test_a_foreign_host_is_refused_in_a_sentence(path, client):
    answer = client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 400 and "is not trusted." in answer.text
    assert answer.mimetype == ("application/json" if "api" in path else "text/plain")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/api/models", "/api/nothing", "/nothing", "/style.css"])
def test_headers_keep_browsers_at_home(path, client):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_what_is_said_twice_is_refused(client):
    answer = client.get("/api/picture?seed=1&seed=2")
    assert answer.status_code == 400 and sentence(answer) == "Nothing may be said twice."


def test_browsers_keep_a_picture_only_where_its_version_was_asked_for(client):
    told = client.get("/api/models").json["models"]
    version = next(each["version"] for each in told if each["model"] == PLAIN)
    ages = [
        client.get("/api/picture", query_string={"model": PLAIN} | more).cache_control.max_age
        for more in ({}, {"version": version})
    ]
    assert ages == [None, 86_400]
