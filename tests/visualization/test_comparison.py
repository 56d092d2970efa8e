import numpy as np
import pandas as pd
import pytest

from ganvas.visualization.comparison import (
    find_differences,
    group_runs,
    name_runs,
    order_runs,
    sample_history,
    tabulate,
)
from leaderboard_entries import make_run


@pytest.fixture
def runs():
    return [
        make_run(1, 0.5, seed=0, **{"train.rate": 0.1}),
        make_run(2, 0.3, seed=1, **{"train.rate": 0.1}),
        make_run(3, None, seed=0, **{"train.rate": 0.2, "network.width": 8}),
        make_run(4, 0.4, seed=0, **{"train.rate": 0.1}),
    ]


def test_runs_are_ordered_by_distance_and_those_without_one_come_last(runs):
    assert [run["run"] for run in order_runs(runs)] == ["run-2", "run-4", "run-1", "run-3"]


def test_the_table_has_the_best_run_of_each_collection_and_extractor_first(runs):
    table = tabulate([*runs, make_run(5, 0.1, extractor="other"), make_run(6, 0.9, dataset="art")])
    assert table["started"].str[9].tolist() == ["6", "2", "4", "1", "3", "5"]
    assert table["kernel_distance"].fillna(0).tolist() == [0.9, 0.3, 0.4, 0.5, 0, 0.1]
    assert table.loc[1, ["dataset", "extractor", "epochs"]].tolist() == ["sample", "lite", 20]
    assert tabulate([]).empty


def test_parameters_that_differ_are_found_and_unusual_values_marked(runs):
    assert find_differences(runs) == {
        "network.width": [(None, False), (None, False), (8, True), (None, False)],
        "train.rate": [(0.1, False), (0.1, False), (0.2, True), (0.1, False)],
        "train.seed": [(0, False), (1, True), (0, False), (0, False)],
    }
    assert find_differences(runs[:1]) == {}


def test_runs_are_named_by_their_unusual_parameters(runs):
    names = name_runs(runs)
    assert names == ["dcgan", "dcgan", "dcgan: width=8, rate=0.2", "dcgan"]


def test_runs_are_compared_with_those_of_their_own_network(runs):
    other = make_run(5, **{"network.r3gan.blocks": 2}) | {"network": "r3gan"}
    names = name_runs([*runs, other])
    assert names == ["dcgan", "dcgan", "dcgan: width=8, rate=0.2", "dcgan", "r3gan"]
    # A parameter that a run lacks is not in its name.
    assert name_runs([runs[2], runs[0]]) == ["dcgan", "dcgan: rate=0.1"]


def test_runs_that_differ_in_their_seed_alone_are_grouped(runs):
    groups = group_runs(runs)
    assert {name: len(entries) for name, entries in groups.items()} == {
        "dcgan": 3,
        "dcgan: width=8, rate=0.2": 1,
    }


def test_groups_with_equal_names_are_numbered():
    differing = [{f"train.x{k}": k + n for k in range(5)} for n in (0, 0, 9, 9, 20)]
    same = {"train.x0": 0, "train.x1": 1, "train.x2": 2}
    entries = [make_run(n, seed=n, **(params | same)) for n, params in enumerate(differing, 1)]
    assert [len(group) for group in group_runs(entries).values()] == [2, 2, 1]


def test_runs_without_a_comparable_distance_are_ordered_by_start_time(runs):
    unknown = make_run(5, float("nan"))
    assert [run["run"] for run in order_runs([unknown, *runs])][-2:] == ["run-3", "run-5"]


def test_parameters_without_effect_on_the_images_do_not_separate_seeds():
    first = make_run(1, seed=0, **{"train.resume": True, "ingest.workers": 4})
    second = make_run(2, seed=1, **{"train.resume": False, "ingest.workers": "none"})
    assert name_runs([first, second]) == ["dcgan", "dcgan"]
    assert [len(group) for group in group_runs([first, second]).values()] == [2]
    other = make_run(3, seed=2, **{"train.resume": False, "train.flip": True})
    assert [len(group) for group in group_runs([first, second, other]).values()] == [2, 1]


def test_another_epoch_of_a_run_is_no_repetition_of_it(runs):
    epoch = runs[0] | {"run": "run-1-epoch-20"}
    assert name_runs([runs[0], runs[1], epoch])[-1] == "dcgan: epoch 20"
    assert [len(group) for group in group_runs([runs[0], runs[1], epoch]).values()] == [2, 1]


def test_a_history_is_sampled_evenly_with_its_last_row_and_rare_values():
    epochs = np.arange(1, 1001)
    distances = np.where(epochs % 50 == 7, epochs / 1000, np.nan)
    losses = np.where(epochs == 999, np.inf, 1.0)
    columns = {"epoch": epochs, "kernel_distance": distances, "loss": losses, "warnings": "a"}
    history = pd.DataFrame(columns).assign(unmeasured=np.nan)
    sampled = sample_history(history, points=200)
    assert list(sampled) == ["epoch", "kernel_distance", "loss"]
    assert len(sampled["epoch"]) == 200 and sampled["epoch"][-1] == 1000
    assert np.diff(sampled["epoch"]).max() < 10
    found = [value for value in sampled["kernel_distance"] if value is not None]
    assert found == pytest.approx(np.arange(7, 1000, 50) / 1000)
    short = sample_history(history[:3], points=200)
    assert short == {"epoch": [1, 2, 3], "loss": [1, 1, 1]}
    assert sample_history(history[:0], points=200) == {}
    assert sample_history(history[998:999], points=5) == {"epoch": [999]}
