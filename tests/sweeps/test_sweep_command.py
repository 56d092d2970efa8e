"""`kedro sweep` as users run it: its runs are processes, and one is killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from projects import DCGAN, ROOT, TINY, error_sentence, make_project

# The second run is killed after its first epochs, and must then have some left.
LONG = {"train.epochs": 150, "train.snapshot_interval": 50}
PARAMS = "--params=" + ",".join(f"{k}={v}" for k, v in (TINY | DCGAN | LONG).items())
SECONDS = 600


def start(project, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "sweep", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def entries(project) -> dict:
    """When each seed's run of the leaderboard has started."""
    files = (project / "data/08_reporting/leaderboard").glob("*.json")
    found = [json.loads(file.read_text()) for file in files]
    assert len({entry["seed"] for entry in found}) == len(found)
    return {entry["seed"]: entry["started"] for entry in found}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_killed_sweep_continues_and_repeats_no_run(tmp_path):
    project = make_project(tmp_path)
    command = ["train.seed=0..1", PARAMS, "--name=seeds"]
    folder = project / "data/08_reporting/sweeps/seeds"
    sweep = start(project, *command)
    deadline = time.monotonic() + SECONDS
    while not (folder / "logs/.002.progress.json").exists() and time.monotonic() < deadline:
        assert sweep.poll() is None, sweep.stdout.read()
        time.sleep(0.05)
    sweep.kill()
    sweep.wait()
    first = entries(project)
    assert first.keys() == {0}

    sweep = start(project, *command)
    output = sweep.communicate(timeout=SECONDS)[0]
    assert sweep.returncode == 0, output
    # What was killed may not have ended yet, but has begun to save.
    assert "  1. train.seed=0: done already\n" in output
    assert "Run 1 of 2" not in output and "Run 2 of 2 is finished" in output
    assert entries(project)[0] == first[0] and entries(project).keys() == {0, 1}
    logs = [(folder / f"logs/00{number}.log").read_text() for number in (1, 2)]
    assert [log.count("\n# 20") for log in logs] == [1, 2]
    assert re.search("Resuming after epoch [1-9]", logs[1])

    # The results, on the terminal and in files.
    assert re.search(r"\| runs \| Diversity within clusters, in pixels ↑ +\|", output)
    summary = json.loads((folder / "summary.json").read_text())
    assert [run["state"] for run in summary["runs"]] == ["done", "finished"]
    (group,) = summary["groups"]
    assert group["values"] == {} and group["runs"] == 2
    assert "| 2    |" in (folder / "summary.md").read_text()
    assert (project / "data/08_reporting/comparison.html").exists()


def sweep_in(shared_project, cli, *arguments: str):
    return CliRunner().invoke(cli, ["sweep", *arguments])


def test_the_plan_and_the_commands_are_printed(cli, shared_project):
    result = sweep_in(shared_project, cli, "train.seed=0..1", "--env=gpu", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "2 run(s): 2 to train.",
        "  1. train.seed=0: to train",
        "  2. train.seed=1: to train",
        "kedro run --env=gpu --params=train.seed=0",
        "kedro run --env=gpu --params=train.seed=1",
    ]
    assert not (shared_project / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.seeds=0..1"], "With train.seeds=0: Unknown parameter 'train.seeds'"),
        (["train.seed=0", "--params=train.seed=1"], "--params sets train.seed too"),
        (["train.seed=0", "--metric=recall"], "add --trials=8, or leave it out"),
        (["train.seed=0..2", "--trials=3"], "can't vary train.seed, whose best value is luck"),
        (["train.seed=0", "--name=a/b"], "--name can't be 'a/b': it must be the name of a folder"),
        (["train.seed=0", f"--name={'本' * 81}"], "--name can't have more than 240 bytes"),
        (["train.seed=0", "--env=celebb"], "There is no environment 'celebb'"),
        (["train.ema_decay=0.5..0.9"], "add --trials=8 to search in it"),
        (["train.seed=0", "--params="], "--params is empty"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(cli, shared_project, arguments, message):
    result = sweep_in(shared_project, cli, *arguments)
    assert message in error_sentence(result)


def test_a_name_whose_folder_cannot_be_made_is_refused(cli, shared_project):
    command = ["train.seed=0", "--name=results"]
    file = shared_project / "data/08_reporting/sweeps/results"
    file.parent.mkdir(parents=True)
    file.touch()
    try:
        result = sweep_in(shared_project, cli, *command)
    finally:
        shutil.rmtree(shared_project / "data")
    assert "set another --name" in error_sentence(result)


def test_a_process_ends_with_the_sweep_that_has_started_it(tmp_path):
    script = "import time; from ganvas.sweeps.child import _end_with_parent; _end_with_parent()"
    child = [sys.executable, "-c", f"{script}; print('ready', flush=True); time.sleep(60)"]
    parent = f"import subprocess; print(subprocess.Popen({child!r}).wait())"
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    # Its end of the pipe is closed.
    assert process.stdout.read() == ""
