import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from ganvas.datasets.leaderboard import EntriesDataset, LeaderboardDataset
from ganvas.errors import GanvasError
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


def make_run(number, distance=0.5, dataset="sample", seed=0, extractor="lite", **parameters):
    metrics = {"loss_g": metric_entry("Generator loss", 2.0, "N=1", "nats")}
    if distance is not None:
        entry = metric_entry("Kernel <distance>", (distance, 0.01), "N=9", real=0.001)
        metrics = {"kernel_distance": entry} | metrics
    return {
        "run": f"run-{number}",
        "dataset": dataset,
        "extractor": extractor,
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
        make_run(1, 0.5, seed=0, **{"train.rate": 0.1}),
        make_run(2, 0.3, seed=1, **{"train.rate": 0.1}),
        make_run(3, None, seed=0, **{"train.rate": 0.2, "network.width": 8}),
        make_run(4, 0.4, seed=0, **{"train.rate": 0.1}),
    ]


def make_grids(runs):
    return {run["run"]: np.full((4, 4, 3), n, np.uint8) for n, run in enumerate(runs)}


def test_runs_are_ordered_by_distance_and_those_without_one_come_last(runs):
    assert [run["run"] for run in order_runs(runs)] == ["run-2", "run-4", "run-1", "run-3"]


def test_the_table_has_the_best_run_of_each_collection_and_extractor_first(runs):
    table = tabulate([*runs, make_run(5, 0.1, extractor="other"), make_run(6, 0.9, dataset="art")])
    assert table["started"].str[-1].tolist() == ["6", "2", "4", "1", "3", "5"]
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


def test_long_names_are_wrapped_and_leave_room_for_the_dots():
    entries = [
        make_run(n, 0.1 * n, **{f"train.{'very_long_name' * 2}{k}": n * k for k in range(3)})
        for n in (1, 2, 3)
    ]
    plot = draw_ranges(entries)
    dots = (np.abs(plot.astype(int) - (0xC2, 0x41, 0x0C)).sum(axis=-1) < 12).any(axis=0)
    where = np.flatnonzero(dots)
    assert where[-1] - where[0] > 0.2 * plot.shape[1]


def test_large_grids_are_downscaled(runs):
    shown = runs[:1]
    large = np.random.default_rng(0).integers(0, 256, (600, 2066, 3), dtype=np.uint8)
    page = render_comparison(shown, {shown[0]["run"]: large})
    first = re.findall(r'data:image/png;base64,([^"]+)"', page)[-1]
    assert Image.open(io.BytesIO(base64.b64decode(first))).size == (1033, 300)


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


def test_each_run_is_a_dot_and_seeds_are_joined_by_a_line(runs):
    plot = draw_ranges(order_runs(runs)[:3])
    dots = (np.abs(plot.astype(int) - (0xC2, 0x41, 0x0C)).sum(axis=-1) < 12).any(axis=0)
    starts = np.flatnonzero(np.diff(dots.astype(int)) == 1)
    # Distances of .3, .4 and .5 are evenly spaced.
    assert len(starts) == 3 and abs(np.diff(starts, 2)[0]) <= 3
    lines = (np.abs(plot.astype(int) - (0xF2, 0x9A, 0x6B)).sum(axis=-1) < 12).any(axis=0)
    assert lines.sum() > 0.7 * (starts[-1] - starts[0])


def test_the_page_lists_all_runs_by_collection(runs):
    entries = [*runs, make_run(5, 0.7, dataset="<faces>")]
    page = render_comparison(entries, make_grids(entries))
    assert page.index("&lt;faces&gt;") < page.index("<h2>sample, features of lite</h2>")
    assert page.index("1. dcgan") < page.index("4. dcgan: width=8, rate=0.2")
    assert ">300.0 ± 10.0<" in page and "Kernel &lt;distance&gt;: N=9" in page
    assert '<th class="number">Kernel &lt;distance&gt; × 1000 ↓</th>' in page
    assert page.count("<mark>0.2</mark>") == 1
    # An image for each run, and a plot for each collection.
    assert page.count("data:image/png;base64,") == 5 + 2
    assert not re.search(r'(src|href)="(?!data:)|url\(|https?://|@import', page)


def test_entries_of_earlier_versions_are_still_compared(runs):
    for metric in runs[0]["metrics"].values():
        del metric["of"]
    oldest = {key: value for key, value in runs[0].items() if key != "extractor"}
    older = {key: value for key, value in runs[1].items() if key != "extractor"}
    older["judge"] = "inception"
    entries = {run["run"]: lambda run=run: run for run in (oldest, older, runs[2])}
    page = write_comparison(entries, dict.fromkeys(entries, lambda: np.zeros((4, 4, 3), np.uint8)))
    for name in ("an unnamed network", "inception", "lite"):
        assert f"features of {name}" in page


def board(folder, kind, suffix, dataset):
    return kind(path=str(folder), dataset=f"ganvas.datasets.{dataset}", filename_suffix=suffix)


def test_damaged_entries_are_left_out_and_named(tmp_path, runs, caplog):
    entries = board(tmp_path, LeaderboardDataset, ".json", "atomic.AtomicJSONDataset")
    pictures = board(tmp_path, EntriesDataset, ".png", "images.ImageDataset")
    names = ["whole", "cut", "empty", "list", "no metrics", "cut image", "no image"]
    entries.save({name: runs[1] | {"run": name} for name in names})
    pictures.save({name: np.zeros((4, 4, 3), np.uint8) for name in names[:-1]})
    (tmp_path / "cut.json").write_text((tmp_path / "cut.json").read_text()[:100])
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "no metrics.json").write_text(json.dumps(runs[1] | {"metrics": {"recall": None}}))
    (tmp_path / "cut image.png").write_bytes((tmp_path / "cut image.png").read_bytes()[:40])
    page = write_comparison(entries.load(), pictures.load())
    assert page.count("<figcaption>1. ") == 1 and "2. dcgan" not in page
    for message in caplog.messages:
        assert "The comparison leaves out a run: " in message
        assert "`kedro run --pipelines=evaluate` with the same --env and --params" in message
    for name in ("cut.json", "empty.json", "list.json", "no metrics.json", "cut image.png"):
        (message,) = [text for text in caplog.messages if f"{tmp_path}/{name} can't be " in text]
    assert len(caplog.messages) == page.count("<p>Left out: ") == 6
    (tmp_path / "whole.json").unlink()
    with pytest.raises(GanvasError, match=r"no finished evaluation: run `kedro run` first. .*cut"):
        write_comparison(entries.load(), pictures.load())


def test_runs_measured_with_different_extractors_are_in_separate_sections(runs):
    entries = [*runs, make_run(5, 0.1, extractor="inception")]
    page = render_comparison(entries, make_grids(entries))
    first, second = page.split("<section>")[1:]
    assert "sample, features of inception" in first and first.count("2026-01-") == 1
    assert "sample, features of lite" in second and second.count("2026-01-") == 4
