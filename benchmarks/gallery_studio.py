"""Load and memory of the latent studio's API, in a gallery with the pretrained generator.

python benchmarks/gallery_studio.py load [--clients 32] [--seconds 60] [--project .]
    Starts `kedro gallery`. Clients request latents, images, edits, films, found and opened images
    at once. Prints the number of responses by route and status; fails on any other than 200 and
    429.
python benchmarks/gallery_studio.py memory [--images 500] [--steps 16] [--project .]
    Starts `kedro gallery`, and finds the latents of different images one by one. Prints the
    server's memory as it goes; fails if it grows by more than 20 MB after the first tenth.
"""

import argparse
import collections
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gallery_load import PORT, RETRY_AFTER, read_memory, send_request, wait_for_server

MODEL = "sample/pretrained"
CLASS = "Ink Waves"
# MB.
MAX_GROWTH = 20
BOUNDARY = "boundary"


def send_file(path: str, content: bytes, **fields: object) -> tuple[int, bytes]:
    """Send a form with an image file; return the status and the content."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="a.png"'
    body = b"".join(parts) + head.encode() + b"\r\n\r\n" + content
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection("localhost", PORT, timeout=300)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", path, body, kind)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


def generate_image(seed: int) -> bytes:
    """Return a PNG file that the gallery generates, however busy it is."""
    # Not by /api/picture, whose images the gallery keeps up to a limit.
    body = {"model": MODEL, "points": [{"seed": seed}]}
    while True:
        status, content = send_request("POST", "/api/synthesize", body)
        if status == 200:
            return content
        time.sleep(RETRY_AFTER)


def send(route: str, seed: int, image: bytes) -> int:
    """Send a request to a route; return the status."""
    point = {"seed": seed}
    bodies = {
        "latents": {"points": [point] * 8},
        "synthesize": {"points": [point, {"seed": seed, "number": 1}]},
        "edit": {"point": point, "weights": [1, 2, 3, 4, 0, 0, 0, 0]},
        "film": {"keyframes": [point, {"seed": seed + 1}], "seconds": 1},
    }
    if route in bodies:
        return send_request("POST", f"/api/{route}", bodies[route] | {"model": MODEL})[0]
    if route == "directions":
        return send_request("GET", f"/api/directions?model={MODEL}")[0]
    if route == "open":
        return send_file("/api/open", image)[0]
    return send_file("/api/invert", image, model=MODEL, steps=16)[0]


ROUTES = ("latents", "synthesize", "edit", "film", "directions", "open", "invert")


@contextmanager
def run_gallery(project: str) -> Iterator[subprocess.Popen]:
    """Run a gallery that is prepared for uploads to the pretrained generator."""
    kedro = Path(sys.executable).parent / "kedro"
    command = [str(kedro), "gallery", f"--port={PORT}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=project, **quiet)
    try:
        wait_for_server(server)
        image = generate_image(0)
        while (status := send("invert", 0, image)) == 429:
            time.sleep(5)
        if status != 200:
            raise SystemExit(f"The model can't be prepared for uploads: status {status}.")
        yield server
    finally:
        server.terminate()
        server.wait()


def measure_load(options: argparse.Namespace) -> None:
    """Let concurrent clients use all routes; print the responses by route and status."""
    responses: collections.Counter = collections.Counter()
    with run_gallery(options.project) as server:
        image = generate_image(1)
        before = read_memory(server.pid)
        end = time.monotonic() + options.seconds

        def run_client(number: int) -> None:
            while time.monotonic() < end:
                number += 1
                route = ROUTES[number % len(ROUTES)]
                status = send(route, number, image)
                responses[route, status] += 1
                if status == 429:
                    time.sleep(RETRY_AFTER)

        threads = [
            threading.Thread(target=run_client, args=(number * 1000 + number,))
            for number in range(options.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = read_memory(server.pid)
    for (route, status), count in sorted(responses.items()):
        print(f"{route}: {count} responses of status {status}")
    print(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    if others := {status for _, status in responses} - {200, 429}:
        raise SystemExit(f"There were other statuses: {others}.")


def measure_memory(options: argparse.Namespace) -> None:
    """Find the latents of different images one by one; print the server's memory."""
    with run_gallery(options.project) as server:
        first = None
        for number in range(1, options.images + 1):
            content = generate_image(number)
            fields: dict[str, object] = {"model": MODEL, "steps": options.steps}
            # Finding the class takes longer than the rest.
            fields |= {"class": CLASS} if number % 25 else {}
            status, answer = send_file("/api/invert", content, **fields)
            assert status == 200, answer
            memory = read_memory(server.pid)
            if first is None and number >= options.images / 10:
                first = memory
            if number % max(options.images // 10, 1) == 0:
                distances = json.loads(answer)["distances"]
                print(f"after {number} images: {memory:.0f} MB, {distances}", flush=True)
    if memory - first > MAX_GROWTH:
        raise SystemExit(f"The memory grew by {memory - first:.0f} MB.")


def main() -> None:
    """Parse the command line and run the chosen measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("measurement", choices=["load", "memory"])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--project", default=".")
    options = parser.parse_args()
    {"load": measure_load, "memory": measure_memory}[options.measurement](options)


if __name__ == "__main__":
    main()
