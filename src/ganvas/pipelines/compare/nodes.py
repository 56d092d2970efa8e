"""Nodes of the compare pipeline."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.visualization.comparison import render_comparison

logger = logging.getLogger(__name__)


def write_comparison(
    leaderboard: dict[str, Callable[[], dict[str, Any]]],
    leaderboard_pictures: dict[str, Callable[[], np.ndarray]],
) -> str:
    """Render a page of all evaluated runs; those whose files can't be read are left out.

    Raises:
        GanvasError: There is no run to compare.
    """
    runs, grids, left_out = [], {}, []
    for name, load in sorted(leaderboard.items()):
        try:
            if name not in leaderboard_pictures:
                raise GanvasError(
                    f"The leaderboard has no image of {name}: evaluate that run again by "
                    "`kedro run --pipelines=evaluate` with the same --env and --params."
                )
            run, grids[name] = load(), leaderboard_pictures[name]()
        except GanvasError as error:
            logger.warning("The comparison leaves out a run: %s", error)
            left_out.append(str(error))
            continue
        # In entries of earlier versions the feature extractor has the key `judge`, or none.
        runs.append({"extractor": run.get("judge", "an unnamed network")} | run | {"run": name})
    if not runs:
        raise GanvasError(
            " ".join(["There is no finished evaluation: run `kedro run` first.", *left_out])
        )
    return render_comparison(runs, grids, left_out)
