"""The description of the API, made of the models that check its requests."""

from typing import Any

from pydantic import BaseModel

from ganvas import __version__
from ganvas.gallery.schemas import GenerateRequest, InterpolateRequest, PictureRequest

BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": TEXT}}
ERRORS = {
    "400": "The request can't be understood.",
    "404": "There is no such model, version or class.",
    "405": "The address takes another method.",
    "413": "The body is too large.",
    "429": "Too many wait already; Retry-After says how long to wait.",
    "503": "It took too long.",
}


def describe() -> dict[str, Any]:
    """Describe the API in the terms of OpenAPI 3.1."""
    bodies: list[type[BaseModel]] = [GenerateRequest, InterpolateRequest]
    schemas: dict[str, Any] = {"Error": ERROR}
    for model in bodies:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ganvas gallery",
            "version": __version__,
            "description": "Pictures by trained generators. The same request gives the same bytes.",
        },
        "paths": {
            "/healthz": {
                "get": _tell("Whether it runs", _json({"status": {"const": "ok"}}), ["405"])
            },
            "/api/models": {
                "get": _tell(
                    "What can be asked for, the newest first",
                    _json({"models": {"type": "array", "items": _model()}}),
                    ["405"],
                )
            },
            "/api/generate": {"post": _post("Paint pictures of a seed", GenerateRequest)},
            "/api/interpolate": {"post": _post("Paint a walk", InterpolateRequest)},
            "/api/picture": {
                "get": _tell("Paint one picture", {"image/png": BINARY})
                | {"parameters": _parameters(PictureRequest)}
            },
            "/api/judge": {"post": _judge()},
        },
        "components": {"schemas": schemas},
    }


def _tell(summary: str, content: dict[str, Any], errors: list[str] | None = None) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    told = errors if errors is not None else [code for code in ERRORS if code != "413"]
    return {
        "summary": summary,
        "responses": {"200": {"description": "Done.", "content": content}}
        | {code: {"description": ERRORS[code], "content": error} for code in told},
    }


def _post(summary: str, model: type[BaseModel]) -> dict[str, Any]:
    pictures = _json({"pictures": {"type": "array", "items": {"type": "object"}}})
    content = {"image/png": BINARY, "image/webp": BINARY} | pictures
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return _tell(summary, content, list(ERRORS)) | {"requestBody": body}


def _judge() -> dict[str, Any]:
    scores = {"type": "array", "items": NUMBER}
    content = _json({"score": NUMBER, "real": scores, "generated": scores})
    fields = {
        "picture": {"type": "string", "format": "binary", "description": "A picture's file."},
        "model": TEXT,
        "version": TEXT,
        "class": TEXT | {"description": "As which it is judged, by class; left out: the first."},
    }
    schema = {
        "type": "object",
        "required": ["picture"],
        "properties": fields,
        "additionalProperties": False,
    }
    told = _tell("Judge a picture by the discriminator", content, list(ERRORS))
    return told | {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _json(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"application/json": {"schema": schema}}


def _model() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["model", "version", "side", "latent", "column", "classes"],
        "properties": {
            "model": TEXT,
            "version": TEXT,
            "side": WHOLE,
            "latent": WHOLE,
            "column": {"type": ["string", "null"]},
            "classes": {"type": "array", "items": TEXT},
        },
    }


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    properties = model.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description", ""),
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An address has no null: what isn't there is left out."""
    options = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return kept | (options[0] if options else {})
