"""The entry of a metric in metrics.json."""

from typing import Any

Metrics = dict[str, dict[str, Any]]
Value = float | tuple[float, float]


def metric_entry(
    title: str,
    value: Value,
    protocol: str,
    unit: str = "",
    real: Value | None = None,
    of: str | None = None,
    by_class: dict[str, float] | None = None,
    by_level: dict[str, float] | None = None,
    by_label: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Build the entry of a metric as it is written to metrics.json.

    Args:
        title: Name of the metric for readers.
        value: The value, alone or with its standard deviation.
        protocol: How it was measured: N, feature extractor, value range, seed.
        unit: Unit of the value; empty for dimensionless ones.
        real: Real-data baseline: the same metric with real images in place of generated ones.
        of: Class whose images were measured; None: all images.
        by_class: Values by class, of which `value` is the worst; None: no such values.
        by_level: Values by level of an image pyramid, of which `value` is the mean.
        by_label: value and real by label column, of several, whose means the two above are.

    Returns:
        title, value, spread (None: unknown), unit, protocol, real (None: no baseline), of and,
        where there are any, by_class, by_level and by_label. `join_metrics` adds run, see
        `name_run`.

    Example:
        >>> entry = metric_entry("Recall", 0.25, "k=5, N=100", real=0.75)
        >>> entry["value"], entry["spread"], entry["real"]
        (0.25, None, 0.75)
    """
    mean, spread = value if isinstance(value, tuple) else (value, None)
    entry = {
        "title": title,
        "value": float(mean),
        "spread": None if spread is None else float(spread),
        "unit": unit,
        "protocol": protocol,
        "real": None if real is None else float(real[0] if isinstance(real, tuple) else real),
        "of": of,
    }
    parts = {"by_class": by_class, "by_level": by_level, "by_label": by_label}
    return entry | {key: values for key, values in parts.items() if values is not None}


def name_run(training_summary: dict[str, Any]) -> str:
    """Name a training run by its start time and the number of images it has seen."""
    seen = training_summary["images_seen"]
    return f"the training of {training_summary['started']}, {seen} images seen"
