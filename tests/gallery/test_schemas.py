"""Invalid requests are rejected in one sentence."""

import io
import json

import pytest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"count": 65}, "count: input should be less than or equal to 64, not '65'"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": "8"}, "count: input should be a valid integer"),
        ({"count": True}, "valid integer"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"first": 10_000}, "first: input should be less than 10000"),
        ({"truncation": 0}, "truncation"),
        ({"truncation": 2.05}, "truncation: input should be less than or equal to 2"),
        ({"format": "exe"}, "format: input should be 'png', 'webp', 'jpeg' or 'json'"),
        ({"size": 4096}, "size: extra inputs are not permitted"),
        ([], "The request"),
        ("{", "must be JSON"),
        ('{"truncation": NaN}', "truncation"),
        ("[" * 100_000, "must be JSON"),
        (b"\xff", "must be JSON"),
    ],
)
def test_an_invalid_body_is_rejected_in_one_sentence(body, message, client):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    response = client.post("/api/generate", data=data, content_type="application/json")
    assert response.status_code == 400 and response.mimetype == "application/json"
    assert list(response.json) == ["error"]
    assert message in response.json["error"] and "\n" not in response.json["error"]


def test_a_repeated_field_is_rejected(client):
    response = client.get("/api/picture?seed=1&seed=2")
    assert response.status_code == 400
    assert response.json == {"error": "Each field can be given only once."}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"picture": "text"},
        {"picture": (io.BytesIO(b"1"), "a"), "size": "9"},
        {"other": (io.BytesIO(b"1"), "a")},
    ],
)
def test_an_invalid_form_names_the_field_of_the_file(data, client):
    response = client.post("/api/judge", data=data, content_type="multipart/form-data")
    assert response.status_code == 400 and "field 'picture'" in response.json["error"]
