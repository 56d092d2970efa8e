"""The command in a run's summary makes the same images and weights, to the bit."""

import json
import re
import shlex
import zipfile
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI

from ganvas.sample_collection import build_collection
from projects import cached_draw_image, make_project, write_parameters

# The default network and its training, small; three steps of two an epoch.
LOCAL = {
    "ingest.size": 32,
    "ingest.source.sample.images": 24,
    "train.seed": 5,
    "train.batch_size": 8,
    "train.snapshot_rows": 1,
    "train.snapshot_columns": 3,
    "network.projected.latent": 6,
    "network.projected.generator_width": 2,
    "network.projected.projection": 4,
    "network.projected.head_width": 4,
    "network.projected.pixel_width": 2,
    "sample.count": 8,
}
FOLDER = "sample/projected_by_genre"
# When a run began.
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d.]+")


def run(project: Path, monkeypatch, command: str) -> None:
    monkeypatch.chdir(project)
    with mock.patch.object(build_collection, "draw_image", cached_draw_image):
        words = [*shlex.split(command)[1:], "--pipelines=train,sample"]
        result = CliRunner().invoke(KedroCLI(project_path=project), words)
    assert result.exit_code == 0, result.output


def read_results(project: Path) -> dict[str, bytes]:
    """Read all PNG files, by their paths without times, and the arrays of all checkpoints."""
    results = {}
    for file in (project / "data").rglob("*"):
        name = TIME.sub("TIME", str(file.relative_to(project)))
        if file.suffix == ".png":
            results[name] = file.read_bytes()
        elif file.suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                arrays = [member for member in archive.namelist() if member.endswith(".npy")]
                results |= {f"{name}/{member}": archive.read(member) for member in arrays}
    return results


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_command_of_a_run_makes_the_same_bytes(tmp_path, monkeypatch):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
        make_project(folder)
    write_parameters(first / "conf/local/parameters.yml", LOCAL)
    run(first, monkeypatch, "kedro run --params=train.max_steps=3")
    summary = json.loads((first / f"data/08_reporting/{FOLDER}/training.json").read_text())
    assert summary["ended_by"] == "steps" and summary["steps"] == 3 and summary["epochs"] == 2
    # Without the first one's conf/local, whose parameters are in the command.
    run(second, monkeypatch, summary["command"])
    expected, actual = read_results(first), read_results(second)
    assert sorted(actual) == sorted(expected)
    assert [name for name in expected if actual[name] != expected[name]] == []
    names = {Path(name).name for name in expected}
    assert {"grid.png", "epoch_00001.png", "epoch_00002.png", "0000.npy"} <= names
    assert any("step-0000001.npz/ema_generator" in name for name in expected)
