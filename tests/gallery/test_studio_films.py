"""Films of the latent studio's API."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery import studio_films
from studio_requests import PLAIN, STYLED, point_of, post, read


@pytest.fixture
def client(styled_app):
    return styled_app.test_client()


@pytest.mark.parametrize("kind", ["webp", "gif", "zip"])
def test_a_film_passes_through_its_keyframes(kind, client):
    keyframes = [point_of(STYLED, number=n) for n in range(3)]
    body = {"model": STYLED, "keyframes": keyframes, "seconds": 0.9, "fps": 10, "format": kind}
    response = post(client, "film", **body)
    assert response.status_code == 200, response.text
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
            names = sorted(archive.namelist())
            frames = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    else:
        film = Image.open(io.BytesIO(response.data))
        frames = [(film.seek(n), np.asarray(film.convert("RGB")))[1] for n in range(film.n_frames)]
    assert len(frames) == 9
    for frame, keyframe in ((0, 0), (4, 1), (8, 2)):
        query = keyframes[keyframe] | {"model": STYLED}
        still = read(client.get("/api/picture", query_string=query))
        # A GIF has 256 colors, and these images as many pixels.
        np.testing.assert_array_equal(frames[frame], still)


def test_frames_are_scaled_down(client):
    body = {"model": PLAIN, "keyframes": [{}, {"number": 1}], "seconds": 0.5, "side": 48}
    film = Image.open(io.BytesIO(post(client, "film", **body).data))
    assert film.size == (32, 48) and film.n_frames == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 0.1, "fps": 10}, "the film would have 1 frames, and one of 2 keyframes"),
        ({"seconds": 30, "fps": 60}, "may have 2 to 900: change seconds or fps."),
        ({"format": "gif", "fps": 60, "seconds": 1}, "format: GIF has at most 50 frames a second"),
        ({"keyframes": [{}, {"w": [1]}]}, "keyframes.1.w: 'tall/dcgan' takes 6 numbers"),
    ],
)
def test_a_film_is_refused_in_a_sentence(changes, message, client):
    response = post(client, "film", **{"model": PLAIN, "keyframes": [{}, {}]} | changes)
    assert response.status_code == 400 and message in response.json["error"]


def test_films_beyond_the_limit_are_refused_as_busy(client):
    body = {"model": PLAIN, "keyframes": [{}, {}], "seconds": 0.2}
    with studio_films._films, studio_films._films:
        busy = post(client, "film", **body)
    assert busy.status_code == 429 and busy.headers["Retry-After"]
    assert post(client, "film", **body).status_code == 200


def test_a_film_that_takes_too_long_ends(client, monkeypatch):
    monkeypatch.setattr(studio_films, "FILM_SECONDS", 0)
    response = post(client, "film", model=PLAIN, keyframes=[{}, {}], seconds=0.2)
    assert response.status_code == 503
