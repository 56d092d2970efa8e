"""Nodes of comparison."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.visualization.comparison import render_comparison


def write_comparison(
    leaderboard: dict[str, Callable[[], dict[str, Any]]],
    leaderboard_pictures: dict[str, Callable[[], np.ndarray]],
) -> str:
    """Put all finished evaluations on one page.

    Raises:
        GanvasError: None is finished yet.
    """
    rows = [load() for name, load in sorted(leaderboard.items()) if name in leaderboard_pictures]
    if not rows:
        raise GanvasError("No evaluation is finished yet: run `kedro run` first.")
    # Rows of earlier versions tell neither who judged nor of which class.
    rows = [{"judge": "an unnamed network"} | row for row in rows]
    return render_comparison(rows, {row["run"]: leaderboard_pictures[row["run"]]() for row in rows})
