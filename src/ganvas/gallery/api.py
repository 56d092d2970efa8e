"""The gallery's API."""

from base64 import b64encode
from functools import cache
from typing import Any

from flask import Blueprint, Response, jsonify, request

from ganvas.gallery.discriminator_scores import DiscriminatorScorer
from ganvas.gallery.encoding import encode_film, encode_png, encode_still, encode_strip
from ganvas.gallery.generation import (
    GeneratedImages,
    generate_interpolation,
    generate_one,
    generate_series,
)
from ganvas.gallery.model_store import LoadedModel, Models, Version
from ganvas.gallery.openapi import describe
from ganvas.gallery.schemas import (
    GenerateRequest,
    InterpolateRequest,
    PictureRequest,
    WrongRequestError,
    read_json,
    read_query,
)
from ganvas.networks.sampling import latent_length
from ganvas.visualization.image_grid import make_grid

COLUMNS = 8
JSON, PNG, WEBP = "application/json", "image/png", "image/webp"
UPLOAD_FIELDS = ("model", "version", "class")


def make_api(models: Models, court: DiscriminatorScorer) -> Blueprint:
    """Make the routes under /api, /healthz and /openapi.json."""
    api = Blueprint("api", __name__)

    @cache
    def tell_model(saved: Version) -> dict[str, Any]:
        return describe_model(models.choose(saved.model, saved.version))

    @api.get("/healthz")
    def check() -> Response:
        return jsonify(status="ok")

    @api.get("/openapi.json")
    def tell_api() -> Response:
        return jsonify(describe())

    @api.get("/api/models")
    def list_models() -> Response:
        return jsonify(models=[tell_model(version) for version in models.newest().values()])

    @api.post("/api/judge")
    def judge() -> Response:
        studio, content, class_name = read_upload(models)
        found = court.judge(studio, content, class_name)
        return jsonify(
            score=found.score,
            real=[float(each) for each in found.real],
            generated=[float(each) for each in found.generated],
        )

    _add_painting(api, models)
    return api


def _add_painting(api: Blueprint, models: Models) -> None:
    @api.post("/api/generate")
    def generate() -> Response:
        """Paint a series: as JSON with a picture each, or as one grid."""
        asked = read_json(GenerateRequest, _json_body())
        scene = generate_series(models.choose(asked.model, asked.version), asked)
        if asked.format == "json":
            return _in_json(scene)
        grid = make_grid(scene.pictures, min(COLUMNS, len(scene.pictures)))
        if asked.format == "webp":
            return Response(encode_still(grid), mimetype=WEBP)
        return Response(encode_png(grid, _join(scene)), mimetype=PNG)

    @api.get("/api/picture")
    def show_picture() -> Response:
        asked = read_query(PictureRequest, request.args.items(multi=True))
        studio = models.choose(asked.model, asked.version)
        scene = generate_one(studio, asked)
        picture = Response(encode_png(scene.pictures[0], scene.facts[0]), mimetype=PNG)
        if asked.version:
            picture.cache_control.max_age = 86_400
        return picture

    @api.post("/api/interpolate")
    def interpolate() -> Response:
        asked = read_json(InterpolateRequest, _json_body())
        scene = generate_interpolation(models.choose(asked.model, asked.version), asked)
        if asked.format == "json":
            return _in_json(scene)
        if asked.format == "webp":
            return Response(encode_film(scene.pictures), mimetype=WEBP)
        return Response(encode_strip(scene.pictures, scene.facts[0]), mimetype=PNG)


def describe_model(studio: LoadedModel) -> dict[str, Any]:
    """Say what a model is."""
    return {
        "model": studio.saved.model,
        "version": studio.saved.version,
        "side": studio.side,
        "latent": latent_length(studio.generator),
        "column": studio.column,
        "classes": studio.names,
    }


def read_upload(models: Models) -> tuple[LoadedModel, bytes, str | None]:
    """Read an uploaded picture, for whom it is, and the class that it is to be judged as.

    Raises:
        WrongRequestError: There is none, or a field that isn't known.
        UnknownModelError: There is no such model.
    """
    unknown = set(request.form) - set(UPLOAD_FIELDS)
    if unknown or set(request.files) != {"picture"} or len(request.files.getlist("picture")) != 1:
        raise WrongRequestError(
            "Send one file in the form's field 'picture', and besides, if you like, the fields "
            f"{', '.join(UPLOAD_FIELDS)}."
        )
    if any(len(request.form.getlist(name)) > 1 for name in UPLOAD_FIELDS):
        raise WrongRequestError("Nothing may be said twice.")
    chosen = {name: request.form.get(name) or None for name in UPLOAD_FIELDS}
    content = request.files["picture"].read()
    if not content:
        raise WrongRequestError("The file in the field 'picture' is empty.")
    return models.choose(chosen["model"], chosen["version"]), content, chosen["class"]


def _json_body() -> bytes:
    if request.mimetype != JSON:
        raise WrongRequestError(f"The body's Content-Type must be {JSON}.")
    return request.get_data()


def _in_json(scene: GeneratedImages) -> Response:
    return jsonify(
        pictures=[
            facts | {"png": b64encode(encode_png(picture, facts)).decode()}
            for picture, facts in zip(scene.pictures, scene.facts, strict=True)
        ]
    )


def _join(scene: GeneratedImages) -> dict[str, object]:
    """Say of a grid what all its pictures share."""
    first = scene.facts[0]
    numbers = [str(facts["number"]) for facts in (first, scene.facts[-1])]
    shared = {
        key: value
        for key, value in first.items()
        if all(facts[key] == value for facts in scene.facts)
    }
    return shared | {"numbers": " to ".join(numbers)}
