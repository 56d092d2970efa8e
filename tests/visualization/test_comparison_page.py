import base64
import hashlib
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
from ganvas.visualization.comparison_page import collect_data, make_thumbnail, render_comparison
from leaderboard_entries import add_history, make_run

BLACK = make_thumbnail(np.zeros((66, 66, 3), np.uint8))
HOSTILE = "</script><script>alert(1)</script><!-- \"'&\U0001f600\u2028\ud800" + "x" * 5000


@pytest.fixture
def runs():
    return [
        make_run(1, 0.5, seed=0, **{"train.rate": 0.1}),
        add_history(make_run(2, 0.3, seed=1, **{"train.rate": 0.1})),
        make_run(3, None, seed=0, **{"train.rate": 0.2, "network.width": 8}),
        make_run(4, 0.4, seed=0, **{"train.rate": 0.1}),
    ]


def thumbnails(runs):
    return {run["run"]: BLACK for run in runs}


def collect(runs):
    return collect_data(runs, thumbnails(runs))


def render(runs, *options):
    return render_comparison(runs, thumbnails(runs), *options)


def read_data(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def parameters_of(data, run):
    """Return the parameters of a run as the page has them."""
    changed = {int(place): value for place, value in run["changed"].items()}
    values = [changed.get(place, value) for place, value in enumerate(data["values"])]
    return {
        name: value
        for name, value in zip(data["parameters"], values, strict=True)
        if value is not None
    }


def test_runs_are_in_groups_that_can_be_compared_the_best_first(runs):
    runs += [make_run(5, 0.1, extractor="inception"), make_run(6, 0.9, dataset="art")]
    runs += [make_run(7, 0.2, dataset="art", extractor="no network")]
    data = collect(runs)
    titles = [group["title"] for group in data["groups"]]
    assert titles == [
        "art, features of lite",
        "art, without a feature extractor",
        "sample, features of inception",
        "sample, features of lite",
    ]
    order = [(run["group"], run["run"]) for run in data["runs"]]
    names = [(3, f"run-{number}") for number in (2, 4, 1, 3)]
    assert order == [(0, "run-6"), (1, "run-7"), (2, "run-5"), *names]


def test_metrics_are_scaled_with_spread_baseline_and_protocol(runs):
    data = collect(runs)
    distance, loss = data["metrics"]
    assert (distance["name"], distance["title"]) == ("kernel_distance", "Kernel <distance> × 1000")
    assert (distance["sign"], distance["decimals"], distance["main"]) == ("↓", 1, True)
    assert (loss["name"], loss["sign"], loss["main"]) == ("loss_g", "", False)
    best, *_, worst = data["runs"]
    *numbers, protocol, alike = best["metrics"][0]
    assert numbers == [300, 10, 1] and data["protocols"][protocol] == "N=9, seed 0" and alike
    assert list(worst["metrics"]) == [1]


def test_metrics_on_another_number_of_images_are_marked(runs):
    for metrics in (run["metrics"] for run in runs[:2]):
        metrics["recall"] = metric_entry("Recall", 0.1, "k=5, N=256 a side, worst: N 1")
    runs[3]["metrics"]["recall"] = metric_entry("Recall", 0.9, "k=5, N=20 a side")
    # Metrics of single classes are in reports alone.
    runs[3]["metrics"]["kernel_distance_003"] = metric_entry("x", 0.9, "N=9", of="waves")
    data = collect(runs)
    names = [metric["name"] for metric in data["metrics"]]
    assert names == ["kernel_distance", "recall", "loss_g"]
    found = {run["run"]: run["metrics"].get(1, [None])[-1] for run in data["runs"]}
    assert found == {"run-1": 1, "run-2": 1, "run-3": None, "run-4": 0}


def test_the_page_has_all_parameters_of_each_run(runs):
    runs[2]["parameters"] |= {"train.policy": ["color", {"a": 1}], "train.flip": False}
    data = collect(runs)
    for run in data["runs"]:
        (entry,) = [entry for entry in runs if entry["run"] == run["run"]]
        assert parameters_of(data, run) == entry["parameters"]
    assert len(data["runs"][0]["changed"]) == 1  # The seed alone.


def test_runs_that_differ_in_their_seed_alone_have_one_number(runs):
    numbers = {run["run"]: run["repetition"] for run in collect(runs)["runs"]}
    assert numbers["run-1"] == numbers["run-2"] == numbers["run-4"] != numbers["run-3"]


def test_what_determines_latents_is_read_from_protocols_and_parameters(runs):
    runs[0]["parameters"] |= {"network.dcgan.latent": 64, "network.label": "genre"}
    counted = metric_entry("x", 1.0, "of images; N=1,500 generated and 9 training images; seed 3")
    runs[0]["metrics"] = {"class_diversity_pixels": counted}
    *_, run = collect(runs[:1])["runs"]
    assert run["sampling"] == {
        "evaluate.seed": 3,
        "evaluate.count": 1500,
        "latent size": 64,
        "network.label": "genre",
    }
    *_, old = collect(runs[2:3])["runs"]
    assert list(old["sampling"].values()) == [None, None, None, "none"]


def test_histories_of_many_runs_are_thinned_out(runs):
    long = add_history(runs[0], epochs=200)
    (few,) = collect([long])["runs"]
    assert list(few["history"]) == [
        "epoch",
        "loss_g",
        "kernel_distance",
        "minutes",
        "images_seen",
    ]
    assert few["history"]["epoch"] == list(range(1, 201)) and few["history"]["loss_g"][2] == 0.3333
    many = collect([long | {"run": f"run-{number}"} for number in range(1000)])["runs"]
    assert {len(run["history"]["epoch"]) for run in many} == {40}
    measured = [value for value in many[0]["history"]["kernel_distance"] if value is not None]
    assert many[0]["history"]["epoch"][-1] == 200 and len(measured) == 20


@pytest.mark.parametrize(
    "history",
    [None, [], "x", {}, {"loss_g": [1]}, {"epoch": 3}, {"epoch": []}, {"epoch": ["a"], "b": [{}]}],
)
def test_a_history_that_is_none_is_left_out(runs, history):
    (run,) = collect([runs[0] | {"history": history}])["runs"]
    assert not run["history"]


def test_values_that_json_lacks_are_no_numbers_on_the_page(runs):
    runs[1]["metrics"]["kernel_distance"] |= {"value": float("nan"), "real": float("inf")}
    runs[1]["parameters"] |= {"a": float("inf"), "b": 10**20 + 1, "c": {"d": [float("nan")]}}
    runs[1]["history"]["loss_g"][:3] = [float("nan"), 10**400, True]
    data = read_data(render(runs))
    (run,) = [run for run in data["runs"] if run["run"] == "run-2"]
    assert run["metrics"]["0"][:3] == [None, 10, None]
    found = parameters_of(data, run)
    assert (found["a"], found["b"], found["c"]) == ("inf", "100000000000000000001", {"d": ["nan"]})
    assert run["history"]["loss_g"][:4] == [None, None, 1, 1.25]


def test_texts_of_runs_can_do_no_harm(runs):
    hostile = add_history(make_run(5, dataset=HOSTILE, extractor=HOSTILE, **{HOSTILE: HOSTILE}))
    hostile |= {"run": HOSTILE, "network": HOSTILE, "command": HOSTILE, "version": HOSTILE}
    hostile["metrics"] |= {HOSTILE: metric_entry(HOSTILE, 1.0, HOSTILE)}
    page = render([*runs, hostile], [HOSTILE])
    page.encode()
    assert page.count("<script") == page.count("</script>") == 2 and "<!--" not in page
    data = read_data(page)
    assert hostile["command"] in [run["command"] for run in data["runs"]]
    assert max(len(run["name"]) for run in data["runs"]) == 200
    # The browser runs the page's own script alone, and loads images alone.
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    script = re.findall(r"<script>(.*?)</script>", page, re.S)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in policy.replace("&#39;", "'")
    assert not re.search(r'(src|href)="(?!data:)|url\(|https?://(?!www\.w3\.org)|@import', page)


def test_a_browser_without_javascript_shows_the_tables(runs):
    page = render([*runs, make_run(5, 0.7, dataset="<faces>")])
    (tables,) = re.findall(r"<noscript>(.*?)</noscript>", page, re.S)
    assert tables.index("&lt;faces&gt;, features") < tables.index("<h2>sample, features of lite")
    assert tables.index("1. dcgan") < tables.index("4. dcgan: width=8, rate=0.2")
    assert ">300.0 ± 10.0<" in tables and ">Kernel &lt;distance&gt; × 1000 ↓</th>" in tables


def test_a_run_without_metrics_or_parameters_is_shown():
    bare = make_run(1) | {"metrics": {}, "parameters": {}}
    data = read_data(render([bare]))
    assert (data["metrics"], data["parameters"], len(data["runs"])) == ([], [], 1)


def test_thumbnails_are_small_and_of_the_whole_grid():
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (8, 16, 3), dtype=np.uint8)
    grid = np.kron(blocks, np.ones((66, 66, 1), np.uint8))
    thumbnail = make_thumbnail(grid)
    assert (thumbnail.width, thumbnail.height) == (1056, 528)
    content = base64.b64decode(thumbnail.uri.removeprefix("data:image/webp;base64,"))
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert image.size == (128, 64) and len(content) < 6000
    error = np.abs(np.asarray(image.resize((16, 8), Image.Resampling.BOX)).astype(int) - blocks)
    assert error.mean() < 25
    assert make_thumbnail(np.zeros((1, 9, 3), np.uint8)).width == 9


