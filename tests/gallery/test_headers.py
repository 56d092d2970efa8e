"""Security headers."""

import pytest


@pytest.mark.parametrize("path", ["/", "/api/models", "/api/nothing", "/nothing", "/style.css"])
def test_every_response_has_security_headers(path, client):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
