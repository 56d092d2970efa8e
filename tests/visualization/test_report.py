import base64
import io
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from kedro.framework.cli.utils import _split_params
from PIL import Image

from ganvas.base_params import flatten
from ganvas.command_line import join_params
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.contact_sheet import draw_neighbors, draw_sheets
from ganvas.visualization.curves import plot_curves
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.image_tables import draw_style_mixing, draw_truncation_sweep
from ganvas.visualization.report import (
    ReportImages,
    render_report,
    reproduction_command,
    reproduction_notes,
    used_parameters,
)

H, W = 12, 16
VERDICT = {"level": "fair", "summary": "Soft", "sentences": ["A <b.", "Two."], "advice": "More."}
METRICS = {
    "loss_g": metric_entry("Generator loss", 1.23456, "N=3", "nats"),
    "nearest_training_distance": metric_entry("A <distance>", 45.5, "N=7", "levels", real=58.25),
    "frechet_distance": metric_entry("A Fréchet distance (FD-x)", 95.0, "N=9, by x", real=34.5),
    "kernel_distance": metric_entry(
        "A kernel distance (KD-x)", (0.0251, 0.00125), "subsets, N=9, by x", real=-0.0009
    ),
    "class_diversity_pixels": metric_entry(
        "Diversity within styles, in pixels", 0.25, "N=4", by_class={"Op": 0.25, "P<p": 0.625}
    ),
    "class_diversity_features": metric_entry(
        "Diversity within styles, in features", 0.5, "N=4", by_class={"Op": 0.5}
    ),
    "kernel_distance_000": metric_entry(
        "A kernel distance (KD-x)", 0.9875, "all pairs, N=2 a side", real=0.25, of="Night <Skies>"
    ),
}


def make_images(level, *shape):
    return np.full((*shape, H, W, 3), level, np.uint8)


NONE = np.zeros((0, 0, 3), np.uint8)
SWEEP = draw_truncation_sweep(make_images(45, 2, 3), [0, 0.5, 1], ["", ""])


def render(
    training,
    sheets=(),
    published=(),
    verdict=VERDICT,
    sweep=SWEEP,
    style_mixing=NONE,
    **changes,
):
    names = (training | changes)["classes"]["names"]
    images = ReportImages(
        shape=(H, W),
        samples=make_grid(make_images(10, 6), 3),
        seed=17,
        files=[],
        real=make_grid(make_images(20, 4), 2),
        generated=make_grid(make_images(30, 4), 2),
        sheets=list(sheets),
        sheet_columns=(3, 2),
        interpolation=make_grid(make_images(40, 2 * 5), 5, gap=0),
        sweep=sweep,
        truncations=[0, 0.5, 1],
        style_mixing=style_mixing,
        style_counts=(1, 2),
        neighbors=draw_neighbors({"generated": make_images(50, 3), "near": make_images(60, 3)}),
        neighbor_columns=12,
        strip={1: make_images(70, 2), 9: make_images(80, 2)},
        animation=np.zeros((3, 8, 8, 3), np.uint8),
        curves=np.full((5, 6, 3), 90, np.uint8),
    )
    assert len(names) in (0, 2)
    history = pd.DataFrame({"epoch": [1, 2], "loss_g": 0.125, "loss_d": 1.0})
    plot = plot_curves(history.assign(real_score=0.5, fake_score=0.5))
    splits = {"train": 1234, "validation": 56, "test": 10}
    return render_report(
        images,
        plot,
        METRICS,
        verdict,
        list(published),
        training | changes,
        splits,
        {"not an image": 2},
    )


def without_scripts(page):
    """Remove Plotly's library, which contains addresses and images that it never loads."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def find_cells(page):
    """Return the gray level of each embedded PNG, in their order on the page."""
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', without_scripts(page))
    images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(s)))) for s in sources]
    return [int(image[0, 0, 0]) for image in images]


def find_rows(page):
    """Return the text of the cells of each row of a table."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in row] for row in cells]


def test_images_are_embedded_unchanged_and_in_order(training):
    pairs = ([20] * 2 + [30] * 2) * 2
    neighbors = [50, 60] * 3
    expected = [10] * 6 + pairs + [40] * 10 + [45] * 6 + neighbors + [70] * 2 + [80] * 2 + [90]
    assert find_cells(render(training)) == expected


