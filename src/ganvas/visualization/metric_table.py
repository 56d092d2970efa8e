"""How metrics are shown: their groups, signs, scales and numbers.

Report, model card and comparison page show them alike. metrics.json keeps values and names as they
were measured.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

LOWER, HIGHER, AS_REAL = "↓", "↑", "≈"
SIGNS = {
    LOWER: "lower is better",
    HIGHER: "higher is better",
    AS_REAL: "best close to that of real images",
}


class MetricStyle(NamedTuple):
    """How a metric is shown.

    Attributes:
        group: Title of its group.
        sign: ↓, ↑, ≈, see `SIGNS`; empty: no value is the best one.
        factor: Factor by which values are multiplied.
        decimals: Number of decimals; None: by the size of the number, see `format_number`.
        of_real: Whether its value, and not a baseline, is that of real images.
    """

    group: str
    sign: str
    factor: int = 1
    decimals: int | None = None
    of_real: bool = False


DISTANCE = "Distance to real images"
DIVERSITY = "Fidelity and diversity"
TRAINING = "Training and memorization"

STYLES = {
    "kernel_distance": MetricStyle(DISTANCE, LOWER, 1000, 1),
    "frechet_distance": MetricStyle(DISTANCE, LOWER),
    "sliced_wasserstein_distance": MetricStyle(DISTANCE, LOWER, 1000, 1),
    "parzen_log_likelihood": MetricStyle(DISTANCE, HIGHER),
    "precision": MetricStyle(DIVERSITY, HIGHER),
    "density": MetricStyle(DIVERSITY, HIGHER),
    "recall": MetricStyle(DIVERSITY, HIGHER),
    "coverage": MetricStyle(DIVERSITY, HIGHER),
    "class_diversity_pixels": MetricStyle(DIVERSITY, HIGHER),
    "class_diversity_features": MetricStyle(DIVERSITY, HIGHER),
    "class_nearest_pixels": MetricStyle(DIVERSITY, HIGHER),
    "class_nearest_features": MetricStyle(DIVERSITY, HIGHER),
    "diversity": MetricStyle(DIVERSITY, AS_REAL),
    "class_agreement": MetricStyle(DIVERSITY, HIGHER),
    "class_score": MetricStyle(DIVERSITY, HIGHER),
    "faces": MetricStyle(DIVERSITY, HIGHER),
    # Of images that are all alike it is 0.
    "perceptual_path_length_w_end": MetricStyle(DIVERSITY, LOWER),
    "perceptual_path_length_w_full": MetricStyle(DIVERSITY, LOWER),
    "perceptual_path_length_z_end": MetricStyle(DIVERSITY, LOWER),
    "perceptual_path_length_z_full": MetricStyle(DIVERSITY, LOWER),
    # Far below real: copies. Far above: images unlike any real one.
    "nearest_training_distance": MetricStyle(TRAINING, AS_REAL),
    "nearest_training_features": MetricStyle(TRAINING, AS_REAL),
    "discriminator_accuracy_held_out": MetricStyle(TRAINING, "", of_real=True),
    "discriminator_accuracy_training": MetricStyle(TRAINING, "", of_real=True),
    "discriminator_accuracy_generated": MetricStyle(TRAINING, ""),
}
OTHER = MetricStyle(TRAINING, "")
# The training curves show these at every epoch.
IN_CURVES = ("loss_g", "loss_d", "real_score", "fake_score")


class MetricRow(NamedTuple):
    """A row of a table of metrics, as text.

    Attributes:
        name: Its key in metrics.json.
        title: Title with its factor.
        sign: See `SIGNS`.
        generated: Value with spread and unit; empty for a metric of real images.
        real: Real-data baseline, or the value of a metric of real images; empty without one.
        protocol: How it was measured, without what `common_protocol` says.
    """

    name: str
    title: str
    sign: str
    generated: str
    real: str
    protocol: str


def format_number(value: float, decimals: int | None = None) -> str:
    """Format a number to about three digits, or to a number of decimals.

    Example:
        >>> [format_number(value) for value in (2751.4, 95.07, 1.235, 0.3203, -2.6e-6)]
        ['2,751', '95.1', '1.24', '0.320', '0.000']
        >>> format_number(-0.923, decimals=1)
        '−0.9'
    """
    if decimals is None:
        decimals = count_decimals(value)
    text = f"{value:,.{decimals}f}"
    # No minus before a zero.
    return text.replace("-", "−" if float(text.replace(",", "")) else "")


def count_decimals(value: float) -> int:
    """Return how many decimals show about three digits of a value, and at most three.

    Example:
        >>> [count_decimals(value) for value in (2751.4, 95.07, 1.235, 0.3203)]
        [0, 1, 2, 3]
    """
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3


def style_metric(name: str) -> MetricStyle:
    """Return how a metric is shown, by its key in metrics.json.

    Example:
        >>> style_metric("kernel_distance_003").sign
        '↓'
    """
    # Kernel distances of single classes are numbered.
    return STYLES.get(name.rstrip("0123456789").rstrip("_"), OTHER)


def format_title(name: str, title: str) -> str:
    """Return the title of a metric with the factor of its values.

    Example:
        >>> format_title("kernel_distance", "Kernel distance (KD-efficientnet_lite2)")
        'Kernel distance × 1000 (KD-efficientnet_lite2)'
    """
    factor = style_metric(name).factor
    if factor == 1:
        return title
    head, opening, tail = title.partition(" (")
    return f"{head} × {factor}{opening}{tail}"


def format_heading(name: str, title: str) -> str:
    """Return the heading of a column or a plot: title, factor and sign, without the extractor.

    Example:
        >>> format_heading("kernel_distance", "Kernel distance (KD-efficientnet_lite2)")
        'Kernel distance × 1000 ↓'
    """
    return f"{format_title(name, title).partition(' (')[0]} {style_metric(name).sign}".rstrip()


def scale_value(name: str, value: float) -> float:
    """Return a value as it is shown: multiplied by the metric's factor."""
    return value * style_metric(name).factor


