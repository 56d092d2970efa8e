"""Training throughput of the DCGAN of pytorch/examples: 64 pixels, widths 64, batch 64.

    python benchmarks/train_step.py [--peer NAME=COMMAND]... [--rounds 5] [--steps 20]

Ours is `fit` as a run uses it, on random images, in several variants. A peer is any command that
prints its own figure as `<number> img/s`. All run in turn, since machines are noisy, and the
ratios of each round's figures are what counts. Beside them stand the machine's limit, float32
matrix products, and the cost of drawing batches from 80,000 images on disk.
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
OURS, LIMIT, DATA = "--ours", "--limit", "--data"


def measure_ours(changes: dict, steps: int) -> float:
    """Images a second of `fit`, after a first epoch that traces and warms up."""
    import keras
    import numpy as np

    from ganvas.networks import NetworkParams
    from ganvas.pipelines.train.nodes import build_networks
    from ganvas.training.batches import TrainingSet
    from ganvas.training.checkpoints import CheckpointStore
    from ganvas.training.config import TrainParams
    from ganvas.training.loop import Watchers, train

    params = TrainParams(
        epochs=2, batch_size=BATCH, snapshot_interval=100, checkpoint={"interval": 3}, **changes
    )
    count = steps * BATCH
    images = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    keras.utils.set_random_seed(0)
    data = TrainingSet(images, np.arange(count))
    networks = build_networks(NetworkParams(), params, data)
    watchers = Watchers(lambda *_: None, lambda *_: [])
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), keep=1)
        run = train(networks, data, params, store, watchers)
    return float(run.history["images_per_second"].iloc[-1])


def measure_limit() -> float:
    """Images a second if the convolutions were float32 matrix products at their fastest."""
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
    """Multiplications of a network's convolutions for one image, forward."""
    total = 0
    for layer in network.layers:
        if "Conv2D" in type(layer).__name__:
            # A transposed convolution works for each place of its input, the other of its output.
            where = layer.input if "Transpose" in type(layer).__name__ else layer.output
            height, width = where.shape[1:3]
            total += height * width * int(layer.kernel.shape.num_elements())
    return total


def measure_data() -> float:
    """Seconds to draw a batch from 80,000 images on disk, in random order."""
    import numpy as np

    from ganvas.ingestion.shards import open_shards, write_shard
    from ganvas.training.batches import TrainingSet, draw_batches
    from ganvas.training.config import TrainParams

    rng = np.random.default_rng(0)
    piece = rng.integers(0, 256, (1000, SIDE, SIDE, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            pieces = (piece for _ in range(IMAGES // 2000))
            write_shard(Path(folder) / f"images-{number:05d}.npy", pieces, SIDE)
        data = TrainingSet(open_shards(Path(folder)), np.arange(IMAGES))
        batches = draw_batches(data, 100, TrainParams(batch_size=BATCH))
        next(batches)
        start, count = time.perf_counter(), 300
        for _ in range(count):
            next(batches)
        return (time.perf_counter() - start) / count


def measure(command: list[str], pattern: str = r"([\d.]+) img/s") -> float:
    """Run a command in a process of its own and read its figure."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = re.findall(pattern, output)
    if not figures:
        sys.exit(f"No figure in the output of: {shlex.join(command)}")
    return float(figures[-1])


def describe(name: str, figures: list[float], unit: str = "") -> str:
    """Median and range in a line."""
    median = statistics.median(figures)
    return f"{name:44} median {median:7.2f}{unit}, range {min(figures):.2f} to {max(figures):.2f}"


def compare(commands: dict[str, list[str]], peers: list[str], rounds: int) -> None:
    """Measure in turn and print a line a round, then medians, ranges and ratios."""
    figures: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(1, rounds + 1):
        for name, command in commands.items():
            figures[name].append(measure(command))
        line = ", ".join(f"{name} {values[-1]:.1f}" for name, values in figures.items())
        print(f"round {number} (img/s): {line}", flush=True)
    for name, values in figures.items():
        print(describe(name, values, " img/s"))
    for peer in [*peers, "limit"]:
        for name in [each for each in figures if each not in (*peers, "limit")]:
            pairs = zip(figures[name], figures[peer], strict=True)
            print(describe(f"{name} / {peer}", [ours / theirs for ours, theirs in pairs]))
    seconds = measure([sys.executable, __file__, DATA], r"([\d.]+) s a batch")
    step = BATCH / statistics.median(figures["float32"])
    print(f"drawing a batch: {seconds * 1e3:.2f} ms, {seconds / step:.2%} of a float32 step")


def main() -> None:
    """Read options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], help="NAME=COMMAND to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--variants", default=",".join(VARIANTS), help="of ours, with commas")
    parser.add_argument(OURS, help=argparse.SUPPRESS)
    for name in (LIMIT, DATA):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        print(f"{measure_ours(json.loads(options.ours), options.steps):.2f} img/s")
    elif options.limit:
        print(f"{measure_limit():.2f} img/s")
    elif options.data:
        print(f"{measure_data():.6f} s a batch")
    else:
        ours = [sys.executable, __file__, "--steps", str(options.steps), OURS]
        commands = {
            name: [*ours, json.dumps(VARIANTS[name])] for name in options.variants.split(",")
        }
        peers = dict(peer.split("=", 1) for peer in options.peer)
        commands |= {name: shlex.split(command) for name, command in peers.items()}
        commands["limit"] = [sys.executable, __file__, LIMIT]
        compare(commands, list(peers), options.rounds)


if __name__ == "__main__":
    main()
