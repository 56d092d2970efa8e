"""ZIP files: their names, their images, and what is refused."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.archive import file_name, stream_zip
from projects import BY_CLASS, PLAIN

IMAGE = np.zeros((8, 8, 3), np.uint8)


def read_zip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def request_zip(client, *images):
    return client.post("/api/zip", json={"images": list(images)})


def test_images_of_several_models_equal_single_ones(client, versions):
    first = {"model": BY_CLASS, "seed": 3, "number": 12, "class": "Ink Waves"}
    second = {"model": PLAIN, "version": versions[PLAIN], "seed": 1, "truncation": 0.5}
    response = request_zip(client, first, second, first)
    assert response.status_code == 200 and response.mimetype == "application/zip"
    files = read_zip(response.data)
    assert list(files) == [
        "sample-dcgan_by_genre/seed3_000012_Ink-Waves.png",
        "sample-dcgan/seed1_000000.png",
    ]
    for query, content in zip((first, second), files.values(), strict=True):
        assert client.get("/api/picture", query_string=query).data == content
    assert request_zip(client, first, second, first).data == response.data


def test_the_grid_is_downloaded_whole(client):
    query = {"model": BY_CLASS, "seed": 5, "first": 2, "count": 3, "truncation": 0.5}
    files = read_zip(client.get("/images.zip", query_string=query).data)
    assert [name.split("_")[-2] for name in files] == ["000002", "000003", "000004"]
    expected = {"model": BY_CLASS, "seed": 5, "number": 4, "truncation": 0.5}
    assert list(files.values())[2] == client.get("/api/picture", query_string=expected).data


def test_equal_names_are_numbered(client):
    images = [{"model": PLAIN, "truncation": truncation} for truncation in (1.0, 0.5, 0.25)]
    names = list(read_zip(request_zip(client, *images).data))
    folder = "sample-dcgan/seed0_000000"
    assert names == [f"{folder}.png", f"{folder}-2.png", f"{folder}-3.png"]


def test_images_are_encoded_while_the_file_is_sent():
    taken = []

    def images():
        for number in range(3):
            taken.append(number)
            metadata = {"model": "a/b", "seed": 0, "number": number, "class": None}
            yield IMAGE, metadata

    stream = stream_zip(images())
    first = next(stream)
    assert taken == [0] and len(first) > 100
    names = list(read_zip(first + b"".join(stream)))
    assert len(names) == 3 and taken == [0, 1, 2]


def test_metadata_is_written_into_the_files(client):
    (content,) = read_zip(request_zip(client, {"model": PLAIN, "seed": 9}).data).values()
    assert Image.open(io.BytesIO(content)).text["seed"] == "9"


@pytest.mark.parametrize(
    ("images", "status", "message"),
    [
        ([], 400, "images: list should have at least 1 item"),
        ([{"number": 1}] * 65, 400, "images: list should have at most 64 items"),
        ([{"seed": -1}], 400, "images.0.seed"),
        ([{"version": str(i)} for i in range(5)], 400, "images: at most 4 models and versions"),
        ([{"model": "a"}], 404, "no model 'a'"),
        ([{"model": PLAIN, "class": "Dogs"}], 404, "has no class 'Dogs'"),
    ],
)
def test_invalid_requests_are_rejected_in_one_sentence(images, status, message, client):
    response = request_zip(client, *images)
    assert response.status_code == status and message in response.json["error"]


def test_names_are_safe_and_short_on_every_system():
    metadata = {"model": "..\\..\\a/" + "n" * 300, "seed": 1, "number": 2, "class": "é" * 999}
    folder, _, name = file_name(metadata).rpartition("/")
    assert not folder.startswith(".") and "\\" not in folder and "/" not in folder
    assert len(name.encode()) < 255 and len(folder.encode()) < 255
