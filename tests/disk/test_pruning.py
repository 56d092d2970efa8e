import os
import time
from pathlib import Path

import pytest

from ganvas.disk import pruning
from ganvas.disk.items import CHECKPOINTS, SNAPSHOTS, TEMPORARY
from ganvas.disk.pruning import LATEST, Rules, choose_removals, delete, parse_age
from ganvas.disk.references import mark_version
from ganvas.disk.usage import measure_usage
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock
from made_up_runs import (
    MODEL,
    add_entry,
    add_run,
    run_name,
    set_newest,
    version_name,
    versions,
    write,
)

ALL = Rules(
    versions_keep=1,
    checkpoints=frozenset({LATEST, "finished", "set-aside", "unfinished"}),
    snapshots=True,
    collections=True,
    unpacked=True,
    temporary=True,
)


@pytest.fixture
def data(tmp_path) -> Path:
    """Twenty runs: every fourth is on the leaderboard, every second of those without a version."""
    data = tmp_path / "data"
    for number in range(20):
        add_run(data, number)
    for number in range(0, 20, 4):
        more = {"model_version": version_name(number)} if number % 8 == 0 else {}
        add_entry(data, number, **more)
    set_newest(data, 19)
    # The file of the lock names who took it last.
    with exclusive_lock(data / "06_models" / MODEL, "trains", "wait"):
        return data


def prune(data, rules: Rules) -> int:
    usage = measure_usage(data)
    plan = choose_removals(usage, rules)
    for removal in plan.removals:
        delete(removal, usage)
    freed = sum(removal.size for removal in plan.removals)
    after = measure_usage(data)
    assert usage.size - freed == after.size
    # Without their checkpoints, more snapshots are of no use.
    assert not choose_removals(after, rules._replace(snapshots=False)).removals
    return freed


def list_files(data) -> list[str]:
    return sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())


def test_of_twenty_runs_nothing_that_results_name_is_lost(data):
    mark_version(data / "06_models", f"{MODEL}/{version_name(2)}", True)
    results = list_files(data / "08_reporting")
    before = measure_usage(data).size
    freed = prune(data, ALL)
    assert freed > before / 2
    entries = set(range(0, 20, 4))
    assert versions(data) == {version_name(number) for number in {*entries, 2, 19}}
    assert list_files(data / "08_reporting") == results
    # Of the newest run alone the checkpoints stay, and of each the snapshots of a strip.
    checkpoints = data / "06_models" / MODEL / "checkpoints"
    assert list_files(checkpoints) == [
        f"{19:012x}/epoch-000012-step-0000000.npz",
        f"{19:012x}/run.json",
    ]
    snapshots = data / "07_model_output" / MODEL / "snapshots"
    for number in range(19):
        epochs = [int(file.stem[6:]) for file in sorted((snapshots / run_name(number)).iterdir())]
        assert epochs == [1, 2, 4, 8, 11, 12]
    assert len(list((snapshots / run_name(19)).iterdir())) == 12


@pytest.mark.parametrize("count", [1, 3, 20, 50])
def test_the_newest_versions_stay_beside_those_that_results_name(data, count):
    prune(data, Rules(versions_keep=count))
    kept = {*range(0, 20, 4), *range(max(20 - count, 0), 20)}
    assert versions(data) == {version_name(number) for number in kept}


def test_a_version_in_the_future_does_not_count_among_the_newest(data):
    add_run(data, 30000)
    prune(data, Rules(versions_keep=2))
    assert {version_name(30000), version_name(19), version_name(18)} < versions(data)


def test_each_state_of_a_run_is_asked_for(data):
    folder = data / "06_models" / MODEL / "checkpoints"
    aside = f"{3:012x}-until-2026-02-01T00.00.00.000000"
    (folder / f"{3:012x}").rename(folder / aside)
    prune(data, Rules(checkpoints=frozenset({"finished"})))
    runs = {run.name for run in folder.iterdir()}
    assert runs == {
        aside,
        *(f"{number:012x}" for number in range(20) if number % 4 and number != 3),
    }
    prune(data, Rules(checkpoints=frozenset({"set-aside"})))
    assert {run.name for run in folder.iterdir()} == runs - {aside}
    prune(data, Rules(checkpoints=frozenset({"unfinished"})))
    assert {run.name for run in folder.iterdir()} == {f"{19:012x}"}


def test_only_the_latest_checkpoints_stay_the_best_and_the_marked(data):
    run = data / "06_models" / MODEL / "checkpoints" / f"{5:012x}"
    write(run / "best.npz")
    (run.with_name(f"{6:012x}") / "marked.json").write_text("[11]")
    prune(data, Rules(checkpoints=frozenset({LATEST})))
    assert list_files(run) == ["best.npz", "epoch-000012-step-0000000.npz", "run.json"]
    assert len(list_files(run.with_name(f"{6:012x}"))) == 4