def test_without_classes_one_block_of_real_images_is_beside_one_of_generated_ones(training):
    page = render(training, classes={"column": None, "names": []})
    pairs = [20] * 4 + [30] * 4
    assert find_cells(page)[6:14] == pairs
    assert "<b>Op</b>" not in page and "per class" not in page


def test_a_sweep_names_its_truncations_and_classes(training):
    section = render(training).partition("<h2>Truncation</h2>")[2].partition("</section>")[0]
    assert re.findall(r"<small>(.*?)</small>", section) == ["0", "0.5", "1"]
    assert re.findall(r"<b>(.*?)</b>", section) == ["", "Op", "Pop"]
    assert "multiplied by the truncation" in section


def test_a_style_mixing_table_has_its_sources_on_the_margins(training):
    tables = {"coarse": make_images(130, 1, 2), "middle": make_images(140, 1, 2)}
    mixing = draw_style_mixing(make_images(110, 1), make_images(120, 2), tables)
    page = render(training, style_mixing=mixing)
    section = page.partition("<h2>Style mixing</h2>")[2].partition("</section>")[0]
    assert find_cells(section) == [120, 120, 110, 130, 130, 110, 140, 140]
    assert re.findall(r"<b>(.*?)</b>", section) == ["", "coarse", "middle"]
    assert "mean style of its style by truncation" in page


@pytest.mark.parametrize("table", [NONE, np.zeros((50, 50, 3), np.uint8)])
def test_a_page_without_tables_or_with_others_has_no_section_for_them(training, table):
    page = render(training, sweep=table, style_mixing=table)
    assert "<h2>Truncation" not in page and "<h2>Style mixing" not in page


def test_the_page_loads_nothing_from_elsewhere(training):
    page = without_scripts(render(training))
    assert page.count('<a id="gallery" href="../" hidden>') == 1
    # Links to pages beside it load nothing.
    page = page.replace('href="epochs.html"', "")
    assert not re.search(r'src="(?!data:)|href="(?!\.\./")|url\(|https?://|@import', page)


def test_the_headline_and_the_verdict_come_first(training):
    page = render(training)
    places = [
        page.index(text)
        for text in (
            "<h1>sample · DCGAN, by style · 16×12 pixels</h1>",
            '<div class="verdict fair">\n<p class="summary">Soft</p>\n<p>A &lt;b. Two.</p>',
            "</b> More.</p>",
            "<h2>Samples</h2>",
            "Uncurated samples (seed 17).",
            "Training is complete after 3 epochs.",
        )
    ]
    assert places == sorted(places)


def test_metrics_are_in_groups_with_signs_and_baselines(training):
    page = render(training)
    table = page.partition('<table class="metrics">')[2].partition("</table>")[0]
    assert find_rows(table) == [
        ["Metric", "Generated", "Real"],
        ["Distance to real images"],
        ["A kernel distance × 1000 (KD-x)&nbsp;↓", "25.1 ± 1.2", "−0.9"],
        ["A Fréchet distance (FD-x)&nbsp;↓", "95.0", "34.5"],
        ["Fidelity and diversity"],
        ["Diversity within styles, in pixels&nbsp;↑", "0.250", ""],
        ["Diversity within styles, in features&nbsp;↑", "0.500", ""],
        ["Training and memorization"],
        ["A &lt;distance&gt;&nbsp;≈", "45.5 levels", "58.2"],
    ]


def test_what_all_protocols_say_is_said_once(training):
    page = render(training)
    assert page.count("N=9, by x") == 1 and "Unless said otherwise: N=9, by x." in page
    assert "<dt>A kernel distance × 1000 (KD-x)</dt><dd>subsets</dd>" in page
    # The curves show losses.
    assert "Generator loss" not in page


def test_all_splits_and_rejected_files_are_counted(training):
    page = render(training)
    assert "1,234 train, 56 validation, 10 test images. Files that could not be used:" in page
    assert "2 × not an image." in page


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-01-01 12:34:56+00:00", "Finished 2026-01-01 12:34 UTC, seed 7."),
        # Earlier versions kept the local time.
        ("2026-01-01 12:34:56", "Finished 2026-01-01 12:34, seed 7."),
    ],
)
def test_the_time_is_with_its_zone_where_that_is_known(training, time, expected):
    assert expected in render(training, finished=time)


