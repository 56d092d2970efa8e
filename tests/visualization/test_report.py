import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.curves import plot_curves
from ganvas.visualization.report import format_number, render_report, reproduction_notes

NAMES = ["samples", "real", "generated", "progress", "curves", "neighbors", "interpolation"]


def render(training, sheets=(), published=(), problems=(), **changes):
    images = {name: np.full((5, 6, 3), k * 40, np.uint8) for k, name in enumerate(NAMES)}
    metrics = {
        "loss": metric_entry("A <loss>", 1.23456, "N=3", "nats"),
        "distance": metric_entry("A distance", (2.5, 0.125), "N=4", real=0.75),
        "spread_pixels": metric_entry(
            "A spread, in pixels", 0.25, "N=4", by_class={"Op": 0.25, "P<p": 0.625}
        ),
        "spread_features": metric_entry("A spread, in features", 0.5, "N=4", by_class={"Op": 0.5}),
        "distance_000": metric_entry(
            "A distance", 9.875, "all pairs, N=2", real=0.25, of="Night <Skies>"
        ),
    }
    animation = np.zeros((3, 8, 8, 3), np.uint8)
    summary, rejected = training | changes, {"not an image": 2}
    history = pd.DataFrame({"epoch": [1, 2], "loss_g": 0.125, "loss_d": 1.0})
    plot = plot_curves(history.assign(real_score=0.5, fake_score=0.5))
    return render_report(
        images, sheets, animation, plot, metrics, published, problems, summary, rejected
    )


def without_scripts(page):
    """Remove Plotly's library, which contains addresses and images that it never loads."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_images_are_embedded_unchanged(training):
    page = without_scripts(render(training))
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    levels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(s))))[0, 0, 0] for s in sources]
    assert sorted(levels) == [0, 40, 80, 120, 160, 200, 240]


def test_the_page_loads_nothing_from_elsewhere(training):
    page = without_scripts(render(training))
    assert not re.search(r'(src|href)="(?!data:)|url\(|https?://|@import', page)


def test_metrics_parameters_versions_and_rejected_files_are_listed(training):
    page = render(training)
    for text in (
        "A &lt;loss&gt;",
        "1.235 nats",
        "2.500 ± 0.125",
        ">0.750<",
        "N=3",
        "train.max_minutes",
        "none",
        "3.15",
    ):
        assert text in page
    assert "2 × not an image." in page and "1,234" in page


def test_a_run_that_ended_early_has_a_warning(training):
    assert 'class="warning"' not in render(training)
    assert "Training is complete after 3 epochs." in render(training)
    page = render(training, ended_by="interrupted", message="Kept epoch 2.")
    assert 'class="warning"' in page and "Kept epoch 2." in page


def test_early_warnings_are_shown(training):
    warning = {"epoch": 7, "name": "mode collapse", "evidence": "12% <", "advice": "try less"}
    page = render(training, warnings=[warning])
    assert "<b>Mode collapse</b> in epoch 7: 12% &lt;" in page and "Try less." in page


def test_problems_of_the_evaluated_images_come_before_those_of_training(training):
    warning = {"epoch": 7, "name": "memorization", "evidence": "12%", "advice": "try less"}
    problem = {"name": "mode collapse", "evidence": "Op < Pop", "advice": "try more"}
    page = render(training, problems=[problem], warnings=[warning])
    before, text, after = page.partition(
        "<b>Mode collapse</b> in the evaluated images: Op &lt; Pop. Try more."
    )
    assert text and "Memorization" in after and "Memorization" not in before


def test_diversity_has_a_row_a_class(training):
    page = render(training)
    _, _, table = page.partition("<summary>Diversity by style</summary>")
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("</table>")[0])
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)<", row) for row in rows]
    assert cells == [
        ["Style", "In pixels", "In features"],
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
    assert "<p>The clock ended the run: it may end at another step.</p>" in page


def test_the_animation_is_embedded(training):
    (animation,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', render(training))
    assert Image.open(io.BytesIO(base64.b64decode(animation))).size == (8, 8)


def test_class_sheets_are_embedded_where_there_are_classes(training):
    assert "Class by class" not in render(training)
    page = render(training, sheets=[np.full((7, 7, 3), level, np.uint8) for level in (201, 202)])
    assert page.count('alt="Real and generated images, a row for each style"') == 2
    # Class names are also text, since a font may lack their letters.
    assert page.count("From top to bottom: Op, Pop.") == 1


def test_published_results_are_beside_the_measured_metrics(training):
    published = [
        {"metric": "loss", "value": 4.3852, "source": "another's run"},
        {"metric": "likelihood", "value": 1041, "source": "yet another's"},
    ]
    assert "Theirs" not in render(training)
    _, _, table = render(training, published=published).partition("Theirs</th>")
    cells = re.findall(r"<td[^>]*>([^<]+)</td>", table.partition("</table>")[0])
    assert cells[:4] == ["A &lt;loss&gt;", "1.235", "4.3852", "another&#39;s run"]
    assert cells[4:] == ["likelihood", "not measured", "1041", "yet another&#39;s"]


def test_the_interactive_curves_and_plotly_are_embedded(training):
    page = render(training)
    assert '"generator loss"' in page and "Plotly.newPlot" in page
    assert len(page) > 3e6


def test_metrics_by_class_are_in_a_separate_table(training):
    page = render(training)
    before, _, after = page.partition("<h3>Distances by style</h3>")
    assert "9.875" in after and "Night &lt;Skies&gt;" in after and "N=2" in after
    assert "9.875" not in before


def test_the_command_to_reproduce_the_run_is_shown(training):
    assert "<code>kedro run --env=celeba --params=&#39;a b=1&#39;</code>" in render(training)


def test_the_command_alone_reproduces_a_run_that_its_steps_ended(training):
    for reason in ("steps", "epochs", "patience", "diverged"):
        assert reproduction_notes(training | {"ended_by": reason}) == []


def test_a_run_that_the_clock_ended_is_reproduced_by_its_steps(training):
    (note,) = reproduction_notes(training | {"ended_by": "time"})
    assert note == (
        "The clock ended the run: to end at the same step, add "
        "train.max_steps=231,train.max_minutes=null to --params."
    )
    assert f"<p>{note}</p>" in render(training, ended_by="time")


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.000"),
        (0.1, "0.100"),
        (-0.00031, "-0.00031"),
        (45.8617, "45.862"),
        (2751.4, "2,751"),
    ],
)
def test_large_and_tiny_numbers_are_readable(value, expected):
    assert format_number(value) == expected
