"""Slow and broken clients of a running server."""

import contextlib
import json
import socket
import threading
import time
import urllib.request

import pytest

from ganvas.gallery import connections
from ganvas.gallery.connections import create_server
from ganvas.gallery.request_checks import MAX_UPLOAD

HEADERS = (
    b"Host: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n"
)


@contextlib.contextmanager
def serve(app):
    """Run an application; the server."""
    server = create_server(
        app,
        host="127.0.0.1",
        port=0,
        threads=4,
        max_request_body_size=MAX_UPLOAD + 2**16,
        max_request_header_size=2**16,
    )
    threading.Thread(target=server.run, daemon=True).start()
    yield server
    server.close()


@pytest.fixture
def port(pretrained_app, monkeypatch):
    """The port of a running gallery with short deadlines."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 3)
    monkeypatch.setattr(connections, "BODY_SECONDS", 5)
    with serve(pretrained_app) as server:
        yield int(server.effective_port)


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def wait_until(is_true, seconds=30):
    """Wait, on a slow machine longer."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_open(connection):
    """Whether the server has not closed a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def read(connection):
    """All that the server sends until it closes the connection."""
    content = b""
    while part := connection.recv(2**16):
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


def test_many_slow_clients_block_nobody(port):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(600)]
        for round_ in range(4):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"GET / HTTP/1.1\r\n"[round_ : round_ + 1])
            start = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
                assert response.status == 200
            assert time.perf_counter() - start < 2
            time.sleep(0.3)
        # Those that were not replaced are closed after the deadline, though they still send.
        end = time.monotonic() + 10
        while time.monotonic() < end and any(map(is_open, slow)):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"a")
            time.sleep(0.5)
        assert not any(map(is_open, slow))


def test_a_slow_upload_is_closed_after_its_deadline(port):
    with connect(port) as connection:
        connection.sendall(
            b"POST /judge HTTP/1.1\r\nContent-Length: 100000\r\n" + HEADERS + b"\r\n"
        )
        start = time.monotonic()
        while is_open(connection) and time.monotonic() - start < 20:
            with contextlib.suppress(OSError):
                connection.send(b"a")
            time.sleep(0.2)
        # Longer than headers may take.
        assert 3 < time.monotonic() - start < 12


def test_a_client_that_does_not_read_is_closed(monkeypatch):
    monkeypatch.setattr(connections, "SEND_SECONDS", 1)
    size = 50_000_000

    def respond(environ, start_response):
        start_response("200 OK", [("Content-Length", str(size))])
        return [b"0" * size]

    with serve(respond) as server, connect(int(server.effective_port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: server.active_channels)
        wait_until(lambda: not server.active_channels)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                received += len(part)
        # What the buffers of the network held.
        assert received < size / 2


def check_headers(head):
    assert "Content-Security-Policy: default-src 'none'" in head
    assert "X-Content-Type-Options: nosniff" in head and "Connection: close" in head
    assert "waitress" not in head


@pytest.mark.parametrize("path", ["/judge", "/api/judge"])
@pytest.mark.parametrize("size", [MAX_UPLOAD + 1, MAX_UPLOAD + 2**16, 2 * MAX_UPLOAD])
def test_an_upload_over_the_limit_gets_the_sentence(size, path, port):
    with connect(port) as connection:
        head = f"POST {path} HTTP/1.1\r\nContent-Length: {size}\r\n"
        connection.sendall(head.encode() + HEADERS + b"\r\n")
        # A browser sends all of it before it reads the response.
        connection.sendall(b"0" * size)
        head, body = read(connection)
    assert head.startswith("HTTP/1.1 413 ")
    check_headers(head)
    sentence = "Files of more than 32 MB are not accepted."
    if path == "/api/judge":
        assert json.loads(body) == {"error": sentence}
    else:
        assert sentence in body and "<h1>Request too large</h1>" in body


def test_a_chunked_upload_over_the_limit_gets_the_sentence(port):
    with connect(port) as connection:
        connection.sendall(b"POST /api/judge HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HEADERS)
        connection.sendall(b"\r\n" + (b"10000\r\n" + b"0" * 65536 + b"\r\n") * 540 + b"0\r\n\r\n")
        head, body = read(connection)
    assert head.startswith("HTTP/1.1 413 ") and "32 MB" in json.loads(body)["error"]
    check_headers(head)


def test_an_announced_upload_over_the_limit_is_refused_before_it_is_sent(port):
    with connect(port) as connection:
        head = b"POST /api/judge HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n"
        connection.sendall(head + HEADERS + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        head, _ = read(connection)
    assert head.startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /api/zip HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /api/zip HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_a_broken_request_gets_the_headers_of_all_responses(request_, status, port):
    with connect(port) as connection:
        connection.sendall(request_)
        head, body = read(connection)
    assert head.split()[1] == str(status)
    check_headers(head)
    assert "generated by" not in body


def test_a_connection_is_kept_for_several_requests(port):
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(1.5)
            assert connection.recv(2**16).startswith(b"HTTP/1.1 200 OK")


CHUNKED = (
    b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "body", [b"0" * 200_000, b"1;a=" + b"b" * 200_000, b"0\r\n" + b"X: y\r\n" * 30_000]
)
def test_a_chunked_body_of_framing_alone_is_refused(port, body):
    with connect(port) as connection:
        connection.sendall(CHUNKED + body)
        assert read(connection)[0].startswith("HTTP/1.1 400")


def test_chunks_of_usual_sizes_are_accepted(port):
    with connect(port) as connection:
        connection.sendall(CHUNKED + b"1\r\n \r\n" * 500 + b'11\r\n{"format":"json"}\r\n0\r\n\r\n')
        assert read(connection)[0].startswith("HTTP/1.1 200")


def test_clients_that_pipeline_and_read_nothing_block_nobody(port):
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(600):
            connection = stack.enter_context(connect(port))
            with contextlib.suppress(OSError):
                connection.sendall(request * 100)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as response:
            assert json.load(response) == {"status": "ok"}


PART = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
END = b"\r\n--b--\r\n"


def start_upload(port, length, sent):
    """Send the beginning of a form with a file; its end follows after `length` bytes."""
    connection = connect(port)
    size = len(PART) + length + len(END)
    head = b"POST /api/judge HTTP/1.1\r\nContent-Length: %d\r\n" % size
    connection.sendall(head + HEADERS + b"\r\n" + PART + bytes(sent))
    return connection


def test_uploads_are_held_in_memory_up_to_a_limit(pretrained_app, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("uploads are never written to disk")

    for module, name in (
        ("waitress.buffers", "TempfileBasedBuffer"),
        ("werkzeug.formparser", "SpooledTemporaryFile"),
    ):
        monkeypatch.setattr(f"{module}.{name}", refuse)
    monkeypatch.setattr(connections, "MAX_HELD", 5 * 2**20)
    part = 3 * 2**20
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve(pretrained_app))
        port = int(server.effective_port)

        def is_held(length):
            held = sum(x.held_bytes for x in list(server.active_channels.values()))
            return held == length + len(PART)

        first = stack.enter_context(start_upload(port, 2**22, part))
        wait_until(lambda: is_held(part))
        # With the first one, it is beyond the limit.
        with start_upload(port, 2**22, part) as second:
            head, body = read(second)
        assert "429" in head.splitlines()[0] and "Retry-After" in head
        assert "Too many requests" in json.loads(body)["error"]
        # Small requests have their place.
        with start_upload(port, 1000, 1000) as small:
            small.sendall(END)
            assert "400" in read(small)[0].splitlines()[0]
        wait_until(lambda: is_held(part))
        first.sendall(bytes(2**22 - part) + END)
        head, body = read(first)
    assert "400" in head.splitlines()[0] and "The image can't be used" in body
