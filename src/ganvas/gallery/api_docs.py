"""The operations of the API, read from its OpenAPI document for the page that describes them."""

import json
from typing import Any, NamedTuple

# Examples for the forms of operations whose body is JSON.
EXAMPLES: dict[str, dict[str, Any]] = {
    "/api/generate": {"seed": 7, "count": 16, "truncation": 1.0, "format": "png"},
    "/api/interpolate": {
        "start": {"seed": 0, "number": 2},
        "end": {"seed": 0, "number": 7},
        "steps": 12,
    },
    "/api/latents": {"points": [{"seed": 7, "number": 0}], "space": "w"},
    "/api/synthesize": {"points": [{"seed": 7, "number": 0}, {"seed": 7, "number": 1}]},
    "/api/edit": {"point": {"seed": 7, "number": 0}, "edits": {}, "format": "png"},
    "/api/film": {
        "keyframes": [{"seed": 0, "number": 2}, {"seed": 0, "number": 7}],
        "seconds": 2,
        "loop": True,
    },
    "/api/zip": {"images": [{"seed": 7, "number": 0}, {"seed": 7, "number": 1}]},
}
BOUNDS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters",
    "minItems": "from {}",
    "maxItems": "to {} items",
}


class FieldRow(NamedTuple):
    """A field of a request.

    Attributes:
        name: Its name; of a nested object, with the object's in front.
        kind: JSON type, or "file".
        allowed: Allowed values in words.
        default: Default as JSON; empty without one.
        description: Its meaning.
        choices: Allowed values, if they are few.
    """

    name: str
    kind: str
    allowed: str
    default: str
    description: str
    choices: list[str]


class Operation(NamedTuple):
    """An operation of the API.

    Attributes:
        method: HTTP method.
        path: Path of its URL.
        summary: What it does.
        body: How fields are sent: "json", "form", "query", or "" without fields.
        fields: Fields of the request.
        example: A JSON body to begin with; empty if the body is not JSON.
        returns: Media types of successful responses.
        errors: Status and meaning of error responses.
    """

    method: str
    path: str
    summary: str
    body: str
    fields: list[FieldRow]
    example: str
    returns: list[str]
    errors: list[tuple[str, str]]


def list_operations(document: dict[str, Any]) -> list[Operation]:
    """Return the operations of an OpenAPI document of `ganvas.gallery.openapi`."""
    schemas = document["components"]["schemas"]
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body, fields = _read_request(operation, schemas)
            responses = operation["responses"]
            operations.append(
                Operation(
                    method=method.upper(),
                    path=path,
                    summary=operation["summary"],
                    body=body,
                    fields=fields,
                    example=json.dumps(EXAMPLES[path], indent=2) if body == "json" else "",
                    returns=list(responses["200"]["content"]),
                    errors=[
                        (status, response["description"])
                        for status, response in responses.items()
                        if status != "200"
                    ],
                )
            )
    return operations


def _read_request(operation: dict[str, Any], schemas: dict[str, Any]) -> tuple[str, list[FieldRow]]:
    if parameters := operation.get("parameters"):
        rows = [
            _describe(
                parameter["name"],
                parameter["schema"] | {"description": parameter["description"]},
                schemas,
            )
            for parameter in parameters
        ]
        return "query", [row for group in rows for row in group]
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        schema = _resolve(body["schema"], schemas)
        kind = "json" if media_type == "application/json" else "form"
        return kind, _describe_all(schema, schemas)
    return "", []


def _describe_all(
    schema: dict[str, Any], schemas: dict[str, Any], prefix: str = ""
) -> list[FieldRow]:
    rows = [_describe(prefix + name, f, schemas) for name, f in schema["properties"].items()]
    return [row for group in rows for row in group]


def _describe(name: str, field: dict[str, Any], schemas: dict[str, Any]) -> list[FieldRow]:
    """Return the row of a field, or of a nested object those of its fields."""
    items = field.get("items", {})
    schema = _resolve(field, schemas) | {
        key: field[key] for key in ("description", "default") if key in field
    }
    if "properties" in schema:
        # A default of the object takes the place of its fields' own.
        defaults = {key: {"default": value} for key, value in field.get("default", {}).items()}
        nested = {key: f | defaults.get(key, {}) for key, f in schema["properties"].items()}
        return _describe_all({"properties": nested}, schemas, f"{name}.")
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    option = schema | options[0]
    choices = [str(value) for value in option.get("enum", [])]
    bounds = [text.format(option[key]) for key, text in BOUNDS.items() if key in option]
    kind = "file" if option.get("format") == "binary" else str(option.get("type", "string"))
    row = FieldRow(
        name,
        kind,
        ", ".join(choices) or " ".join(bounds),
        json.dumps(schema["default"]) if "default" in schema else "",
        schema.get("description", ""),
        choices,
    )
    return [row, *(_describe(f"{name}[]", items, schemas) if items else [])]


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schemas[reference.rpartition("/")[2]] if reference else schema
