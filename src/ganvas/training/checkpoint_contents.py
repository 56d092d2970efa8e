"""The contents of a checkpoint: everything that determines the next training step, in one file."""

from __future__ import annotations

import json
import time
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ganvas.atomic_files import atomic_path
from ganvas.saved_json import FolderName, describe_invalid

if TYPE_CHECKING:
    # Keras takes seconds to import, and the command that lists kept epochs does without.
    import keras

# Member of a checkpoint file with everything but the arrays.
RUN_STATE_FILE = "run_state.json"
# In a checkpoint's run state: whether `train.checkpoint.keep_every` keeps it, also if a run that
# resumes has another value.
KEPT_FOR_GOOD = "kept_for_good"

# What reading raises for a file that is damaged or holds something else.
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)
# More epochs, steps or seconds than any run has.
MAX_COUNT = 2**53
VariableGroups = dict[str, list["keras.Variable"]]


@dataclass
class RunState:
    """The state of a run besides its variables; saved in checkpoints.

    Attributes:
        started: When the run began, as a name for folders.
        rows: The history, one row an epoch; the last may be of a partial epoch.
        warnings: Early warnings: epoch, name, evidence and advice of each.
        seconds: Training time of all parts of the run together.
        epoch_start: What `seconds` was when the present epoch began.
        parts: Where the run was begun, and resumed with other parameters that matter: step, and
            these parameters.
        best: Epoch and kernel distance of the best epoch so far, and the extractor of the features,
            which earlier versions left out.
        evals_without_improvement: Measurements of the kernel distance since then.
    """

    started: FolderName = field(default_factory=lambda: f"{datetime.now():%Y-%m-%dT%H.%M.%S}")
    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    epoch_start: float = 0.0
    parts: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, int | float | str] | None = None
    evals_without_improvement: int = 0

    def __post_init__(self) -> None:
        self._clock_start: float | None = None

    def start_clock(self) -> None:
        """Continue counting `seconds`."""
        self._clock_start = time.monotonic() - self.seconds

    def tick(self) -> float:
        """Update and return `seconds`."""
        if self._clock_start is not None:
            self.seconds = time.monotonic() - self._clock_start
        return self.seconds

    def rollback(self, epochs: int) -> None:
        """Drop the rows and warnings after a number of epochs."""
        del self.rows[epochs:]
        self.warnings = [warning for warning in self.warnings if warning["epoch"] <= epochs]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        self.tick()
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunState:
        """Restore a state; its clock is stopped until `start_clock`.

        Raises:
            KeyError: A value is missing.
            ValueError: A value is of another type, or not one that a run can have.
        """
        # Checkpoints of earlier versions lack the start of a partial epoch, and the parts.
        values = {"epoch_start": values["seconds"], "parts": []} | values
        known = {item.name: values[item.name] for item in fields(cls)}
        try:
            state = TypeAdapter(cls).validate_python(known)
        except ValidationError as error:
            raise ValueError(describe_invalid(error)) from error
        for name in ("seconds", "epoch_start", "evals_without_improvement"):
            if not 0 <= getattr(state, name) < MAX_COUNT:
                raise ValueError(f"its {name} can't be {getattr(state, name)}")
        best = [] if state.best is None else [state.best]
        for entry in (*state.rows, *state.warnings, *best):
            if not _is_count(entry.get("epoch")):
                raise ValueError(f"an entry of its history has the epoch {entry.get('epoch')!r}")
        if not all(isinstance(warning.get("name"), str) for warning in state.warnings):
            raise ValueError("one of its warnings has no name")
        if not all({"step", "parameters"} <= part.keys() for part in state.parts):
            raise ValueError("one of its parts has no step or no parameters")
        if state.best and not _is_best(state.best):
            raise ValueError(f"its best epoch can't be {state.best}")
        return state


class Checkpoint(NamedTuple):
    """A moment between two steps.

    Attributes:
        epoch: Number of complete epochs.
        step: Number of steps of the next epoch that are done.
        arrays: Values of all variables, by name.
        run_state: `RunState.to_dict()`.
    """

    epoch: int
    step: int
    arrays: dict[str, np.ndarray]
    run_state: dict[str, Any]


