"""The gallery over a generator of several label columns: classes, values, rows, pages."""

import io
import json
from base64 import b64decode

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.app import create_app
from ganvas.gallery.model_store import ModelStore
from ganvas.label_columns import make_table, write_class_list
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import MEAN_LATENTS, map_latents, mean_styles_by_row
from shaped_models import save_networks

NAME = "faces/stylegan2_by_Smiling_Hair"
NAMED = [("Smiling", ["no", "yes"]), ("Hair", ["black", "brown", "gray"])]
# No image that is saved by name has gray hair.
TABLE = make_table(NAMED, np.array([[0, 0], [1, 0], [1, 1]]))
YES = ["Smiling=yes, Hair=black", "Smiling=yes, Hair=brown"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the gallery's data folder, and the generator."""
    keras.utils.set_random_seed(0)
    data = tmp_path_factory.mktemp("labels")
    params = Stylegan2Params(latent=8, style=8, channel_base=256, max_width=8)
    networks = build_stylegan2(params, (16, 16, 3), TABLE.num_weights)
    save_networks(data / "06_models", NAME, networks.generator, networks.discriminator, ("x",))
    (file,) = data.glob("06_models/*/*/class_list.json/*/class_list.json")
    file.write_text(json.dumps(write_class_list(TABLE)))
    return data, networks.generator


@pytest.fixture(scope="module")
def store(saved):
    return ModelStore(saved[0] / "06_models")


@pytest.fixture(scope="module")
def client(saved, store):
    return create_app(store, saved[0]).test_client()


def generate(client, **body):
    response = client.post("/api/generate", json={"model": NAME, "format": "json", **body})
    assert response.status_code == 200, response.text
    pictures = response.json["pictures"]
    images = [np.asarray(Image.open(io.BytesIO(b64decode(x["png"])))) for x in pictures]
    return [x["class"] for x in pictures], np.stack(images)


def test_the_model_has_columns_with_blocks_of_weights(store):
    model = store.load(NAME)
    assert [tuple(x) for x in model.label_columns] == [
        ("Smiling", ["no", "yes"], 0),
        ("Hair", ["black", "brown", "gray"], 2),
    ]
    assert model.class_names == TABLE.names and model.label_column == "Smiling, Hair"
    assert model.one_hot(np.array([2])).tolist() == [[0, 0.5, 0, 0.5, 0]]


def test_the_api_lists_columns_and_values(client):
    (model, _) = client.get("/api/models").json["models"]
    assert model["classes"] == TABLE.names and model["column"] == "Smiling, Hair"
    assert model["labels"] == [{"column": name, "values": values} for name, values in NAMED]


def test_a_pretrained_model_of_one_label_has_one_column(store, client):
    assert [x.column for x in store.load("sample/pretrained").label_columns] == ["genre"]
    (label,) = client.get("/api/models").json["models"][1]["labels"]
    assert label["column"] == "genre" and len(label["values"]) == 8


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        (None, [*TABLE.names, TABLE.names[0]]),
        ("Smiling=yes", YES * 2),
        ("Hair=brown,Smiling=yes", [YES[1]] * 4),
        (YES[0], [YES[0]] * 4),
        # A rare value, with the other values of named combinations in turn.
        ("Hair=gray", ["Smiling=no, Hair=gray", "Smiling=yes, Hair=gray"] * 2),
        ("Smiling=no, Hair=gray", ["Smiling=no, Hair=gray"] * 4),
    ],
)
def test_images_have_the_rows_of_their_classes(saved, client, class_name, expected):
    classes, images = generate(client, count=4, seed=5, **{"class": class_name})
    assert classes == expected
    rows = np.zeros((4, 5), np.float32)
    for row, name in enumerate(expected):
        smiling, hair = (part.partition("=")[2] for part in name.split(", "))
        rows[row, ["no", "yes"].index(smiling)] = 0.5
        rows[row, 2 + ["black", "brown", "gray"].index(hair)] = 0.5
    latents = sample_latents(saved[1], 4, seed=5)
    np.testing.assert_array_equal(images, generate_images(saved[1], latents, rows))
    # The class of an image is enough to generate it again.
    for number, name in enumerate(classes):
        query = {"model": NAME, "seed": 5, "number": number, "class": name}
        content = client.get("/api/picture", query_string=query).data
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), images[number])


@pytest.mark.parametrize("class_name", ["Smiling", "Smiling=maybe", "Smiling=yes, Smiling=no"])
def test_unknown_values_are_refused_with_the_known_ones(client, class_name):
    response = client.post("/api/generate", json={"model": NAME, "class": class_name})
    assert response.status_code == 404
    assert "Smiling (no, yes); Hair (black, brown, gray), such as Smil" in response.json["error"]


def test_truncation_is_towards_the_mean_style_of_each_row(saved, client):
    generator = saved[1]
    sampled = np.random.default_rng([0, 2]).standard_normal((MEAN_LATENTS, 8), dtype=np.float32)
    rows = TABLE.weigh(np.array([0, 2, 0]))
    means = mean_styles_by_row(generator)(rows)
    for row, mean in zip(rows, means, strict=True):
        styles = map_latents(generator, sampled, np.tile(row, (MEAN_LATENTS, 1)))
        np.testing.assert_allclose(mean, styles.mean(axis=0), atol=1e-5)
    _, images = generate(client, count=3, truncation=0.05)
    latents, rows = sample_latents(generator, 3, 0), TABLE.weigh(np.arange(3))
    expected = generate_images(generator, latents, rows, 0.05, mean_styles_by_row(generator))
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize(
    "path", ["/", "/?class=Smiling%3Dyes", "/?class=Hair%3Dgray", "/picture", "/mix", "/about"]
)
def test_pages_show_labels(client, path):
    page = client.get(path, query_string=None if "?" in path else {"model": NAME})
    assert page.status_code == 200, page.text
    assert "Smiling" in page.text
    if path.startswith("/?"):
        assert '<optgroup label="Hair">' in page.text and 'value="Hair=gray"' in page.text
        assert page.text.count(" selected>") >= 1


@pytest.mark.exhaustive
def test_an_image_is_scored_as_a_combination_or_as_values(client):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(content, "PNG")
    for class_name in (None, YES[0], "Hair=gray"):
        form = {"picture": (io.BytesIO(content.getvalue()), "red.png"), "model": NAME}
        form |= {"class": class_name} if class_name else {}
        response = client.post("/api/judge", data=form)
        assert response.status_code == 200, response.text
        assert response.json["class"] in ([class_name] if class_name else TABLE.names)