def test_early_warnings_are_shown_unless_the_verdict_says_the_same(training):
    warning = {"epoch": 7, "name": "mode collapse", "evidence": "12% <", "advice": "try less"}
    page = render(training, warnings=[warning])
    assert "<b>Mode collapse</b> in epoch 7: 12% &lt;. Try less." in page
    verdict = VERDICT | {"summary": "Mode collapse · sharp"}
    assert "in epoch 7" not in render(training, warnings=[warning], verdict=verdict)


def test_diversity_has_a_row_a_class(training):
    _, _, table = render(training).partition("<summary>Diversity by style</summary>")
    assert find_rows(table.partition("</table>")[0]) == [
        ["Style", "Diversity, pixels", "Diversity, features"],
        ["Op", "0.250", "0.500"],
        ["P&lt;p", "0.625", ""],
    ]
    plain = training | {"classes": {"column": None, "names": []}}
    assert "<summary>Diversity by cluster</summary>" in render(plain)


def test_runs_of_earlier_versions_have_a_report(training):
    warning = {"epoch": 7, "name": "mode collapse", "figure": "12%", "advice": "try less"}
    old = {("pictures" if key == "images" else key): value for key, value in training.items()}
    del old["steps"], old["parts"]
    page = render(old, warnings=[warning], ended_by="time")
    assert "in epoch 7: 12%" in page
    assert "<p>The time limit ended the run: it may end at another step.</p>" in page


def test_the_animation_is_embedded(training):
    (animation,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', render(training))
    assert Image.open(io.BytesIO(base64.b64decode(animation))).size == (8, 8)


def test_rows_of_class_sheets_have_their_labels(training):
    assert "per class" not in render(training)
    real, generated = [make_images(200, 3), make_images(201, 1)], list(make_images(210, 2, 2))
    page = render(training, sheets=draw_sheets(["Op", "Pop"], real, generated))
    section = page.partition("per class</h2>")[2].partition("</section>")[0]
    assert re.findall(r"<b>(\w+)</b>", section) == ["Op", "Pop"]
    # Where a class has fewer images, none are white.
    assert find_cells(section) == [200] * 3 + [210] * 2 + [201] + [210] * 2


def test_sheets_of_earlier_versions_are_shown_as_they_are(training):
    sheet = np.full((7, 7, 3), 203, np.uint8)
    assert find_cells(render(training, sheets=[sheet])).count(203) == 1


def test_published_results_are_beside_the_measured_metrics(training):
    published = [
        {"metric": "loss_g", "value": 4.3852, "source": "another's run"},
        {"metric": "kernel_distance", "value": 0.0125, "source": "a paper"},
        {"metric": "likelihood", "value": 1041, "source": "yet another's"},
    ]
    assert "published results" not in render(training)
    _, _, table = render(training, published=published).partition("published results</h3>")
    assert find_rows(table.partition("</table>")[0]) == [
        ["Metric", "This run", "Published"],
        ["Generator loss", "1.23 nats", "4.3852"],
        ["another&#39;s run"],
        ["A kernel distance × 1000 (KD-x)", "25.1 ± 1.2", "12.5"],
        ["a paper"],
        ["likelihood", "not measured", "1041"],
        ["yet another&#39;s"],
    ]


def test_the_interactive_curves_and_plotly_are_embedded(training):
    page = render(training)
    assert '"discriminator"' in page and "Plotly.newPlot" in page
    assert len(page) > 3e6


def test_metrics_by_class_are_in_a_separate_table(training):
    page = render(training)
    before, _, after = page.partition("<summary>A kernel distance × 1000 by style</summary>")
    assert ["Night &lt;Skies&gt; (N=2)", "987.5", "250.0"] in find_rows(after)
    assert "987.5" not in before


def test_the_command_to_reproduce_the_run_is_shown(training):
    assert "<code>kedro run --env=celeba --params=&#39;a b=1&#39;</code>" in render(training)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("kedro run --env=celeba --params='a b=1'", "The run has the preset celeba of conf."),
        (
            "ganvas --conf-source=a.zip --env=celeba,b,gpu",
            "The run has the presets celeba, b and gpu of conf, each of which overrides those "
            "before it.",
        ),
        ("kedro run --env=base", None),
        ("kedro run", None),
        (None, None),
    ],
)
def test_the_presets_of_the_run_are_named(training, command, sentence):
    page = render(training | {"command": command})
    assert ("The run has the preset" in page) == bool(sentence)
    assert sentence is None or f"<p>{sentence}</p>" in page


