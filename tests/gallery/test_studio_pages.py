"""The pages Edit, My image and Film, without JavaScript."""

import io
import re
from base64 import b64decode
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery import studio
from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import ModelStore
from ganvas.gallery.point_query import find_latents, read_text
from ganvas.latents.directions import from_arrays, to_arrays
from ganvas.saved_arrays import read_arrays, write_arrays

# A generator of disks in the colors of its latent, with directions, and one with two labels.
PLAIN, LABELED = "disks/dcgan", "faces/dcgan"
VERSION = "2026-01-01T00.00.00.000Z"
KEYS = ["seed=1&number=2", "seed=3&number=0&direction.Color=1.5", "seed=1&number=4"]


@pytest.fixture(scope="module")
def studio_app(studio_data):
    return create_app(ModelStore(studio_data / "06_models"), studio_data)


@pytest.fixture
def client(studio_app):
    return studio_app.test_client()


def open_uri(uri):
    content = b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def open_image(response):
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.data)).convert("RGB"))


def images(page, attribute):
    """The images of a page whose elements have an attribute."""
    tags = [tag for tag in re.findall(r"<img[^>]*>", page) if attribute in tag]
    return [open_uri(unescape(re.search(r' src="([^"]*)"', tag)[1])) for tag in tags]


def find_link(page, attribute):
    (tag,) = re.findall(rf"<a [^>]*{attribute}[^>]*>", page)
    return unescape(re.search(r'href="([^"]*)"', tag)[1])


def form_fields(page, marker):
    """All fields that a browser sends of the form with this marker, without buttons."""
    (form,) = re.findall(rf"<form[^>]*{marker}.*?</form>", page, re.DOTALL)
    form = re.sub(r"<template>.*?</template>", "", form, flags=re.DOTALL)
    fields = []
    for tag in re.findall(r"<input[^>]*>", form):
        kind = re.search(r'type="(\w+)"', tag)[1]
        if kind != "checkbox" or " checked" in tag:
            name = unescape(re.search(r'name="([^"]*)"', tag)[1])
            fields.append((name, unescape(re.search(r'value="([^"]*)"', tag)[1])))
    for name, options in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', options)
        fields.append((unescape(name), unescape(chosen[1]) if chosen else ""))
    return fields


def keyframes(page):
    return [value for name, value in form_fields(page, "data-film") if name == "key"]


def upload(client, content, **fields):
    data = fields | {"picture": (io.BytesIO(content), "mine.png")}
    return client.post("/invert", data=data, content_type="multipart/form-data")


@pytest.mark.parametrize(
    ("model", "query", "body"),
    [
        (
            PLAIN,
            {"seed": 3, "number": 2, "direction.Color": 1.5, "truncation": 0.7},
            {"point": {"seed": 3, "number": 2, "truncation": 0.7}, "edits": {"Color": 1.5}},
        ),
        (
            LABELED,
            {"seed": 3, "label.Hair": "blond", "mix.Hair": "red", "share.Hair": 0.5},
            {"point": {"seed": 3}, "weights": [1, 0, 0, 1, 1]},
        ),
    ],
)
def test_a_permalink_shows_the_edit_of_the_api(model, query, body, client):
    page = client.get("/edit", query_string={"model": model} | query).text
    (after,) = images(page, "data-after")
    (before,) = images(page, "data-before")
    assert (after != before).any()
    request = {"model": model, "compare": True} | body
    both = open_image(client.post("/api/edit", json=request))
    height, width = after.shape[:2]
    assert any(
        (both[row : row + height, column : column + width] == after).all()
        for row in range(both.shape[0] - height + 1)
        for column in range(both.shape[1] - width + 1)
    )
    link = find_link(page, "data-permalink")
    assert query.items() <= {k: _number(v) for k, v in parse_qsl(urlsplit(link).query)}.items()
    for address in (link, f"/edit?{urlencode(form_fields(page, 'data-edit'))}"):
        np.testing.assert_array_equal(images(client.get(address).text, "data-after")[0], after)
    reset = client.get(find_link(page, "data-reset")).text
    np.testing.assert_array_equal(images(reset, "data-after")[0], before)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text


