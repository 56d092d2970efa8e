"""Commands that run no node import no library that takes long to import, TensorFlow above all."""

import json
import os
import subprocess
import sys

import pytest

from projects import ROOT, make_project

pytestmark = pytest.mark.slow

SLOW_TO_IMPORT = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy"}
# Runs a command, and writes the names of imported packages at the end.
RUN = """
import json, sys
from kedro.framework.cli.cli import main
try:
    main()
finally:
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print("\\n" + json.dumps(packages))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


def run(project, *arguments: str) -> tuple[str, set[str]]:
    """Run a Kedro command in a process of its own; return its output and the imported packages."""
    result = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    *lines, packages = result.stdout.splitlines()
    return "\n".join(lines) + result.stderr, set(json.loads(packages))


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("--help", "gallery"),
        ("run --help", "--pipelines"),
        ("gallery --help", "--port"),
        ("disk", "What may go, for example: kedro disk"),
        ("epochs", "There is no collection at"),
        ("registry list", "- compare"),
        ("registry describe", "train.train_gan (train_gan)"),
        ("catalog describe-datasets", "AtomicModelDataset"),
        ("catalog list-patterns", ""),
        ("catalog resolve-patterns", "report.html"),
        ("run --params=train.epoch=1", "Unknown parameter 'train.epoch'"),
        ("run --params=network.name=dcgam", "Parameter 'network.name' can't be 'dcgam'"),
        ("run --params=evaluate.extractor=eyes", "'evaluate.extractor' can't be 'eyes'"),
        ("run --pipelines=paint", "There is no pipeline 'paint'"),
        ("run --env=celebb", "There is no environment 'celebb'"),
        ("run --pipelines=evaluate", "There is no class_list yet"),
    ],
)
def test_a_command_that_runs_no_node_imports_nothing_slow(project, command, output):
    printed, packages = run(project, *command.split())
    assert output in printed
    assert "Traceback" not in printed
    assert not packages & SLOW_TO_IMPORT
    # Kedro's own command of that name is left out.
    assert printed.count("  run ") == (command == "--help")
