"""The Airflow DAG of the stages that `kedro airflow create` writes."""

import importlib.util
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI

import airflow_sdk
from airflow_sdk import DAGS, Task
from projects import DCGAN, TINY, write_parameters

pytestmark = pytest.mark.slow

DEPENDENCIES = {
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
    command = ["airflow", "create", "--group-by=namespace"]
    result = CliRunner().invoke(KedroCLI(project_path=project), command)
    assert result.exit_code == 0, result.output
    return read_dag(project)


@pytest.mark.exhaustive
def test_each_stage_is_a_task_and_tasks_run_in_order_of_their_dependencies(project, tasks):
    assert {name: task.upstream for name, task in tasks.items()} == DEPENDENCIES
    parameters = project / "conf/local/parameters.yml"
    write_parameters(parameters, TINY | DCGAN | {"train.epochs": 1})
    order = TopologicalSorter(DEPENDENCIES).static_order()
    # Each task has its own session, so tasks may not depend on datasets in memory.
    for name in order:
        tasks[name].run()
    assert (project / "data/08_reporting/sample/dcgan/report.html").is_file()