def test_a_new_truncation_is_compared_with_the_old_one(client):
    query = {"model": PLAIN, "seed": 5, "base_truncation": "1", "truncation": "0.3"}
    page = client.get("/edit", query_string=query).text
    expected = open_image(client.get("/api/picture", query_string={"model": PLAIN, "seed": 5}))
    np.testing.assert_array_equal(images(page, "data-before")[0], expected)
    assert (images(page, "data-after")[0] != expected).any()


@pytest.mark.parametrize("edits", [{}, {"direction.Color": "-1"}, {"label.Hair": "black"}])
def test_a_saved_file_opens_where_it_was(edits, client):
    model = LABELED if "label.Hair" in edits else PLAIN
    query = {"model": model, "seed": "8", "number": "3"} | edits
    response = client.post("/edit/image.png", data=query | {"download": "1"})
    assert "attachment" in response.headers["Content-Disposition"]
    saved = open_image(response)
    other = LABELED if model == PLAIN else PLAIN
    page = upload(client, response.data, model=other).text
    assert "Opened" in page and "This file holds the point" in page and model in page
    fields = form_fields(page, 'action="/edit"')
    again = client.post("/edit", data=dict(fields)).text
    np.testing.assert_array_equal(images(again, "data-after")[0], saved)
    assert ("w" in dict(fields)) is bool(edits)


def test_each_label_column_has_a_control_of_its_own(client):
    query = {"model": LABELED, "seed": "4", "number": "1"}
    page = client.get("/edit", query_string=query).text
    assert re.findall(r"<legend>(.*?)</legend>", page) == ["Smiling", "Hair"]
    fields = dict(form_fields(page, "data-edit"))
    # The second combination: it smiles, and its hair is red.
    assert fields["share.Smiling"] == "1" and fields["label.Hair"] == "red"
    changed = {"share.Smiling": "0.25", "mix.Hair": "black", "share.Hair": "0.5"}
    page = client.get("/edit", query_string=fields | changed).text
    weights = [0.75, 0.25, 0.5, 0, 0.5]
    body = {"model": LABELED, "point": {"seed": 4, "number": 1, "weights": weights}}
    expected = open_image(client.post("/api/edit", json=body))
    np.testing.assert_array_equal(images(page, "data-after")[0], expected)
    # Columns that were not changed are not part of the link.
    link = dict(parse_qsl(urlsplit(find_link(page, "data-permalink")).query))
    assert (link["label.Smiling"], link["mix.Smiling"]) == ("no", "yes")
    page = client.get("/edit", query_string=fields | {"share.Smiling": "1"}).text
    assert "label." not in find_link(page, "data-permalink")


