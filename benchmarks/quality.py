"""Who paints better in the same minutes? Contestants train in turn; judges look at what they paint.

    python benchmarks/quality.py FOLDER... [--minutes 10] [--seeds 3] [--env base]
        [--peer NAME=COMMAND]... [--judge NAME=COMMAND]... [--into data/08_reporting/contest]

A contestant sees all images of a folder, unconditionally, at 64×64 pixels. Ours is a run of this
project's own commands with the parameters of `--env`, from the images on disk to the saved
model within the minutes, counted from the start of its processes. A peer is any command that does
the same; `{images}`, `{seconds}`, `{seed}`, `{count}` and `{out}` in it stand for the folder,
the time, the seed, how many images to paint and the .npz file, uint8 `images` (N, 64, 64, 3), to
write. Without peers Ganvas's own DCGAN is one, with the settings of pytorch/examples.

A judge is a command that prints a line of JSON with kid_e3, fd, precision, recall, density and
coverage for `{fake}`, such a file, and `{real}`, the folder. Without judges EfficientNet-Lite2 is
the only one; never ask the network that training looked through.

Each result is written as soon as it is known, and what is there already is not measured again, so
that a contest of hours can be stopped at any time. The folder `--into` gets `results.json`,
`table.md` and for each collection and contestant a grid of its first seed's images, the first as
they come.
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
FIGURES = ("kid_e3", "fd", "precision", "recall", "density", "coverage")
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
OWN_JUDGE = f"{shlex.quote(sys.executable)} {shlex.quote(__file__)} --look {{fake}} {{real}}"


def paint_ours(folder: Path, seed: int, out: Path, seconds: float, env: str, changes: dict) -> dict:
    """Ingest, train and paint in a project of its own; give the seconds to the saved model."""
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        for name in ("conf", "pyproject.toml", ".telemetry"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, project / name)
        # Kedro wants the folder; the package itself comes from the environment.
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
            "train.seed": seed,
            "sample.count": COUNT,
            "sample.seed": seed + 7,
        } | changes
        spent = run_kedro(project, "ingest", env, params)
        # A rehearsal starts as the run does, and tells how long that takes.
        lead = run_kedro(project, "train", env, params | {"train.dry_run": True})
        left = (seconds - spent - lead) / 60
        if left <= 0:
            sys.exit(f"{seconds:g} s are too few: {spent + lead:.0f} pass before training begins.")
        spent += run_kedro(project, "train", env, params | {"train.max_minutes": left})
        run_kedro(project, "sample", env, params)
        files = sorted(project.glob("data/07_model_output/contest/*/samples/*.png"))
        images = [np.asarray(Image.open(f)) for f in files if f.name != "grid.png"]
        np.savez_compressed(out, images=np.stack(images))
        (facts,) = project.glob("data/08_reporting/contest/*/training.json")
        return {"seconds": spent, "images_seen": json.loads(facts.read_text())["images_seen"]}


def run_kedro(project: Path, pipeline: str, env: str, params: dict) -> float:
    """Run one of our pipelines; give the seconds that its process took."""
    given = ",".join(f"{name}={value}" for name, value in params.items())
    command = [sys.executable, "-m", "kedro", "run", f"--pipelines={pipeline}", f"--env={env}"]
    return call([*command, f"--params={given}"], cwd=project)


def paint_peer(command: str, folder: Path, seed: int, out: Path, seconds: float) -> dict:
    """Run a peer's command; give the seconds that it took."""
    facts = {"images": folder, "seed": seed, "out": out, "seconds": seconds, "count": COUNT}
    return {"seconds": call(fill(command, **facts))}


def fill(command: str, **facts: object) -> list[str]:
    """Put facts into a command, paths with spaces too, and give its words."""
    return shlex.split(command.format(**{name: shlex.quote(str(f)) for name, f in facts.items()}))


def call(command: list[str], **options: object) -> float:
    """Run a command and give its seconds; if it fails, say so with what it has printed."""
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} has failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.monotonic() - start


