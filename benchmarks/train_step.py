"""Training throughput of the DCGAN of pytorch/examples: 64 pixels, widths 64, batch 64.

    python benchmarks/train_step.py [--peer NAME=COMMAND]... [--rounds 5] [--steps 20]

Ganvas runs `fit` as a training run does, on random images, in several variants. A peer is any
command that prints its throughput as `<number> img/s`. All run in turn, since machines are noisy:
compare the ratios within each round. The output also has the machine's limit, float32 matrix
products, and the time to draw batches from 80,000 images on disk.
"""

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VARIANTS = {
    "float32": {},
    "float32 simultaneous": {"simultaneous_updates": True},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "bfloat16 simultaneous": {"precision": "mixed_bfloat16", "simultaneous_updates": True},
}
BATCH, SIDE, IMAGES = 64, 64, 80_000
GANVAS, LIMIT, DATA = "--ganvas", "--limit", "--data"


def measure_ganvas(params: dict, steps: int) -> float:
    """Return the images per second of `fit`, after a first epoch that traces and warms up."""
    import keras
    import numpy as np

    from ganvas.networks import NetworkParams
    from ganvas.pipelines.train.nodes import build_networks
    from ganvas.training.callbacks import EarlyWarnings, Snapshots
    from ganvas.training.checkpoints import CheckpointStore
    from ganvas.training.config import TrainParams
    from ganvas.training.dataset import TrainingSet
    from ganvas.training.trainer import train

    params = TrainParams(
        epochs=2, batch_size=BATCH, snapshot_interval=100, checkpoint={"interval": 3}, **params
    )
    count = steps * BATCH
    images = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    keras.utils.set_random_seed(0)
    data = TrainingSet(images, np.arange(count))
    networks, ema_generator = build_networks(NetworkParams(), params, data)
    snapshots = Snapshots(params, lambda *_: None)
    callbacks = [snapshots, EarlyWarnings(snapshots, lambda *_: [])]
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), keep=1)
        result = train(networks, ema_generator, data, params, store, callbacks)
    return float(result.history["images_per_second"].iloc[-1])


def measure_limit() -> float:
    """Return the images per second if convolutions were the fastest float32 matrix products."""
    import numpy as np
    import tensorflow as tf

    from ganvas.networks import NetworkParams, build

    size, repeats = 3000, 5
    matrix = tf.constant(np.random.default_rng(0).random((size, size), dtype=np.float32))
    multiply = tf.function(lambda a: a @ a)
    multiply(matrix).numpy()
    start = time.perf_counter()
    for _ in range(repeats):
        multiply(matrix).numpy()
    rate = repeats * size**3 / (time.perf_counter() - start)
    generator, discriminator, _ = build(NetworkParams(), (SIDE, SIDE, 3))
    # Forward passes, and two more for each gradient by weights and inputs; the generator's loss
    # needs the discriminator's gradient by its inputs alone.
    products = 3 * count_products(generator) + (2 + 4 + 1 + 1) * count_products(discriminator)
    return rate / products


def count_products(network) -> int:
    """Count the multiplications of a network's convolutions in a forward pass of one image."""
    total = 0
    for layer in network.layers:
        if "Conv2D" in type(layer).__name__:
            # Transposed ones multiply at each pixel of the input, others at each of the output.
            pixels = layer.input if "Transpose" in type(layer).__name__ else layer.output
            height, width = pixels.shape[1:3]
            total += height * width * int(layer.kernel.shape.num_elements())
    return total


def measure_data() -> float:
    """Return the seconds to draw a batch from 80,000 images on disk, in random order."""
    import numpy as np

    from ganvas.ingestion.shards import open_shards, write_shard
    from ganvas.training.config import TrainParams
    from ganvas.training.dataset import TrainingSet, draw_batches

    rng = np.random.default_rng(0)
    chunk = rng.integers(0, 256, (1000, SIDE, SIDE, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for shard in range(2):
            chunks = (chunk for _ in range(IMAGES // 2000))
            write_shard(Path(folder) / f"images-{shard:05d}.npy", chunks, (SIDE, SIDE, 3))
        data = TrainingSet(open_shards(Path(folder)), np.arange(IMAGES))
        batches = draw_batches(data, 100, TrainParams(batch_size=BATCH))
        next(batches)
        start, count = time.perf_counter(), 300
        for _ in range(count):
            next(batches)
        return (time.perf_counter() - start) / count


def measure(command: list[str], pattern: str = r"([\d.]+) img/s") -> float:
    """Run a command in a process of its own, and read the number in its output."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    numbers = re.findall(pattern, output)
    if not numbers:
        sys.exit(f"No result in the output of: {shlex.join(command)}")
    return float(numbers[-1])


def describe(name: str, values: list[float], unit: str = "") -> str:
    """Return a line with the median and the range."""
    median = statistics.median(values)
    return f"{name:44} median {median:7.2f}{unit}, range {min(values):.2f} to {max(values):.2f}"


def compare(commands: dict[str, list[str]], peers: list[str], rounds: int) -> None:
    """Measure in turn; print a line per round, then medians, ranges and ratios."""
    results: dict[str, list[float]] = {name: [] for name in commands}
    for i in range(1, rounds + 1):
        for name, command in commands.items():
            results[name].append(measure(command))
        line = ", ".join(f"{name} {values[-1]:.1f}" for name, values in results.items())
        print(f"round {i} (img/s): {line}", flush=True)
    for name, values in results.items():
        print(describe(name, values, " img/s"))
    for peer in [*peers, "limit"]:
        for name in [name for name in results if name not in (*peers, "limit")]:
            pairs = zip(results[name], results[peer], strict=True)
            print(describe(f"{name} / {peer}", [a / b for a, b in pairs]))
    seconds = measure([sys.executable, __file__, DATA], r"([\d.]+) s a batch")
    step = BATCH / statistics.median(results["float32"])
    print(f"drawing a batch: {seconds * 1e3:.2f} ms, {seconds / step:.2%} of a float32 step")


def main() -> None:
    """Parse options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], help="NAME=COMMAND to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="comma-separated variants of Ganvas"
    )
    parser.add_argument(GANVAS, help=argparse.SUPPRESS)
    for name in (LIMIT, DATA):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ganvas:
        print(f"{measure_ganvas(json.loads(options.ganvas), options.steps):.2f} img/s")
    elif options.limit:
        print(f"{measure_limit():.2f} img/s")
    elif options.data:
        print(f"{measure_data():.6f} s a batch")
    else:
        ganvas = [sys.executable, __file__, "--steps", str(options.steps), GANVAS]
        commands = {
            name: [*ganvas, json.dumps(VARIANTS[name])] for name in options.variants.split(",")
        }
        peers = dict(peer.split("=", 1) for peer in options.peer)
        commands |= {name: shlex.split(command) for name, command in peers.items()}
        commands["limit"] = [sys.executable, __file__, LIMIT]
        compare(commands, list(peers), options.rounds)


if __name__ == "__main__":
    main()
