"""Large requests and those of other sites are refused on every route."""

import io
import json
import re
import time

import pytest

from ganvas.gallery.request_checks import MAX_BODY, MAX_FIELDS, MAX_UPLOAD, MAX_VALUES

ORIGIN = "http://localhost"


@pytest.fixture
def client(pretrained_app):
    return pretrained_app.test_client()


def post_addresses(app):
    """The addresses that accept forms or JSON."""
    rules = [str(rule) for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    # The first of several endings.
    paths = [re.sub(r"<any\('(\w+)'[^>]*>", r"\1", rule) for rule in rules]
    assert {"/game", "/judge", "/api/generate", "/api/judge", "/api/zip"} <= set(paths)
    return paths


BODIES = {
    "keys": ("application/json", json.dumps({f"key{n}": 0 for n in range(750_000)}).encode()),
    "fewer keys": ("application/json", json.dumps({f"k{n}": 0 for n in range(9_000)}).encode()),
    "nested": ("application/json", b'{"a":' * 20_000 + b"0" + b"}" * 20_000),
    "images": ("application/json", b'{"images": [' + b"{}," * 30_000 + b"{}]}"),
    "form": ("application/x-www-form-urlencoded", b"a&" * 1_000_000),
    "smaller form": ("application/x-www-form-urlencoded", b"a&" * 60_000),
    "no type": ("", b"0" * 7_000_000),
    "parts": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 140_000 + b"--b--\r\n",
    ),
    "field": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
        + b"0" * 7_000_000
        + b"\r\n--b--\r\n",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_route_takes_long_for_a_large_body(name, pretrained_app, client):
    content_type, body = BODIES[name]
    for path in post_addresses(pretrained_app):
        start = time.perf_counter()
        response = client.post(path, data=body, content_type=content_type)
        assert time.perf_counter() - start < 1, path
        assert response.status_code in (400, 413), path
        assert "Content-Security-Policy" in response.headers


def test_the_sentences_name_the_limits(client):
    def post(path, body, kind="application/json"):
        return client.post(path, data=body, content_type=kind)

    large = post("/api/generate", b" " * (MAX_BODY + 1))
    assert large.status_code == 413 and "more than 128 KB" in large.json["error"]
    many = post("/api/generate", json.dumps({"a": [0] * MAX_VALUES}))
    assert many.status_code == 400 and many.json["error"].endswith("at most 1,000 values.")
    form = post("/api/judge", "a&" * MAX_FIELDS, "application/x-www-form-urlencoded")
    assert form.status_code == 400 and "at most 200 fields" in form.json["error"]
    query = client.get("/api/picture?" + "a&" * MAX_FIELDS)
    assert query.status_code == 400 and "at most 200 fields" in query.json["error"]
    huge = client.post("/judge", data={"picture": (io.BytesIO(b"0" * (MAX_UPLOAD + 1)), "x.png")})
    assert huge.status_code == 413 and "Files of more than 32 MB" in huge.text


def test_the_largest_requests_that_pages_send_are_accepted(client):
    name = "sample/pretrained"
    image = {"model": name, "version": None, "seed": 2**32 - 1, "class": "Ink Waves"}
    images = [image | {"number": number, "truncation": 0.55} for number in range(64)]
    assert client.post("/api/zip", json={"images": images}).status_code == 200
    picked = [("pick", "")] + [("pick", f"1:{n}:Ink Waves") for n in range(64)]
    assert "two" in client.get("/walk", query_string=picked).text


@pytest.mark.parametrize("number", ["1" * 4000, "1" * 100_000, "1e999", "-0", "1" * 400 + ".5"])
def test_odd_numbers_are_refused_in_one_sentence(number, client):
    body = '{"seed": ' + number + ', "count": 1}'
    response = client.post("/api/generate", data=body, content_type="application/json")
    if number != "-0":
        assert response.status_code == 400 and len(response.json["error"]) < 300


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        # curl and other programs.
        ({}, True),
        ({"Origin": ORIGIN}, True),
        ({"Origin": "http://LOCALHOST:80"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, True),
        # Behind a proxy that sends its own Host.
        ({"Origin": "https://art.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://localhost:3000"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "http://localhost@evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://[::1"}, False),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_only_own_pages_and_programs_may_send_forms(headers, allowed, pretrained_app, client):
    assert client.get("/docs", headers=headers).status_code == 200
    for path in post_addresses(pretrained_app):
        # An empty form, which is refused too, but only where forms of the page are accepted.
        response = client.post(path, headers=headers)
        assert response.status_code == (400 if allowed else 403), path
        assert ("another site" in response.text) == (not allowed)


def test_pages_of_a_published_name_may_send_forms(pretrained_app, client, monkeypatch):
    monkeypatch.setitem(pretrained_app.config, "GANVAS_SITES", {"art.example"})
    send = client.post("/api/generate", json={"count": 1}, headers={"Origin": "http://art.example"})
    assert send.status_code == 200
    evil = client.post("/api/generate", json={}, headers={"Origin": "http://art.example.evil"})
    assert evil.status_code == 403


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
def test_dates_that_no_clock_has_are_ignored(client, name):
    for date in ("Sat, 99 Jan 99999999999999 00:00:00 GMT", "x", "Mon, 01 Jan 0 00:00 +9999999999"):
        response = client.get("/static/gallery.css", headers={name: date, "Range": "bytes=0-3"})
        assert response.status_code in (200, 206)
