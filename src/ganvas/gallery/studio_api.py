"""The HTTP API of the latent studio: latents, edits, films and found images."""

from base64 import b64encode
from collections.abc import Iterator
from typing import IO

import numpy as np
from flask import Blueprint, Response, jsonify, request

from ganvas.gallery import encoding, schemas, studio
from ganvas.gallery.api import COLUMNS, send_grid, send_image, send_json
from ganvas.gallery.generation import GeneratedImages, describe_origin
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.npy_files import read_npy, write_npy
from ganvas.gallery.request_checks import UPLOAD, InvalidRequestError, accept_latents
from ganvas.gallery.services import services
from ganvas.gallery.studio_films import make_film
from ganvas.gallery.studio_schemas import (
    ArrayRequest,
    EditRequest,
    FilmRequest,
    InvertRequest,
    LatentsRequest,
    OpenRequest,
    Point,
    SynthesizeRequest,
    check_numbers,
)
from ganvas.latents.latent_text import encode_w
from ganvas.networks.latent_spaces import w_shape
from ganvas.networks.sampling import latent_dim

# Numbers of a response in JSON, each of up to 20 characters.
MAX_JSON_NUMBERS = 2**18
CHUNK = 2**16

studio_api = Blueprint("studio_api", __name__)


@studio_api.post("/api/latents")
@accept_latents
def latents() -> Response:
    """Return the latents of points."""
    body = schemas.read_json(LatentsRequest)
    model = services.models.load(body.model, body.version)
    places = [f"points.{number}" for number in range(len(body.points))]
    if body.space == "z":
        pairs = list(zip(body.points, places, strict=True))
        values = np.stack([studio.find_latent(model, point, place) for point, place in pairs])
        labels = np.stack([studio.weigh_point(model, point, place) for point, place in pairs])
    else:
        values, labels = studio.resolve_points(model, body.points)
    if body.format == "npy":
        return Response(write_npy(values), mimetype=encoding.NPY)
    if values.size > MAX_JSON_NUMBERS:
        raise InvalidRequestError(
            f"points: at most {MAX_JSON_NUMBERS // values[0].size} latents of "
            f"'{model.saved.name}' fit into JSON: request fewer, or the format npy."
        )
    return jsonify(
        model=model.saved.name,
        version=model.saved.version,
        space=body.space,
        latents=values.tolist(),
        weights=labels.tolist(),
    )


@studio_api.post("/api/synthesize")
@accept_latents
def synthesize() -> Response:
    """Generate the images of points, or of the latents of a .npy file."""
    if request.mimetype == UPLOAD:
        content, query = schemas.read_file(ArrayRequest, "latents")
        model = services.models.load(query.model, query.version)
        points = _read_points(model, content, query)
        kind = query.format
    else:
        body = schemas.read_json(SynthesizeRequest)
        model = services.models.load(body.model, body.version)
        points, kind = body.points, body.format
    studio.check_count(model, len(points))
    resolved = studio.resolve_points(model, points)
    images = studio.synthesize(model, resolved)
    metadata = [studio.describe_point(model, resolved, row) for row in range(len(images))]
    if kind == "json":
        return send_json(GeneratedImages(images, metadata))
    if len(images) == 1:
        return send_image(images[0], kind, metadata[0])
    return send_grid(images, COLUMNS, kind, describe_origin(model))


def _read_points(model: LoadedModel, content: bytes, query: ArrayRequest) -> list[Point]:
    is_w = query.space == "w"
    shape = w_shape(model.generator) if is_w else (latent_dim(model.generator),)
    numbers = int(np.prod(shape))
    try:
        values = check_numbers(read_npy(content, schemas.MAX_COUNT * numbers))
        if values.shape[1:] != shape:
            wanted = ", ".join(["N", *map(str, shape)])
            raise ValueError(
                f"its shape is {values.shape}, and '{model.saved.name}' takes ({wanted})"
            )
    except ValueError as error:
        raise InvalidRequestError(f"The file in the field 'latents' can't be used: {error}.") from (
            error
        )
    return [
        Point.model_construct(
            {query.space},
            w=row if is_w else None,
            z=None if is_w else row,
            class_name=query.class_name,
            weights=query.weights,
            truncation=query.truncation,
        )
        for row in values
    ]


@studio_api.get("/api/directions")
def list_directions() -> Response:
    """List the directions of a model, with the strengths that edits may have."""
    query = schemas.read_query(schemas.ModelRequest, request.args.items(multi=True))
    model = services.models.load(query.model, query.version)
    directions = []
    for direction in studio.list_directions(model):
        least, most = studio.strength_range(direction)
        described = direction._asdict() | {"minimum": least, "maximum": most}
        del described["vector"]
        directions.append(described)
    return jsonify(model=model.saved.name, version=model.saved.version, directions=directions)


@studio_api.post("/api/edit")
@accept_latents
def edit() -> Response:
    """Move a point along directions."""
    body = schemas.read_json(EditRequest)
    model = services.models.load(body.model, body.version)
    result = studio.edit_point(model, body)
    if body.format == "json":
        images = {"png": encoding.encode_png(result.after, result.metadata)}
        if body.compare:
            images["before"] = encoding.encode_png(result.before)
        encoded = {name: b64encode(content).decode() for name, content in images.items()}
        return jsonify(result.metadata | encoded)
    if body.compare:
        return send_grid(np.stack([result.before, result.after]), 2, body.format, result.metadata)
    return send_image(result.after, body.format, result.metadata)


@studio_api.post("/api/film")
@accept_latents
def film() -> Response:
    """Make a film through keyframes."""
    body = schemas.read_json(FilmRequest)
    file = make_film(services.models.load(body.model, body.version), body)
    return send_film(file, body.format)


def send_film(file: IO[bytes], form: str) -> Response:
    """Return a film's file in one of its formats, and close it when it is sent."""
    response = Response(_read_chunks(file), mimetype=encoding.FILM_TYPES[form])
    response.call_on_close(file.close)
    return response


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


@studio_api.post("/api/invert")
def invert() -> Response:
    """Find the latent of an uploaded image."""
    content, query = schemas.read_file(InvertRequest)
    model = services.models.load(query.model, query.version)
    found = services.inverter.invert(model, content, query.class_name, query.steps)
    point = studio.Latents(found.w[None], found.weights[None])
    metadata = studio.describe_point(model, point)
    return jsonify(
        metadata
        | {
            "class": found.class_name,
            "distances": found.distances._asdict(),
            "generated": found.generated._asdict(),
            "png": b64encode(encoding.encode_png(found.image, metadata)).decode(),
            "neighbors": [
                {"position": neighbor.position, "distance": neighbor.distance}
                for neighbor in found.neighbors
            ],
        }
    )


@studio_api.post("/api/open")
def open_image() -> Response:
    """Return the point of a PNG file that Ganvas saved."""
    content, _ = schemas.read_file(OpenRequest)
    model, point = studio.open_image(services.models, content)
    described: dict[str, object] = point.model_dump(by_alias=True, exclude_unset=True)
    for name in ("w", "weights"):
        if described.get(name) is not None:
            described[name] = encode_w(getattr(point, name))
    return jsonify(model=model.saved.name, version=model.saved.version, point=described)