def test_sliders_have_the_range_and_the_meaning_of_directions(client):
    page = client.get("/edit", query_string={"model": PLAIN}).text
    (slider,) = re.findall(r'<input type="range"[^>]* name="direction.Color"[^>]*>', page)
    assert 'min="-2"' in slider and 'max="3"' in slider and 'value="0"' in slider
    described = re.search(r'aria-describedby="([^"]*)"', slider)[1]
    assert re.search(rf'id="{described}">A unit changes brightness by \+0.25.<', page)
    assert [unescape(x) for x in re.findall(r"<legend>(.*?)</legend>", page)] == [
        "Directions of labels and measures",
        "GANSpace",
    ]
    # A generator without any says how to find them.
    assert "--pipelines=directions" in client.get("/edit", query_string={"model": LABELED}).text


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ({"direction.Nothing": "1"}, 404, "no direction 'Nothing': there are Color, Other"),
        ({"direction.Color": "99"}, 400, "direction.Color: a number from -4 to 6, not '99'"),
        ({"direction.Color": "nan"}, 400, "not 'nan'"),
        ({"label.Hair": "x"}, 404, "There is no field 'label.Hair'"),
        ({"model": LABELED, "label.Hair": "x"}, 404, "'Hair' has no value 'x'"),
        ({"model": LABELED, "label.Hair": "red", "share.Hair": "2"}, 400, "share.Hair"),
        (
            {"model": LABELED, "weights": "AACAPwAAgD8AAIA_AACAPwAAgD8", "mix.Hair": "red"}
            | {"share.Hair": "0.5"},
            400,
            "label.Hair: choose the value that 'red' is mixed with",
        ),
        ({"base_truncation": "9"}, 400, "truncation"),
        ({"w": "AAAA"}, 400, "w"),
        ({"pick": ["0:1:", "0:2:"]}, 400, "One image is edited at a time, and 2 are selected"),
    ],
)
def test_wrong_edits_are_explained(query, status, sentence, client):
    response = client.get("/edit", query_string={"model": PLAIN} | query)
    assert response.status_code == status and sentence in unescape(response.text)


def test_directions_that_cannot_be_read_leave_the_page(client, studio_data):
    file = studio_data / "06_models" / PLAIN / "directions.npz" / VERSION / "directions.npz"
    content = file.read_bytes()
    try:
        file.write_bytes(content[:100])
        response = client.get("/edit", query_string={"model": PLAIN, "seed": 4})
        assert response.status_code == 200 and "--pipelines=directions" in response.text
    finally:
        file.write_bytes(content)


def test_a_second_value_is_mixed_with_the_own_one(client):
    page = client.get(f"/edit?model={LABELED}&seed=3&mix.Hair=red&share.Hair=0.25").text
    fields = dict(form_fields(page, "data-edit"))
    assert [fields[x] for x in ("label.Hair", "mix.Hair", "share.Hair")] == ["blond", "red", "0.25"]


def test_many_directions_have_a_slider_each(client, studio_data):
    file = studio_data / "06_models" / PLAIN / "directions.npz" / VERSION / "directions.npz"
    content = file.read_bytes()
    (first, *_) = from_arrays(read_arrays(file))
    # A file of another program may have changes that are no numbers.
    odd = first._replace(method="sefa", about={"changes": {"brightness": "much"}})
    names = [f"direction {number}" for number in range(240)]
    try:
        write_arrays(file, to_arrays(odd._replace(name=name) for name in names))
        query = {"model": PLAIN} | {f"direction.{name}": "0" for name in names}
        page = client.get("/edit", query_string=query).text
        assert page.count('class="direction"') == 240
        used = query | {f"direction.{name}": "0.5" for name in names[:51]}
        refused = client.get("/edit", query_string=used)
        assert refused.status_code == 400 and "At most 50 directions" in refused.text
    finally:
        file.write_bytes(content)


def test_images_of_the_grid_are_edited_and_become_keyframes(client):
    picks = [("model", PLAIN), ("pick", ""), ("truncation", "0.5"), ("pick", "7:2:")]
    page = client.get("/edit", query_string=picks).text
    query = dict(parse_qsl(urlsplit(find_link(page, "data-permalink")).query))
    assert query["seed"] == "7" and query["number"] == "2" and query["truncation"] == "0.5"
    picks.append(("pick", "7:3:"))
    page = client.get("/film", query_string=picks, follow_redirects=True).text
    assert keyframes(page) == [
        "seed=7&number=2&truncation=0.5",
        "seed=7&number=3&truncation=0.5",
    ]


