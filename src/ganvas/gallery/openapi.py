"""The OpenAPI description of the API, derived from the schemas of its requests."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from ganvas import __version__
from ganvas.gallery.encoding import MEDIA_TYPES
from ganvas.gallery.schemas import (
    ArchiveRequest,
    FileRequest,
    GenerateRequest,
    InterpolateRequest,
)

REFERENCE = "#/components/schemas/{model}"
BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
NULLABLE = {"type": ["string", "null"]}
STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
ERRORS = {
    "400": "The request is invalid.",
    "403": "The request comes from a page of another site.",
    "404": "There is no such model, version or class.",
    "405": "The address does not accept this method.",
    "413": "The body is too large.",
    "429": "Too many requests are pending; Retry-After holds the seconds to wait.",
    "503": "It took too long.",
}


def describe_api(prefix: str = "") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the API, whose paths are below `prefix`."""
    schemas: dict[str, Any] = {"Error": _object(error=STRING)}
    for schema in (GenerateRequest, InterpolateRequest, ArchiveRequest):
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
            "/api/judge": {"post": score | _request_body("multipart/form-data", _upload())},
        },
        "components": {"schemas": schemas},
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


def _json_body(schema: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": REFERENCE.format(model=schema.__name__)}
    return _request_body("application/json", reference)


def _request_body(content_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {content_type: {"schema": schema}}}}


def _upload() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["picture"],
        "properties": {
            "picture": STRING | {"format": "binary", "description": "An image file."},
            "model": STRING | {"description": "As listed by /api/models; default: the newest."},
            "version": STRING | {"description": "As saved; default: the newest."},
            "class": STRING
            | {"description": "The class to score it as; default: the one that scores highest."},
        },
        "additionalProperties": False,
    }


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
