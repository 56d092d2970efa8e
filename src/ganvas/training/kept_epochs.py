"""The kept epochs of a run: which there are and why, marks, and the choice of one.

Nothing here imports Keras or reads weights, so that listing takes no time.
"""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganvas.base_params import flatten
from ganvas.command_line import join_params, write_command
from ganvas.errors import GanvasError
from ganvas.training.checkpoint_contents import KEPT_FOR_GOOD, UNREADABLE, read_header
from ganvas.training.checkpoints import BEST_FILE, copy_best, list_files, read_marks, write_marks
from ganvas.training.new_run import IDENTITY_FILE, SWEPT, read_record

logger = logging.getLogger(__name__)

Measure = Literal[
    "kernel_distance",
    "diversity",
    "class_diversity",
    "class_nearest",
    "novelty",
    "collapsed_classes",
]
# Columns of the history that compare epochs, and whether higher values are better.
HIGHER_IS_BETTER: dict[Measure, bool] = {
    "kernel_distance": False,
    "diversity": True,
    "class_diversity": True,
    "class_nearest": True,
    "novelty": True,
    "collapsed_classes": False,
}
# How to have more to choose from next time.
ADVICE = (
    "a run with train.checkpoint.keep_every=1 keeps all of its epochs, and "
    "train.checkpoint.keep more of the last"
)


class KeptEpoch(NamedTuple):
    """A complete epoch with a checkpoint.

    Attributes:
        epoch: Its number, from 1 on.
        reasons: Why it is kept: last, best, every, marked; empty: it is removed with the next one.
        row: Its row of the run's history.
        size: Bytes on disk, of two files if it is the best.
        file: Its checkpoint.
    """

    epoch: int
    reasons: tuple[str, ...]
    row: dict[str, Any]
    size: int
    file: Path

    def measure(self, name: str) -> float | None:
        """Return a finite value of its row; None if it was not measured."""
        return _finite(self.row.get(name))


class KeptRun(NamedTuple):
    """The checkpoints of a run.

    Attributes:
        folder: Their folder.
        started: When the run began, the name of its folder of snapshots.
        rows: The history up to the last checkpoint.
        epochs: Complete epochs, in order.
        last: The last checkpoint.
        position: Its complete epochs, and its steps of the next one.
    """

    folder: Path
    started: str
    rows: list[dict[str, Any]]
    epochs: list[KeptEpoch]
    last: Path
    position: tuple[int, int]

    @property
    def measures(self) -> list[Measure]:
        """The measures that any kept epoch has."""
        return [
            name
            for name in HIGHER_IS_BETTER
            if any(kept.measure(name) is not None for kept in self.epochs)
        ]


class ChosenEpoch(NamedTuple):
    """A checkpoint whose models are to be used.

    Attributes:
        file: The checkpoint.
        epoch: Its number if it is an earlier epoch; None: it is the last checkpoint.
        reason: Why it was chosen, as the end of a sentence; empty for the last checkpoint.
    """

    file: Path
    epoch: int | None
    reason: str


def read_kept(folder: Path, keep: int) -> KeptRun | None:
    """Read which epochs of a run are kept; return None if it has no usable checkpoint.

    Args:
        folder: Folder of the run's checkpoints.
        keep: How many of the last are kept.

    Raises:
        GanvasError: The file of marked epochs can't be read.

    Example:
        >>> run = read_kept(Path("checkpoints/0123456789ab"), keep=2)
        >>> [kept.epoch for kept in run.epochs]
        [3, 4, 5]
    """
    files = list_files(folder)
    headers = {file: header for file in files if (header := _try_to_read(file)) is not None}
    best = folder / BEST_FILE
    best_header = _try_to_read(best) if best.is_file() else None
    marks = read_marks(folder)
    epochs = {}
    for file, header in headers.items():
        if header["step"] or not header["epoch"]:
            continue
        rules = {"last": file in files[-keep:], "every": header.get(KEPT_FOR_GOOD)}
        epochs[header["epoch"]] = _make_kept(file, header, rules, marks)
    if best_header is not None and not best_header["step"]:
        kept = _make_kept(best, best_header, {"best": True}, marks)
        if same := epochs.get(kept.epoch):
            kept = same._replace(
                reasons=(*same.reasons, "best"), size=same.size + best.stat().st_size
            )
        epochs[kept.epoch] = kept
    if best_header is not None and not headers:
        headers[best] = best_header
    if not headers:
        return None
    positions = {file: (header["epoch"], header["step"]) for file, header in headers.items()}
    last = max(positions, key=positions.__getitem__)
    state = headers[last]
    # A run of an earlier version may have been resumed, and its distances, which are of another
    # extractor, renamed since the epoch was saved.
    rows = {row["epoch"]: row for row in state["rows"]}
    ordered = [
        epochs[epoch]._replace(row=rows.get(epoch, epochs[epoch].row)) for epoch in sorted(epochs)
    ]
    return KeptRun(folder, state["started"], state["rows"], ordered, last, positions[last])


