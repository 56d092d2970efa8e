"""Compare the quality of GAN implementations after the same training time.

    python benchmarks/quality.py FOLDER... [--minutes 10] [--seeds 3] [--env base]
        [--peer NAME=COMMAND]... [--judge NAME=COMMAND]... [--into data/08_reporting/contest]

Each model trains unconditionally on all images of a folder at 64×64 pixels. Ganvas runs by its own
commands with the parameters of `--env`, from the images on disk to the saved model within the
minutes, counted from the start of its processes. A peer is any command that does the same;
`{images}`, `{seconds}`, `{seed}`, `{count}` and `{out}` in it stand for the folder, the time limit,
the seed, the number of images to generate and the .npz file to write, uint8 `images` of shape
(N, 64, 64, 3). Without peers Ganvas's own DCGAN is one, with the settings of pytorch/examples.

An evaluator (`--judge`) is a command that prints a line of JSON with kid_e3, fd, precision, recall,
density and coverage for `{fake}`, such a file, and `{real}`, the folder. The default is
EfficientNet-Lite2; never use the network that is a discriminator's backbone.

Each result is saved as soon as it is known and not measured again, so that a comparison of hours
can be stopped at any time. The folder `--into` gets `results.json`, `table.md` and, for each folder
and model, a grid of the first images of its first seed.
"""

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
COUNT, SIDE = 2000, 64
GRID_ROWS, GRID_COLUMNS = 6, 12
METRICS = ("kid_e3", "fd", "precision", "recall", "density", "coverage")
DCGAN = {
    "network.name": "dcgan",
    "network.dcgan.generator_width": 64,
    "network.dcgan.discriminator_width": 64,
    "train.batch_size": 64,
    "train.generator_learning_rate": 0.0002,
    "train.discriminator_learning_rate": 0.0002,
    "train.ema_decay": 0.0,
    "train.loss.name": "non_saturating",
    "train.optimizer.adam.beta_1": 0.5,
    "train.optimizer.adam.beta_2": 0.999,
    "train.augment.name": "none",
    "train.anchor.every": "null",
    "train.simultaneous_updates": False,
}
DEFAULT_EVALUATOR = (
    f"{shlex.quote(sys.executable)} {shlex.quote(__file__)} --look {{fake}} {{real}}"
)


def run_ganvas(folder: Path, seed: int, out: Path, seconds: float, env: str, changes: dict) -> dict:
    """Ingest, train and generate in a temporary project; return its training time and images."""
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        for name in ("conf", "pyproject.toml", ".telemetry"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, project / name)
        # Kedro needs the folder src; the package itself comes from the environment.
        for name in ("src", "data"):
            (project / name).mkdir()
        params = {
            "ingest.source.name": "folder",
            "ingest.source.path": folder.resolve(),
            "ingest.source.folder.labels": "none",
            "ingest.dataset": "contest",
            "ingest.validation_share": 0.0,
            "ingest.test_share": 0.0,
            "train.epochs": 100_000,
            "train.max_steps": "null",
            "train.seed": seed,
            "sample.count": COUNT,
            "sample.seed": seed + 7,
        } | changes
        spent = run_kedro(project, "ingest", env, params)
        # A dry run takes as long as the run does to start.
        startup = run_kedro(project, "train", env, params | {"train.dry_run": True})
        minutes = (seconds - spent - startup) / 60
        if minutes <= 0:
            sys.exit(f"{seconds:g} s are too few: training begins after {spent + startup:.0f} s.")
        spent += run_kedro(project, "train", env, params | {"train.max_minutes": minutes})
        run_kedro(project, "sample", env, params)
        files = sorted(project.glob("data/07_model_output/contest/*/samples/*.png"))
        images = [np.asarray(Image.open(file)) for file in files if file.name != "grid.png"]
        np.savez_compressed(out, images=np.stack(images))
        (summary,) = project.glob("data/08_reporting/contest/*/training.json")
        return {"seconds": spent, "images_seen": json.loads(summary.read_text())["images_seen"]}


