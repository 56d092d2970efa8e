"""Projects of their own for tests: clones of this one without data, run at a tiny size."""

import functools
import shutil
from pathlib import Path
from unittest import mock

from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from ganvas.sample_collection import build_collection

ROOT = Path(__file__).parents[1]
# What two tiny models are called: without classes, and by genre.
PLAIN, BY_CLASS = "sample/dcgan", "sample/dcgan_by_genre"
# Unless a preset chooses: quick to train, and in nothing clever.
DCGAN = {
    "network.name": "dcgan",
    "network.label": "null",
    "train.loss.name": "non_saturating",
    "train.augment.name": "none",
    "train.anchor.every": "null",
    "train.simultaneous_updates": "false",
}
TINY = {
    "ingest.size": 32,
    "ingest.source.sample.images": 24,
    "network.dcgan.latent": 6,
    "network.dcgan.generator_width": 2,
    "network.dcgan.discriminator_width": 2,
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.snapshot_rows": 4,
    "train.snapshot_columns": 3,
    "evaluate.count": 10,
    "evaluate.extractor": "null",
    "report.rows": 2,
    "report.columns": 3,
}


# Dozens of projects have the same few images.
paint_once = functools.cache(build_collection.paint_image)


def make_project(folder: Path) -> Path:
    """Make an empty clone of the project in a folder: its configuration without data."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "conf" / "local").mkdir()
    (folder / "src").mkdir()
    return folder


def run_kedro(project: Path, *options: str, **params: object) -> Result:
    """`kedro run` in a project, at a tiny size: options, then parameters by their keys."""
    preset = any(option.startswith("--env") for option in options)
    chosen = (
        TINY
        | ({} if preset else DCGAN)
        | {key.replace("__", "."): value for key, value in params.items()}
    )
    text = ",".join(f"{key}={value}" for key, value in chosen.items())
    command = ["run", *options, f"--params={text}"]
    with mock.patch.object(build_collection, "paint_image", paint_once):
        return CliRunner().invoke(KedroCLI(project_path=project), command)
