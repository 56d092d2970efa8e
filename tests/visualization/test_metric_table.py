import pytest

from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.metric_table import (
    format_heading,
    format_number,
    format_value,
    group_metrics,
    style_metric,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.000"),
        (0.1, "0.100"),
        (-0.00031, "0.000"),
        (2.6e-6, "0.000"),
        (0.0156, "0.016"),
        (-1.25, "−1.25"),
        (45.8617, "45.9"),
        (165.4, "165"),
        (2751.4, "2,751"),
    ],
)
def test_numbers_have_about_three_digits_and_no_exponents(value, expected):
    assert format_number(value) == expected


def test_kernel_distances_are_shown_times_1000_with_one_decimal():
    entry = metric_entry("Kernel distance (KID)", (0.0335748, 0.00223), "N=9", real=-0.000923)
    assert format_value("kernel_distance", entry) == "33.6 ± 2.2"
    assert format_value("kernel_distance_012", entry) == "33.6 ± 2.2"
    assert format_heading("kernel_distance_012", entry["title"]) == "Kernel distance × 1000 ↓"
    (rows,) = group_metrics({"kernel_distance": entry}).values()
    assert rows[0].real == "−0.9" and rows[0].title == "Kernel distance × 1000 (KID)"


def test_a_spread_has_the_decimals_of_its_value():
    entry = metric_entry("Score", (2.343, 0.2181), "N=9", "nats")
    assert format_value("class_score", entry) == "2.34 ± 0.22 nats"


def test_metrics_of_later_and_earlier_versions_are_in_the_last_group():
    entry = metric_entry("New", 1.0, "N=9")
    groups = group_metrics({"new_metric": entry, "recall": entry, "loss_g": entry})
    names = {title: [row.name for row in rows] for title, rows in groups.items()}
    assert names == {
        "Fidelity and diversity": ["recall"],
        "Training and memorization": ["new_metric"],
    }
    assert style_metric("new_metric").sign == ""
    # Entries of the first version had no `of`.
    del entry["of"]
    assert group_metrics({"recall": entry})["Fidelity and diversity"][0].generated == "1.00"


def test_accuracies_on_real_images_stand_in_the_column_of_real_images():
    metrics = {
        f"discriminator_accuracy_{key}": metric_entry(
            f"Discriminator accuracy on {key}", 0.75, "N=4"
        )
        for key in ("held_out", "training", "generated")
    }
    (rows,) = group_metrics(metrics).values()
    assert [(row.generated, row.real) for row in rows] == [("", "0.750")] * 2 + [("0.750", "")]