def write_checkpoint(file: Path, checkpoint: Checkpoint, for_good: bool = False) -> None:
    """Write a checkpoint atomically, as .npz without pickles.

    Args:
        file: Path of the file, which is replaced if it exists.
        checkpoint: What is written.
        for_good: Whether `train.checkpoint.keep_every` keeps it.
    """
    header = {"epoch": checkpoint.epoch, "step": checkpoint.step, **checkpoint.run_state}
    if for_good:
        header[KEPT_FOR_GOOD] = True
    # Any, since the annotations of NumPy take a keyword for allow_pickle.
    arrays: dict[str, Any] = checkpoint.arrays
    with atomic_path(file, durable=True) as partial:
        with partial.open("wb") as stream:
            # NumPy 2.1 and older store allow_pickle=False as an array; reading refuses pickles.
            np.savez(stream, **arrays)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(RUN_STATE_FILE, json.dumps(header))


def read_header(file: Path) -> dict[str, Any]:
    """Read everything of a checkpoint but its arrays: epoch, step and the run's state.

    Raises:
        ValueError, or another of `UNREADABLE`: It can't be used.
    """
    with zipfile.ZipFile(file) as archive:
        header = json.loads(archive.read(RUN_STATE_FILE))
    if not isinstance(header, dict):
        raise ValueError(f"its {RUN_STATE_FILE} is no object")
    epoch, step = header["epoch"], header["step"]
    if not (_is_count(epoch) and _is_count(step)):
        raise ValueError(f"it can't be of epoch {epoch!r} and step {step!r}")
    RunState.from_dict(header)
    return header


def read_checkpoint(file: Path) -> Checkpoint:
    """Read a checkpoint and check everything in it, which may not be what was written.

    Raises:
        ValueError, or another of `UNREADABLE`: It can't be used.
    """
    header = read_header(file)
    epoch, step = header.pop("epoch"), header.pop("step")
    header.pop(KEPT_FOR_GOOD, None)
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != RUN_STATE_FILE}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds no numbers")
    # No run saves any, and all that follows would be of no use.
    if (name := find_non_finite(arrays)) is not None:
        raise ValueError(f"{name} has values that are not finite")
    return Checkpoint(epoch, step, arrays, header)


def _is_count(value: Any) -> bool:
    # In Python, true is a number.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def _is_best(best: dict[str, Any]) -> bool:
    distance = best.get("kernel_distance")
    is_finite = isinstance(distance, int | float) and bool(np.isfinite(distance))
    return is_finite and isinstance(best.get("extractor", ""), str)


# --- Variables as named arrays ----------------------------------------------------------------


def read_variables(groups: VariableGroups) -> dict[str, np.ndarray]:
    """Copy every variable to an array, named by its group and its number in it."""
    return {
        f"{group}/{i:04d}": np.array(variable)
        for group, variables in groups.items()
        for i, variable in enumerate(variables)
    }


def count_bytes(groups: VariableGroups) -> int:
    """Return the size of all variables, which is that of a checkpoint without its run state."""
    return sum(
        prod(variable.shape) * np.dtype(variable.dtype).itemsize
        for variables in groups.values()
        for variable in variables
    )


def write_variables(groups: VariableGroups, arrays: dict[str, np.ndarray]) -> None:
    """Set every variable to its array of `read_variables`.

    Raises:
        ValueError: The arrays belong to other networks or optimizers.
    """
    expected = {name: array.shape for name, array in read_variables(groups).items()}
    actual = {name: array.shape for name, array in arrays.items()}
    if expected != actual:
        name = sorted(set(expected.items()) ^ set(actual.items()))[0][0]
        raise ValueError(f"{name} has the shape {actual.get(name)}, not {expected.get(name)}")
    for group, variables in groups.items():
        for i, variable in enumerate(variables):
            variable.assign(arrays[f"{group}/{i:04d}"])


def find_non_finite(arrays: dict[str, np.ndarray]) -> str | None:
    """Return the name of an array with a value that is not finite; None if all are."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return name
    return None