def test_keyframes_are_moved_and_removed(client):
    def press(**button):
        fields = [("model", PLAIN), *(("key", key) for key in KEYS), *button.items()]
        response = client.get("/film", query_string=fields)
        assert response.status_code == 303
        return keyframes(client.get(response.headers["Location"]).text)

    first, second, third = KEYS
    assert press(earlier=3) == [first, third, second]
    assert press(later=1) == [second, first, third]
    assert press(earlier=1) == press(later=3) == KEYS
    assert press(remove=2) == [first, third]
    assert press(add="seed=9&number=1") == [*KEYS, "seed=9&number=1"]
    added = client.post("/film", data={"model": PLAIN, "key": KEYS, "seed": "6", "add_point": "1"})
    page = client.get(added.headers["Location"]).text
    assert keyframes(page) == [*KEYS, "seed=6&number=0"]
    # The image of a keyframe is the edited one.
    edited = client.get("/edit", query_string=f"model={PLAIN}&{second}").text
    shown = images(page, f'title="{"Image no. 0 of seed 3, edited"}"')[0]
    np.testing.assert_array_equal(shown, images(edited, "data-after")[0])


@pytest.mark.parametrize(("format", "kind"), [("webp", "WEBP"), ("gif", "GIF"), ("zip", "ZIP")])
def test_a_film_has_its_frames(format, kind, client):
    fields = {"model": PLAIN, "key": KEYS, "seconds": "1.5", "fps": "10", "format": format}
    response = client.post("/film/file", data=fields | {"easing": "ease_in_out"})
    assert response.status_code == 200
    assert f"disks-dcgan-film.{format}" in response.headers["Content-Disposition"]
    if format == "zip":
        assert response.data[:2] == b"PK"
        return
    film = Image.open(io.BytesIO(response.data))
    assert film.format == kind and film.n_frames == 15
    if format == "webp":
        still = client.get("/api/picture", query_string=f"model={PLAIN}&{KEYS[0]}")
        np.testing.assert_array_equal(np.asarray(film.convert("RGB")), open_image(still))


def test_latents_of_keyframes_are_those_of_their_edits(studio_data, monkeypatch):
    model = ModelStore(studio_data / "06_models").load(LABELED)
    text = "seed=3&number={}&label.Hair=blond&mix.Hair=red&share.Hair=0.{}"
    points = [read_text(model, text.format(number, number + 3)) for number in range(3)]
    points.append(read_text(model, "seed=1&number=2"))
    wanted = [studio.edit_point(model, point.to_edit()).latents for point in points]
    # Generating each would take longer than the film's page.
    monkeypatch.setattr(model.batcher, "synthesize", None)
    found = find_latents(model, points)
    np.testing.assert_allclose(found.w, np.concatenate([x.w for x in wanted]), atol=1e-5)
    np.testing.assert_array_equal(found.labels, np.concatenate([x.labels for x in wanted]))


def test_a_preview_is_part_of_the_page(client):
    fields = {"model": PLAIN, "key": KEYS, "seconds": "2", "preview": "1", "loop": "1"}
    page = client.get("/film", query_string=fields).text
    (tag,) = re.findall(r"<img[^>]*data-preview>", page)
    content = b64decode(re.search(r'src="data:image/webp;base64,([^"]*)"', tag)[1])
    assert Image.open(io.BytesIO(content)).n_frames == 24
    assert dict(form_fields(page, "data-film"))["loop"] == "1"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"key": ["model=x"]}, "A keyframe is the query string of a point without its model"),
        ({"key": [";;"]}, "A keyframe is the query string"),
        ({"key": KEYS * 6}, "at most 16 keyframes, not 18"),
        ({"key": KEYS, "remove": "4"}, "remove: a keyframe from 1 to 3, not '4'"),
        ({"key": KEYS[:1], "preview": "1"}, "A film needs 2 to 16 keyframes, not 1"),
        ({"key": KEYS, "seconds": "0"}, "seconds"),
        ({"key": KEYS, "easing": "x"}, "easing"),
    ],
)
def test_wrong_films_are_explained(fields, sentence, client):
    response = client.get("/film", query_string={"model": PLAIN} | fields)
    assert response.status_code == 400 and sentence in unescape(response.text)