def run_kedro(project: Path, pipeline: str, env: str, params: dict) -> float:
    """Run a pipeline, and return the seconds that its process took."""
    text = ",".join(f"{name}={value}" for name, value in params.items())
    command = [sys.executable, "-m", "kedro", "run", f"--pipelines={pipeline}", f"--env={env}"]
    return run_command([*command, f"--params={text}"], cwd=project)


def run_peer(command: str, folder: Path, seed: int, out: Path, seconds: float) -> dict:
    """Run a peer's command, and return the seconds that it took."""
    values = {"images": folder, "seed": seed, "out": out, "seconds": seconds, "count": COUNT}
    return {"seconds": run_command(fill_command(command, **values))}


def fill_command(command: str, **values: object) -> list[str]:
    """Fill in the fields of a command, quoted, and split it into arguments."""
    quoted = {name: shlex.quote(str(value)) for name, value in values.items()}
    return shlex.split(command.format(**quoted))


def run_command(command: list[str], **options: object) -> float:
    """Run a command and return its seconds; exit with its output if it fails."""
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        output = f"{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
        sys.exit(f"{shlex.join(command)} has failed:\n{output}")
    return time.monotonic() - start


def evaluate_with_efficientnet(fake: Path, real: Path) -> dict:
    """Compute the metrics on features of EfficientNet-Lite2, of at most `COUNT` images a side."""
    from ganvas.metrics.feature_extractors import compute_features, load_extractor
    from ganvas.metrics.frechet import frechet_distance
    from ganvas.metrics.kid import kernel_distance
    from ganvas.metrics.prdc import compute_prdc

    files = sorted(f for f in real.rglob("*") if f.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = np.random.default_rng(0).permutation(len(files))[:COUNT]
    real_images = np.stack([read_center_square(files[number]) for number in chosen])
    with np.load(fake) as arrays:
        fake_images = arrays["images"][:COUNT]
    extractor = load_extractor("efficientnet_lite2")
    features = [
        compute_features(extractor, images, "features") for images in (real_images, fake_images)
    ]
    return {
        "kid_e3": 1000 * kernel_distance(*features),
        "fd": frechet_distance(*features),
        **compute_prdc(*features)._asdict(),
    }


def read_center_square(file: Path) -> np.ndarray:
    """Read the center square of an image, resized to `SIDE`."""
    image = Image.open(file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def evaluate(evaluators: dict[str, str], fake: Path, real: Path) -> dict:
    """Run the evaluators, and return the metrics of each."""
    results = {}
    for name, command in evaluators.items():
        arguments = fill_command(command, fake=fake, real=real)
        result = subprocess.run(arguments, check=True, capture_output=True, text=True)
        metrics = json.loads(result.stdout.strip().splitlines()[-1])
        results[name] = {metric: round(float(metrics[metric]), 4) for metric in METRICS}
    return results


def compare(options: argparse.Namespace) -> None:
    """Train and evaluate all models on all folders, except for results that exist."""
    into, evaluators = options.into, options.evaluators or {"EfficientNet-Lite2": DEFAULT_EVALUATOR}
    into.mkdir(parents=True, exist_ok=True)
    file = into / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for seed in range(options.seeds):
        for folder in options.folders:
            for name, run_model in make_models(options).items():
                key = f"{folder.name} {options.minutes:g} {seed} {name}"
                row = results.setdefault(key, {})
                if row.setdefault("images", str(folder)) != str(folder):
                    sys.exit(f"{into} has results of {row['images']}: name another by --into.")
                # Train and generate
                fake = into / f"{key.replace(' ', '_')}.npz"
                if not fake.exists():
                    partial_file = fake.with_name(f".{fake.name}")
                    row = results[key] = {"images": str(folder)}
                    row |= run_model(folder=folder, seed=seed, out=partial_file)
                    save_results(results, file)
                    partial_file.replace(fake)
                # Evaluate
                missing = {other: evaluators[other] for other in evaluators if other not in row}
                row |= evaluate(missing, fake, folder)
                save_results(results, file)
                save_grid(fake, fake.with_suffix(".png"))
                print(key, json.dumps(row), flush=True)
                (into / "table.md").write_text(format_table(results))


def make_models(options: argparse.Namespace) -> dict[str, Callable[..., dict]]:
    """Return the models to compare, as functions of a folder, a seed and the file to write."""
    seconds = 60 * options.minutes
    models = {"Ganvas": partial(run_ganvas, seconds=seconds, env=options.env, changes={})}
    for name, command in options.peers.items():
        models[name] = partial(run_peer, command, seconds=seconds)
    if not options.peers:
        models["DCGAN"] = partial(run_ganvas, seconds=seconds, env="base", changes=DCGAN)
    return models


def save_results(results: dict, file: Path) -> None:
    """Write the results atomically."""
    partial_file = file.with_suffix(".partial")
    partial_file.write_text(json.dumps(results, indent=1))
    partial_file.replace(file)


def save_grid(fake: Path, grid: Path) -> None:
    """Save the first images of a file as a grid."""
    with np.load(fake) as arrays:
        images = arrays["images"][: GRID_ROWS * GRID_COLUMNS]
    rows = images.reshape(GRID_ROWS, GRID_COLUMNS, SIDE, SIDE, 3).swapaxes(1, 2)
    Image.fromarray(rows.reshape(GRID_ROWS * SIDE, GRID_COLUMNS * SIDE, 3)).save(grid)


def format_table(results: dict) -> str:
    """Format a Markdown table of the median and the range over seeds."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for key, row in results.items():
        folder, minutes, _, model = key.split(" ")
        for evaluator, metrics in row.items():
            if isinstance(metrics, dict):
                groups.setdefault((folder, minutes, evaluator, model), []).append(metrics)
    heads = ["collection", "minutes", "evaluator", "model", "seeds", "KID × 1000", *METRICS[1:]]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for group, rows in sorted(groups.items()):
        cells = [*group, str(len(rows))]
        for metric in METRICS:
            values = sorted(row[metric] for row in rows)
            cell = f"{statistics.median(values):.3g}"
            if len(values) > 1:
                cell += f" ({values[0]:.3g} to {values[-1]:.3g})"
            cells.append(cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def named_command(text: str) -> tuple[str, str]:
    """Parse NAME=COMMAND."""
    name, _, command = text.partition("=")
    if not command or " " in name:
        raise argparse.ArgumentTypeError(f"{text!r} isn't NAME=COMMAND, NAME without spaces")
    return name, command


def main() -> None:
    """Read the command line, and run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=lambda text: Path(text).resolve())
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--env", default="base")
    named = {"action": "append", "type": named_command, "default": [], "metavar": "NAME=COMMAND"}
    parser.add_argument("--peer", dest="peers", **named)
    parser.add_argument("--judge", dest="evaluators", **named)
    parser.add_argument("--into", type=Path, default=ROOT / "data" / "08_reporting" / "contest")
    # How this file runs itself as the default evaluator.
    parser.add_argument("--look", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        print(json.dumps(evaluate_with_efficientnet(*options.look)))
        return
    missing = [str(folder) for folder in options.folders if not folder.is_dir()]
    if missing or not options.folders:
        parser.error(f"no such folder: {', '.join(missing)}" if missing else "name a folder")
    names = [folder.name for folder in options.folders]
    if len(set(names)) < len(names) or " " in "".join(names):
        parser.error("the last names of folders must differ, and have no spaces")
    options.peers, options.evaluators = dict(options.peers), dict(options.evaluators)
    compare(options)


if __name__ == "__main__":
    main()
