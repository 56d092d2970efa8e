"""Checkpoints: everything that determines the next training step, in one file."""

import hashlib
import json
import logging
import re
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from pydantic import TypeAdapter, ValidationError

from ganvas.atomic_files import atomic_path, atomic_write
from ganvas.disk_space import check_free_space
from ganvas.saved_json import FolderName, describe_invalid
from ganvas.training.new_run import ABOUT_FILE, IDENTITY_FILE, log_new_run

logger = logging.getLogger(__name__)

# Member of a checkpoint file with everything but the arrays.
RUN_STATE_FILE = "run_state.json"
BEST_FILE = "best.npz"
CHECKPOINT_FILES = "epoch-*.npz"
CHECKPOINT_NAME = re.compile(r"epoch-\d+-step-\d+\.npz")

# What reading raises for a file that is damaged or holds something else.
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)
# More epochs, steps or seconds than any run has.
MAX_COUNT = 2**53
VariableGroups = dict[str, list[keras.Variable]]


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
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
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


class CheckpointStore:
    """The checkpoints of one run in a folder: the last few and the best.

    Files are .npz without pickles, written atomically.

    Args:
        folder: Folder of the checkpoint files.
        keep: How many of the last to keep.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def check_space(self, variables: dict[str, np.ndarray]) -> None:
        """Check that the disk has space for checkpoints with these values.

        Raises:
            GanvasError: There is not enough for a single one.
        """
        size = sum(array.nbytes for array in variables.values())
        held = sum(file.stat().st_size for file in self.folder.glob("*.npz"))
        # The last few, the best, and the next one before the oldest is removed.
        check_free_space(self.folder, size, (self.keep + 2) * size - held, "checkpoints")

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and remove the oldest beyond `keep`."""
        name = f"epoch-{checkpoint.epoch:06d}-step-{checkpoint.step:07d}.npz"
        _write_checkpoint(self.folder / name, checkpoint)
        for file in self._files()[: -self.keep]:
            file.unlink()

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the best checkpoint, replacing the previous one."""
        _write_checkpoint(self.folder / BEST_FILE, checkpoint)

    def load_latest(self) -> Checkpoint | None:
        """Read the latest checkpoint that is readable; return None if there is none.

        Unreadable ones are renamed, so that they don't count among the last `keep`.
        """
        for file in reversed(self._files()):
            if checkpoint := _try_to_read(file, "using the previous one"):
                return checkpoint
        return None

    def load_best(self) -> Checkpoint | None:
        """Read the best checkpoint; return None if there is none that is readable."""
        file = self.folder / BEST_FILE
        return _try_to_read(file, "using the last epoch") if file.exists() else None

    def describe(self) -> str:
        """Return which checkpoints there are, in words.

        Example:
            >>> store.describe()
            'the checkpoints after epoch 2, epoch 3 are kept, in checkpoints'
        """
        names = []
        for file in self._files():
            epoch, step = map(int, re.findall(r"\d+", file.stem))
            names.append(f"epoch {epoch} and {step} steps" if step else f"epoch {epoch}")
        return f"the checkpoints after {', '.join(names)} are kept, in {self.folder}"

    def _files(self) -> list[Path]:
        # Anything else of such a name can't be read, or reading it never ends.
        files = self.folder.glob(CHECKPOINT_FILES)
        return sorted(f for f in files if CHECKPOINT_NAME.fullmatch(f.name) and f.is_file())


def run_folder(parent: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the run with this identity, which may not exist yet."""
    text = json.dumps(identity, sort_keys=True)
    return parent / hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def open_store(
    parent: Path,
    identity: dict[str, Any],
    keep: int,
    resume: bool,
    about: dict[str, Any] | None = None,
    write_command: Callable[[Path], str] | None = None,
) -> CheckpointStore:
    """Open the checkpoints of the run with this identity; log when it is a new run.

    Each identity has a separate folder, so that runs never overwrite each other.

    Args:
        parent: Folder of the runs' folders.
        identity: Images, networks and parameters that identify the run, in JSON's types.
        keep: How many of the last checkpoints to keep.
        resume: False: keep an earlier run of this identity under another name.
        about: What is known of the run besides its identity, in JSON's types.
        write_command: See `ganvas.training.new_run.log_new_run`.

    Example:
        >>> store = open_store(Path("checkpoints"), {"seed": 0}, keep=2, resume=True)
        >>> checkpoint = store.load_latest()
    """
    about, folder = about or {}, run_folder(parent, identity)
    if folder.exists() and not resume:
        kept = folder.with_name(f"{folder.name}-until-{datetime.now():%Y-%m-%dT%H.%M.%S.%f}")
        folder.rename(kept)
        logger.info("Starting a new run; the earlier one is kept in %s.", kept)
    elif not folder.exists():
        log_new_run(parent, identity, about, write_command if resume else None)
    # Beside the identity, which names the folders of all earlier versions' runs.
    for name, record in ((IDENTITY_FILE, identity), (ABOUT_FILE, about)):
        if record and not (folder / name).exists():
            atomic_write(folder / name, json.dumps(record, indent=2, sort_keys=True).encode())
    return CheckpointStore(folder, keep)


def _write_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    header = {"epoch": checkpoint.epoch, "step": checkpoint.step, **checkpoint.run_state}
    # Any, since the annotations of NumPy take a keyword for allow_pickle.
    arrays: dict[str, Any] = checkpoint.arrays
    with atomic_path(file, durable=True) as partial:
        with partial.open("wb") as stream:
            # NumPy 2.1 and older store allow_pickle=False as an array; reading refuses pickles.
            np.savez(stream, **arrays)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(RUN_STATE_FILE, json.dumps(header))


def _try_to_read(file: Path, otherwise: str) -> Checkpoint | None:
    """Read a checkpoint; rename it and return None if it can't be used."""
    try:
        return read_checkpoint(file)
    except UNREADABLE as error:
        with suppress(OSError):
            file.rename(file.with_name(f"{file.name}.unreadable"))
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        logger.warning("%s can't be used (%s): %s.", file, reason, otherwise)
        return None


def _is_count(value: Any) -> bool:
    # In Python, true is a number.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def _is_best(best: dict[str, Any]) -> bool:
    distance = best.get("kernel_distance")
    is_finite = isinstance(distance, int | float) and bool(np.isfinite(distance))
    return is_finite and isinstance(best.get("extractor", ""), str)


def read_checkpoint(file: Path) -> Checkpoint:
    """Read a checkpoint and check everything in it, which may not be what was written.

    Raises:
        ValueError, or another of `UNREADABLE`: It can't be used.
    """
    with zipfile.ZipFile(file) as archive:
        header = json.loads(archive.read(RUN_STATE_FILE))
    if not isinstance(header, dict):
        raise ValueError(f"its {RUN_STATE_FILE} is no object")
    epoch, step = header.pop("epoch"), header.pop("step")
    if not (_is_count(epoch) and _is_count(step)):
        raise ValueError(f"it can't be of epoch {epoch!r} and step {step!r}")
    RunState.from_dict(header)
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != RUN_STATE_FILE}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds no numbers")
    # No run saves any, and all that follows would be of no use.
    if (name := find_non_finite(arrays)) is not None:
        raise ValueError(f"{name} has values that are not finite")
    return Checkpoint(epoch, step, arrays, header)


# --- Variables as named arrays ----------------------------------------------------------------


def read_variables(groups: VariableGroups) -> dict[str, np.ndarray]:
    """Copy every variable to an array, named by its group and its number in it."""
    return {
        f"{group}/{i:04d}": np.array(variable)
        for group, variables in groups.items()
        for i, variable in enumerate(variables)
    }


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
