"""What happens around the training step: history, warnings, snapshots, the clock, progress."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import rich
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ganvas.networks.sampling import generate_images
from ganvas.progress import in_terminal
from ganvas.training.diagnostics import EarlyWarning
from ganvas.training.gan import SCORES
from ganvas.training.record import Record

logger = logging.getLogger(__name__)

# A discriminator may win and lose again and again; telling it each time would drown the log.
EPOCHS_BETWEEN_WARNINGS = 50

Watch = Callable[[list[dict[str, Any]], np.ndarray | None], list[EarlyWarning]]


class TimeLimit(keras.callbacks.Callback):
    """Ends training at the first step after a number of minutes, those of earlier parts included.

    Attributes:
        reached: Whether it has.
    """

    def __init__(self, minutes: float | None, record: Record) -> None:
        super().__init__()
        self.seconds = math.inf if minutes is None else minutes * 60
        self.record = record

    @property
    def reached(self) -> bool:
        """Whether the time is up."""
        return self.record.tick() >= self.seconds

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the clock."""
        if self.reached:
            self.model.stop_training = True


class EpochTable(keras.callbacks.Callback):
    """Adds one row an epoch to the history: epoch, losses, scores, seconds, images_per_second.

    Args:
        record: Where the rows go.
        images: Real images a step.
    """

    def __init__(self, record: Record, images: int) -> None:
        super().__init__()
        self.record, self.images = record, images

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self.start, self.steps = time.monotonic(), 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the steps; `batch` counts them from 0, also where several are done at once."""
        self.steps = batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the row."""
        seconds = time.monotonic() - self.start
        scores = {name: float((logs or {})[name]) for name in SCORES}
        speed = self.steps * self.images / seconds
        timing = {"seconds": seconds, "images_per_second": speed}
        extra = {}
        if self.model.params.augment.name == "ada":
            extra["augment_probability"] = float(self.model.critic.probability.numpy())
        self.record.rows.append({"epoch": epoch + 1, **scores, **timing, **extra})


class Snapshots(keras.callbacks.Callback):
    """Shows what the generator paints from the same latents after chosen epochs.

    Args:
        latents: float32 of shape (n, Z).
        every: Epochs between two snapshots; powers of two have one too, so that the first epochs,
            in which most happens, are seen.
        save: Takes the epoch, from 1 on, and its images, uint8 of shape (n, H, W, 3).

    Attributes:
        images: Of the epoch that has just ended; None where it has no snapshot.
    """

    def __init__(
        self, latents: np.ndarray, every: int, save: Callable[[int, np.ndarray], None]
    ) -> None:
        super().__init__()
        self.latents, self.every, self.save = latents, every, save
        self.images: np.ndarray | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Paint and save."""
        number = epoch + 1
        self.images = None
        if number % self.every == 0 or number.bit_count() == 1:
            self.images = generate_images(self.model.averaged, self.latents)
            self.save(number, self.images)


class EarlyWarnings(keras.callbacks.Callback):
    """Looks for trouble after each epoch; tells what lasts, or comes again, now and then.

    Args:
        record: Holds the history; warnings go there.
        snapshots: Has the images that were painted after the epoch, if any were.
        watch: Takes the history and these images; gives the warnings of the moment.
    """

    def __init__(self, record: Record, snapshots: Snapshots, watch: Watch) -> None:
        super().__init__()
        self.record, self.snapshots, self.watch = record, snapshots, watch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look, and tell."""
        warnings = self.watch(self.record.rows, self.snapshots.images)
        told = {each["name"]: each["epoch"] for each in self.record.warnings}
        for warning in warnings:
            since = epoch + 1 - told.get(warning.name, -EPOCHS_BETWEEN_WARNINGS)
            if since >= EPOCHS_BETWEEN_WARNINGS:
                self.record.warnings.append({"epoch": epoch + 1, **warning._asdict()})
                text = f"{warning.name}: {warning.figure}; {warning.advice}"
                logger.warning("epoch %d: %s.", epoch + 1, text)
        self.record.rows[-1]["warnings"] = ", ".join(sorted(each.name for each in warnings))


class EpochReport(keras.callbacks.Callback):
    """Says how far training is: a bar in a terminal, one line an epoch in a log."""

    def __init__(self, record: Record, epochs: int, steps: int, minutes: float | None) -> None:
        super().__init__()
        self.record, self.epochs, self.steps = record, epochs, steps
        self.seconds = math.inf if minutes is None else minutes * 60
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[scores]}"),
            console=rich.get_console(),
            disable=not in_terminal(),
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar, once: the rest of an epoch is a fit of its own."""
        if not self.bar.tasks:
            self.task = self.bar.add_task("Training", total=1.0, scores="")
            self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self.epoch, self.epoch_start = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar: by steps or by time, whichever will end the run first."""
        by_steps = (self.epoch + (batch + 1) / self.steps) / self.epochs
        by_time = self.record.tick() / self.seconds
        description = f"Training, epoch {self.epoch + 1}/{self.epochs}"
        self.bar.update(self.task, completed=max(by_steps, by_time), description=description)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell the epoch's figures."""
        scores = "  ".join(f"{name} {float((logs or {})[name]):.3f}" for name in SCORES)
        self.bar.update(self.task, scores=scores)
        if not in_terminal():
            seconds = time.monotonic() - self.epoch_start
            logger.info("epoch %d/%d  %s  %.1f s", epoch + 1, self.epochs, scores, seconds)

    def close(self) -> None:
        """Take the bar away, however training ended."""
        self.bar.stop()
