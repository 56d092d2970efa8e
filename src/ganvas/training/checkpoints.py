"""The checkpoints of a run: which files there are, which are kept, and which one it resumes."""

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ganvas.atomic_files import atomic_path, atomic_write
from ganvas.disk_space import check_free_space, format_bytes
from ganvas.errors import GanvasError
from ganvas.saved_json import read_json
from ganvas.training.checkpoint_contents import (
    KEPT_FOR_GOOD,
    UNREADABLE,
    Checkpoint,
    RunState,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from ganvas.training.new_run import ABOUT_FILE, IDENTITY_FILE, log_new_run

logger = logging.getLogger(__name__)

BEST_FILE = "best.npz"
CHECKPOINT_FILES = "epoch-*.npz"
CHECKPOINT_NAME = re.compile(r"epoch-(\d+)-step-(\d+)\.npz")
# Epochs that the user has marked, which are kept by every rule: a JSON list.
MARKS_FILE = "marked.json"
# Most checkpoints that a message names.
MAX_NAMES = 12
# A claim of a second is of no use after this second.
SECONDS_OF_A_CLAIM = 60


class CheckpointStore:
    """The checkpoints of one run in a folder: the last few, the best, and those kept for good.

    Files are .npz without pickles, written atomically. Checkpoints within an epoch are kept among
    the last few only.

    Args:
        folder: Folder of the checkpoint files.
        keep: How many of the last to keep.
        every: Each epoch whose number it divides is kept for good; None: no epoch. Epochs that an
            earlier part of the run has kept for good, and marked ones (`MARKS_FILE`), stay too.
    """

    def __init__(self, folder: Path, keep: int, every: int | None = None) -> None:
        self.folder, self.keep, self.every = folder, keep, every
        self._known_for_good: dict[str, bool] = {}

    def check_space(self, size: int, epochs: range = range(0)) -> None:
        """Check that the disk has space for checkpoints.

        Args:
            size: Bytes of a checkpoint, see `count_bytes`.
            epochs: Numbers of the epochs that are still to be trained, as far as they are known.

        Raises:
            GanvasError: There is not enough for a single one.
        """
        files = [*self._files()[-self.keep :], self.folder / BEST_FILE]
        held = sum(file.stat().st_size for file in files if file.exists())
        # The last few, the best, and the next one before the oldest is removed.
        needed = (self.keep + 2) * size - held
        if self.every:
            for_good = sum(map(self.keeps, epochs))
            needed += sum(map(self.keeps, epochs[: -self.keep])) * size
            logger.info(
                "train.checkpoint.keep_every=%d keeps %s: %s each, %s.",
                self.every,
                f"{for_good:,} more checkpoints" if epochs else "a checkpoint after such epochs",
                format_bytes(size),
                f"{format_bytes(for_good * size)} in all" if epochs else "until the time is up",
            )
        check_free_space(self.folder, size, needed, "checkpoints")

    def keeps(self, epoch: int) -> bool:
        """Return whether a complete epoch is kept for good, and so must be saved."""
        return self.every is not None and epoch % self.every == 0

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and remove old ones that no rule keeps."""
        for_good = not checkpoint.step and self.keeps(checkpoint.epoch)
        file = checkpoint_file(self.folder, checkpoint.epoch, checkpoint.step)
        write_checkpoint(file, checkpoint, for_good)
        self._remove_old()

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the best checkpoint, replacing the previous one.

        One that was chosen by another feature extractor, in an earlier version, is not worse:
        it stays as a marked epoch.
        """
        best, stored = checkpoint.run_state["best"], self._read_best()
        if best and stored and best.get("extractor") != stored.get("extractor"):
            self._mark_best(int(stored["epoch"]))
        write_checkpoint(self.folder / BEST_FILE, checkpoint)

    def _mark_best(self, epoch: int) -> None:
        copy_best(self.folder, epoch)
        try:
            write_marks(self.folder, read_marks(self.folder) | {epoch})
        except GanvasError as error:
            # As long as marks can't be read, no checkpoint is removed.
            logger.warning("%s Epoch %d is not marked.", error, epoch)

    def _remove_old(self) -> None:
        old = self._files()[: -self.keep]
        try:
            marked = read_marks(self.folder) if old else set()
        except GanvasError as error:
            logger.warning("%s No checkpoint is removed until then.", error)
            return
        for file in old:
            epoch, step = parse_name(file)
            if step or not (epoch in marked or self._is_for_good(file)):
                file.unlink()

    def _is_for_good(self, file: Path) -> bool:
        """Return whether a checkpoint was kept for good by the part of the run that wrote it."""
        if file.name not in self._known_for_good:
            try:
                for_good = bool(read_header(file).get(KEPT_FOR_GOOD))
            except UNREADABLE as error:
                # One that is only out of reach at the moment isn't lost.
                for_good = isinstance(error, OSError)
            self._known_for_good[file.name] = for_good
        return self._known_for_good[file.name]

    def restore_best(self, run_state: RunState) -> None:
        """Make the best epoch of a resumed run and the best checkpoint agree, in place.

        A kill between the two files leaves them apart, and a file may be damaged or gone.
        """
        best = run_state.best
        stored = self._read_best()
        if stored == best:
            return
        file = checkpoint_file(self.folder, int(best["epoch"]), 0) if best else None
        # The checkpoint of an epoch is written before that of the best one.
        if file and file.is_file() and (checkpoint := _try_to_read(file, "it is not the best")):
            self.save_best(checkpoint)
        elif stored is not None:
            # Of an epoch that will be trained again, or before one whose checkpoint is lost.
            run_state.best = stored
        elif best is not None:
            logger.warning(
                "The checkpoint of the best epoch, %d, is lost from %s: the best of the epochs "
                "that follow takes its place.",
                best["epoch"],
                self.folder,
            )
            run_state.best = None

    def _read_best(self) -> dict[str, int | float | str] | None:
        """Return the epoch and kernel distance of the best checkpoint; None: it can't be used."""
        try:
            header = read_header(self.folder / BEST_FILE)
            best = RunState.from_dict(header).best
        except UNREADABLE:
            return None
        return best if best and best["epoch"] == header["epoch"] else None

    def claim_start(self) -> str:
        """Return the present second as the name of a new run, which no other run gets.

        Snapshots and the leaderboard's entries are named after it, and several runs of one dataset
        and network may begin at once.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = RunState().started
            claim = self.folder.parent / f".started-{name}"
            try:
                claim.touch(exist_ok=False)
                break
            except FileExistsError:
                time.sleep(0.1)
        for other in self.folder.parent.glob(".started-*"):
            with suppress(OSError):
                if time.time() - other.stat().st_mtime > SECONDS_OF_A_CLAIM:
                    other.unlink()
        return name

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
            epoch, step = parse_name(file)
            names.append(f"epoch {epoch} and {step} steps" if step else f"epoch {epoch}")
        if len(names) > MAX_NAMES:
            names = [*names[:2], "…", *names[3 - MAX_NAMES :]]
        return f"the checkpoints after {', '.join(names)} are kept, in {self.folder}"

    def has_epoch(self, epoch: int) -> bool:
        """Return whether there is a checkpoint of a complete epoch."""
        best = self._read_best()
        is_best = best is not None and best["epoch"] == epoch
        return is_best or checkpoint_file(self.folder, epoch, 0).is_file()

    def _files(self) -> list[Path]:
        return list_files(self.folder)


def checkpoint_file(run: Path, epoch: int, step: int) -> Path:
    """Return the path of the checkpoint after so many complete epochs, and steps of the next."""
    return run / f"epoch-{epoch:06d}-step-{step:07d}.npz"


def list_files(run: Path) -> list[Path]:
    """Return the checkpoint files of a run but the best, in the order of epochs and steps."""
    # Anything else of such a name can't be read, or reading it never ends.
    files = run.glob(CHECKPOINT_FILES)
    usable = [file for file in files if CHECKPOINT_NAME.fullmatch(file.name) and file.is_file()]
    return sorted(usable, key=parse_name)


def parse_name(file: Path) -> tuple[int, int]:
    """Return the number of complete epochs of a checkpoint file, and of steps after them."""
    match = CHECKPOINT_NAME.fullmatch(file.name)
    assert match, "list_files returns no other files"
    return int(match[1]), int(match[2])


def read_marks(run: Path) -> set[int]:
    """Read which epochs of a run are marked.

    Raises:
        GanvasError: The file of marks can't be read.
    """
    file = run / MARKS_FILE
    try:
        return set(read_json(file, list[int], "correct it, or delete it and mark epochs again"))
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise GanvasError(f"{file} can't be read ({error}): make it readable.") from error


def write_marks(run: Path, epochs: set[int]) -> None:
    """Write which epochs of a run are marked."""
    atomic_write(run / MARKS_FILE, json.dumps(sorted(epochs)).encode())


def copy_best(run: Path, epoch: int) -> None:
    """Write the best checkpoint also as that of its epoch, since the next best replaces it."""
    file = checkpoint_file(run, epoch, 0)
    if not file.is_file():
        with atomic_path(file, durable=True) as partial:
            shutil.copyfile(run / BEST_FILE, partial)


def run_folder(parent: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the run with this identity, which need not exist."""
    text = json.dumps(identity, sort_keys=True)
    return parent / hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def open_store(
    parent: Path,
    identity: dict[str, Any],
    keep: int,
    resume: bool,
    every: int | None = None,
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
        every: Which epochs to keep for good; see `CheckpointStore`.
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
    return CheckpointStore(folder, keep, every)


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