def look(fake: Path, real: Path) -> dict:
    """Judge by EfficientNet-Lite2: `COUNT` images a side at most, each a center square."""
    from ganvas.metrics.extractors import load_extractor
    from ganvas.metrics.features import extract
    from ganvas.metrics.frechet import frechet_distance
    from ganvas.metrics.kid import kernel_distance
    from ganvas.metrics.prdc import compute_prdc

    files = sorted(f for f in real.rglob("*") if f.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = np.random.default_rng(0).permutation(len(files))[:COUNT]
    images = np.stack([crop(files[number]) for number in chosen])
    with np.load(fake) as painted:
        sides = (images, painted["images"][:COUNT])
    extractor = load_extractor("efficientnet_lite2")
    features = [extract(extractor, side, "features") for side in sides]
    four = compute_prdc(*features)
    return {
        "kid_e3": 1000 * kernel_distance(*features),
        "fd": frechet_distance(*features),
        "precision": four.precision,
        "recall": four.recall,
        "density": four.density,
        "coverage": four.coverage,
    }


def crop(file: Path) -> np.ndarray:
    """Read the center square of an image at the contest's size."""
    image = Image.open(file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def judge(judges: dict[str, str], fake: Path, real: Path) -> dict:
    """Ask every judge for its figures."""
    rows = {}
    for name, command in judges.items():
        asked = fill(command, fake=fake, real=real)
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        rows[name] = {figure: round(float(answer[figure]), 4) for figure in FIGURES}
    return rows


def hold(options: argparse.Namespace) -> None:
    """Train, paint and judge all that isn't there yet, in turn."""
    into, judges = options.into, options.judge or {"EfficientNet-Lite2": OWN_JUDGE}
    into.mkdir(parents=True, exist_ok=True)
    file = into / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for seed in range(options.seeds):
        for folder in options.folders:
            for name, paint in contestants(options).items():
                key = f"{folder.name} {options.minutes:g} {seed} {name}"
                row = results.setdefault(key, {})
                if row.setdefault("images", str(folder)) != str(folder):
                    sys.exit(f"{into} has results of {row['images']}: name another by --into.")
                fake = into / f"{key.replace(' ', '_')}.npz"
                if not fake.exists():
                    unfinished = fake.with_name(f".{fake.name}")
                    row = results[key] = {"images": str(folder)}
                    row |= paint(folder=folder, seed=seed, out=unfinished)
                    keep(results, file)
                    unfinished.replace(fake)
                missing = {who: asked for who, asked in judges.items() if who not in row}
                row |= judge(missing, fake, folder)
                keep(results, file)
                draw(fake, fake.with_suffix(".png"))
                print(key, json.dumps(row), flush=True)
                (into / "table.md").write_text(tell(results))


def contestants(options: argparse.Namespace) -> dict[str, Callable[..., dict]]:
    """Give who paints: functions of a folder, a seed and the file to write."""
    seconds = 60 * options.minutes
    them = {"Ganvas": partial(paint_ours, seconds=seconds, env=options.env, changes={})}
    for name, command in options.peer.items():
        them[name] = partial(paint_peer, command, seconds=seconds)
    if not options.peer:
        them["DCGAN"] = partial(paint_ours, seconds=seconds, env="base", changes=DCGAN)
    return them


def keep(results: dict, file: Path) -> None:
    """Write the results so that they are never seen half written."""
    unfinished = file.with_suffix(".partial")
    unfinished.write_text(json.dumps(results, indent=1))
    unfinished.replace(file)


def draw(fake: Path, grid: Path) -> None:
    """Lay the first images of a file in a grid."""
    with np.load(fake) as painted:
        images = painted["images"][: GRID_ROWS * GRID_COLUMNS]
    rows = images.reshape(GRID_ROWS, GRID_COLUMNS, SIDE, SIDE, 3).swapaxes(1, 2)
    Image.fromarray(rows.reshape(GRID_ROWS * SIDE, GRID_COLUMNS * SIDE, 3)).save(grid)


def tell(results: dict) -> str:
    """Give the table: the median over seeds, and from the least to the greatest."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for key, row in results.items():
        folder, minutes, _, name = key.split(" ")
        for who, figures in row.items():
            if isinstance(figures, dict):
                groups.setdefault((folder, minutes, who, name), []).append(figures)
    heads = ["collection", "minutes", "judge", "contestant", "seeds", "KID × 1000", *FIGURES[1:]]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for group, rows in sorted(groups.items()):
        cells = [*group, str(len(rows))]
        for figure in FIGURES:
            values = sorted(row[figure] for row in rows)
            middle = f"{statistics.median(values):.3g}"
            few = len(values) < 2
            cells.append(middle if few else f"{middle} ({values[0]:.3g} to {values[-1]:.3g})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def named(text: str) -> tuple[str, str]:
    """Read NAME=COMMAND."""
    name, _, command = text.partition("=")
    if not command or " " in name:
        raise argparse.ArgumentTypeError(f"{text!r} isn't NAME=COMMAND, NAME without spaces")
    return name, command


def main() -> None:
    """Hold the contest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=lambda text: Path(text).resolve())
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--env", default="base")
    parser.add_argument("--peer", action="append", type=named, default=[])
    parser.add_argument("--judge", action="append", type=named, default=[])
    parser.add_argument("--into", type=Path, default=ROOT / "data" / "08_reporting" / "contest")
    parser.add_argument("--look", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        print(json.dumps(look(*options.look)))
        return
    missing = [str(folder) for folder in options.folders if not folder.is_dir()]
    if missing or not options.folders:
        parser.error(f"no such folder: {', '.join(missing)}" if missing else "name a folder")
    names = [folder.name for folder in options.folders]
    if len(set(names)) < len(names) or " " in "".join(names):
        parser.error(
            "folders are told apart by their last names, which must differ, without spaces"
        )
    options.peer, options.judge = dict(options.peer), dict(options.judge)
    hold(options)


if __name__ == "__main__":
    main()
