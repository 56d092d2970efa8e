"""The page of the API: every operation with its fields, and examples that the API accepts."""

import json

from ganvas.gallery.api_docs import EXAMPLES, list_operations
from ganvas.gallery.openapi import describe_api


def operations():
    return {operation.path: operation for operation in list_operations(describe_api())}


def test_every_operation_is_on_the_page(client):
    page = client.get("/docs").text
    for path in describe_api()["paths"]:
        assert f'data-path="{path}"' in page


def test_examples_are_accepted(client):
    bodies = {path: op.example for path, op in operations().items() if op.body == "json"}
    assert set(bodies) == set(EXAMPLES)
    for path, body in bodies.items():
        response = client.post(path, json=json.loads(body))
        assert response.status_code == 200, (path, response.text)


def test_fields_are_read_from_the_schemas():
    fields = {field.name: field for field in operations()["/api/interpolate"].fields}
    assert fields["steps"].kind == "integer" and fields["steps"].allowed == "from 2 to 64"
    assert fields["steps"].default == "24"
    assert fields["format"].choices == ["png", "webp", "json"]
    # The end's own default, not that of any image.
    assert (fields["start.number"].default, fields["end.number"].default) == ("0", "1")
    upload = {field.name: field for field in operations()["/api/judge"].fields}
    assert upload["picture"].kind == "file" and operations()["/api/judge"].body == "form"
    query = {field.name: field for field in operations()["/api/picture"].fields}
    assert query["seed"].default == "0" and operations()["/api/picture"].body == "query"
    nested = {field.name for field in operations()["/api/zip"].fields}
    assert {"images", "images[].seed", "images[].class"} <= nested
