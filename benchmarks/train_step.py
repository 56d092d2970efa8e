"""Training throughput of the DCGAN of pytorch/examples: 64 pixels, widths 64, batch 64, float32.

    python benchmarks/train_step.py [--peer COMMAND] [--rounds 5] [--steps 20]

Ours is `fit` as a run uses it, on random pictures. A peer is any command that prints its own
figure as `<number> img/s`; both run in turn, since machines are noisy, and the ratio of each
round's figures is what counts.
"""

import argparse
import re
import shlex
import statistics
import subprocess
import sys

OURS = "--ours"


def measure_ours(steps: int) -> float:
    """Pictures a second of `fit`, after a first epoch that traces and warms up."""
    import keras
    import numpy as np

    from ganvas.networks.dcgan import DcganParams, build_dcgan
    from ganvas.training.loop import TrainParams, train

    params = TrainParams(epochs=2, batch_size=64, snapshot_every=100)
    count = steps * params.batch_size
    images = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    keras.utils.set_random_seed(0)
    networks = build_dcgan(DcganParams(), (64, 64, 3))
    run = train(*networks, images, np.arange(count), params, lambda epoch, pictures: None)
    return float(run.history["images_per_second"].iloc[-1])


def measure(command: list[str]) -> float:
    """Run a command in a process of its own and read its figure."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = re.findall(r"([\d.]+) img/s", output)
    if not figures:
        sys.exit(f"No '<number> img/s' in the output of: {shlex.join(command)}")
    return float(figures[-1])


def describe(name: str, figures: list[float], unit: str) -> str:
    """Median and range in a line."""
    median = statistics.median(figures)
    return f"{name:6} median {median:.2f}{unit}, range {min(figures):.2f} to {max(figures):.2f}"


def main() -> None:
    """Measure in turn and print a line a round, then medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="command to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(OURS, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        print(f"{measure_ours(options.steps):.2f} img/s")
        return
    ours, peer = [], []
    for number in range(1, options.rounds + 1):
        ours.append(measure([sys.executable, __file__, OURS, "--steps", str(options.steps)]))
        line = f"round {number}: ours {ours[-1]:.2f} img/s"
        if options.peer:
            peer.append(measure(shlex.split(options.peer)))
            line += f", peer {peer[-1]:.2f} img/s, ratio {ours[-1] / peer[-1]:.3f}"
        print(line, flush=True)
    print(describe("ours", ours, " img/s"))
    if peer:
        print(describe("peer", peer, " img/s"))
        print(describe("ratio", [one / other for one, other in zip(ours, peer, strict=True)], ""))


if __name__ == "__main__":
    main()
