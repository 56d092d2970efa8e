"""The HTTP API: /api, /healthz and /openapi.json."""

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import numpy as np
from flask import Blueprint, Response, jsonify, request

from ganvas.gallery import encoding, generation, schemas
from ganvas.gallery.archive import stream_zip
from ganvas.gallery.model_store import ModelVersion, NotFoundError
from ganvas.gallery.openapi import describe_api
from ganvas.gallery.services import services
from ganvas.grid_layout import round_columns
from ganvas.networks.latent_spaces import w_shape
from ganvas.networks.sampling import latent_dim
from ganvas.visualization.image_grid import GAP

COLUMNS = 8
PNG, WEBP, ZIP = encoding.MEDIA_TYPES["png"], encoding.MEDIA_TYPES["webp"], "application/zip"
MAX_AGE = 86_400
# Longer side of images that are not scaled down: more than any grid has.
LARGEST_FILE = 2**20

api = Blueprint("api", __name__)


@api.get("/healthz")
def health() -> Response:
    """Report that the server runs."""
    return jsonify(status="ok")


@api.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI description of the API."""
    return jsonify(describe_api(request.script_root))


@api.get("/api/models")
def list_models() -> Response:
    """List the newest version of each model."""
    while True:
        # Each version that can't be loaded is left out of the next list.
        with suppress(NotFoundError):
            return jsonify(models=list(map(_describe, services.models.newest().values())))


@api.post("/api/generate")
def generate() -> Response:
    """Generate consecutive images of a seed, as one grid or as JSON with a PNG of each."""
    body = schemas.read_json(schemas.GenerateRequest)
    model = services.models.load(body.model, body.version)
    generated = generation.generate_series(model, body)
    if body.format == "json":
        return send_json(generated)
    # Without a class, images have the classes in turn.
    columns = COLUMNS if body.class_name else round_columns(len(model.class_names), COLUMNS)
    return send_grid(generated.images, columns, body.format, _shared_metadata(generated))


@api.get("/api/picture")
def image() -> Response:
    """Generate one image as a file, scaled down if requested."""
    query = schemas.read_query(schemas.FileRequest, request.args.items(multi=True))
    generated = generation.generate_image(services.models.load(query.model, query.version), query)
    (pixels,), (metadata,) = generated
    response = send_image(pixels, query.format, metadata, query.side)
    # Without a version, the next training run changes the image.
    if query.version:
        response.cache_control.max_age = MAX_AGE
    return response


@api.post("/api/interpolate")
def interpolate() -> Response:
    """Interpolate between two latents, as a strip, an animation or JSON with one PNG each."""
    body = schemas.read_json(schemas.InterpolateRequest)
    generated = generation.generate_interpolation(
        services.models.load(body.model, body.version), body
    )
    if body.format == "json":
        return send_json(generated)
    if body.format == "webp":
        return Response(encoding.encode_animation(generated.images), mimetype=WEBP)
    return Response(encoding.encode_strip(generated.images, generated.metadata[0]), mimetype=PNG)


@api.post("/api/zip")
def archive() -> Response:
    """Generate single images as a ZIP file of PNG files."""
    body = schemas.read_json(schemas.ArchiveRequest)
    return send_zip(body.images)


@api.post("/api/judge")
def score() -> Response:
    """Score an uploaded image with a discriminator."""
    upload = schemas.read_upload()
    model = services.models.load(upload.model, upload.version)
    result = services.scorer.score(model, upload.content, upload.class_name)
    return jsonify(
        {
            "score": result.score,
            "class": result.class_name,
            "real": result.real.tolist(),
            "generated": result.generated.tolist(),
        }
    )


def send_zip(requests: Sequence[schemas.ImageRequest]) -> Response:
    """Return a ZIP file of single images; many large ones are generated while it is sent."""
    images = generation.Selection(services.models, requests)
    response = Response(stream_zip(images), mimetype=ZIP)
    response.call_on_close(images.close)
    return response


# Cached, since there may be more models than stay loaded.
@cache
def _describe(saved: ModelVersion) -> dict[str, object]:
    model = services.models.load(saved.name, saved.version)
    return {
        "model": saved.name,
        "version": saved.version,
        "pretrained": saved.pretrained,
        "side": max(model.height, model.width),
        "width": model.width,
        "height": model.height,
        "channels": model.channels,
        "latent": latent_dim(model.generator),
        "w": list(w_shape(model.generator)),
        "column": model.label_column,
        "classes": model.class_names,
        "labels": [
            {"column": column.column, "values": column.values} for column in model.label_columns
        ],
    }


def send_grid(
    images: np.ndarray, columns: int, kind: encoding.Format, metadata: dict[str, object]
) -> Response:
    """Return images, uint8 (n, H, W, C), as a grid, with the metadata in a PNG file."""
    columns = min(columns, len(images), encoding.MAX_WEBP_SIDE // (images.shape[2] + GAP) - 1)
    grid = encoding.make_grid(images, columns)
    return send_image(grid, kind, metadata)


def send_image(
    image: np.ndarray, kind: encoding.Format, metadata: dict[str, object], side: int = LARGEST_FILE
) -> Response:
    """Return an image, uint8 (H, W, C), as a file, with the metadata in a PNG file."""
    content = encoding.encode_image(image, kind, side, metadata)
    return Response(content, mimetype=encoding.MEDIA_TYPES[kind])


def send_json(generated: generation.GeneratedImages) -> Response:
    """Return images with their metadata and the content of a PNG file of each in base64."""
    return jsonify(
        pictures=[
            metadata | {"png": b64encode(encoding.encode_png(image, metadata)).decode()}
            for image, metadata in zip(generated.images, generated.metadata, strict=True)
        ]
    )


def _shared_metadata(generated: generation.GeneratedImages) -> dict[str, object]:
    """Return the metadata that all images of a grid share, and the range of their numbers."""
    first, last = generated.metadata[0], generated.metadata[-1]
    shared = {
        key: value
        for key, value in first.items()
        if all(metadata[key] == value for metadata in generated.metadata)
    }
    return shared | {"numbers": f"{first['number']} to {last['number']}"}
