"""A figure of the evaluation: a value with what it takes to understand it."""

from typing import Any

Metrics = dict[str, dict[str, Any]]
Measured = float | tuple[float, float]


def metric_entry(
    title: str,
    value: Measured,
    protocol: str,
    unit: str = "",
    real: Measured | None = None,
    of: str | None = None,
) -> dict[str, Any]:
    """Put a figure together as metrics.json has it.

    Args:
        title: What was measured.
        value: Alone, or with its standard deviation.
        protocol: How it was measured: N, extractor, range, and what else decides it.
        unit: Of the value; empty for plain numbers.
        real: What real images themselves get where they stand in for generated ones.
        of: The class whose images were measured; None: all images.

    Returns:
        title, value, spread (None: not known), unit, protocol, real (None: no such value),
        of. `join_metrics` adds run, see `name_run`.
    """
    mean, spread = value if isinstance(value, tuple) else (value, None)
    return {
        "title": title,
        "value": float(mean),
        "spread": None if spread is None else float(spread),
        "unit": unit,
        "protocol": protocol,
        "real": None if real is None else float(real[0] if isinstance(real, tuple) else real),
        "of": of,
    }


def name_run(training_summary: dict[str, Any]) -> str:
    """Tell a training, which goes by when it began, and how far it has come."""
    seen = training_summary["images_seen"]
    return f"the training of {training_summary['started']}, {seen} images seen"
