"""Error responses of the application."""

import io

import pytest

from projects import BY_CLASS, PLAIN


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"model": "../../etc"}, "no model '../../etc': there are"),
        ({"model": PLAIN, "version": "../x"}, "has no version '../x'"),
        ({"model": BY_CLASS, "class": "Dogs"}, "no class 'Dogs': it has Colour Fields, "),
        ({"model": PLAIN, "class": "Dogs"}, "no class 'Dogs': it has no classes"),
    ],
)
def test_unknown_names_return_404(query, message, client):
    response = client.get("/api/picture", query_string=query)
    assert response.status_code == 404 and list(response.json) == ["error"]
    assert message in response.json["error"]


def test_other_methods_addresses_and_bodies(client):
    response = client.get("/api/generate")
    assert response.status_code == 405 and "POST" in response.headers["Allow"]
    assert response.json == {"error": "This address does not accept this method."}
    assert client.get("/api/nothing").status_code == 404
    assert client.post("/api/generate", data="{}").status_code == 400
    large = client.post("/api/judge", data={"picture": (io.BytesIO(bytes(34_000_000)), "x.png")})
    assert large.status_code == 413 and "32 MB" in large.json["error"]
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/", "/about", "/nothing", "/static/gallery.js", "/api/models"])
def test_an_untrusted_host_is_rejected(path, client):
    response = client.get(path, headers={"Host": "evil.example"})
    assert response.status_code == 400 and "is not trusted." in response.text
    assert response.mimetype == ("application/json" if "api" in path else "text/plain")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
