import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.interactive_curves import plot_curves
from ganvas.visualization.report import format_number, render_report

NAMES = ["samples", "real", "generated", "progress", "curves", "neighbours", "walk"]


def render(training, sheets=(), published=(), **changes):
    images = {name: np.full((5, 6, 3), k * 40, np.uint8) for k, name in enumerate(NAMES)}
    metrics = {
        "loss": metric_entry("A <loss>", 1.23456, "N=3", "nats"),
        "distance": metric_entry("A distance", (2.5, 0.125), "N=4", real=0.75),
        "distance_000": metric_entry(
            "A distance", 9.875, "all pairs, N=2", real=0.25, of="Night <Skies>"
        ),
    }
    film = np.zeros((3, 8, 8, 3), np.uint8)
    facts, rejected = training | changes, {"not an image": 2}
    history = pd.DataFrame({"epoch": [1, 2], "loss_g": 0.125, "loss_d": 1.0})
    plot = plot_curves(history.assign(real_score=0.5, fake_score=0.5))
    return render_report(images, sheets, film, plot, metrics, published, facts, rejected)


def without_scripts(page):
    """Leave the plots' library out: it has addresses and images that it never asks for."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_images_are_inside_and_unchanged(training):
    page = without_scripts(render(training))
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    levels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(s))))[0, 0, 0] for s in sources]
    assert sorted(levels) == [0, 40, 80, 120, 160, 200, 240]


def test_nothing_is_asked_of_a_network(training):
    page = without_scripts(render(training))
    assert not re.search(r'(src|href)="(?!data:)|url\(|https?://|@import', page)


def test_figures_parameters_versions_and_rejected_are_told(training):
    page = render(training)
    for words in (
        "A &lt;loss&gt;",
        "1.235 nats",
        "2.500 ± 0.125",
        ">0.750<",
        "N=3",
        "train.max_minutes",
        "none",
        "3.15",
    ):
        assert words in page
    assert "2 × not an image." in page and "1,234" in page


def test_a_run_that_ended_early_says_so(training):
    assert 'class="warning"' not in render(training)
    assert "Training is complete after 3 epochs." in render(training)
    page = render(training, ended_by="interrupted", message="Kept epoch 2.")
    assert 'class="warning"' in page and "Kept epoch 2." in page


def test_early_warnings_are_told(training):
    warning = {"epoch": 7, "name": "mode collapse", "figure": "12% <", "advice": "try less"}
    page = render(training, warnings=[warning])
    assert "<b>Mode collapse</b> in epoch 7: 12% &lt;" in page and "Try less." in page


def test_the_film_is_inside(training):
    (film,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', render(training))
    assert Image.open(io.BytesIO(base64.b64decode(film))).size == (8, 8)


def test_class_sheets_are_inside_where_there_are_classes(training):
    assert "Class by class" not in render(training)
    page = render(training, sheets=[np.full((7, 7, 3), level, np.uint8) for level in (201, 202)])
    assert page.count('alt="Real and generated images, a row for each style"') == 2
    # A font may lack their letters.
    assert page.count("From top to bottom: Op, Pop.") == 1


def test_published_figures_stand_beside_ours_and_are_called_theirs(training):
    published = [
        {"figure": "loss", "value": 4.3852, "source": "another's run"},
        {"figure": "likelihood", "value": 1041, "source": "yet another's"},
    ]
    assert "Theirs" not in render(training)
    _, _, table = render(training, published=published).partition("Theirs</th>")
    cells = re.findall(r"<td[^>]*>([^<]+)</td>", table.partition("</table>")[0])
    assert cells[:4] == ["A &lt;loss&gt;", "1.235", "4.3852", "another&#39;s run"]
    assert cells[4:] == ["likelihood", "not measured", "1041", "yet another&#39;s"]


def test_the_curves_and_what_draws_them_are_inside(training):
    page = render(training)
    assert '"generator loss"' in page and "Plotly.newPlot" in page
    assert len(page) > 3e6


def test_classes_have_a_table_of_their_own(training):
    page = render(training)
    before, _, after = page.partition("<h3>Distances by style</h3>")
    assert "9.875" in after and "Night &lt;Skies&gt;" in after and "N=2" in after
    assert "9.875" not in before


def test_the_command_that_makes_it_again_is_told(training):
    assert "<code>kedro run --env=celeba --params=&#39;a b=1&#39;</code>" in render(training)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0.000"),
        (0.1, "0.100"),
        (-0.00031, "-0.00031"),
        (45.8617, "45.862"),
        (2751.4, "2,751"),
    ],
)
def test_numbers_large_and_tiny_can_be_read(value, told):
    assert format_number(value) == told
