"""Temporary projects for tests: copies of this one without data, run at a tiny size."""

import atexit
import functools
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

import click
import yaml
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from ganvas import settings
from ganvas.cli import run
from ganvas.config_loader import GanvasConfigLoader
from ganvas.run_options import read_params
from ganvas.sample_collection import build_collection

ROOT = Path(__file__).parents[1]
# Names of two tiny models: without classes, and conditional on the genre.
PLAIN, BY_CLASS = "sample/dcgan", "sample/dcgan_by_genre"
# A plain DCGAN, which is quick to train; not used with a preset.
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
    # The split is by the files' hashes; with this seed, some of so few images are for validation.
    "ingest.source.sample.seed": 5,
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


# Dozens of tests use the same few images.
cached_draw_image = functools.cache(build_collection.draw_image)


def make_project(folder: Path) -> Path:
    """Create an empty copy of the project in a folder: its configuration without data."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "conf" / "local").mkdir()
    (folder / "src").mkdir()
    return folder


def build_wheel(folder: Path) -> Path:
    """Write the wheel and the archive of conf to a folder, as `kedro package`; return the wheel."""
    with tempfile.TemporaryDirectory() as source:
        ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "src", f"{source}/src", ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        build = ["-m", "build", "--wheel", "--no-isolation", f"--outdir={folder}", source]
        subprocess.run([sys.executable, *build], check=True, capture_output=True)
    with tarfile.open(folder / "conf-ganvas.tar.gz", "w:gz") as archive:
        archive.add(
            ROOT / "conf",
            "conf",
            filter=lambda file: None if file.name.startswith("conf/local/") else file,
        )
    (wheel,) = folder.glob("ganvas-*.whl")
    return wheel


@functools.cache
def plain_project() -> Path:
    """Return a copy of the project without what conf/local may hold on a developer's machine."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_project(folder)


def make_loader(
    env: str | None = "base", params: dict | None = None, conf: Path | None = None
) -> GanvasConfigLoader:
    """Return a loader of conf, with presets and runtime parameters."""
    return settings.CONFIG_LOADER_CLASS(
        str(conf or plain_project() / "conf"),
        env=env,
        runtime_params=params,
        **settings.CONFIG_LOADER_ARGS,
    )


def load_config(
    kind: str, env: str | None = "base", params: dict | None = None, project: Path | None = None
) -> dict:
    """Load "parameters" or "catalog" from conf, with presets and runtime parameters."""
    return make_loader(env, params, project and project / "conf")[kind]


def write_parameters(file: Path, params: dict[str, object]) -> None:
    """Write parameters with dotted keys to a YAML file."""
    tree: dict = {}
    for key, value in params.items():
        *parents, last = key.split(".")
        group = tree
        for name in parents:
            group = group.setdefault(name, {})
        group[last] = yaml.safe_load(value) if isinstance(value, str) else value
    file.write_text(yaml.safe_dump(tree))


def run_kedro(project: Path, *options: str, **params: object) -> Result:
    """Run `kedro run` in a project at a tiny size, with options and parameters by their keys.

    Two underscores stand for a dot: `train__epochs=1` is `--params=train.epochs=1`.
    """
    preset = any(option.startswith("--env") for option in options)
    chosen = (
        TINY
        | ({} if preset else DCGAN)
        | {key.replace("__", "."): value for key, value in params.items()}
    )
    text = ",".join(f"{key}={value}" for key, value in chosen.items())
    command = ["run", *options, f"--params={text}"]
    with mock.patch.object(build_collection, "draw_image", cached_draw_image):
        return CliRunner().invoke(KedroCLI(project_path=project), command)


def list_passed(command: list[str], folder: Path) -> list[str]:
    """Return the arguments that `make run` of this project passes to kedro.

    Args:
        command: Words of the command.
        folder: An empty folder, for the program that takes the place of kedro.
    """
    kedro = folder / "kedro"
    kedro.write_text("#!/bin/sh\nprintf '%s|' \"$@\"\n")
    kedro.chmod(0o755)
    # What is installed is left as it is.
    make = [*command, "--silent", "--directory", str(ROOT), "-o.venv/.installed", f"BIN={folder}"]
    shell = subprocess.run(make, check=True, capture_output=True, text=True)
    lines = [line for line in shell.stdout.split("\n") if not line.startswith("make[")]
    return "\n".join(lines).split("|")[:-1]


def error_sentence(result: Result) -> str:
    """Return the error of a failed command, which must be its last line, without a traceback."""
    assert result.exit_code == 1
    lines = result.output.splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    assert errors == [len(lines) - 1] and "Traceback" not in result.output
    return lines[-1]


def read_option(text: str) -> dict:
    """Return parameters as the project's commands read them from `--params=text`."""
    (option,) = [option for option in run.params if option.name == "params"]
    return read_params(click.Context(run), option, text)
