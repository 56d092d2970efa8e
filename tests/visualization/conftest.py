"""A training summary, as the report and the model card need it."""

from typing import Any

import pytest


@pytest.fixture
def training() -> dict[str, Any]:
    """Return the content of training.json for an imaginary run."""
    return {
        "dataset": "sample",
        "network": "dcgan",
        "command": "kedro run --env=celeba --params='a b=1'",
        "finished": "2026-01-01 12:00:00",
        "ended_by": "epochs",
        "message": "Training is complete after 3 epochs.",
        "epochs": 3,
        "steps": 231,
        "parts": [{"step": 0, "parameters": {"generator_learning_rate": 0.1}}],
        "images": 1234,
        "held_out": 56,
        "images_seen": 3702,
        "seconds": 90.0,
        "warnings": [],
        "classes": {"column": "style", "names": ["Op", "Pop"]},
        "parameters": {"train": {"seed": 7, "max_minutes": None}, "network": {"name": "dcgan"}},
        "versions": {"ganvas": "0.1", "keras": "3.15"},
    }
