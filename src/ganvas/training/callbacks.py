"""What happens around the training step: records, snapshots, limits, the last good epoch."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import rich
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ganvas.errors import GanvasError
from ganvas.networks.sampling import paint
from ganvas.progress import in_terminal
from ganvas.training.gan import SCORES

logger = logging.getLogger(__name__)

# Between two looks at the losses inside an epoch: each look waits for the device.
STEPS_BETWEEN_CHECKS = 50


SaveSnapshot = Callable[[int, np.ndarray], None]


class Diverged(Exception):  # noqa: N818 - an answer of the loss, told in the message
    """A loss is no longer a finite number."""


class LastGoodEpoch(keras.callbacks.Callback):
    """Keeps the weights of the last complete epoch, and raises `Diverged` at a loss like NaN.

    It must stand before callbacks that record an epoch, so that they see good ones alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0
        self.weights: list[list[np.ndarray]] | None = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the losses now and then, since an epoch of a large collection is long."""
        if batch % STEPS_BETWEEN_CHECKS == 0:
            self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Copy both networks' weights."""
        self._check(logs)
        networks = self.model.generator, self.model.discriminator
        weights = [network.get_weights() for network in networks]
        for network, arrays in zip(networks, weights, strict=True):
            # The last step may have spoilt them, after its losses were taken.
            if not all(np.isfinite(array).all() for array in arrays):
                raise Diverged(f"weights of the {network.name} overflowed in epoch {epoch + 1}")
        self.epochs, self.weights = epoch + 1, weights

    def restore(self, cause: str) -> None:
        """Put the kept weights back.

        Args:
            cause: Why training stopped, for the message.

        Raises:
            GanvasError: No epoch was completed.
        """
        if self.weights is None:
            raise GanvasError(
                f"Training stopped before its first epoch was complete ({cause}), so there is no "
                "model to keep; what an earlier run has saved is untouched."
            )
        self.model.generator.set_weights(self.weights[0])
        self.model.discriminator.set_weights(self.weights[1])

    def _check(self, logs: dict[str, Any] | None) -> None:
        for name, value in (logs or {}).items():
            if not math.isfinite(float(value)):
                raise Diverged(f"{name} became {float(value)} in epoch {self.epochs + 1}")


class TimeLimit(keras.callbacks.Callback):
    """Ends training at the first step after a number of minutes."""

    def __init__(self, minutes: float | None) -> None:
        super().__init__()
        self.seconds = math.inf if minutes is None else minutes * 60
        self.reached = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the clock."""
        if time.monotonic() - self.start >= self.seconds:
            self.reached = self.model.stop_training = True


class EpochTable(keras.callbacks.Callback):
    """Collects one row an epoch: epoch, losses, scores, seconds, images_per_second."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.rows: list[dict[str, float]] = []
        self.images_seen = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self.start, self.steps = time.monotonic(), 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step."""
        self.steps += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the row."""
        seconds, images = time.monotonic() - self.start, self.steps * self.batch_size
        self.images_seen += images
        scores = {name: float((logs or {})[name]) for name in SCORES}
        timing = {"seconds": seconds, "images_per_second": images / seconds}
        self.rows.append({"epoch": epoch + 1, **scores, **timing})


class Snapshots(keras.callbacks.Callback):
    """Shows what the generator paints from the same latents after each epoch.

    Args:
        latents: float32 of shape (n, Z).
        every: Epochs between two snapshots; the first epoch always has one.
        save: Takes the epoch, from 1 on, and its pictures, uint8 of shape (n, H, W, 3).
    """

    def __init__(self, latents: np.ndarray, every: int, save: SaveSnapshot) -> None:
        super().__init__()
        self.latents, self.every, self.save = latents, every, save

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Paint and save."""
        if epoch == 0 or (epoch + 1) % self.every == 0:
            self.save(epoch + 1, paint(self.model.generator, self.latents))


class EpochReport(keras.callbacks.Callback):
    """Says how far training is: a bar in a terminal, one line an epoch in a log."""

    def __init__(self, epochs: int, steps: int, minutes: float | None) -> None:
        super().__init__()
        self.epochs, self.steps = epochs, steps
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
        """Show the bar."""
        self.start, self.epoch = time.monotonic(), 0
        self.task = self.bar.add_task("Training", total=1.0, scores="")
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self.epoch, self.epoch_start = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar: by steps or by time, whichever will end the run first."""
        by_steps = (self.epoch + (batch + 1) / self.steps) / self.epochs
        by_time = (time.monotonic() - self.start) / self.seconds
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
