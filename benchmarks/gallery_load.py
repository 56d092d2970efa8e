"""Load test of the gallery: many concurrent clients in a separate process.

python benchmarks/gallery_load.py [--clients 64] [--seconds 30] [--project .]
    Starts `kedro gallery` in a project with a trained model. Clients request 64 images as one PNG
    each. Prints the number of responses by status, the server's memory before and after, the time
    of a page afterwards, and images per second compared with direct calls of the generator, in
    batches of the same size, measured just before in a process of its own.
python benchmarks/gallery_load.py direct MODEL [--seconds 10]
    Only the direct calls: MODEL is a generator.keras.
"""

import argparse
import collections
import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

COUNT = 64
PORT = 8765
# Seconds that the gallery's Retry-After header asks rejected clients to wait.
RETRY_AFTER = 2


def send_request(method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
    """Send one request on a new connection; return the status and the content."""
    connection = http.client.HTTPConnection("localhost", PORT, timeout=120)
    content = json.dumps(body) if body is not None else None
    connection.request(method, path, content, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def read_memory(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def run_clients(clients: int, seconds: float) -> collections.Counter:
    """Let concurrent clients send requests for some seconds; count responses by status."""
    responses: collections.Counter = collections.Counter()
    end = time.monotonic() + seconds

    def run_client(number: int) -> None:
        seed = number
        while time.monotonic() < end:
            seed += clients
            try:
                body = {"count": COUNT, "seed": seed}
                status, _ = send_request("POST", "/api/generate", body)
            except OSError as error:
                status = type(error).__name__
            responses[status] += 1
            if status == 429:
                time.sleep(RETRY_AFTER)

    threads = [threading.Thread(target=run_client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses


def call_directly(model: str, seconds: float) -> None:
    """Print the images per second of a generator without the gallery."""
    import keras

    import ganvas
    from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents

    assert ganvas
    generator = keras.models.load_model(model, compile=False)
    latents, labels = sample_latents(generator, COUNT, 0), cycle_classes(generator, COUNT)
    generate_images(generator, latents, labels)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        count += len(generate_images(generator, latents, labels))
    print(count / (time.perf_counter() - start))


def measure(options: argparse.Namespace) -> None:
    """Run the load test and print its results."""
    project = Path(options.project)
    models = project.glob("data/06_models/*/*/generator.keras/*/generator.keras")
    newest = max(models, key=lambda file: file.parts[-2])
    command = [sys.executable, __file__, "direct", str(newest)]
    direct = float(subprocess.check_output(command, text=True).split()[-1])
    kedro = Path(sys.executable).parent / "kedro"
    server = subprocess.Popen(
        [str(kedro), "gallery", f"--port={PORT}"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_server(server)
        # Warm up with the same number of clients, since memory per request is allocated once.
        run_clients(options.clients, 8)
        before = read_memory(server.pid)
        start = time.perf_counter()
        responses = run_clients(options.clients, options.seconds)
        duration = time.perf_counter() - start
        after = read_memory(server.pid)
        start = time.perf_counter()
        status, _ = send_request("GET", "/")
        page = time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()
    rate = responses[200] * COUNT / duration
    print(
        f"{newest}\nresponses: {dict(responses)} of {options.clients} clients in {duration:.1f} s"
    )
    print(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    print(f"the page afterwards: {status} in {page:.2f} s")
    print(f"{rate:.0f} images a second; directly {direct:.0f}; ratio {rate / direct:.2f}")


def wait_for_server(server: subprocess.Popen) -> None:
    """Wait until the server responds."""
    while server.poll() is None:
        try:
            if send_request("GET", "/healthz")[0] == 200:
                return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("The gallery did not start: run `kedro gallery` to see why.")


def main() -> None:
    """Parse the command line and run the chosen measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--project", default=".")
    if sys.argv[1:2] == ["direct"]:
        call_directly(sys.argv[2], 10)
    else:
        measure(parser.parse_args())


if __name__ == "__main__":
    main()
