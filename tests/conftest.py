"""What several tests need: a project of their own, a tiny collection, tiny networks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from ganvas.networks.dcgan import DcganParams, build_dcgan

ROOT = Path(__file__).parents[1]
TINY = {
    "ingest.size": 32,
    "ingest.source.sample.pictures": 24,
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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty clone of the project: its configuration without data."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf" / "local").mkdir()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kedro_run(project: Path) -> Callable[..., Result]:
    """`kedro run` in the empty clone, at a tiny size: options, then parameters by their keys."""

    def run(*options: str, **params: object) -> Result:
        chosen = TINY | {key.replace("__", "."): value for key, value in params.items()}
        text = ",".join(f"{key}={value}" for key, value in chosen.items())
        command = ["run", *options, f"--params={text}"]
        return CliRunner().invoke(KedroCLI(project_path=project), command)

    return run


@pytest.fixture
def pictures() -> np.ndarray:
    """Twenty smooth random pictures, uint8 of shape (20, 32, 32, 3)."""
    coarse = np.random.default_rng(3).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture
def networks() -> tuple[keras.Model, keras.Model]:
    """A generator and a discriminator for 32×32 pixels, as narrow as they go."""
    keras.utils.set_random_seed(0)
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    generator, discriminator, _ = build_dcgan(params, (32, 32, 3))
    return generator, discriminator
