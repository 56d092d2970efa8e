import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ganvas.pipelines.compare.nodes import write_comparison
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.comparison import (
    draw_ranges,
    find_differences,
    group_runs,
    name_runs,
    order_runs,
    render_comparison,
    tabulate,
)


def row(number, distance=0.5, dataset="sample", seed=0, judge="lite", **parameters):
    metrics = {"loss_g": metric_entry("Generator loss", 2.0, "N=1", "nats")}
    if distance is not None:
        told = metric_entry("Kernel <distance>", (distance, 0.01), "N=9", real=0.001)
        metrics = {"kernel_distance": told} | metrics
    return {
        "run": f"run-{number}",
        "dataset": dataset,
        "judge": judge,
        "network": "dcgan",
        "started": f"2026-01-0{number}",
        "epochs": 10 * number,
        "images_seen": 1000,
        "minutes": 1.5,
        "seed": seed,
        "version": "0.1",
        "parameters": {"network.name": "dcgan", "train.seed": seed} | parameters,
        "metrics": metrics,
    }


@pytest.fixture
def runs():
    return [
        row(1, 0.5, seed=0, **{"train.rate": 0.1}),
        row(2, 0.3, seed=1, **{"train.rate": 0.1}),
        row(3, None, seed=0, **{"train.rate": 0.2, "network.width": 8}),
        row(4, 0.4, seed=0, **{"train.rate": 0.1}),
    ]


def images(rows):
    return {each["run"]: np.full((4, 4, 3), n, np.uint8) for n, each in enumerate(rows)}


def test_the_least_distance_comes_first_and_none_last(runs):
    assert [each["run"] for each in order_runs(runs)] == ["run-2", "run-4", "run-1", "run-3"]


def test_the_table_has_the_best_of_each_collection_and_judge_first(runs):
    table = tabulate([*runs, row(5, 0.1, judge="other"), row(6, 0.9, dataset="art")])
    assert table["started"].str[-1].tolist() == ["6", "2", "4", "1", "3", "5"]
    assert table["kernel_distance"].fillna(0).tolist() == [0.9, 0.3, 0.4, 0.5, 0, 0.1]
    assert table.loc[1, ["dataset", "judge", "epochs"]].tolist() == ["sample", "lite", 20]
    assert tabulate([]).empty


def test_what_differs_is_found_and_the_odd_one_marked(runs):
    found = find_differences(runs)
    assert found == {
        "network.width": [(None, False), (None, False), (8, True), (None, False)],
        "train.rate": [(0.1, False), (0.1, False), (0.2, True), (0.1, False)],
        "train.seed": [(0, False), (1, True), (0, False), (0, False)],
    }
    assert find_differences(runs[:1]) == {}


def test_runs_are_named_by_what_sets_them_apart(runs):
    names = name_runs(runs)
    assert names == ["dcgan", "dcgan", "dcgan: width=8, rate=0.2", "dcgan"]


def test_runs_are_set_apart_from_those_of_their_own_network(runs):
    other = row(5, **{"network.r3gan.blocks": 2}) | {"network": "r3gan"}
    names = name_runs([*runs, other])
    assert names == ["dcgan", "dcgan", "dcgan: width=8, rate=0.2", "dcgan", "r3gan"]
    # What it has not is no reason to name it.
    assert name_runs([runs[2], runs[0]]) == ["dcgan", "dcgan: rate=0.1"]


def test_long_names_leave_room_for_the_dots():
    rows = [
        row(n, 0.1 * n, **{f"train.{'very_long_name' * 2}{k}": n * k for k in range(3)})
        for n in (1, 2, 3)
    ]
    whole = draw_ranges(rows)
    dots = (np.abs(whole.astype(int) - (0xC2, 0x41, 0x0C)).sum(axis=-1) < 12).any(axis=0)
    where = np.flatnonzero(dots)
    assert where[-1] - where[0] > 0.2 * whole.shape[1]


def test_large_grids_are_shown_smaller(runs):
    rows = runs[:1]
    large = np.random.default_rng(0).integers(0, 256, (600, 2066, 3), dtype=np.uint8)
    page = render_comparison(rows, {rows[0]["run"]: large})
    first = re.findall(r'data:image/png;base64,([^"]+)"', page)[-1]
    assert Image.open(io.BytesIO(base64.b64decode(first))).size == (1033, 300)


def test_runs_that_differ_in_their_seed_alone_are_one_group(runs):
    groups = group_runs(runs)
    assert {name: len(rows) for name, rows in groups.items()} == {
        "dcgan": 3,
        "dcgan: width=8, rate=0.2": 1,
    }


def test_groups_whose_names_would_be_the_same_are_counted():
    many = [{f"train.x{k}": k + n for k in range(5)} for n in (0, 0, 9, 9, 20)]
    same = {"train.x0": 0, "train.x1": 1, "train.x2": 2}
    rows = [row(n, seed=n, **(each | same)) for n, each in enumerate(many, 1)]
    assert [len(group) for group in group_runs(rows).values()] == [2, 2, 1]


def test_a_dot_stands_for_each_run_and_a_line_over_seeds(runs):
    whole = draw_ranges(order_runs(runs)[:3])
    dots = (np.abs(whole.astype(int) - (0xC2, 0x41, 0x0C)).sum(axis=-1) < 12).any(axis=0)
    starts = np.flatnonzero(np.diff(dots.astype(int)) == 1)
    # Distances of .3, .4 and .5 lie evenly.
    assert len(starts) == 3 and abs(np.diff(starts, 2)[0]) <= 3
    lines = (np.abs(whole.astype(int) - (0xF2, 0x9A, 0x6B)).sum(axis=-1) < 12).any(axis=0)
    assert lines.sum() > 0.7 * (starts[-1] - starts[0])


def test_the_page_has_all_runs_by_collection(runs):
    rows = [*runs, row(5, 0.7, dataset="<faces>")]
    page = render_comparison(rows, images(rows))
    assert page.index("&lt;faces&gt;") < page.index("<h2>sample, judged by lite</h2>")
    assert page.index("1. dcgan") < page.index("4. dcgan: width=8, rate=0.2")
    assert "0.300 ± 0.01<" in page and "Kernel &lt;distance&gt;: N=9" in page
    assert page.count("<mark>0.2</mark>") == 1
    # An image for each run, and a plot for each collection.
    assert page.count("data:image/png;base64,") == 5 + 2
    assert not re.search(r'(src|href)="(?!data:)|url\(|https?://|@import', page)


def test_rows_of_earlier_versions_are_still_compared(runs):
    for each in runs[0]["metrics"].values():
        del each["of"]
    old = {key: value for key, value in runs[0].items() if key != "judge"}
    rows = {old["run"]: lambda: old, runs[1]["run"]: lambda: runs[1]}
    page = write_comparison(rows, dict.fromkeys(rows, lambda: np.zeros((4, 4, 3), np.uint8)))
    assert "judged by an unnamed network" in page and "judged by lite" in page


def test_runs_that_different_networks_judged_do_not_stand_side_by_side(runs):
    rows = [*runs, row(5, 0.1, judge="inception")]
    page = render_comparison(rows, images(rows))
    first, second = page.split("<section>")[1:]
    assert "sample, judged by inception" in first and first.count("2026-01-") == 1
    assert "sample, judged by lite" in second and second.count("2026-01-") == 4
