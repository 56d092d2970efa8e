"""Comparisons of evaluated runs: which can be compared, their order, names and differences."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ganvas.plain_text import one_line

SEED = "train.seed"
# Parameters that change how a run is made, and not what it makes: runs that differ in these and
# their seed alone are repetitions.
WITHOUT_EFFECT = re.compile(
    r"train\.(resume|dry_run|tensorboard|snapshot_\w+|checkpoint\.\w+)|ingest\.(workers|scheduler)"
)
# The first columns of the table; runs are ranked by the first one, of which lower is better.
MAIN_METRICS = (
    *("kernel_distance", "frechet_distance"),
    *("precision", "recall", "coverage", "diversity", "class_diversity_pixels"),
)
COLUMNS = ("dataset", "extractor", "network", "started", "epochs", "minutes")

Run = dict[str, Any]


def group_comparable(runs: list[Run]) -> dict[tuple[str, str], list[Run]]:
    """Group runs whose metrics can be compared, by dataset and extractor, the best run first."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in order_runs(runs):
        groups.setdefault((str(run["dataset"]), str(run["extractor"])), []).append(run)
    return dict(sorted(groups.items()))


def title_group(dataset: str, extractor: str) -> str:
    """Return the title of a group of runs.

    Example:
        >>> title_group("sample", "efficientnet_lite2")
        'sample, features of efficientnet_lite2'
    """
    how = "without a feature extractor" if extractor == "no network" else f"features of {extractor}"
    return one_line(f"{dataset}, {how}")


def order_runs(runs: list[Run]) -> list[Run]:
    """Sort runs by kernel distance; those without one come last, by start time."""

    def rank(run: Run) -> tuple[float, str]:
        distance = run["metrics"].get(MAIN_METRICS[0])
        value = distance["value"] if distance else math.inf
        return math.inf if math.isnan(value) else value, run["started"]

    return sorted(runs, key=rank)


def tabulate(runs: list[Run]) -> pd.DataFrame:
    """Convert leaderboard entries to a table with one row per run.

    Returns:
        dataset, extractor, network, started, epochs, minutes and the main metrics, None where a
        run lacks one; sorted by dataset and extractor, best run first.
    """
    ordered = sorted(order_runs(runs), key=lambda run: (run["dataset"], run["extractor"]))
    return pd.DataFrame(
        [
            {name: run[name] for name in COLUMNS}
            | {name: run["metrics"].get(name, {}).get("value") for name in MAIN_METRICS}
            for run in ordered
        ],
        columns=[*COLUMNS, *MAIN_METRICS],
    )


def find_differences(runs: list[Run]) -> dict[str, list[tuple[Any, bool]]]:
    """Find the parameters that differ between runs.

    Returns:
        For each such parameter, sorted by name, a pair per run: its value (None where it has
        none), and whether it differs from the most common one.

    Example:
        >>> find_differences([{"parameters": {"train.seed": seed}} for seed in (0, 0, 1)])
        {'train.seed': [(0, False), (0, False), (1, True)]}
    """
    differences = {}
    for name in sorted({name for run in runs for name in run["parameters"]}):
        values = [run["parameters"].get(name) for run in runs]
        counts = Counter(map(str, values))
        if len(counts) > 1:
            most_common = counts.most_common(1)[0][0]
            differences[name] = [(value, str(value) != most_common) for value in values]
    return differences


def name_runs(runs: list[Run]) -> list[str]:
    """Name runs by network and by their unusual parameters among runs of it.

    Seeds and parameters without effect are left out.
    """
    names = {}
    for network in {run["network"] for run in runs}:
        group = [run for run in runs if run["network"] == network]
        differences = find_differences(group)
        for number, run in enumerate(group):
            unusual = [
                f"{name.rpartition('.')[2]}={values[number][0]}"
                for name, values in differences.items()
                if values[number][1] and values[number][0] is not None and is_setting(name)
            ]
            if epoch := chosen_epoch(run):
                unusual.insert(0, f"epoch {epoch}")
            suffix = ", ".join(unusual[:3]) + (" …" if len(unusual) > 3 else "")
            names[run["run"]] = f"{network}: {suffix}" if suffix else network
    return [names[run["run"]] for run in runs]


def is_setting(name: str) -> bool:
    """Return whether a parameter distinguishes runs that aren't repetitions.

    Example:
        >>> [is_setting(f"train.{name}") for name in ("batch_size", "seed", "resume")]
        [True, False, False]
    """
    return name != SEED and not WITHOUT_EFFECT.fullmatch(name)


def chosen_epoch(run: Run) -> int | None:
    """Return the epoch whose models were evaluated, if a user chose an earlier one."""
    found = re.search(r"-epoch-(\d{1,9})$", str(run["run"]))
    return int(found[1]) if found else None


def group_runs(runs: list[Run]) -> dict[str, list[Run]]:
    """Group runs that differ in their seed alone, by a unique name."""
    groups: dict[str, list[Run]] = {}
    names: dict[tuple[str, int | None, str], str] = {}
    taken: Counter[str] = Counter()
    for run, name in zip(runs, name_runs(runs), strict=True):
        settings = sorted((key, str(v)) for key, v in run["parameters"].items() if is_setting(key))
        key = (run["network"], chosen_epoch(run), str(settings))
        if key not in names:
            taken[name] += 1
            names[key] = f"{name} ({taken[name]})" if taken[name] > 1 else name
        groups.setdefault(names[key], []).append(run)
    return groups


def sample_history(history: pd.DataFrame, points: int) -> dict[str, list[float | None]]:
    """Choose rows of a history, evenly over its length, the last one included.

    Of neighboring rows the one with the most values is chosen, since some metrics are measured
    every few epochs only.

    Args:
        history: One row per epoch.
        points: Maximum number of rows.

    Returns:
        The columns that have numbers; values that are missing or infinite are None.

    Example:
        >>> sample_history(pd.DataFrame({"epoch": [1, 2, 3, 4], "warnings": ["a"] * 4}), points=2)
        {'epoch': [2, 4]}
    """
    numbers = history.select_dtypes("number").replace([np.inf, -np.inf], np.nan)
    numbers = numbers.dropna(axis="columns", how="all")
    table = numbers.iloc[choose_rows(numbers.notna().sum(axis="columns").tolist(), points)]
    return {
        str(name): [None if math.isnan(value) else value for value in column.tolist()]
        for name, column in table.items()
    }


def choose_rows(measured: list[int], points: int) -> list[int]:
    """Choose rows of a history as `sample_history` does.

    Args:
        measured: Number of values in each row.
        points: Maximum number of rows.

    Example:
        >>> choose_rows([3, 2, 3, 2, 2, 2], points=3)
        [0, 2, 5]
    """
    count = len(measured)
    edges = [count * place // points for place in range(points + 1)]
    chosen = [
        # The last one of equally complete rows.
        max(range(start, end), key=lambda row: (measured[row], row))
        for start, end in pairwise(edges)
        if end > start
    ]
    return [*chosen[:-1], count - 1] if chosen else []
