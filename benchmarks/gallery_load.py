"""How much does the gallery bear? Many clients at once, from a process of their own.

python benchmarks/gallery_load.py [--clients 64] [--seconds 30] [--project .]
    Starts `kedro gallery` in a project in which a model has been trained, lets clients ask for 64
    images as one PNG each, and prints answers by status, the server's memory before and after,
    how soon a page comes afterwards, and images a second beside those of the generator called
    directly, in whole batches of as many, in a process of its own just before.
python benchmarks/gallery_load.py direct MODEL [--seconds 10]
    The latter alone: MODEL is a generator.keras.
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
# What the gallery asks of clients that it has no time for.
RETRY_AFTER = 2


def ask(method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
    """Ask once, on a connection of its own."""
    connection = http.client.HTTPConnection("localhost", PORT, timeout=120)
    content = json.dumps(body) if body is not None else None
    connection.request(method, path, content, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def read_memory(process: int) -> float:
    """Give the memory that a process holds, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def press(clients: int, seconds: float) -> collections.Counter:
    """Let clients ask one after the other until the time is over; count answers by status."""
    answers: collections.Counter = collections.Counter()
    ends = time.monotonic() + seconds

    def visit(number: int) -> None:
        seed = number
        while time.monotonic() < ends:
            seed += clients
            try:
                status, _ = ask("POST", "/api/generate", {"count": COUNT, "seed": seed})
            except OSError as error:
                status = type(error).__name__
            answers[status] += 1
            if status == 429:
                time.sleep(RETRY_AFTER)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(clients)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    return answers


def call_directly(model: str, seconds: float) -> None:
    """Print how many images a second a generator paints in whole batches."""
    import keras

    import ganvas
    from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents

    assert ganvas
    generator = keras.models.load_model(model, compile=False)
    latents, classes = sample_latents(generator, COUNT, 0), cycle_classes(generator, COUNT)
    generate_images(generator, latents, classes)
    begun, painted = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        painted += len(generate_images(generator, latents, classes))
    print(painted / (time.perf_counter() - begun))


def measure(options: argparse.Namespace) -> None:
    """Print everything."""
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
        # As many as later: memory is taken for so many at a time, once.
        press(options.clients, 8)
        before = read_memory(server.pid)
        begun = time.perf_counter()
        answers = press(options.clients, options.seconds)
        taken = time.perf_counter() - begun
        after = read_memory(server.pid)
        begun = time.perf_counter()
        status, _ = ask("GET", "/")
        page = time.perf_counter() - begun
    finally:
        server.terminate()
        server.wait()
    rate = answers[200] * COUNT / taken
    print(f"{newest}\nanswers: {dict(answers)} of {options.clients} clients in {taken:.1f} s")
    print(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    print(f"the page afterwards: {status} in {page:.2f} s")
    print(f"{rate:.0f} images a second; directly {direct:.0f}; ratio {rate / direct:.2f}")


def wait_for_server(server: subprocess.Popen) -> None:
    """Wait until it answers."""
    while server.poll() is None:
        try:
            if ask("GET", "/healthz")[0] == 200:
                return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("The gallery did not start: run `kedro gallery` to see why.")


def main() -> None:
    """Read the command line."""
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
