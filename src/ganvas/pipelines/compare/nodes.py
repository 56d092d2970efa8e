"""Nodes of the compare pipeline."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.visualization.comparison import render_comparison


def write_comparison(
    leaderboard: dict[str, Callable[[], dict[str, Any]]],
    leaderboard_pictures: dict[str, Callable[[], np.ndarray]],
) -> str:
    """Render a page of all evaluated runs.

    Raises:
        GanvasError: No run has been evaluated yet.
    """
    runs = [load() for name, load in sorted(leaderboard.items()) if name in leaderboard_pictures]
    if not runs:
        raise GanvasError("No evaluation is finished yet: run `kedro run` first.")
    # In entries of earlier versions the feature extractor has the key `judge`, or none.
    runs = [{"extractor": run.get("judge", "an unnamed network")} | run for run in runs]
    return render_comparison(runs, {run["run"]: leaderboard_pictures[run["run"]]() for run in runs})
