import json
import os

import pytest

from ganvas.disk.references import (
    find_kept_versions,
    list_versions,
    mark_version,
    read_leaderboard,
)
from ganvas.errors import GanvasError
from made_up_runs import MODEL, add_entry, add_version, set_newest, version_name


@pytest.fixture
def data(tmp_path):
    for number in range(5):
        add_version(tmp_path, number)
    set_newest(tmp_path, 4)
    return tmp_path


def find_kept(data, model=MODEL) -> dict[str, str]:
    folder = data / "06_models" / model
    results = read_leaderboard(data / "08_reporting/leaderboard")
    summary = data / "08_reporting" / model / "training.json"
    return find_kept_versions(folder, list_versions(folder), summary, results, model)


def kept_numbers(data) -> list[int]:
    names = [version_name(number) for number in range(5)]
    return [names.index(name) for name in sorted(find_kept(data))]


def test_the_recorded_version_is_kept_though_another_has_a_later_name(data):
    set_newest(data, 2)
    assert find_kept(data) == {version_name(2): "it is the newest, which training.json names"}
    (data / f"08_reporting/{MODEL}/training.json").unlink()
    assert find_kept(data) == {version_name(4): "it is the newest"}


def test_versions_that_the_leaderboard_names_are_kept(data):
    entry = add_entry(data, 1, model_version=version_name(1))
    assert kept_numbers(data) == [1, 4]
    assert find_kept(data)[version_name(1)] == f"the leaderboard's {entry.stem} names it"
    # Under whatever name: the folder of a model may have been renamed.
    add_entry(data, 2, model_version=version_name(2), dataset="other", network="r3gan")
    assert kept_numbers(data) == [1, 2, 4]


def test_entries_of_earlier_versions_keep_what_they_may_be_of(data):
    add_entry(data, 1, model_version=None)
    assert kept_numbers(data) == [1, 4]
    # Resumed twice before it was evaluated.
    entry = add_entry(data, 1)
    os.utime(entry, (entry.stat().st_mtime + 2 * 86400,) * 2)
    assert kept_numbers(data) == [1, 2, 3, 4]
    assert "it may be that of the leaderboard's" in find_kept(data)[version_name(1)]


def test_an_entry_older_than_all_versions_keeps_all(data):
    entry = add_entry(data, 1)
    os.utime(entry, (0, 0))
    assert kept_numbers(data) == [0, 1, 2, 3, 4]


def test_a_damaged_entry_keeps_all_versions(data):
    add_entry(data, 1).write_text('{"model_version": ')
    assert kept_numbers(data) == [0, 1, 2, 3, 4]


def test_an_entry_is_also_of_a_conditional_network(data):
    for number in range(2):
        add_version(data, number, "sample/dcgan_by_genre")
    add_entry(data, 0)
    assert set(find_kept(data, "sample/dcgan_by_genre")) == {version_name(0), version_name(1)}


def test_marked_versions_are_kept_until_the_mark_is_removed(data):
    models = data / "06_models"
    title = f"{MODEL}/{version_name(0)}"
    assert mark_version(models, title, True) == f"{title} is marked: no rule deletes it."
    assert mark_version(models, title, True)
    assert json.loads((models / MODEL / "marked.json").read_text()) == [version_name(0)]
    assert kept_numbers(data) == [0, 4]
    mark_version(models, title, False)
    assert kept_numbers(data) == [4]
    (models / MODEL / "marked.json").write_text("[")
    assert kept_numbers(data) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("title", ["sample/dcgan/2020", "sample/dcgan", "../x/y", "/", "a/../b"])
def test_what_is_no_version_is_not_marked(data, title):
    with pytest.raises(GanvasError, match="There is no version '"):
        mark_version(data / "06_models", title, True)


def test_versions_of_other_names_and_in_the_future_are_kept(data):
    for name in ("best", "2099-01-01T00.00.00.000Z"):
        (data / "06_models" / MODEL / "generator.keras" / name).mkdir()
    assert {"best", "2099-01-01T00.00.00.000Z"} < set(find_kept(data))
