"""Execute the runs of a sweep one after the other or several at once, and show their progress."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import click
import rich

from ganvas.progress import format_duration, in_terminal
from ganvas.stop_signals import Interrupted
from ganvas.sweeps.launch import (
    POLL_SECONDS,
    Job,
    Launcher,
    Progress,
    Running,
    read_error,
    read_progress,
)
from ganvas.sweeps.plan import PlannedRun, Settings, find_own_values, plan_run
from ganvas.sweeps.values import describe_values

# Between two lines of progress in a log.
SECONDS_BETWEEN_LINES = 30
State = Literal["done", "finished", "failed", "pruned", "interrupted"]


@dataclass
class Outcome:
    """How a run of a sweep ended.

    Attributes:
        values: What the sweep has set, by dotted key.
        state: "done" before this command, or how it ended.
        message: Why it has no result; empty if it has one.
        entry: Its entry of the leaderboard, if it has one.
        seconds: How long this command has worked on it.
        log: Name of its log, in the sweep's folder.
    """

    values: dict[str, Any]
    state: State
    message: str = ""
    entry: dict[str, Any] | None = None
    seconds: float = 0.0
    log: str | None = None


class Source(Protocol):
    """Where runs come from.

    Attributes:
        total: How many there are, those included that are done.
    """

    total: int

    def next(self) -> tuple[int, PlannedRun] | None:
        """Return the next run to execute, and its number from 1 on; None without one left."""

    def judge(self, number: int, progress: Progress) -> str | None:
        """Return why a run is hopeless; None if it is not."""

    def finish(self, number: int, outcome: Outcome) -> None:
        """Take how a run has ended."""


class Grid:
    """All combinations of values.

    Args:
        runs: The runs.

    Attributes:
        outcomes: How they ended, by their numbers.
    """

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self.total, self.outcomes = len(runs), dict[int, Outcome]()
        self._waiting = []
        for number, run in enumerate(runs, start=1):
            if run.state == "done":
                self.outcomes[number] = Outcome(run.values, "done", entry=run.entry)
            else:
                self._waiting.append((number, run))

    def next(self) -> tuple[int, PlannedRun] | None:
        """Return the next run that isn't done."""
        return self._waiting.pop(0) if self._waiting else None

    def judge(self, number: int, progress: Progress) -> str | None:
        """Let all runs work to their end."""
        return None

    def finish(self, number: int, outcome: Outcome) -> None:
        """Keep the outcome."""
        self.outcomes[number] = outcome


@dataclass
class _Active:
    number: int
    run: PlannedRun
    running: Running
    job: Job
    start: float = field(default_factory=time.monotonic)
    progress: Progress | None = None
    # The first progress that was seen, and when: a run starts for a while, or resumes.
    first: tuple[int, float] | None = None
    reason: str | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def expected(self) -> float | None:
        """Return how long the run takes in seconds, as far as its epochs show."""
        if self.progress is None or not self.progress.epochs or self.is_trained:
            return None
        epoch, seconds = self.first or (0, 0.0)
        if self.progress.epoch <= epoch:
            epoch, seconds = 0, 0.0
        left = self.progress.epochs - self.progress.epoch
        return self.seconds + (self.seconds - seconds) * left / (self.progress.epoch - epoch)

    @property
    def is_trained(self) -> bool:
        return self.progress is not None and self.progress.epoch == self.progress.epochs


def execute(settings: Settings, source: Source, launcher: Launcher, folder: Path) -> None:
    """Execute all runs of a source.

    Args:
        settings: What all runs have in common.
        source: Where runs come from, and which takes how they ended.
        launcher: What starts them.
        folder: Folder of the sweep, for logs.

    Raises:
        Interrupted: A signal came; the runs in progress have saved what they had.
    """
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    active, durations = list[_Active](), list[float]()
    try:
        with _show_progress() as show:
            while True:
                while len(active) < launcher.slots and (chosen := source.next()):
                    active.append(_start(settings, *chosen, source.total, launcher, folder))
                if not active:
                    return
                time.sleep(POLL_SECONDS)
                for each in list(active):
                    _judge(each, source)
                    if (status := each.running.poll()) is not None:
                        active.remove(each)
                        outcome = _conclude(settings, each, status)
                        source.finish(each.number, outcome)
                        _announce(each, outcome, source.total)
                        durations += [outcome.seconds] if outcome.state == "finished" else []
                show(active, source.total, durations, launcher.slots)
    except KeyboardInterrupt as error:
        _stop(active, source, error)
        raise


