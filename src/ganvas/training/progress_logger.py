"""How far a run is, and how long the rest will take."""

import logging
import math
import time
from collections import deque
from typing import Any

import keras
import rich
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from ganvas.progress import LOG_SECONDS, format_duration, in_terminal
from ganvas.training.callbacks import StepCounter
from ganvas.training.checkpoint_contents import RunState
from ganvas.training.config import TrainParams
from ganvas.training.gan import SCORES

logger = logging.getLogger(__name__)

Logs = dict[str, Any] | None

# The speed is that of the last minute, or of the last 100 calls if they took longer.
RECENT_SECONDS, RECENT_CALLS = 60, 100
# Between the lines of a long epoch in a log.
SECONDS_WITHIN_EPOCH = 60


class ProgressLogger(keras.callbacks.Callback):
    """Show the progress of training: a bar in a terminal, lines in a log.

    Lines are at least ten seconds apart, of whole epochs where these are short.

    Args:
        run_state: Has the clock of all parts of the run.
        params: Limits of the run.
        counter: Counts the steps.
    """

    def __init__(self, run_state: RunState, params: TrainParams, counter: StepCounter) -> None:
        super().__init__()
        self.run_state, self.counter, self.epochs = run_state, counter, params.epochs
        self.seconds = math.inf if params.max_minutes is None else params.max_minutes * 60
        self.total_steps = params.total_steps(counter.steps_per_epoch)
        # When the last line was logged.
        self.logged = -math.inf
        # Steps that were done at recent times.
        self.recent: deque[tuple[int, float]] = deque()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[time_left]}"),
            # Only what is left of the width, so that the scores displace nothing.
            TextColumn("{task.fields[scores]}", table_column=Column(ratio=1, no_wrap=True)),
            expand=True,
            console=rich.get_console(),
            disable=not in_terminal(),
        )

    def on_train_begin(self, logs: Logs = None) -> None:
        """Show the bar at the first of the two `fit` calls of a run resumed within an epoch."""
        if not self.bar.tasks:
            self.task = self.bar.add_task("Training", total=1.0, scores="", time_left="")
            self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Remember when the epoch began."""
        self.epoch_start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Move the bar: by steps or by time, whichever ends the run first."""
        now = time.monotonic()
        # The first of them is the end of the first step, so the time of compiling doesn't count.
        self.recent.append((self.counter.total, now))
        while len(self.recent) > RECENT_CALLS and now - self.recent[0][1] > RECENT_SECONDS:
            self.recent.popleft()
        by_steps = self.counter.total / self.total_steps if self.total_steps else 0.0
        by_time = self.run_state.tick() / self.seconds
        self.bar.update(
            self.task,
            completed=max(by_steps, by_time),
            description=f"Training, {self._describe_position()}",
            time_left=self._describe_time_left(),
        )
        # An epoch that ends soon has a line of its own.
        if not in_terminal() and now - max(self.logged, self.epoch_start) >= SECONDS_WITHIN_EPOCH:
            self.logged = now
            left = self._describe_time_left()
            logger.info("%s", ", ".join(filter(None, [self._describe_position(), left])))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Show the epoch's losses and scores."""
        scores = "  ".join(f"{name} {float((logs or {})[name]):.3f}" for name in SCORES)
        self.bar.update(self.task, scores=scores)
        now = time.monotonic()
        ends = self.counter.total == self.total_steps
        if not in_terminal() and (ends or now - self.logged >= LOG_SECONDS):
            self.logged = now
            seconds = format_duration(now - self.epoch_start)
            times = ", ".join(filter(None, [seconds, self._describe_time_left()]))
            logger.info("%s  %s  %s", self._describe_position(), scores, times)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.stop()

    def estimate_seconds_left(self) -> float | None:
        """Return the seconds to the end by the limit that comes first; None if unknown.

        The steps that are left are expected to take what recent ones took, with everything in
        between, such as snapshots.
        """
        limits = []
        if self.seconds < math.inf:
            limits.append(max(0.0, self.seconds - self.run_state.tick()))
        if self.total_steps and len(self.recent) > 1:
            (first, start), (last, end) = self.recent[0], self.recent[-1]
            limits.append((self.total_steps - last) * (end - start) / (last - first))
        return min(limits, default=None)

    def _describe_position(self) -> str:
        """Return the epoch, and the step if the run ends by it, each with its last number."""
        counter, total = self.counter, self.total_steps
        epoch = f"epoch {counter.epoch + 1}"
        if total is None:
            return epoch
        if self.epochs and total == self.epochs * counter.steps_per_epoch:
            return f"{epoch}/{self.epochs}"
        about = "~" if total % counter.steps_per_epoch else ""
        last = math.ceil(total / counter.steps_per_epoch)
        return f"{epoch}/{about}{last}, step {counter.total}/{total}"

    def _describe_time_left(self) -> str:
        seconds = self.estimate_seconds_left()
        return f"{format_duration(seconds)} left" if seconds else ""
