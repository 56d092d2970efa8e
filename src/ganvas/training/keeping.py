"""Keeping what training has reached: the last sound state, the best one, checkpoints."""

import logging
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ganvas.training.checkpoints import Checkpoint, CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.record import Record
from ganvas.training.state import find_overflow, read_state

logger = logging.getLogger(__name__)

# Between two looks at the losses inside an epoch: each look waits for the device.
STEPS_BETWEEN_CHECKS = 50


class Diverged(Exception):  # noqa: N818 - an answer of the loss, told in the message
    """A loss is no longer a finite number."""


class Guard(keras.callbacks.Callback):
    """Raises `Diverged` at a loss like NaN, and takes the state of every epoch before it.

    It must stand before callbacks that record an epoch, so that they see good ones alone.

    Attributes:
        state: Everything that makes the next step, after the epoch that has just ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: dict[str, np.ndarray] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch's number."""
        self.epoch, self.batch = epoch + 1, -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the losses now and then, since an epoch of a large collection is long."""
        # Of steps that are done at once the last one's number comes here.
        before, self.batch = self.batch, batch
        if batch // STEPS_BETWEEN_CHECKS > before // STEPS_BETWEEN_CHECKS:
            self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the state, if it is sound."""
        self.state = self.read_sound_state(logs)

    def read_sound_state(self, logs: dict[str, Any] | None) -> dict[str, np.ndarray]:
        """Read the state after a step with these losses.

        Raises:
            Diverged: A number in either is no longer finite.
        """
        self._check(logs)
        state = read_state(self.model.state())
        # The last step may have spoilt weights after its losses were taken.
        if (name := find_overflow(state)) is not None:
            raise Diverged(f"{name.split('/')[0]} weights overflowed in epoch {self.epoch}")
        return state

    def _check(self, logs: dict[str, Any] | None) -> None:
        for name, value in (logs or {}).items():
            if not math.isfinite(float(value)):
                raise Diverged(f"{name} became {float(value)} in epoch {self.epoch}")


class Judge(keras.callbacks.Callback):
    """Measures the generator now and then, keeps the best, and ends training without a better one.

    An epoch that was cut short waits for its end, which comes when the run goes on.

    Args:
        params: Of training.
        keeper: Knows whether an epoch was cut short; has the record, the store and the state.
        measure: Takes the generator; gives its distance to held-out images.
    """

    def __init__(
        self, params: TrainParams, keeper: "Keeper", measure: Callable[[keras.Model], float]
    ) -> None:
        super().__init__()
        self.settings, self.keeper, self.measure = params.kid_validation, keeper, measure
        self.record, self.store, self.guard = keeper.record, keeper.store, keeper.guard

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, if it is time."""
        every = self.settings.interval
        if every is None or (epoch + 1) % every or self.keeper.cut:
            return
        distance = self.measure(self.model.averaged)
        self.record.rows[-1]["kernel_distance"] = distance
        logger.info("epoch %d: kernel distance to held-out images %.5f", epoch + 1, distance)
        if self.record.best is None or distance < self.record.best["kernel_distance"]:
            self.record.best = {"epoch": epoch + 1, "kernel_distance": distance}
            self.record.unimproved = 0
            facts = self.record.to_facts()
            self.store.save_best(Checkpoint(epoch + 1, 0, self.guard.state, facts))
        else:
            self.record.unimproved += 1
            if self.record.unimproved == self.settings.patience:
                self.model.stop_training = True


class Keeper(keras.callbacks.Callback):
    """Writes checkpoints, and holds the last complete epoch for a run that is broken off.

    It must stand behind the callbacks that record an epoch: what it holds is complete.

    Args:
        params: Of training.
        record: What goes into checkpoints beside the state.
        store: Where they go.
        guard: Has the state, and checks it.
        steps: Steps an epoch.
        first: Epochs that are complete, and steps of the next one that are done already.

    Attributes:
        epochs: How many epochs are complete.
        state: The state after the last of them; None before the first.
    """

    def __init__(
        self,
        params: TrainParams,
        record: Record,
        store: CheckpointStore,
        guard: Guard,
        steps: int,
        first: tuple[int, int],
    ) -> None:
        super().__init__()
        self.settings, self.record, self.store, self.guard = params, record, store, guard
        self.steps, self.first = steps, first
        self.epochs = self.saved = first[0]
        self.state: dict[str, np.ndarray] | None = None

    @property
    def cut(self) -> bool:
        """Whether the epoch isn't complete."""
        return self.done < self.steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note where the epoch stands."""
        self.done = self.offset = self.first[1] if epoch == self.first[0] else 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save within an epoch, where that is asked for and the state is sound."""
        before, self.done = self.done, self.offset + batch + 1
        every = self.settings.checkpoint.steps
        if every and self.done // every > before // every and self.cut:
            self._save(self.epochs, self.done, self.guard.read_sound_state(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hold the epoch, and save it if it is time or it was cut short by the clock."""
        self.epochs, self.state = epoch + 1, self.guard.state
        if self.cut:
            self._save(epoch, self.done, self.state)
            self.saved = self.epochs
        elif self.epochs % self.settings.checkpoint.interval == 0 or self._is_best():
            self.save_last()

    def _is_best(self) -> bool:
        """Say whether it is the best so far: a run that goes on must not come to it again."""
        return self.record.best is not None and self.record.best["epoch"] == self.epochs

    def save_last(self) -> None:
        """Save the last complete epoch, unless that is done."""
        if self.state is not None and self.saved < self.epochs:
            self._save(self.epochs, 0, self.state)
            self.saved = self.epochs

    def _save(self, epoch: int, step: int, state: dict[str, np.ndarray]) -> None:
        self.store.save(Checkpoint(epoch, step, state, self.record.to_facts()))


class Trackers(keras.callbacks.Callback):
    """Gives an epoch that goes on in its midst the means of its first part."""

    def __init__(self, values: list[np.ndarray]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put them in after `fit` has reset all metrics."""
        for variable, value in zip(self.model.state()["trackers"], self.values, strict=True):
            variable.assign(value)
