"""Airflow's DAG of the stages, as `kedro airflow create` writes it."""

import importlib.util
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI

import airflow_sdk
from airflow_sdk import DAGS, Task
from projects import DCGAN, TINY

NEEDS = {
    "ingest": set(),
    "train": {"ingest"},
    "evaluate": {"ingest", "train"},
    "report": {"ingest", "train", "evaluate"},
}


def read_dag(project: Path) -> dict[str, Task]:
    (file,) = (project / "airflow_dags").glob("*.py")
    spec = importlib.util.spec_from_file_location("generated_dag", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return DAGS["ganvas"]


@pytest.fixture
def tasks(project, monkeypatch) -> dict[str, Task]:
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", airflow_sdk)
    words = ["airflow", "create", "--group-by=namespace"]
    result = CliRunner().invoke(KedroCLI(project_path=project), words)
    assert result.exit_code == 0, result.output
    return read_dag(project)


def test_each_stage_is_a_task_and_they_run_in_order(project, tasks):
    assert {name: task.after for name, task in tasks.items()} == NEEDS
    tree: dict = {}
    for key, value in (TINY | DCGAN | {"train.epochs": 1}).items():
        *parents, last = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = yaml.safe_load(str(value))
    (project / "conf/local/parameters.yml").write_text(yaml.safe_dump(tree))
    order = TopologicalSorter(NEEDS).static_order()
    # Each in a session of its own, so nothing that stays in memory may go from one to another.
    for name in order:
        tasks[name].run()
    assert (project / "data/08_reporting/sample/dcgan/report.html").is_file()