def find_started(parent: Path, started: str) -> Path | None:
    """Return the folder of the run that began at a time; None if it has no checkpoints there."""
    for folder in sorted(parent.glob("*/")):
        for file in reversed(list_files(folder)):
            header = _try_to_read(file)
            if header is not None:
                if header["started"] == started:
                    return folder
                break
    return None


def find_swept(parent: Path, identity: dict[str, Any], train: dict[str, Any]) -> list[Path]:
    """Return the folders of runs of sweeps that have an identity and parameters, the newest first.

    Values by which the runs of a sweep don't resume one another, such as learning rates, identify
    them only within the sweep; outside of it they are found by the same values.

    Args:
        parent: Folder of the runs' folders.
        identity: What identifies the run outside of a sweep, in JSON's types.
        train: Parameters of training, nested.

    Example:
        >>> find_swept(Path("checkpoints"), identity, {"generator_learning_rate": 0.002})
        [PosixPath('checkpoints/0123456789ab')]
    """
    given = flatten({"train": train})
    found = []
    for file in parent.glob(f"*/{IDENTITY_FILE}"):
        record = read_record(file) or {}
        swept = record.pop(SWEPT, None)
        if record != identity or not isinstance(swept, dict):
            continue
        # A profile has no parameters of its own but those that it sets.
        values = flatten({key: value for key, value in swept.items() if key != "profile"})
        unlike = (key for key, value in values.items() if given.get(key, value) != value)
        if "-until-" not in file.parent.name and not any(unlike):
            found.append(file.parent)
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)


def has_trained_with(run: KeptRun, train: dict[str, Any], keys: Iterable[str]) -> bool:
    """Return whether parameters are those that the last part of a run was trained with.

    Args:
        run: The run; one of an earlier version, which recorded none, counts as trained with them.
        train: Parameters of training, nested.
        keys: Their dotted keys that are compared.
    """
    parts = read_header(run.last).get("parts") or [{"parameters": {}}]
    trained, given = (flatten({"train": tree}) for tree in (parts[-1]["parameters"], train))
    return all(trained.get(key, given.get(key)) == given.get(key) for key in keys)


def choose_epoch(run: KeptRun, epoch: int | Literal["last", "best"], by: Measure) -> ChosenEpoch:
    """Choose a checkpoint.

    Args:
        run: The kept epochs.
        epoch: Number of an epoch; last: the last checkpoint, which may be within an epoch; best:
            the complete epoch that is best by a measure, of equal ones the first.
        by: The measure.

    Raises:
        GanvasError: The epoch is not kept, or no kept epoch was measured.
    """
    if epoch == "last":
        return ChosenEpoch(run.last, None, "")
    if epoch == "best":
        kept, reason = _find_best(run, by)
    else:
        kept, reason = _find(run, epoch), f"by select.epoch={epoch}"
    is_last = run.position == (kept.epoch, 0)
    return ChosenEpoch(run.last if is_last else kept.file, None if is_last else kept.epoch, reason)


def _find(run: KeptRun, epoch: int) -> KeptEpoch:
    for kept in run.epochs:
        if kept.epoch == epoch:
            return kept
    raise GanvasError(f"{_describe_missing(run, epoch)}: {describe_kept(run)}; {ADVICE}.")


def _describe_missing(run: KeptRun, epoch: int) -> str:
    done = run.position[0]
    if epoch > done:
        return f"There is no epoch {epoch} yet, since the run has {done} complete ones"
    return f"Epoch {epoch} of {done} is not kept"