def format_value(name: str, metric: Mapping[str, Any]) -> str:
    """Return a metric's value with its spread and unit.

    Example:
        >>> format_value("kernel_distance", {"value": 0.0336, "spread": 0.0022, "unit": ""})
        '33.6 ± 2.2'
    """
    text = format_baseline(name, metric["value"])
    if metric["spread"] is not None:
        value, spread = (scale_value(name, metric[key]) for key in ("value", "spread"))
        decimals = style_metric(name).decimals
        text += f" ± {format_number(spread, decimals or count_decimals(value))}"
    return f"{text} {metric['unit']}".rstrip()


def format_baseline(name: str, value: float | None) -> str:
    """Return a real-data baseline, or a value without spread and unit; empty for None."""
    if value is None:
        return ""
    return format_number(scale_value(name, value), style_metric(name).decimals)


def common_protocol(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the protocols of all metrics that compare features say; empty without any."""
    return str(metrics["frechet_distance"]["protocol"]) if "frechet_distance" in metrics else ""


def tabulate_metric(name: str, metric: Mapping[str, Any], common: str = "") -> MetricRow:
    """Return the row of a metric.

    Args:
        name: Its key in metrics.json.
        metric: Its entry there.
        common: What is left out at the end of its protocol, see `common_protocol`.
    """
    protocol = metric["protocol"]
    if common and protocol.endswith(common):
        protocol = protocol.removesuffix(common).rstrip(", ")
    style = style_metric(name)
    value, real = format_value(name, metric), format_baseline(name, metric["real"])
    return MetricRow(
        name,
        format_title(name, metric["title"]),
        style.sign,
        "" if style.of_real else value,
        value if style.of_real else real,
        protocol,
    )


def group_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, list[MetricRow]]:
    """Return the rows of all metrics by the title of their group, in the order of `STYLES`.

    Metrics of single classes, and losses and scores, which the training curves show, are left out.
    """
    common = common_protocol(metrics)
    order = [*STYLES, *(name for name in metrics if name not in STYLES)]
    groups: dict[str, list[MetricRow]] = {DISTANCE: [], DIVERSITY: [], TRAINING: []}
    for name in order:
        if name in metrics and metrics[name].get("of") is None and name not in IN_CURVES:
            row = tabulate_metric(name, metrics[name], common)
            groups[style_metric(name).group].append(row)
    return {title: rows for title, rows in groups.items() if rows}
