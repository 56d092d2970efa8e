"""The latent studio's API: pixels of seeds, latents, edits and saved images."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery import studio
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.label_columns import make_table
from ganvas.latents.directions import to_arrays
from ganvas.latents.latent_text import encode_w
from ganvas.networks.latent_spaces import mean_w
from ganvas.saved_arrays import write_arrays
from ganvas.visualization.image_grid import encode_png
from shaped_models import LATENT
from studio_requests import ANCHORED, DIRECTION, MODELS, PLAIN, STYLED, point_of, post, read


@pytest.fixture
def client(styled_app):
    return styled_app.test_client()


def send_file(client, path, field, content, **fields):
    return client.post(f"/api/{path}", data=fields | {field: (io.BytesIO(content), "file")})


def latents_of(client, name, *points, **options):
    response = post(client, "latents", model=name, points=list(points), **options)
    assert response.status_code == 200, response.text
    return response.json


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("truncation", [1.0, 0.6])
def test_w_of_a_seed_has_its_pixels(name, truncation, client):
    point = point_of(name, truncation=truncation)
    expected = read(client.get("/api/picture", query_string=point | {"model": name}))
    found = latents_of(client, name, point)
    same = {"w": found["latents"][0]}
    if MODELS[name]:
        same["weights"] = found["weights"][0]
    for given in (point, same):
        response = post(client, "synthesize", model=name, points=[given])
        np.testing.assert_array_equal(read(response), expected)
    # The saved file has the point, which the next request takes as it is.
    opened = send_file(client, "open", "picture", response.data).json
    assert opened["model"] == name and set(opened["point"]) >= {"w"}
    again = post(client, "synthesize", model=name, points=[opened["point"]])
    np.testing.assert_array_equal(read(again), expected)


@pytest.mark.parametrize("name", MODELS)
def test_truncation_of_w_moves_it_to_the_mean_of_its_class(name, styled_app, client):
    point = point_of(name)
    whole = latents_of(client, name, point)
    same = {"w": whole["latents"][0], "truncation": 0.5}
    same |= {"weights": whole["weights"][0]} if MODELS[name] else {}
    half = latents_of(client, name, same)["latents"]
    if name == ANCHORED:
        # Latents of its seeds are truncated before the prior.
        generator = styled_app.extensions["ganvas_gallery"].models.load(name).generator
        mean = mean_w(generator, np.array(whole["weights"], np.float32))
        expected = (np.array(whole["latents"]) + mean) / 2
    else:
        expected = latents_of(client, name, point | {"truncation": 0.5})["latents"]
    np.testing.assert_allclose(half, expected, atol=1e-5)


def test_npy_files_hold_the_same_latents(client):
    points = [point_of(STYLED), point_of(STYLED, number=4)]
    for space, shape in (("w", (2, 6, 8)), ("z", (2, 8))):
        response = post(client, "latents", model=STYLED, points=points, space=space, format="npy")
        array = np.load(io.BytesIO(response.data), allow_pickle=False)
        assert array.shape == shape and array.dtype == np.float32
        found = latents_of(client, STYLED, *points, space=space)["latents"]
        np.testing.assert_array_equal(array, np.array(found, np.float32))
        fields = {"model": STYLED, "space": space, "class": "Op", "format": "json"}
        images = send_file(client, "synthesize", "latents", response.data, **fields).json
        for image, point in zip(images["pictures"], points, strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["png"]))))
            query = point | {"model": STYLED}
            expected = read(client.get("/api/picture", query_string=query))
            np.testing.assert_array_equal(pixels, expected)


def test_several_points_are_a_grid(client):
    points = [point_of(PLAIN, number=n) for n in range(3)]
    grid = read(post(client, "synthesize", model=PLAIN, points=points))
    assert grid.shape == (100, 3 * 66 + 2, 3)
    query = points[1] | {"model": PLAIN}
    expected = read(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(grid[2:98, 68:132], expected)


@pytest.mark.parametrize(
    ("name", "point", "message"),
    [
        (PLAIN, {"w": [1, 2]}, "points.0.w: 'tall/dcgan' takes 6 numbers, not 2"),
        (PLAIN, {"w": [[1] * 6]}, "takes 6 numbers, not 1×6"),
        (PLAIN, {"z": [0] * 7}, "points.0.z: 'tall/dcgan' takes 6 numbers, not 7"),
        (PLAIN, {"weights": [1]}, "takes no weights"),
        (STYLED, {"w": [0] * 8, "class": "Op"}, "takes 6×8 numbers, not 8"),
        (STYLED, {"weights": [1, 2]}, "points.0.weights: 'art/stylegan2' takes 3 weights, not 2"),
        (STYLED, {"weights": [1, -1, 0]}, "weights must be 0 or more"),
        (STYLED, {"weights": [0, 0, 0]}, "one weight of 'genre' must be above 0"),
        (STYLED, {"z": [0] * 8}, "needs class or weights"),
    ],
)
def test_a_point_of_another_model_is_refused_in_a_sentence(name, point, message, client):
    response = post(client, "synthesize", model=name, points=[point])
    assert response.status_code == 400 and message in response.json["error"]


def test_requests_that_no_model_can_serve_are_refused(client):
    def error(path, status, **body):
        response = post(client, path, **body)
        assert response.status_code == status, response.text
        return response.json["error"]

    w = encode_w(np.zeros(LATENT))
    no_z = error("latents", 400, model=PLAIN, points=[{}, {"w": w}], space="z")
    assert no_z.startswith("points.1: a point given by w has no z")
    unknown = error("synthesize", 404, model=STYLED, points=[{"class": "Cubism"}])
    assert "it has Op, Pop, Dada" in unknown
    array = io.BytesIO()
    np.save(array, np.zeros((1, 7)))
    upload = send_file(client, "synthesize", "latents", array.getvalue(), model=PLAIN)
    assert upload.status_code == 400 and "takes (N, 6)" in upload.json["error"]


def test_weights_of_several_labels_are_scaled_label_by_label():
    named = [("Smiling", ["no", "yes"]), ("Hair", ["black", "blond", "gray"])]
    table = make_table(named, np.array([[0, 0]]))
    model = SimpleNamespace(label_columns=table.columns, saved=SimpleNamespace(name="faces"))
    weights = studio.weigh(model, np.array([3, 1, 0, 2, 2], np.float32))
    np.testing.assert_allclose(weights, [0.375, 0.125, 0, 0.25, 0.25])
    with pytest.raises(InvalidRequestError, match="one weight of 'Hair' must be above 0"):
        studio.weigh(model, np.array([1, 0, 0, 0, 0], np.float32))


def test_directions_are_listed_with_the_strengths_of_edits(client):
    (direction,) = client.get("/api/directions", query_string={"model": PLAIN}).json["directions"]
    assert (direction["name"], direction["low"], direction["high"]) == ("first", -1.5, 2.0)
    assert (direction["minimum"], direction["maximum"]) == (-3.0, 4.0)
    assert direction["about"] == {"rank": 1} and "vector" not in direction
    assert client.get("/api/directions", query_string={"model": STYLED}).json["directions"] == []


def test_an_edit_moves_along_its_direction(client):
    edited = post(client, "edit", model=PLAIN, point=point_of(PLAIN), edits={"first": -1.5})
    w = np.array(latents_of(client, PLAIN, point_of(PLAIN))["latents"], np.float32)
    w[0, 0] -= 3.0
    expected = read(post(client, "synthesize", model=PLAIN, points=[{"w": w[0].tolist()}]))
    np.testing.assert_array_equal(read(edited), expected)
    saved = Image.open(io.BytesIO(edited.data)).text
    assert saved["w"] == encode_w(w) and saved["edits"] == "first: -1.5"
    query = point_of(PLAIN) | {"model": PLAIN}
    before = read(client.get("/api/picture", query_string=query))
    assert np.abs(before.astype(int) - expected).max() > 20
    body = {"model": PLAIN, "point": point_of(PLAIN), "edits": {"first": -1.5}, "compare": True}
    both = read(post(client, "edit", **body))
    np.testing.assert_array_equal(both[2:98, 2:66], before)
    np.testing.assert_array_equal(both[2:98, 68:132], expected)
    answer = post(client, "edit", **body, format="json").json
    assert answer["w"] == encode_w(w) and {"png", "before"} <= set(answer)


@pytest.mark.parametrize(
    ("edits", "status", "message"),
    [
        ({"second": 1}, 404, "has no direction 'second': it has first."),
        ({"first": 4.01}, 400, "edits.first: the strength must be between -3 and 4, not 4.01."),
    ],
)
def test_an_edit_is_refused_in_a_sentence(edits, status, message, client):
    response = post(client, "edit", model=PLAIN, edits=edits)
    assert response.status_code == status and message in response.json["error"]


@pytest.mark.parametrize("name", [STYLED, ANCHORED])
def test_new_weights_change_the_class_and_keep_the_latent(name, styled_app, client):
    model = styled_app.extensions["ganvas_gallery"].models.load(name)
    weights = np.eye(len(model.class_names))[-1].tolist()
    by_seed = read(post(client, "edit", model=name, point=point_of(name), weights=weights))
    query = point_of(name) | {"class": model.class_names[-1], "model": name}
    expected = read(client.get("/api/picture", query_string=query))
    np.testing.assert_array_equal(by_seed, expected)
    found = latents_of(client, name, point_of(name))
    point = {"w": found["latents"][0], "weights": found["weights"][0]}
    same = read(post(client, "edit", model=name, point=point, weights=point["weights"]))
    changed = read(post(client, "edit", model=name, point=point, weights=weights))
    assert (same != changed).any()


def test_damaged_directions_are_named(styled_app, client):
    model = styled_app.extensions["ganvas_gallery"].models.load(STYLED)
    file = model.saved.file("directions.npz")
    file.parent.mkdir(parents=True)
    for content in (b"damaged", b""):
        file.write_bytes(content)
        response = client.get("/api/directions", query_string={"model": STYLED})
        assert response.status_code == 404 and "find them again" in response.json["error"]
    write_arrays(file, to_arrays([DIRECTION]))
    response = client.get("/api/directions", query_string={"model": STYLED})
    assert response.status_code == 404 and "of another generator" in response.json["error"]
    file.unlink()


def test_an_image_of_a_seed_is_opened(client):
    point = point_of(STYLED, truncation=0.5)
    saved = client.get("/api/picture", query_string=point | {"model": STYLED}).data
    opened = send_file(client, "open", "picture", saved).json
    assert opened["model"] == STYLED and opened["version"] and opened["point"] == point


PIXELS = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"\xff\xd8\xff", 400, "it is no PNG file"),
        (encode_png(PIXELS), 400, "only PNG files of single images"),
        (encode_png(PIXELS, {"model": PLAIN, "seed": 1, "numbers": "0 to 3"}), 400, "a grid"),
        (encode_png(PIXELS, {"model": "no/such", "seed": 1, "number": 0}), 404, "no model"),
        (encode_png(PIXELS, {"model": PLAIN, "version": "x", "w": "AAAA"}), 400, "base64url"),
        (encode_png(PIXELS, {"model": PLAIN, "version": "x", "seed": 1, "number": 0}), 404, "x"),
        (encode_png(PIXELS, {"model": PLAIN, "seed": "nan", "number": 0}), 400, "point.seed"),
        (encode_png(PIXELS, {"model": PLAIN, "seed": "9" * 5000, "number": 0}), 400, "point.seed"),
        (encode_png(PIXELS, {"model": PLAIN, "w": "AACAPw"}), 400, "takes 6 numbers, not 1"),
        (encode_png(PIXELS, {"model": STYLED, "w": encode_w(np.ones(48))}), 400, "needs class"),
        (encode_png(PIXELS, {"model": "a" * 5000, "seed": 1, "number": 0}), 400, "1000 characters"),
    ],
)
def test_other_files_can_not_be_opened(content, status, message, client):
    response = send_file(client, "open", "picture", content)
    assert response.status_code == status, response.text
    error = response.json["error"]
    assert message in error and "\n" not in error and len(error) < 400


def test_latents_may_be_larger_than_other_bodies(client):
    content = json.dumps({"points": [{"w": [0.123456] * 20_000}]})
    assert len(content) > 2**17
    for path, status in (("/api/synthesize", 400), ("/api/generate", 413)):
        response = client.post(path, data=content, content_type="application/json")
        assert response.status_code == status
    response = client.post("/api/edit", data=b" " * (2**21 + 1), content_type="application/json")
    assert response.status_code == 413 and "more than 2,048 KB" in response.json["error"]