def _start(
    settings: Settings,
    number: int,
    run: PlannedRun,
    total: int,
    launcher: Launcher,
    folder: Path,
) -> _Active:
    folder = folder.absolute()
    job = Job(
        run.options,
        Path.cwd(),
        folder / "logs" / f"{number:03d}.log",
        folder / "logs" / f".{number:03d}.progress.json",
        folder / "logs" / f".{number:03d}.stop",
        find_own_values(run.values, run.params.train),
    )
    resumed = " resumes" if run.state == "resumed" else ""
    click.echo(f"Run {number} of {total}{resumed}: {describe_values(run.values)}")
    return _Active(number, run, launcher.start(job), job)


def _judge(each: _Active, source: Source) -> None:
    """Read the progress of a run, and stop it if it is hopeless."""
    each.progress = read_progress(each.job.progress) or each.progress
    if each.progress and each.first is None:
        each.first = each.progress.epoch, each.seconds
    if each.progress and each.reason is None:
        each.reason = source.judge(each.number, each.progress)
        if each.reason is not None:
            each.running.stop()


def _conclude(settings: Settings, each: _Active, status: int) -> Outcome:
    """Return how a run has ended, by the leaderboard."""
    each.job.progress.unlink(missing_ok=True)
    outcome = Outcome(each.run.values, "finished", seconds=each.seconds)
    outcome.log = f"logs/{each.job.log.name}"
    outcome.entry = plan_run(settings, each.run.values).entry if status == 0 else None
    if outcome.entry is not None:
        return outcome
    if each.reason is not None:
        outcome.state, outcome.message = "pruned", each.reason
        return outcome
    outcome.state = "failed"
    if status < 0:
        outcome.message = f"its process was ended by signal {-status}, perhaps out of memory"
    elif status:
        outcome.message = read_error(each.job.log)
    else:
        outcome.message = "it has ended without an entry in the leaderboard"
    return outcome


def _announce(each: _Active, outcome: Outcome, total: int) -> None:
    what = f"Run {each.number} of {total}"
    took = format_duration(outcome.seconds)
    if outcome.state == "finished":
        click.echo(f"{what} is finished in {took}.")
    elif outcome.state == "pruned":
        click.echo(f"{what} is {outcome.message}")
    else:
        click.echo(f"{what} failed after {took}: {outcome.message} ({each.job.log})")


def _stop(active: Sequence[_Active], source: Source, error: KeyboardInterrupt) -> None:
    """Let all runs save what they have, and wait for them."""
    for each in active:
        click.echo(f"Run {each.number} of {source.total} saves what it has, and ends.")
        each.running.stop()
    while any(each.running.poll() is None for each in active):
        time.sleep(POLL_SECONDS)
    for each in active:
        each.job.progress.unlink(missing_ok=True)
        name = error.args[0] if isinstance(error, Interrupted) and error.args else "a signal"
        outcome = Outcome(each.run.values, "interrupted", f"interrupted by {name}")
        outcome.seconds, outcome.log = each.seconds, f"logs/{each.job.log.name}"
        source.finish(each.number, outcome)


@contextmanager
def _show_progress() -> Iterator[Any]:
    """Yield a function that shows the progress: a line in a terminal, or lines in a log."""
    last, shown = time.monotonic(), ""
    if in_terminal():
        with rich.get_console().status("Starting") as status:

            def update(*state: Any) -> None:
                status.update(describe_progress(*state))

            yield update
        return

    def log(*state: Any) -> None:
        nonlocal last, shown
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES and state[0]:
            last, line = time.monotonic(), describe_progress(*state)
            if line != shown:
                click.echo(line)
            shown = line

    yield log


def describe_progress(
    active: Sequence[_Active], total: int, durations: Sequence[float], slots: int
) -> str:
    """Return the epochs of the runs in progress, and the time left."""
    parts = []
    for each in active:
        text = f"run {each.number} of {total}"
        if each.progress is None:
            text += ", starting"
        elif each.is_trained:
            text += f", evaluated after epoch {each.progress.epoch}"
        else:
            of = f" of {each.progress.epochs}" if each.progress.epochs else ""
            text += f", epoch {each.progress.epoch}{of}"
        expected = each.expected()
        if expected is not None:
            text += f", {format_duration(expected - each.seconds)} left"
        parts.append(text)
    line = "; ".join(parts)
    known = [*durations, *(seconds for each in active if (seconds := each.expected()))]
    if known and active:
        mean = sum(known) / len(known)
        waiting = total - max(each.number for each in active)
        rest = max((each.expected() or mean) - each.seconds for each in active)
        left = max(rest, 0) + math.ceil(waiting / slots) * mean
        # How long the evaluation takes is not known.
        line += f"; all runs: {format_duration(left)} left" if left > 0 else ""
    return line[:1].upper() + line[1:]
