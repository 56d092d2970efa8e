"""Nodes of the compare pipeline."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ganvas.cpu_count import count_cpus
from ganvas.errors import GanvasError
from ganvas.visualization.comparison_page import Thumbnail, make_thumbnail, render_comparison

logger = logging.getLogger(__name__)


def write_comparison(
    leaderboard: dict[str, Callable[[], dict[str, Any]]],
    leaderboard_pictures: dict[str, Callable[[], np.ndarray]],
) -> str:
    """Render a page of all evaluated runs; those whose files can't be read are left out.

    Raises:
        GanvasError: There is no run to compare.
    """

    def load(name: str) -> tuple[dict[str, Any], Thumbnail] | GanvasError:
        try:
            if name not in leaderboard_pictures:
                raise GanvasError(
                    f"The leaderboard has no image of {name}: evaluate that run again by "
                    "`kedro run --pipelines=evaluate` with the same --env and --params."
                )
            return leaderboard[name](), make_thumbnail(leaderboard_pictures[name]())
        except GanvasError as error:
            return error

    runs, thumbnails, left_out = [], {}, []
    names = sorted(leaderboard)
    # Pillow decodes outside of Python's lock. Only a few whole images are in memory at once.
    with ThreadPoolExecutor(count_cpus()) as executor:
        for name, loaded in zip(names, executor.map(load, names), strict=True):
            if isinstance(loaded, GanvasError):
                logger.warning("The comparison leaves out a run: %s", loaded)
                left_out.append(str(loaded))
                continue
            run, thumbnails[name] = loaded
            # In entries of earlier versions the extractor has the key `judge`, or none.
            extractor = {"extractor": run.get("judge", "an unnamed network")}
            runs.append(extractor | run | {"run": name})
    if not runs:
        raise GanvasError(
            " ".join(["There is no finished evaluation: run `kedro run` first.", *left_out])
        )
    return render_comparison(runs, thumbnails, left_out)
