"""The gallery behind a reverse proxy: a small one in Python, as nginx would be configured."""

import contextlib
import http.client
import re
import socketserver
import threading
from html import unescape
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from ganvas.errors import GanvasError
from ganvas.gallery.connections import create_server
from ganvas.gallery.proxies import check_host_names, check_prefix, trust_proxies

NAME = "art.example"


@contextlib.contextmanager
def serve(app, prefix=""):
    server = create_server(
        app, host="127.0.0.1", port=0, url_prefix=prefix, clear_untrusted_proxy_headers=False
    )
    threading.Thread(target=server.run, daemon=True).start()
    yield int(server.effective_port)
    server.close()


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy of `location /art/`; `backend`, `strips` and `headers` are set by tests."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if not self.path.startswith("/art/"):
            self.send_error(404, "not the gallery's")
            return
        path = self.path.removeprefix("/art") if self.server.strips else self.path
        connection = http.client.HTTPConnection("127.0.0.1", self.server.backend, timeout=30)
        headers = dict(self.headers) | {
            key: value.replace("$host", self.headers["Host"])
            for key, value in self.server.headers.items()
        }
        connection.request(self.command, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        self.send_response(response.status)
        for key, value in response.getheaders():
            if key not in ("Connection", "Transfer-Encoding", "Content-Length"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def proxy_of(backend, strips, headers):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.backend, server.strips, server.headers = backend, strips, headers
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def request(port, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method, path, body, {"Host": NAME} | headers)
    response = connection.getresponse()
    content = response.read().decode(errors="replace")
    connection.close()
    return response.status, response.headers, content


@pytest.fixture
def published(pretrained_app, monkeypatch):
    """The application with the names that `kedro gallery --host-name=art.example` sets."""
    hosts = ["127.0.0.1", "localhost", "[::1]", NAME]
    monkeypatch.setitem(pretrained_app.config, "TRUSTED_HOSTS", hosts)
    monkeypatch.setitem(pretrained_app.config, "GANVAS_SITES", {NAME})
    return trust_proxies(pretrained_app, ["127.0.0.1"])


# nginx passes the path without /art for `proxy_pass http://127.0.0.1:8000/;`, and with it without
# the slash at the end.
@pytest.mark.parametrize("strips", [True, False])
def test_all_links_of_all_pages_lead_through_the_proxy(strips, published):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "$host", "Host": "127.0.0.1"}
    with serve(published, "/art") as backend, proxy_of(backend, strips, headers) as port:
        pages, seen = ["/art/", "/art/docs", "/art/walk", "/art/about", "/art/favorites"], set()
        for page in pages:
            status, _, content = request(port, page)
            assert status == 200, page
            if page != "/art/docs":
                assert re.search(r'href="[^"]*" aria-current="page"', content)
            links = re.findall(r'(?:href|src|action|data-path|data-image)="(/[^"]*)"', content)
            seen |= {unescape(link) for link in links}
        paths = {urlsplit(link).path for link in seen}
        assert len(paths) > 15 and {"/art/style.css", "/art/static/gallery.js"} <= paths
        assert "/art/api/generate" in paths
        assert all(path.startswith("/art/") for path in paths), paths
        for link in sorted(seen, key=len)[:10]:
            status, _, _ = request(port, link)
            assert status in (200, 400, 405), link
        _, _, content = request(port, "/art/docs")
        assert f"curl https://{NAME}/art/api/models" in content
        _, _, content = request(port, "/art/openapi.json")
        assert '"url":"/art"' in content.replace(" ", "")
        status, redirect, _ = request(port, "/art/?random=1")
        assert status == 302 and redirect["Location"].startswith("/art/?seed=")
        status, _, content = request(port, "/art/api/nothing")
        assert status == 404 and content.startswith('{"error"')


def test_forms_of_the_published_page_are_accepted(published):
    # As nginx by default: its own address as Host, and no other headers.
    with serve(published, "/art") as backend, proxy_of(backend, True, {"Host": "127.0.0.1"}) as p:
        sent = {"method": "POST", "body": b"round=a", "Content_Type": "text/plain"}
        status, _, _ = request(p, "/art/game", **sent, Origin=f"https://{NAME}")
        assert status == 400
        status, _, _ = request(p, "/art/game", **sent, Origin="https://evil.example")
        assert status == 403


def test_headers_of_others_than_the_proxy_are_ignored(pretrained_app):
    forged = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https"}
    with serve(trust_proxies(pretrained_app, ["192.0.2.0/24"])) as port:
        _, _, content = request(port, "/docs", **forged, X_Forwarded_Prefix="/evil")
        assert f"curl http://{NAME}/api/models" in content and "evil" not in content
    with serve(trust_proxies(pretrained_app, ["127.0.0.0/8"])) as port:
        _, _, content = request(port, "/docs", **forged)
        assert "curl https://evil.example/api/models" in content


def test_an_unknown_name_is_refused_and_the_option_named(published):
    with serve(published) as port:
        status, headers, content = request(port, "/", Host="other.example")
        assert status == 400 and "start the gallery with --host-name" in content
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert request(port, "/healthz", Host=f"{NAME}:8443")[0] == 200
        assert request(port, "/healthz", Host="localhost")[0] == 200


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_prefix, "/a b"),
        (check_prefix, "/a/../b"),
        (check_prefix, "https://art.example/art"),
        (check_prefix, "/a//b"),
        (check_host_names, ["https://art.example"]),
        (check_host_names, ["art.example:8000"]),
        (check_host_names, [""]),
        (lambda value: trust_proxies(None, value), ["nginx"]),
    ],
)
def test_wrong_options_are_refused(check, value):
    with pytest.raises(GanvasError, match=r"--[a-z-]+ can't be "):
        check(value)