def test_entries_of_earlier_versions_are_still_compared(runs):
    for metric in runs[0]["metrics"].values():
        del metric["of"]
    oldest = {key: value for key, value in runs[0].items() if key != "extractor"}
    older = {key: value for key, value in runs[1].items() if key != "extractor"}
    older["judge"] = "inception"
    entries = {run["run"]: lambda run=run: run for run in (oldest, older, runs[2])}
    page = write_comparison(entries, dict.fromkeys(entries, lambda: np.zeros((4, 4, 3), np.uint8)))
    groups = read_data(page)["groups"]
    assert {group["extractor"] for group in groups} == {"an unnamed network", "inception", "lite"}


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
    assert [run["run"] for run in read_data(page)["runs"]] == ["whole"]
    for message in caplog.messages:
        assert "The comparison leaves out a run: " in message
        assert "`kedro run --pipelines=evaluate` with the same --env and --params" in message
    for name in ("cut.json", "empty.json", "list.json", "no metrics.json", "cut image.png"):
        (message,) = [text for text in caplog.messages if f"{tmp_path}/{name} can't be " in text]
    assert len(caplog.messages) == page.count("<p>Left out: ") == 6
    (tmp_path / "whole.json").unlink()
    with pytest.raises(GanvasError, match=r"no finished evaluation: run `kedro run` first. .*cut"):
        write_comparison(entries.load(), pictures.load())