def describe_kept(run: KeptRun) -> str:
    """Return which complete epochs are kept, in words.

    Example:
        >>> describe_kept(run)
        'kept are 1 to 3, 5 in checkpoints/0123456789ab'
    """
    numbers = list_ranges(kept.epoch for kept in run.epochs)
    return f"kept are {numbers or 'none'} in {run.folder}"


def list_ranges(numbers: Iterable[int]) -> str:
    """Return whole numbers as text, with each three or more in a row as a range.

    Example:
        >>> list_ranges([1, 2, 3, 5, 6])
        '1 to 3, 5, 6'
    """
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(
        f"{group[0]} to {group[-1]}" if len(group) > 2 else ", ".join(map(str, group))
        for group in groups
    )


def _find_best(run: KeptRun, by: Measure) -> tuple[KeptEpoch, str]:
    sign = -1 if HIGHER_IS_BETTER[by] else 1
    measured = [(sign * x, kept) for kept in run.epochs if (x := kept.measure(by)) is not None]
    if not measured:
        others = [name for name in run.measures if name != by]
        advice = f"set select.by={' or '.join(others)}, or " if others else ""
        means = " (train.kid_validation.interval=1)" if by == "kernel_distance" else ""
        raise GanvasError(
            f"No kept epoch of this run has a {by}, by which select.epoch=best chooses: {advice}"
            f"set select.epoch to a number ({describe_kept(run)}), or train with it{means}."
        )
    value, best = min(measured, key=lambda pair: pair[0])
    reason = f"the best kept one by {by}, {sign * value:.4g}"
    # Of the whole history, in which a better epoch may not be kept.
    rows = [(_finite(row.get(by)), row["epoch"]) for row in run.rows[: run.position[0]]]
    lost = min(((sign * x, epoch) for x, epoch in rows if x is not None), default=(math.inf, 0))
    if lost[0] < value:
        reason += f" (epoch {lost[1]} had {sign * lost[0]:.4g}, but is not kept)"
    return best, reason


def mark_epoch(run: KeptRun, epoch: int) -> None:
    """Mark a kept epoch, so that no rule removes it.

    Raises:
        GanvasError: It is not kept.
    """
    kept = _find(run, epoch)
    write_marks(run.folder, read_marks(run.folder) | {epoch})
    if kept.file.name == BEST_FILE:
        copy_best(run.folder, epoch)
    elif not kept.file.is_file():
        # A run that trains has removed it before it was marked.
        unmark_epoch(run, epoch)
        raise GanvasError(f"Epoch {epoch} has just been removed: mark a later one.")


def unmark_epoch(run: KeptRun, epoch: int) -> None:
    """Take back the mark of an epoch; its checkpoint is removed when the run saves the next one.

    Raises:
        GanvasError: It is not marked.
    """
    marks = read_marks(run.folder)
    if epoch not in marks:
        known = f"marked are {list_ranges(marks)}" if marks else "no epoch is"
        raise GanvasError(f"Epoch {epoch} is not marked: {known}, in {run.folder}.")
    write_marks(run.folder, marks - {epoch})


def write_select_command(
    epoch: int | str, params: dict[str, Any] | None = None, *options: str
) -> str:
    """Return the command that takes the models of an epoch, evaluates and reports on them.

    Example:
        >>> write_select_command(3, {"train.seed": 1})
        'kedro run --pipelines=select,evaluate,report --params=train.seed=1,select.epoch=3'
    """
    chosen = join_params({**(params or {}), "select.epoch": epoch})
    return write_command("run", "--pipelines=select,evaluate,report", *options, chosen)


def _make_kept(
    file: Path, header: dict[str, Any], rules: dict[str, Any], marks: set[int]
) -> KeptEpoch:
    epoch = header["epoch"]
    row: dict[str, Any] = next((row for row in header["rows"] if row["epoch"] == epoch), {})
    reasons = [name for name, applies in rules.items() if applies]
    reasons += ["marked"] * (epoch in marks)
    return KeptEpoch(epoch, tuple(reasons), row, file.stat().st_size, file)


def _try_to_read(file: Path) -> dict[str, Any] | None:
    try:
        return read_header(file)
    except UNREADABLE as error:
        logger.warning("%s is left out, since it can't be read: %s.", file, error)
        return None


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
