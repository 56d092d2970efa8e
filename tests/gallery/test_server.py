"""`kedro gallery`, as a process of its own."""

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


def ask(address, host=None):
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


@contextlib.contextmanager
def gallery(project, *options):
    port = free_port()
    command = [KEDRO, "gallery", f"--port={port}", *options]
    server = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                ask(f"http://localhost:{port}/healthz")
                break
            assert server.poll() is None, server.stdout.read().decode()
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.communicate()


def test_it_opens_on_loopback_alone(trained, client):
    with gallery(trained) as port:
        content = ask(f"http://localhost:{port}/api/picture?seed=3")
        expected = client.get("/api/picture?seed=3").data
        pixels = [np.asarray(Image.open(io.BytesIO(each))) for each in (content, expected)]
        np.testing.assert_array_equal(*pixels)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(f"http://localhost:{port}/healthz", host="evil.example")
        # Every address of this machine but loopback is closed.
        outside = socket.gethostbyname(socket.gethostname())
        if not outside.startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((outside, port), timeout=5)
        again = subprocess.run(
            [KEDRO, "gallery", f"--port={port}"], cwd=trained, capture_output=True, text=True
        )
        assert again.returncode == 1 and "choose another by --port" in again.stderr
        assert "Traceback" not in again.stderr


def test_without_a_model_it_says_what_to_run(project):
    result = CliRunner().invoke(KedroCLI(project_path=project), ["gallery"])
    assert result.exit_code == 1
    assert "There is no trained generator" in result.output and "`make run`" in result.output


# A misspelt one, and one that is kept for examples in books.
@pytest.mark.parametrize("host", ["127.0..1", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_told(trained, host):
    result = CliRunner().invoke(KedroCLI(project_path=trained), ["gallery", f"--host={host}"])
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert f"can't listen on {host} (" in result.output
    assert "give --host a name or address of this machine" in result.output
