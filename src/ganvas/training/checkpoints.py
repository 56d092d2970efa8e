"""Checkpoints: everything that makes the next training step, in one file."""

import hashlib
import json
import logging
import zipfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganvas.atomic_files import atomic_path, atomic_write

logger = logging.getLogger(__name__)

FACTS = "facts.json"
RUN = "run.json"
BEST = "best.npz"
PATTERN = "epoch-*.npz"


class Checkpoint(NamedTuple):
    """A moment between two steps.

    Attributes:
        epoch: Complete epochs.
        step: Steps of the next one.
        arrays: The state, by names.
        facts: What else the run knows, in JSON's types: history, seconds, warnings.
    """

    epoch: int
    step: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run in a folder: the last few and the best.

    Files are .npz without pickles, never seen half written.

    Args:
        folder: Where they lie.
        keep: How many of the last to keep.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and drop those that are too old."""
        name = f"epoch-{checkpoint.epoch:06d}-step-{checkpoint.step:07d}.npz"
        _write(self.folder / name, checkpoint)
        for file in self._files()[: -self.keep]:
            file.unlink()

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint that is the best so far in the place of the one before."""
        _write(self.folder / BEST, checkpoint)

    def load_latest(self) -> Checkpoint | None:
        """Read the latest checkpoint that can be read; None where there is none.

        Others are put aside: they would count as the last ones, in place of those to come.
        """
        for file in reversed(self._files()):
            try:
                return _read(file)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                with suppress(OSError):
                    file.rename(file.with_name(f"{file.name}.unreadable"))
                logger.warning("%s can't be read (%s): the one before is taken.", file, error)
        return None

    def load_best(self) -> Checkpoint | None:
        """Read the best checkpoint; None where there is none."""
        file = self.folder / BEST
        return _read(file) if file.exists() else None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(PATTERN))


def open_store(parent: Path, identity: dict[str, Any], keep: int, resume: bool) -> CheckpointStore:
    """Open the checkpoints of the run with this identity, and say so when it is another run.

    Each identity has a folder of its own, so runs never overwrite each other.

    Args:
        parent: Where the runs' folders lie.
        identity: What makes a run another one when it changes, in JSON's types.
        keep: How many of the last checkpoints to keep.
        resume: False: an earlier run of this identity is put aside, under another name.
    """
    text = json.dumps(identity, sort_keys=True)
    folder = parent / hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    if folder.exists() and not resume:
        aside = folder.with_name(f"{folder.name}-until-{datetime.now():%Y-%m-%dT%H.%M.%S.%f}")
        folder.rename(aside)
        logger.info("Training starts anew; the earlier run is kept in %s.", aside)
    elif not folder.exists() and (other := _newest_run(parent)) is not None:
        changed = _differences(json.loads((other / RUN).read_text()), identity)
        told = ", ".join(changed[:5]) + (", …" if len(changed) > 5 else "")
        logger.info(
            "Training starts anew (changed: %s); the earlier run is kept in %s.", told, other
        )
    if not (folder / RUN).exists():
        atomic_write(folder / RUN, json.dumps(identity, indent=2, sort_keys=True).encode())
    return CheckpointStore(folder, keep)


def _newest_run(parent: Path) -> Path | None:
    runs = [file.parent for file in parent.glob(f"*/{RUN}")]
    return max(runs, key=lambda run: run.stat().st_mtime, default=None)


def _differences(old: Any, new: Any, at: str = "") -> list[str]:
    """The keys whose values differ, each with both values."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{at} {old} → {new}"]
    keys = [key for key in [*new, *old] if old.get(key) != new.get(key)]
    return [
        line
        for key in dict.fromkeys(keys)
        for line in _differences(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    ]


def _write(file: Path, checkpoint: Checkpoint) -> None:
    facts = {"epoch": checkpoint.epoch, "step": checkpoint.step, **checkpoint.facts}
    with atomic_path(file, durable=True) as partial:
        with partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **checkpoint.arrays)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(FACTS, json.dumps(facts))


def _read(file: Path) -> Checkpoint:
    with zipfile.ZipFile(file) as archive:
        facts = json.loads(archive.read(FACTS))
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != FACTS}
    return Checkpoint(facts.pop("epoch"), facts.pop("step"), arrays, facts)
