"""Rectangles, gray, transparent and large images: files, pages, limits and scores."""

import io
import re
import zipfile
from html import unescape

import numpy as np
import pytest
from PIL import Image

from ganvas.gallery import generation
from ganvas.networks.sampling import sample_latents
from shaped_models import SHAPES

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@pytest.fixture
def shaped_client(shaped):
    return shaped[0].test_client()


def open_image(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.data))


def fetch(client, **query):
    return open_image(client.get("/api/picture", query_string=query))


def test_models_are_described_with_their_shape(shaped_client):
    models = {m["model"]: m for m in shaped_client.get("/api/models").json["models"]}
    for name, (height, width, channels) in SHAPES.items():
        model = models[name]
        assert (model["height"], model["width"], model["channels"]) == (height, width, channels)
        assert model["side"] == max(height, width)


@pytest.mark.parametrize("name", SHAPES)
def test_files_have_the_pixels_and_channels_of_the_generator(name, shaped, shaped_client):
    generator, (height, width, channels) = shaped[1][name], SHAPES[name]
    floats = np.asarray(generator(sample_latents(generator, 6, seed=3), training=False))[5]
    expected = np.rint((floats + 1) * 127.5).squeeze()
    png = fetch(shaped_client, model=name, seed=3, number=5)
    assert (png.mode, png.size) == (MODES[channels], (width, height))
    assert np.abs(np.asarray(png) - expected).max() <= 1
    webp = fetch(shaped_client, model=name, seed=3, number=5, format="webp")
    # WebP has no gray images.
    np.testing.assert_array_equal(np.asarray(webp.convert(png.mode)), np.asarray(png))
    jpeg = fetch(shaped_client, model=name, seed=3, number=5, format="jpeg")
    corner = jpeg.convert("RGB").getpixel((0, 0))
    assert min(corner) > 235 if channels == 4 else 140 < min(corner) < 165


def test_thumbnails_keep_the_aspect_ratio_and_transparency(shaped_client):
    query = {"model": "large/fastgan", "format": "webp", "side": 256}
    thumbnail = fetch(shaped_client, **query)
    assert (thumbnail.mode, thumbnail.size) == ("RGBA", (128, 256))
    assert thumbnail.getpixel((0, 0))[3] < 20 and thumbnail.getpixel((64, 128))[3] > 235
    content = shaped_client.get("/api/picture", query_string=query).data
    assert len(content) < 20_000


def test_grids_are_transparent_between_transparent_images(shaped_client):
    body = {"model": "sprites/dcgan", "count": 2}
    grid = np.asarray(open_image(shaped_client.post("/api/generate", json=body)))
    assert grid.shape == (68, 134, 4) and not grid[:2].any()
    first = np.asarray(fetch(shaped_client, model="sprites/dcgan"))
    np.testing.assert_array_equal(grid[2:66, 2:66], first)
    jpeg = open_image(shaped_client.post("/api/generate", json=body | {"format": "jpeg"}))
    assert jpeg.mode == "RGB" and min(jpeg.getpixel((0, 0))) > 235
    gray = {"model": "gray/dcgan", "count": 2}
    assert open_image(shaped_client.post("/api/generate", json=gray)).mode == "L"


def test_the_page_of_large_images_has_lazy_thumbnails_and_links_to_whole_files(shaped_client):
    page = shaped_client.get("/", query_string={"model": "large/fastgan", "count": 64}).text
    assert len(page) < 100_000 and "data:" not in page
    images = re.findall(r"<img[^>]*data-retry[^>]*>", page)
    assert len(images) == 64
    for tag in images:
        assert (
            'width="512" height="1024"' in tag
            and "transparent" in tag
            and 'loading="lazy" decoding="async"' in tag
        )
    (source, full, file) = (
        unescape(re.findall(pattern, page)[5])
        for pattern in (r'<img[^>]* src="([^"]*)"', r' data-full="([^"]*)"', r'data-file="([^"]*)"')
    )
    sizes = [open_image(shaped_client.get(address)).size for address in (source, full, file)]
    assert sizes == [(128, 256), (512, 1024), (512, 1024)]


@pytest.mark.parametrize("name", ["tall/dcgan", "gray/dcgan", "sprites/dcgan"])
def test_pages_reserve_the_place_of_each_image(name, shaped_client):
    height, width, channels = SHAPES[name]
    for path in ("/?", "/picture?", "/walk?", "/judge?example=generated&"):
        page = shaped_client.get(f"{path}model={name}").text
        images = re.findall(r"<img[^>]*>", page)
        assert images
        for tag in images:
            assert f'width="{width}" height="{height}"' in tag
            assert ("transparent" in tag) is (channels == 4)


def test_requests_are_limited_by_the_pixels_of_their_images(shaped_client):
    body = {"model": "large/fastgan", "count": 33, "first": 10}
    response = shaped_client.post("/api/generate", json=body)
    assert response.status_code == 400
    assert response.json["error"] == (
        "count: at most 32 images of 512×1024 pixels a request, not 33: request others with "
        "first=42."
    )
    response = shaped_client.post("/api/interpolate", json={"model": "large/fastgan", "steps": 33})
    assert response.status_code == 400
    assert (
        response.json["error"] == "steps: at most 32 images of 512×1024 pixels a request, not 33."
    )


def test_animations_and_strips_of_large_images_are_scaled_down(shaped_client):
    body = {"model": "large/fastgan", "steps": 2}
    strip = open_image(shaped_client.post("/api/interpolate", json=body))
    assert (strip.mode, strip.size) == ("RGBA", (512, 512))
    film = open_image(shaped_client.post("/api/interpolate", json=body | {"format": "webp"}))
    assert (film.mode, film.size, film.n_frames) == ("RGBA", (256, 512), 2)


def test_zip_files_of_large_images_are_generated_part_by_part(shaped_client, monkeypatch):
    # Parts of two images.
    monkeypatch.setattr(generation, "PART_PIXELS", 2 * 96 * 64)
    images = [{"model": "tall/dcgan", "seed": 3, "number": number} for number in range(5)]
    opened = [shaped_client.post("/api/zip", json={"images": images}) for _ in range(2)]
    assert shaped_client.post("/api/zip", json={"images": images}).status_code == 429
    # Two images are a single part, which is never refused for its length.
    assert shaped_client.post("/api/zip", json={"images": images[:2]}).status_code == 200
    with zipfile.ZipFile(io.BytesIO(opened[0].data)) as archive:
        for number, name in enumerate(sorted(archive.namelist())):
            pixels = np.asarray(Image.open(archive.open(name)))
            expected = np.asarray(fetch(shaped_client, model="tall/dcgan", seed=3, number=number))
            np.testing.assert_array_equal(pixels, expected)
        assert number == 4
    for response in opened:
        response.close()
    assert shaped_client.post("/api/zip", json={"images": images}).status_code == 200


@pytest.mark.parametrize("name", ["tall/dcgan", "gray/dcgan", "sprites/dcgan"])
def test_uploads_of_any_kind_are_scored_in_the_shape_of_the_model(name, shaped_client):
    buffer = io.BytesIO()
    Image.new("RGBA", (80, 120), (255, 0, 0, 128)).save(buffer, "PNG")
    form = {"model": name, "picture": (io.BytesIO(buffer.getvalue()), "mine.png")}
    response = shaped_client.post("/api/judge", data=form, content_type="multipart/form-data")
    assert response.status_code == 200, response.text
    assert len(response.json["generated"]) == 128
