"""Training throughput of the class-conditional default, against another checkout of Ganvas.

    python benchmarks/default_step.py [--baseline NAME=SRC]... [--rounds 5] [--steps 60]

Trains the networks of conf/base on random images of eight classes, in a process for each
measurement, and reports images per second after the first epoch, and how much longer the first
epoch took than a later one. A baseline is the `src` folder of another version; all run in turn,
since machines are noisy: compare the ratios within each round.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SIDE, CLASSES, WORKER = 64, 8, "--worker"
ROOT = Path(__file__).resolve().parent.parent


def measure_here(steps: int) -> tuple[float, float]:
    """Return images per second, and the seconds that the first epoch took longer."""
    import keras
    import numpy as np
    from omegaconf import OmegaConf

    from ganvas.networks import NetworkParams
    from ganvas.pipelines.train.nodes import build_networks
    from ganvas.training.checkpoints import CheckpointStore
    from ganvas.training.config import TrainParams
    from ganvas.training.dataset import TrainingSet
    from ganvas.training.trainer import train

    # As the train node does, where the version has it.
    with contextlib.suppress(ImportError):
        from ganvas.training.cpu_threads import run_branches_in_parallel

        run_branches_in_parallel()

    # Parameters that another version doesn't know are left out.
    OmegaConf.register_new_resolver("by_profile", lambda cpu, gpu: cpu)
    config = OmegaConf.load(ROOT / "conf" / "base" / "parameters_train.yml")
    config = OmegaConf.to_container(config, resolve=True)
    known = {
        name: value for name, value in config["train"].items() if name in TrainParams.model_fields
    }
    anchor = TrainParams.model_fields["anchor"].default
    known["anchor"] = {k: v for k, v in known["anchor"].items() if k in type(anchor).model_fields}
    limits = {"epochs": 3, "max_minutes": None, "max_steps": None}
    known |= {name: value for name, value in limits.items() if name in TrainParams.model_fields}
    params = TrainParams(**known)
    network = NetworkParams(name="projected", projected=config["network"]["projected"])

    count = steps * params.batch_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    labels = rng.integers(CLASSES, size=count, dtype=np.int32)
    data = TrainingSet(images, np.arange(count), labels, CLASSES)
    keras.utils.set_random_seed(0)
    networks, ema_generator = build_networks(network, params, data)
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), keep=1)
        history = train(networks, ema_generator, data, params, store).history
    first, *later = history["seconds"]
    return count / min(later), first - min(later)


def measure(source: Path, steps: int) -> tuple[float, float]:
    """Measure a version in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    command = [sys.executable, __file__, WORKER, "--steps", str(steps)]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    rate, start = output.split()[-2:]
    return float(rate), float(start)


def main() -> None:
    """Parse options, measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--baseline", action="append", default=[], metavar="NAME=SRC")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="steps an epoch, of three epochs")
    parser.add_argument(WORKER, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(*measure_here(options.steps))
        return
    sources = {"here": ROOT / "src"}
    sources |= {name: Path(path) for name, path in (x.split("=", 1) for x in options.baseline)}
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    for number in range(1, options.rounds + 1):
        for name, source in sources.items():
            results[name].append(measure(source, options.steps))
        line = ", ".join(f"{name} {rates[-1][0]:.1f}" for name, rates in results.items())
        print(f"round {number} (img/s): {line}", flush=True)
    for name, values in results.items():
        rates, starts = zip(*values, strict=True)
        ratios = [
            rate / other for (rate, _), (other, _) in zip(results["here"], values, strict=True)
        ]
        print(
            f"{name:10} median {statistics.median(rates):.1f} img/s, {min(rates):.1f} to "
            f"{max(rates):.1f}; start-up {statistics.median(starts):.1f} s; here is "
            f"{statistics.median(ratios):.2f} times as fast, {min(ratios):.2f} to {max(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
