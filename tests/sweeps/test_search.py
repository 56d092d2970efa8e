"""Optuna's side of a search: what it is told, and what a search does after a kill."""

import builtins
import shutil

import pytest

from ganvas.errors import GanvasError
from ganvas.sweeps.execute import Outcome
from ganvas.sweeps.launch import Progress
from ganvas.sweeps.plan import Settings
from ganvas.sweeps.search import Search, check_metric, import_optuna, probe
from ganvas.sweeps.values import read_axes

AXES = read_axes(["train.generator_learning_rate=0.0001..0.01", "train.batch_size=[4, 8]"])


@pytest.fixture
def open_search(cli, shared_project):
    settings = Settings(shared_project, None, None, {"network.name": "dcgan"})
    settings.params["train.anchor.every"] = None
    folder = shared_project / "data/search"
    yield lambda trials=4: Search(settings, AXES, "kernel_distance", trials, folder)
    shutil.rmtree(shared_project / "data", ignore_errors=True)


def finish(search: Search, distance: float | None, epochs: int = 3) -> str | None:
    """Execute the next run: report a distance after each epoch; None: it fails."""
    number, run = search.next()
    if distance is None:
        search.finish(number, Outcome(run.values, "failed", "the disk is full"))
        return None
    measured = {}
    for epoch in range(1, epochs + 1):
        measured[epoch] = distance
        if reason := search.judge(number, Progress(epoch, epochs, measured)):
            search.finish(number, Outcome(run.values, "pruned", reason))
            return reason
    metric = {"value": distance, "title": "Kernel distance (KD-lite2)"}
    entry = {"run": f"run {number}", "metrics": {"kernel_distance": metric}}
    search.finish(number, Outcome(run.values, "finished", entry=entry))
    return None


def test_hopeless_runs_are_pruned_and_the_best_is_found(open_search):
    search = open_search(6)
    for distance in (0.2, 0.1, 0.15):
        assert finish(search, distance) is None
    reason = finish(search, 0.5)
    assert reason == (
        "pruned at epoch 2 of 3: its lowest kernel distance so far, 0.5000, is above the median of "
        "the other runs at this epoch"
    )
    for distance in (0.05, 0.08):
        assert finish(search, distance) is None
    assert search.next() is None
    assert search.find_best() == 5
    rows = search.list_outcomes()
    assert [row["state"] for row in rows] == [*["finished"] * 3, "pruned", *["finished"] * 2]
    assert rows[4]["run"] == "run 5" and rows[4]["metrics"] == {"kernel_distance": 0.05}
    importances = search.importances()
    assert importances.keys() == {axis.key for axis in AXES}
    assert sum(importances.values()) == pytest.approx(1, abs=1e-3)


def test_a_search_that_was_cut_resumes_its_run_and_tries_failed_ones_again(open_search):
    search = open_search()
    finish(search, 0.2)
    finish(search, None)
    _, cut = search.next()
    failed = search.list_outcomes()[1]["values"]
    # The process is killed here.
    search = open_search()
    tried = []
    while chosen := search.next():
        number, run = chosen
        tried.append(run.values)
        metric = {"value": 0.3, "title": "Kernel distance"}
        entry = {"run": "x", "metrics": {"kernel_distance": metric}}
        search.finish(number, Outcome(run.values, "finished", entry=entry))
    assert tried[:2] == [failed, cut.values] and len(tried) == 3
    # No value is tried again, although the seed is fixed.
    rates = [row["values"]["train.generator_learning_rate"] for row in search.list_outcomes()]
    assert len(rates) == len(set(rates)) == 4
    # It is complete, and a higher number extends it.
    assert open_search().next() is None
    assert open_search(5).next() is not None


def test_a_journal_that_was_cut_is_continued_and_a_damaged_one_is_named(
    open_search, shared_project
):
    finish(open_search(), 0.2)
    journal = shared_project / "data/search/study.journal"
    with journal.open("a") as stream:
        stream.write('{"op_code": 4, "wor')
    assert finish(open_search(), 0.1) is None
    assert [row["state"] for row in open_search().list_outcomes()] == ["finished"] * 2
    journal.write_text("[]\n" + journal.read_text())
    with pytest.raises(GanvasError, match=r"study\.journal is damaged .* delete it to search anew"):
        open_search()


def test_the_ends_of_all_ranges_are_checked_before_the_first_run(open_search):
    assert probe(AXES) == [
        {"train.generator_learning_rate": 0.0001, "train.batch_size": 4},
        {"train.generator_learning_rate": 0.01, "train.batch_size": 4},
        {"train.generator_learning_rate": 0.0001, "train.batch_size": 8},
    ]


@pytest.mark.parametrize(
    ("name", "extractor", "message"),
    [
        (
            "fid",
            "inception",
            r"--metric can't be 'fid': it must be one of kernel_distance, frechet",
        ),
        ("diversity", "inception", "--metric can't be 'diversity'"),
        ("recall", None, r"--metric=recall needs a feature extractor, but evaluate\.extractor is"),
    ],
)
def test_a_metric_without_a_best_value_is_refused(name, extractor, message):
    check_metric("recall", "inception")
    for pixels in ("class_diversity_pixels", "class_nearest_pixels", "sliced_wasserstein_distance"):
        check_metric(pixels, None)
    with pytest.raises(GanvasError, match=message):
        check_metric(name, extractor)


def test_without_optuna_the_extra_is_named(monkeypatch):
    def refuse(name, *arguments, **options):
        if name.partition(".")[0] == "optuna":
            raise ImportError(name)
        return importing(name, *arguments, **options)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(GanvasError, match=r"^--trials needs Optuna.*: install it by pip install"):
        import_optuna()