def test_age_and_owner_restrict_all_rules(data):
    add_run(data, 0, model="sample/r3gan")
    add_run(data, 1, model="sample/r3gan")
    days = (
        time.time() - (data / "06_models" / MODEL / "checkpoints" / f"{10:012x}").stat().st_mtime
    ) / 86400
    rules = ALL._replace(older_than=days * 86400)
    plan = choose_removals(measure_usage(data), rules)
    named = {removal.item.name for removal in plan.removals if removal.item.kind == CHECKPOINTS}
    assert named == {f"{number:012x}" for number in range(11)}
    for pattern in ("sample/r3gan", "*/r3*"):
        plan = choose_removals(measure_usage(data), ALL._replace(only=pattern))
        assert {removal.item.owner for removal in plan.removals} == {"sample/r3gan"}
    plan = choose_removals(measure_usage(data), ALL._replace(only="sample"))
    assert {removal.item.owner for removal in plan.removals} == {"sample/r3gan", MODEL}
    assert not choose_removals(measure_usage(data), ALL._replace(only="sam")).removals


def test_no_rule_chooses_nothing(data):
    assert choose_removals(measure_usage(data), Rules()) == ([], [])


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2592000), (" 12h", 43200), ("1.5w", 907200)])
def test_ages_are_hours_days_or_weeks(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "-3d", "3 d", "d", "3m", "1e3d", "٣d", "9" * 99 + "d"])
def test_other_ages_are_refused(text):
    with pytest.raises(GanvasError, match="such as 12h, 30d or 8w"):
        parse_age(text)


# While a run trains it locks its own checkpoints alone.
@pytest.mark.parametrize("locked", [".", f"checkpoints/{1:012x}", "checkpoints/of-a-new-run"])
def test_while_a_run_is_going_on_nothing_of_its_model_goes(data, locked):
    usage = measure_usage(data)
    plan = choose_removals(usage, ALL)
    files = list_files(data)
    with exclusive_lock(data / "06_models" / MODEL / locked, "trains", "wait"):
        # It began before the list was made, or after.
        assert not choose_removals(measure_usage(data), ALL).removals
        for removal in plan.removals:
            with pytest.raises(GanvasError, match=r"Another run uses .*: wait for it, or delete"):
                delete(removal, usage)
    assert {*files} <= {*list_files(data)}


def test_what_is_gone_meanwhile_is_fine(data):
    usage = measure_usage(data)
    plan = choose_removals(usage, ALL)
    prune(data, ALL)
    for removal in plan.removals:
        delete(removal, usage)
    assert versions(data) and not list((data / "06_models" / MODEL).glob(".*"))


def test_links_are_neither_followed_nor_deleted(data, tmp_path):
    generators = data / "06_models" / MODEL / "generator.keras"
    generators.rename(tmp_path / "elsewhere")
    generators.symlink_to(tmp_path / "elsewhere")
    prune(data, ALL)
    # Nor do the others of the same versions go.
    assert len(versions(data)) == 20


def test_a_folder_that_was_replaced_by_a_link_stays(data, tmp_path):
    usage = measure_usage(data)
    (removal, *_) = choose_removals(usage, Rules(snapshots=True)).removals
    assert removal.item.kind == SNAPSHOTS
    removal.item.paths[0].rename(tmp_path / "moved")
    removal.item.paths[0].symlink_to(tmp_path / "moved")
    with pytest.raises(GanvasError, match="leads through a link, and stays"):
        delete(removal, usage)
    assert len(list((tmp_path / "moved").iterdir())) == 12


class KilledError(BaseException):
    """Ends a deletion as SIGKILL would, where no code handles it."""


@pytest.mark.parametrize("after", range(4))
def test_a_killed_deletion_leaves_no_version_half_and_is_finished_later(data, monkeypatch, after):
    usage = measure_usage(data)
    (removal, *_) = choose_removals(usage, Rules(versions_keep=1)).removals
    rename, calls = Path.rename, []

    def kill(path, target):
        calls.append(path)
        if len(calls) > after:
            raise KilledError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", kill)
    if after == 3:
        monkeypatch.setattr(pruning.shutil, "rmtree", lambda path: kill(path, path))
    with pytest.raises(KilledError):
        delete(removal, usage)
    monkeypatch.undo()
    # The gallery lists the versions that have a class list, so it must be the first to go.
    listed = {path.parent.name for path in (data / "06_models").glob("*/*/class_list.json/*/*")}
    assert (version_name(1) in listed) == (after == 0)
    assert all(len(removal.paths) == 3 for removal in [removal])
    old = time.time() - 3 * 86400
    for path in (data / "06_models" / MODEL).glob(f".*{pruning.DELETING}"):
        os.utime(path, (old, old))
    prune(data, Rules(versions_keep=1, temporary=True))
    assert version_name(1) not in versions(data)
    assert [item for item in measure_usage(data).items if item.kind == TEMPORARY] == []


def test_a_refusal_of_the_system_leaves_all_or_nothing(data, monkeypatch):
    usage = measure_usage(data)
    (removal, *_) = choose_removals(usage, Rules(versions_keep=1)).removals
    files, rename = list_files(data), Path.rename

    def refuse(path, target):
        if path.parent.name == "generator.keras":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        GanvasError, match=r"generator\.keras.* can't be deleted \(Permission denie"
    ):
        delete(removal, usage)
    assert list_files(data) == files
