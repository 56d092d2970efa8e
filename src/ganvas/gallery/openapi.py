"""The OpenAPI description of the API, derived from the schemas of its requests."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from ganvas import __version__
from ganvas.gallery.encoding import FILM_TYPES, MEDIA_TYPES, NPY
from ganvas.gallery.schemas import (
    ArchiveRequest,
    FileRequest,
    GenerateRequest,
    InterpolateRequest,
    ModelRequest,
)
from ganvas.gallery.studio_schemas import (
    ArrayRequest,
    EditRequest,
    FilmRequest,
    InvertRequest,
    LatentsRequest,
    Point,
    SynthesizeRequest,
)

REFERENCE = "#/components/schemas/{model}"
BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
FORM = "multipart/form-data"
IMAGE_FILE = "An image file."
NULLABLE = {"type": ["string", "null"]}
STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
JSON_SCHEMAS: tuple[type[BaseModel], ...] = (
    GenerateRequest,
    InterpolateRequest,
    ArchiveRequest,
    LatentsRequest,
    SynthesizeRequest,
    EditRequest,
    FilmRequest,
)
ERRORS = {
    "400": "The request is invalid.",
    "403": "The request comes from a page of another site.",
    "404": "There is no such model, version or class.",
    "405": "The address does not accept this method.",
    "413": "The body is too large.",
    "429": "Too many requests are pending, or a model is being prepared; Retry-After holds the "
    "seconds to wait.",
    "503": "It took too long; Retry-After as with 429.",
}


def describe_api(prefix: str = "") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the API, whose paths are below `prefix`."""
    schemas: dict[str, Any] = {"Error": _object(error=STRING)}
    for schema in JSON_SCHEMAS:
        definition = schema.model_json_schema(ref_template=REFERENCE)
        schemas |= definition.pop("$defs", {}) | {schema.__name__: definition}
    model = _object(
        model=STRING,
        version=STRING,
        pretrained={"type": "boolean"},
        side=INTEGER | {"description": "The longer one of height and width in pixels."},
        width=INTEGER,
        height=INTEGER,
        channels={"enum": [1, 3, 4], "description": "1: gray; 3: RGB; 4: RGB and straight alpha."},
        latent=INTEGER,
        w=_array(INTEGER) | {"description": "Shape of intermediate latents."},
        column=NULLABLE,
        classes=_array(STRING)
        | {"description": "With several label columns, the most frequent combinations."},
        labels=_array(_object(column=STRING, values=_array(STRING)))
        | {"description": "Label columns: class weights have those of their values, in turn."},
    )
    scores = _object(score=NUMBER, real=_array(NUMBER), generated=_array(NUMBER))
    scores["properties"]["class"] = NULLABLE
    status = _object(status={"const": "ok"})
    health = _operation("Check that the server runs", _json(status), ["405"])
    models = _json(_object(models=_array(model)))
    listing = _operation("List the models, newest first", models, ["405"])
    without_body = [code for code in ERRORS if code not in ("403", "413")]
    files = dict.fromkeys(MEDIA_TYPES.values(), BINARY)
    image = _operation("Generate one image", files, without_body)
    archive = _operation("Generate single images as a ZIP file", {"application/zip": BINARY})
    score = _operation("Score an image with the discriminator", _json(scores))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ganvas gallery",
            "version": __version__,
            "description": "Images of trained generators. The same request returns the same bytes.",
        },
        "servers": [{"url": prefix or "/"}],
        "paths": {
            "/healthz": {"get": health},
            "/api/models": {"get": listing},
            "/api/generate": {"post": _generation("Generate images of a seed", GenerateRequest)},
            "/api/interpolate": {
                "post": _generation("Interpolate between two images", InterpolateRequest)
            },
            "/api/picture": {"get": image | {"parameters": _query_parameters(FileRequest)}},
            "/api/zip": {"post": archive | _json_body(ArchiveRequest)},
            "/api/judge": {"post": score | _request_body(FORM, _upload())},
            **_describe_studio(without_body),
        },
        "components": {"schemas": schemas},
    }