def test_the_command_alone_reproduces_a_run_that_its_steps_ended(training):
    for reason in ("steps", "epochs", "patience", "diverged"):
        assert reproduction_notes(training | {"ended_by": reason}) == []


@pytest.mark.parametrize("reason", ["time", "interrupted"])
def test_a_run_that_was_cut_short_is_reproduced_by_its_steps(training, reason):
    command = "kedro run '--params=train.max_minutes=5,ingest.dataset=a b'"
    summary = training | {"ended_by": reason, "command": command}
    expected = "kedro run '--params=train.max_minutes=null,ingest.dataset=a b,train.max_steps=231'"
    assert reproduction_command(summary) == expected
    (note,) = reproduction_notes(summary)
    assert note.endswith("the command ends it at the same step, 231.")
    page = render(summary)
    assert f"<p>{note}</p>" in page and expected.replace("'", "&#39;") in page
    assert reproduction_command(summary | {"ended_by": "steps"}) == command


def test_the_command_of_an_earlier_run_has_the_present_name_of_its_augmentation(training):
    command = "kedro run --params=train.augment.name=ada,train.seed=3"
    parameters = {"train": {"augment": {"name": "ada", "policy": ["color"]}}}
    earlier = training | {"command": command, "parameters": parameters, "ended_by": "steps"}
    expected = "kedro run --params=train.augment.name=adaptive_diffaugment,train.seed=3"
    assert reproduction_command(earlier) == expected
    parameters = {"train": {"augment": {"name": "ada", "set": "bgc", "policy": ["color"]}}}
    assert reproduction_command(earlier | {"parameters": parameters}) == command


def test_a_command_with_a_list_keeps_it_when_it_is_limited(training):
    command = join_params({"train.augment.policy": ["color", "a, b"], "train.max_steps": 9})
    summary = training | {"ended_by": "time", "command": shlex.join(["kedro", "run", command])}
    (option,) = shlex.split(reproduction_command(summary))[2:]
    assert flatten(_split_params(None, None, option.removeprefix("--params="))) == {
        "train.augment.policy": ["color", "a, b"],
        "train.max_steps": 231,
        "train.max_minutes": None,
    }


def test_passwords_that_earlier_versions_recorded_are_hidden(training):
    command = "kedro run --params=tracking.uri=http://ann:hunter2@host,train.seed=7"
    parameters = {"ingest": {"source": {"name": "folder", "path": "s3://AKIA:hunter2@bucket"}}}
    summary = training | {"command": command}
    summary["parameters"] = training["parameters"] | parameters
    page = render(summary)
    assert "hunter2" not in page and "tracking.uri=http://***@host,train.seed=7" in page
    assert "s3://***@bucket" in page and "*** stands for a password or key" in page


def test_parameters_that_changed_on_resume_are_beside_the_command(training):
    def part(step, rate, factor):
        schedule = {"name": "step", "factor": factor}
        return {"step": step, "parameters": {"generator_learning_rate": rate, "schedule": schedule}}

    parts = [part(0, 0.1, 0.5), part(1500, 0.2, 0.5), part(1600, 0.2, 0.25)]
    (note,) = reproduction_notes(training | {"parts": parts})
    assert note.endswith(
        "From step 0: train.generator_learning_rate=0.1, train.schedule.factor=0.5. "
        "From step 1,500: train.generator_learning_rate=0.2, train.schedule.factor=0.5. "
        "From step 1,600: train.generator_learning_rate=0.2, train.schedule.factor=0.25."
    )
    assert f"<p>{note}</p>" in render(training, parts=parts)


def test_parameters_of_branches_that_were_not_chosen_are_left_out():
    source = {"name": "folder", "path": "x", "folder": {"csv": None, "labels": "a"}, "wikiart": {}}
    adam = {"name": "adam", "adam": {"beta_1": 0.0}, "rmsprop": {"rho": 0.9}}
    used = used_parameters({"ingest": {"source": source}, "train": {"optimizer": adam}})
    assert used == {
        "ingest": {"source": {"name": "folder", "path": "x", "folder": {"labels": "a"}}},
        "train": {"optimizer": {"name": "adam", "adam": {"beta_1": 0.0}}},
    }
