"""How runs are executed, with processes that take no time, and what is shown of them."""

import pytest

from ganvas.sweeps import execute as execute_module
from ganvas.sweeps.execute import Grid, _Active, describe_progress, execute
from ganvas.sweeps.launch import LocalLauncher, Progress, read_error
from ganvas.sweeps.plan import PlannedRun, Settings, plan_run
from ganvas.sweeps.summary import describe_groups, group_rows
from ganvas.sweeps.values import describe_values
from projects import ROOT


def test_a_run_that_fails_is_told_and_the_next_one_begins(cli, shared_project, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    settings = Settings(shared_project, None, None, {})
    runs = [plan_run(settings, {"train.seed": seed}) for seed in (0, 1)]
    # Such as after a file of the configuration was broken; both fail before any work.
    runs = [run._replace(options=["run", "--pipelines=paint"]) for run in runs]
    source, folder = Grid(runs), shared_project / "data/sweep"
    execute(settings, source, LocalLauncher(2), folder)
    assert [outcome.state for outcome in source.outcomes.values()] == ["failed", "failed"]
    assert source.outcomes[2].message.startswith("There is no pipeline 'paint'")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Run 1 of 2: train.seed=0", "Run 2 of 2: train.seed=1"]
    # On a slow machine, lines of progress are between them.
    failed = [line for line in lines if "failed after" in line]
    assert len(failed) == 2 and all(".log)" in line for line in failed)


def test_the_error_is_that_of_the_last_start(tmp_path):
    log = tmp_path / "001.log"
    log.write_text("\n# 2026-01-01: run\nError: The first.\n\n# 2026-01-02: run\nline\nlast\n")
    assert read_error(log) == "last"
    log.write_text("\n# 2026-01-01: run\nError: One sentence.\n  more\n")
    assert read_error(log) == "One sentence."
    log.write_text("\n# 2026-01-01: run\n")
    assert read_error(log) == "it wrote nothing"


@pytest.mark.parametrize(
    ("progress", "durations", "expected"),
    [
        (None, [], "Run 2 of 4, starting"),
        (None, [100], "Run 2 of 4, starting; all runs: 4 min 30 s left"),
        (
            Progress(3, 12, {}),
            [],
            "Run 2 of 4, epoch 3 of 12, 1 min 30 s left; all runs: 5 min 30 s left",
        ),
        (Progress(3, None, {}), [], "Run 2 of 4, epoch 3"),
        (Progress(3, 3, {}), [], "Run 2 of 4, evaluated after epoch 3"),
        (Progress(3, 3, {}), [20], "Run 2 of 4, evaluated after epoch 3; all runs: 40 s left"),
        # The first epoch was complete, or a run resumed, after 20 seconds: 1 epoch in 5 seconds.
        (Progress(3, 5, {}), [], "Run 2 of 4, epoch 3 of 5, 10 s left; all runs: 1 min 30 s left"),
    ],
)
def test_progress_has_epochs_and_the_time_left(monkeypatch, progress, durations, expected):
    monkeypatch.setattr(execute_module.time, "monotonic", lambda: 30.0)
    run = PlannedRun({}, [], None, "new", None)
    active = _Active(2, run, None, None, start=0.0, progress=progress)
    if progress == Progress(3, 5, {}):
        active.first = (1, 20.0)
    assert describe_progress([active], 4, durations, 1) == expected


def test_of_the_last_run_that_is_evaluated_no_time_is_left_to_show(monkeypatch):
    monkeypatch.setattr(execute_module.time, "monotonic", lambda: 30.0)
    run = PlannedRun({}, [], None, "new", None)
    active = _Active(4, run, None, None, start=0.0, progress=Progress(3, 3, {}))
    assert describe_progress([active], 4, [20], 1) == "Run 4 of 4, evaluated after epoch 3"


def test_seeds_are_joined_to_medians_and_ranges():
    def row(name, seed, distance):
        metrics = {} if distance is None else {"kernel_distance": distance}
        titles = {"kernel_distance": "Kernel distance to test images (KD-lite2)"} if metrics else {}
        values = {"network.name": name, "train.seed": seed}
        return {"values": values, "metrics": metrics, "titles": titles}

    values = [("dcgan", 0.3), ("dcgan", 0.1), ("dcgan", 0.2), ("r3gan", 0.4), ("r3gan", None)]
    rows = [row(name, seed, distance) for seed, (name, distance) in enumerate(values)]
    first, second = group_rows(rows)
    assert first["metrics"] == {"kernel_distance": {"median": 0.2, "min": 0.1, "max": 0.3}}
    assert (first["runs"], second["runs"]) == (3, 1)
    assert describe_values(second["values"]) == "network.name=r3gan"
    assert describe_groups(rows).splitlines() == [
        "| network.name | runs | Kernel distance to test images × 1000 ↓ |",
        "|--------------|------|-----------------------------------------|",
        "| dcgan        | 3    | 200.0 (100.0 to 300.0)                  |",
        "| r3gan        | 1    | 400.0                                   |",
    ]
