"""`kedro disk` in a project with made-up runs, and in one with real runs."""

import json

import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from made_up_runs import MODEL, add_entry, add_run, set_newest, version_name, versions
from projects import error_sentence


@pytest.fixture
def data(shared_project):
    data = shared_project / "data"
    for number in range(4):
        add_run(data, number)
    add_entry(data, 1, model_version=version_name(1))
    set_newest(data, 3)
    return data


@pytest.fixture
def disk(cli):
    def run(*options: str) -> Result:
        return CliRunner().invoke(cli, ["disk", *options])

    return run


def test_everything_is_listed_and_nothing_goes_without_delete(data, disk):
    listed = disk()
    assert listed.exit_code == 0, listed.output
    assert "are free on its disk." in listed.output and "models (4)" in listed.output
    assert "kept: the leaderboard's sample-dcgan-" in listed.output
    assert "seed=2" in listed.output
    planned = disk("--versions-keep=1", "--checkpoints=unfinished", "--only=sample/*")
    assert planned.exit_code == 0
    assert f"{MODEL} models {version_name(2)}: older than the newest" in planned.output
    assert "A rule names these too, but they stay:" in planned.output
    line = "kedro disk --versions-keep=1 --checkpoints=unfinished '--only=sample/*' --delete"
    assert planned.output.splitlines()[-1].strip() == line
    assert len(versions(data)) == 4

    deleted = disk("--versions-keep=1", "--checkpoints=unfinished", "--only=sample/*", "--delete")
    assert deleted.exit_code == 0 and "Deleted: 4 of " in deleted.output
    assert versions(data) == {version_name(1), version_name(3)}
    again = disk("--versions-keep=1", "--older-than=1h", "--delete")
    assert "Deleted: 0 of " in again.output


def test_json_has_all_numbers_and_what_was_chosen(data, disk):
    result = disk("--json", "--versions-keep=1")
    found = json.loads(result.output)
    assert found["bytes"] == sum(item["bytes"] for item in found["items"])
    assert {entry["deleted"] for entry in found["chosen"]} == {False}
    assert found["chosen"][0]["paths"][0].startswith(f"data/06_models/{MODEL}/class_list.json/")
    assert json.loads(disk("--json").output)["chosen"] == []


def test_a_marked_version_stays(data, disk):
    title = f"{MODEL}/{version_name(0)}"
    assert disk(f"--mark={title}").output.strip() == f"{title} is marked: no rule deletes it."
    assert disk("--versions-keep=1", "--delete").exit_code == 0
    assert version_name(0) in versions(data)
    assert "is not marked" in disk(f"--unmark={title}").output


def test_errors_are_one_sentence(data, disk):
    assert "No option says what may go" in error_sentence(disk("--older-than=30d"))
    assert "No option says what may go" in error_sentence(disk("--delete"))
    assert "it must be a number of hours" in error_sentence(disk("--temporary", "--older-than=3"))
    assert "There is no version 'x'" in error_sentence(disk("--mark=x"))
    # A variable of the shell that is not set.
    for option in ("--only=", "--older-than=", "--mark="):
        assert f"{option[:-1]} is empty" in error_sentence(disk("--temporary", "--delete", option))


@pytest.mark.exhaustive
def test_pruned_models_are_sampled_evaluated_and_resumed(project, kedro_run):
    stages = "--pipelines=train,evaluate,report"
    for epochs in (1, 2):
        assert kedro_run(stages, train__epochs=epochs).exit_code == 0
    data = project / "data"
    # The epoch that was evaluated first is named by no entry any more, since the run goes on.
    newest = json.loads((data / f"08_reporting/{MODEL}/training.json").read_text())["version"]
    for file in (data / "08_reporting/leaderboard").glob("*.json"):
        entry = json.loads(file.read_text())
        file.write_text(json.dumps(entry | {"model_version": newest}))
    options = ["--versions-keep=1", "--checkpoints=all-but-latest", "--snapshots=thin", "--delete"]
    result = CliRunner().invoke(KedroCLI(project_path=project), ["disk", *options])
    assert result.exit_code == 0 and "Deleted: 2 of " in result.output, result.output
    assert versions(data) == {newest}
    result = kedro_run(f"{stages},sample", train__epochs=3, sample__count=2)
    assert result.exit_code == 0, result.output
    summary = json.loads((data / f"08_reporting/{MODEL}/training.json").read_text())
    # It resumed: the run is still that of the first command.
    assert summary["epochs"] == 3
    assert len(list((data / f"07_model_output/{MODEL}/snapshots").iterdir())) == 1
    assert versions(data) == {newest, summary["version"]}
