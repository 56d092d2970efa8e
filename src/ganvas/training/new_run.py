"""Explain why a run starts anew, and how to start it from the weights of an earlier one."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ganvas.augment_names import with_present_names
from ganvas.base_params import flatten

logger = logging.getLogger(__name__)

# The parameters that identify a run, in the run's folder.
IDENTITY_FILE = "run.json"
# What is known of a run besides: its number of images, which the identity has as a hash.
ABOUT_FILE = "about.json"
TRAINING_IMAGES = "training_images"
# Key of the identity that only a run of a sweep has: values by which it doesn't resume others.
SWEPT = "sweep"
# Differences in a message, and characters of a value, at most.
MAX_DIFFERENCES, MAX_VALUE = 5, 60
# Keys of the identity that are not the parameters' own.
PARAMETERS = {
    "data.size": "ingest.size",
    "data.crop": "ingest.crop",
    "data.align": "ingest.align",
    "data.channels": "ingest.channels",
    "data.background": "ingest.background",
    "data.label": "network.label",
}
# A value that one of two runs lacks, as those of earlier versions do.
UNSET = "unset"


class EarlierRun(NamedTuple):
    """An earlier run in the folder of runs.

    Attributes:
        folder: Its folder, which has checkpoints.
        identity: What identifies it; None if that can't be read.
        about: What is known of it besides; empty for runs of earlier versions.
    """

    folder: Path
    identity: dict[str, Any] | None
    about: dict[str, Any]


def log_new_run(
    parent: Path,
    identity: dict[str, Any],
    about: dict[str, Any],
    write_command: Callable[[Path], str] | None,
) -> None:
    """Log how a new run differs from the most similar earlier one, if there is any.

    It is a warning if the run begins with random weights, and the user has not asked for that by
    another seed: a small change of other parameters or images may have been meant to go on from the
    weights that there are.

    Args:
        parent: Folder of the runs' folders.
        identity: What identifies the new run.
        about: What is known of it besides.
        write_command: Takes the folder of an earlier run; returns the command that starts this run
            from its weights. None: there is no such command.
    """
    earlier = find_similar_run(parent, identity)
    if earlier is None:
        return
    if earlier.identity is None:
        logger.info("Starting a new run; the earlier one is kept in %s.", earlier.folder)
        return
    changed = _changed_keys(earlier.identity, identity)
    summary = _summarize(describe_differences(earlier, identity, about))
    weights_from = flatten(identity).get("train.weights_from")
    # Each run of a sweep is meant to begin with untrained networks.
    is_new = "train.seed" in changed or SWEPT in identity
    if weights_from or not changed or is_new or write_command is None:
        start = f"from the weights of {weights_from}" if weights_from else "from random weights"
        logger.info(
            "Starting a new run %s (%s); the most similar earlier one is kept in %s.",
            start,
            summary or "an earlier one has the same parameters",
            earlier.folder,
        )
        return
    partly = any(_group(key) not in ("train", SWEPT) and key != "data.images" for key in changed)
    logger.warning(
        "Starting a new run from random weights, since no earlier one has these images and "
        "parameters. The most similar one, kept in %s, has others: %s. To start from its weights "
        "instead%s, stop this run and enter: %s",
        earlier.folder,
        summary,
        ", as far as layers have equal shapes" if partly else "",
        write_command(earlier.folder),
    )


def describe_other_run(parent: Path, identity: dict[str, Any]) -> str | None:
    """Return in what the most similar run differs, in words; None if there is none.

    Args:
        parent: Folder of the runs' folders.
        identity: What identifies the run that is not there.

    Example:
        >>> describe_other_run(Path("checkpoints"), {"train": {"seed": 1}})
        'train.seed 0, then 1'
    """
    other = find_similar_run(parent, identity)
    if other is None or other.identity is None:
        return None
    return _summarize(describe_differences(other, identity, {}))


def find_similar_run(parent: Path, identity: dict[str, Any]) -> EarlierRun | None:
    """Return the run with checkpoints that differs in the fewest parameters, of equals the newest.

    Args:
        parent: Folder of the runs' folders.
        identity: What identifies the present run.
    """

    def rank(run: EarlierRun) -> tuple[float, float]:
        differences = len(_changed_keys(run.identity, identity)) if run.identity else float("inf")
        return differences, -run.folder.stat().st_mtime

    runs = [
        EarlierRun(file.parent, read_record(file), read_record(file.with_name(ABOUT_FILE)) or {})
        for file in parent.glob(f"*/{IDENTITY_FILE}")
        if any(file.parent.glob("epoch-*.npz"))
    ]
    return min(runs, key=rank, default=None)


def describe_differences(
    earlier: EarlierRun, identity: dict[str, Any], about: dict[str, Any]
) -> list[str]:
    """List in words what differs, each with the value of the earlier run and of this one.

    Example:
        >>> earlier = EarlierRun(Path("a"), {"train": {"batch_size": 16}}, {})
        >>> describe_differences(earlier, {"train": {"batch_size": 32}}, {})
        ['train.batch_size 16, then 32']
    """
    before, after = (with_present_names(flatten(x)) for x in (earlier.identity or {}, identity))
    changed = _changed_keys(earlier.identity or {}, identity)
    if "network.name" in changed:
        # Two networks have other parameters.
        changed = [key for key in changed if _group(key) != "network" or key == "network.name"]
    lines = []
    for key in changed:
        old, new = before.get(key, UNSET), after.get(key, UNSET)
        if key == "data.images":
            lines.append(_describe_images(earlier.about, about))
        elif key == "data.classes":
            lines.append(_describe_classes(old, new))
        elif _group(key) == SWEPT:
            lines.append(f"{_describe_sweep(old)}, then {_describe_sweep(new)}")
        else:
            name = _parameter(key, after.get("network.name"))
            lines.append(f"{name} {_write(old)}, then {_write(new)}")
    return lines


def read_record(file: Path) -> dict[str, Any] | None:
    """Read a JSON object of a run's folder; None if it can't be read."""
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _summarize(differences: list[str]) -> str:
    more = len(differences) - MAX_DIFFERENCES
    return "; ".join(differences[:MAX_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")


def _changed_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """List the dotted keys whose values differ; of one that only one of both has, too."""
    before, after = with_present_names(flatten(old)), with_present_names(flatten(new))
    keys = dict.fromkeys([*after, *before])
    return [key for key in keys if before.get(key, UNSET) != after.get(key, UNSET)]


def _group(key: str) -> str:
    return key.partition(".")[0]


def _parameter(key: str, network: Any) -> str:
    """Return the dotted key of the parameter that a key of the identity stands for."""
    if _group(key) == "network" and key != "network.name":
        return key.replace("network", f"network.{network}", 1)
    return PARAMETERS.get(key, key)


def _describe_images(old: dict[str, Any], new: dict[str, Any]) -> str:
    before, after = old.get(TRAINING_IMAGES), new.get(TRAINING_IMAGES)
    if not (isinstance(before, int) and isinstance(after, int)):
        return "other images"
    if before != after:
        return f"{before:,} training images, then {after:,}"
    return f"other images, of which {after:,} are for training as before"


def _describe_sweep(values: Any) -> str:
    if values == UNSET:
        return "no sweep"
    return f"a sweep over {', '.join(values)}" if isinstance(values, dict) else "a sweep"


def _describe_classes(old: Any, new: Any) -> str:
    before, after = (len(names) if isinstance(names, list) else 0 for names in (old, new))
    return f"{before} classes, then {after}" if before != after else f"{after} other classes"


def _write(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
