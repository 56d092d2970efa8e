"""`kedro gallery` as a separate process."""

import contextlib
import io
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI
from PIL import Image

KEDRO = Path(sys.executable).parent / "kedro"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(address, host=None):
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


@contextlib.contextmanager
def gallery(project, *options):
    port = free_port()
    command = [KEDRO, "gallery", f"--port={port}", *options]
    server = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                fetch(f"http://localhost:{port}/healthz")
                break
            assert server.poll() is None, server.stdout.read().decode()
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.communicate()


def test_the_gallery_listens_on_loopback_only(trained, client):
    with gallery(trained) as port:
        image = fetch(f"http://localhost:{port}/api/picture?seed=3")
        expected = client.get("/api/picture?seed=3").data
        pixels = [np.asarray(Image.open(io.BytesIO(content))) for content in (image, expected)]
        np.testing.assert_array_equal(*pixels)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            fetch(f"http://localhost:{port}/healthz", host="evil.example")
        # The machine's other addresses refuse connections.
        outside = socket.gethostbyname(socket.gethostname())
        if not outside.startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((outside, port), timeout=5)
        again = subprocess.run(
            [KEDRO, "gallery", f"--port={port}"], cwd=trained, capture_output=True, text=True
        )
        assert again.returncode == 1 and "choose another with --port" in again.stderr
        assert "Traceback" not in again.stderr


@pytest.mark.exhaustive
def test_without_a_trained_model_the_pretrained_one_is_served(project):
    with gallery(project) as port:
        page = fetch(f"http://localhost:{port}/").decode()
    assert "Pretrained sample generator" in page and "make run" in page
    assert "Switch model" not in page


@pytest.mark.exhaustive
def test_a_damaged_model_and_a_proxy(project):
    for name in ("generator.keras", "class_list.json"):
        file = project / "data/06_models/art/dcgan" / name / "2026-01-01" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"[")
    with gallery(project, "--prefix=/art", "--host-name=art.example") as port:
        page = fetch(f"http://localhost:{port}/art/", host="art.example").decode()
        assert "art/dcgan, version 2026-01-01: class_list.json is damaged" in page
        assert 'href="/art/style.css"' in page
        with pytest.raises(urllib.error.HTTPError, match="400"):
            fetch(f"http://localhost:{port}/art/", host="evil.example")


# A misspelled address, and one that is reserved for documentation.
@pytest.mark.parametrize("host", ["127.0..1", "192.0.2.1"])
def test_a_host_of_another_machine_is_rejected(trained, host):
    result = CliRunner().invoke(KedroCLI(project_path=trained), ["gallery", f"--host={host}"])
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert f"can't listen on {host} (" in result.output
    assert "set --host to a name or address of this machine" in result.output