def _describe_studio(without_body: Iterable[str]) -> dict[str, Any]:
    """Return the paths of the latent studio."""
    origin = {"model": STRING, "version": STRING}
    latents = _object(
        **origin, space=STRING, latents=_array(_array({})), weights=_array(_array(NUMBER))
    )
    direction = _object(
        name=STRING,
        method=STRING,
        low=NUMBER,
        high=NUMBER,
        effect=NUMBER,
        about={"type": "object"},
        minimum=NUMBER,
        maximum=NUMBER,
    )
    edited = _object(**origin, w=STRING, weights=NULLABLE, png=STRING)
    distances = _object(pixel=NUMBER, feature=NUMBER)
    neighbor = _object(position=INTEGER, distance=NUMBER)
    found = _object(
        **origin,
        w=STRING,
        weights=NULLABLE,
        distances=distances,
        generated=distances,
        png=STRING,
        neighbors=_array(neighbor),
    )
    found["properties"]["class"] = NULLABLE
    opened = _object(**origin, point={"$ref": REFERENCE.format(model=Point.__name__)})
    images = dict.fromkeys(MEDIA_TYPES.values(), BINARY)
    pictures = _json(_object(pictures=_array({"type": "object"})))
    films = dict.fromkeys(FILM_TYPES.values(), BINARY)
    listing = _operation(
        "List the directions of a model",
        _json(_object(**origin, directions=_array(direction))),
        without_body,
    )
    to_latents = _operation("Return the latents of points", _json(latents) | {NPY: BINARY})
    synthesis = _operation("Generate images of points or latents", images | pictures)
    array = _form("latents", "A .npy file of latents (N, Z) or (N, *w).", ArrayRequest)
    edit = _operation("Move a point along directions", images | _json(edited))
    film = _operation("Make a film through points", films)
    inversion = _operation("Find the latent of an image", _json(found))
    saved = _operation("Return the point of a saved image", _json(opened))
    return {
        "/api/latents": {"post": to_latents | _json_body(LatentsRequest)},
        "/api/synthesize": {"post": synthesis | _json_body(SynthesizeRequest, {FORM: array})},
        "/api/directions": {"get": listing | {"parameters": _query_parameters(ModelRequest)}},
        "/api/edit": {"post": edit | _json_body(EditRequest)},
        "/api/film": {"post": film | _json_body(FilmRequest)},
        "/api/invert": {
            "post": inversion | _request_body(FORM, _form("picture", IMAGE_FILE, InvertRequest))
        },
        "/api/open": {
            "post": saved | _request_body(FORM, _form("picture", "A PNG file of the gallery."))
        },
    }


def _operation(
    summary: str, content: dict[str, Any], errors: Iterable[str] = ERRORS
) -> dict[str, Any]:
    error = _json({"$ref": REFERENCE.format(model="Error")})
    return {
        "summary": summary,
        "responses": {"200": {"description": "Success.", "content": content}}
        | {code: {"description": ERRORS[code], "content": error} for code in errors},
    }


def _generation(summary: str, schema: type[BaseModel]) -> dict[str, Any]:
    images = _json(_object(pictures=_array({"type": "object"})))
    kinds = MEDIA_TYPES if schema is GenerateRequest else ("png", "webp")
    operation = _operation(summary, {MEDIA_TYPES[kind]: BINARY for kind in kinds} | images)
    return operation | _json_body(schema)


def _json_body(
    schema: type[BaseModel], others: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the body of a request in JSON, or of others by their media types."""
    reference = {"$ref": REFERENCE.format(model=schema.__name__)}
    return _request_body("application/json", reference, others)


def _request_body(
    content_type: str, schema: dict[str, Any], others: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    content = {
        kind: {"schema": body} for kind, body in ({content_type: schema} | (others or {})).items()
    }
    return {"requestBody": {"required": True, "content": content}}


def _form(field: str, description: str, schema: type[BaseModel] | None = None) -> dict[str, Any]:
    """Return a form with a file, and the fields of a schema."""
    properties: dict[str, Any] = {field: STRING | {"format": "binary", "description": description}}
    if schema is not None:
        fields = schema.model_json_schema()["properties"]
        properties |= {name: _without_null(value) for name, value in fields.items()}
    return {
        "type": "object",
        "required": [field],
        "properties": properties,
        "additionalProperties": False,
    }


def _upload() -> dict[str, Any]:
    form = _form("picture", IMAGE_FILE, ModelRequest)
    form["properties"]["class"] = STRING | {
        "description": "The class to score it as; default: the one that scores highest."
    }
    return form


def _query_parameters(schema: type[BaseModel]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.pop("description", ""),
            "schema": _without_null(field),
        }
        for name, field in schema.model_json_schema()["properties"].items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Drop null from a schema: in a query string, an absent value is left out."""
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    nullable = ("anyOf", "default") if options else ()
    kept = {key: value for key, value in field.items() if key not in nullable}
    return kept | (options[0] if options else {})


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
