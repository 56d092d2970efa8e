"""One training run: networks and images in, trained networks and their history out."""

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import latent_length, sample_latents
from ganvas.training.anchored import AnchoredGAN
from ganvas.training.anchors import has_anchors, with_anchors
from ganvas.training.batches import TrainingSet, check_steps_at_once, count_steps, draw_batches
from ganvas.training.callbacks import (
    EarlyWarnings,
    EpochReport,
    EpochTable,
    Snapshots,
    TimeLimit,
    Watch,
)
from ganvas.training.checkpoints import Checkpoint, CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.devices import ALONE, Agreement, Devices
from ganvas.training.endings import EndedBy, tell_end
from ganvas.training.feeding import feed
from ganvas.training.gan import GAN
from ganvas.training.keeping import Diverged, Guard, Judge, Keeper, Trackers
from ganvas.training.optimizers import make_optimizer
from ganvas.training.record import Record
from ganvas.training.state import write_state

logger = logging.getLogger(__name__)

SaveSnapshot = Callable[[Record, int, np.ndarray], None]


class Networks(NamedTuple):
    """What is trained.

    Attributes:
        pair: Generator and discriminator.
        averaged: The generator whose weights are shown, judged and saved; it may be the pair's
            own where nothing is averaged.
    """

    pair: GanNetworks
    averaged: keras.Model


class Watchers(NamedTuple):
    """What looks at a run from outside.

    Attributes:
        save_snapshot: Takes the run's record, an epoch, from 1 on, and what the generator paints
            after it from latents that stay the same, uint8 of shape (n, H, W, 3).
        watch: Takes the history, and the last epoch's snapshot or None; gives the warnings of
            the moment.
        measure: Takes the generator; gives its distance to held-out images. Needed where
            `train.kid_validation.interval` is set.
        callbacks: More of Keras's callbacks, made for the run's record.
    """

    save_snapshot: SaveSnapshot
    watch: Watch
    measure: Callable[[keras.Model], float] | None = None
    callbacks: Callable[[Record], list[keras.callbacks.Callback]] = lambda record: []


NOBODY = Watchers(lambda record, epoch, images: None, lambda rows, images: [])


class Training(NamedTuple):
    """What a run leaves beside the trained networks.

    Attributes:
        history: One row an epoch: epoch, loss_g, loss_d, real_score, fake_score (means over the
            epoch; scores are sigmoid outputs in [0, 1]), seconds, images_per_second, warnings; and
            what watchers, ADA and the judge add: diversity, novelty, augment_probability,
            kernel_distance.
        ended_by: What ended it; after a divergence the networks are those of the last good epoch.
        message: The same in a sentence.
        images_seen: Real images shown to the discriminator in the whole run.
        record: Start, warnings, seconds and best epoch.
    """

    history: pd.DataFrame
    ended_by: EndedBy
    message: str
    images_seen: int
    record: Record


def train(
    networks: Networks,
    data: TrainingSet,
    params: TrainParams,
    store: CheckpointStore,
    watchers: Watchers,
    devices: Devices = ALONE,
) -> Training:
    """Train a generator and a discriminator against each other, in place.

    Goes on from the store's latest checkpoint. Ctrl-C ends the run with the weights of the last
    complete epoch, and so does a loss that is no longer a number.

    Args:
        networks: What to train; of a new run with the weights to start from.
        data: What to train on.
        params: How to train.
        store: Where checkpoints lie.
        watchers: Who looks on; nobody does on a worker that isn't the chief.
        devices: Who trains; the networks must have been made in their scope.

    Raises:
        GanvasError: An epoch's steps can't be counted or done as asked for, the devices can't
            share the work out or one of them is lost, or the run was interrupted or diverged
            before its first epoch was complete.
    """
    steps = count_steps(len(data.positions), params)
    devices.check(params, has_anchors(networks.pair.discriminator, params))
    with devices.in_touch():
        with devices.scope():
            gan = prepare(networks, params, steps)
        latent = latent_length(gan.generator)
        data = with_anchors(data, gan.discriminator, latent, params)
        return _Run(gan, data, params, store, watchers, devices).go()


def prepare(networks: Networks, params: TrainParams, steps: int) -> GAN:
    """Put networks and optimizers together.

    Args:
        networks: What to train.
        params: How to train.
        steps: Steps an epoch.
    """
    anchored = has_anchors(networks.pair.discriminator, params)
    gan = (AnchoredGAN if anchored else GAN)(*networks, params)
    rounds = params.discriminator_steps
    gan.compile(
        make_optimizer(params, params.generator_learning_rate, steps),
        make_optimizer(params, params.discriminator_learning_rate, steps * rounds),
        jit_compile=params.jit_compile,
        steps_per_execution=params.steps_per_execution,
    )
    return gan


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        gan: GAN,
        data: TrainingSet,
        params: TrainParams,
        store: CheckpointStore,
        watchers: Watchers,
        devices: Devices,
    ) -> None:
        self.gan, self.data, self.devices = gan, data, devices
        self.params, self.store, self.watchers = params, store, watchers
        self.batch = params.images_a_step
        self.steps = count_steps(len(data.positions), params)
        checkpoint = store.load_latest()
        self.first = self._restore(checkpoint) if checkpoint else (0, 0)
        # A checkpoint within an epoch may be of a run that did fewer steps at once.
        check_steps_at_once(self.steps - self.first[1], params)
        self.record = Record.from_facts(checkpoint.facts) if checkpoint else Record()
        self.clock = TimeLimit(params.max_minutes, self.record)

    def go(self) -> Training:
        """Train until something ends it."""
        ended_by, cause = self._is_over(), ""
        if ended_by is None:
            # The row of an epoch that was cut short is written anew at its end.
            self.record.go_back(self.first[0])
            self.record.start_clock()
            ended_by, cause = self._fit()
        self.devices.dismiss(ended_by == "diverged")
        return self._finish(ended_by, cause)

    def _restore(self, checkpoint: Checkpoint) -> tuple[int, int]:
        try:
            write_state(self.gan.state(), checkpoint.arrays)
        except ValueError as error:
            raise GanvasError(
                f"The last checkpoint in {self.store.folder} is of networks that were laid out "
                f"otherwise ({error}), as an older version may have done: set train.resume=false "
                "to start anew; the earlier run is put aside, not lost."
            ) from error
        self.trackers = [
            array for name, array in checkpoint.arrays.items() if name.startswith("trackers/")
        ]
        where = f" and {checkpoint.step} steps" if checkpoint.step else ""
        logger.info("Training goes on after epoch %d%s.", checkpoint.epoch, where)
        return checkpoint.epoch, checkpoint.step

    def _is_over(self) -> EndedBy | None:
        """Say what has ended the run already, if anything has."""
        if self.first[0] >= self.params.epochs:
            return "epochs"
        if self.clock.reached:
            return "time"
        patience = self.params.kid_validation.patience
        return "patience" if patience and self.record.unimproved >= patience else None

    def _fit(self) -> tuple[EndedBy, str]:
        keeper, report, callbacks = self._make_callbacks()
        cause = ""
        try:
            epoch, step = self.first
            if step:
                # `fit` begins with whole epochs, so the rest of one is a fit of its own.
                trackers = Trackers(self.trackers)
                self._fit_epochs(epoch, epoch + 1, step, [trackers, *callbacks])
                epoch += 1
            if not self.gan.stop_training:
                self._fit_epochs(epoch, self.params.epochs, 0, callbacks)
        except (KeyboardInterrupt, Diverged) as error:
            cause = str(error) or "interrupted"
            self._go_back(keeper, cause)
            return ("diverged" if isinstance(error, Diverged) else "interrupted"), cause
        finally:
            report.close()
            keeper.save_last()
        return self._is_over() or "epochs", cause

    def _fit_epochs(
        self, first: int, end: int, step: int, callbacks: list[keras.callbacks.Callback]
    ) -> None:
        latent = latent_length(self.gan.generator)
        draw = partial(draw_batches, self.data, latent, self.params, (first, step))
        self.gan.fit(
            feed(draw, self.devices),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self.steps - step,
            verbose=0,
            shuffle=False,
            callbacks=callbacks,
        )

    def _make_callbacks(self) -> tuple[Keeper, EpochReport, list[keras.callbacks.Callback]]:
        """Make them in the order in which they must see an epoch's end."""
        params, record, store = self.params, self.record, self.store
        latents = sample_latents(
            self.gan.averaged, params.snapshot_rows * params.snapshot_columns, params.seed
        )
        guard = Guard()
        keeper = Keeper(params, record, store, guard, self.steps, self.first)
        report = EpochReport(record, params.epochs, self.steps, params.max_minutes)
        agreement = [Agreement(self.devices)] if self.devices.workers > 1 else []
        if not self.devices.chief:
            return keeper, report, [guard, keeper, *agreement]
        save = partial(self.watchers.save_snapshot, record)
        callbacks = [guard, self.clock, EpochTable(record, self.batch)]
        snapshots = Snapshots(latents, params.snapshot_interval, save)
        callbacks += [snapshots, EarlyWarnings(record, snapshots, self.watchers.watch)]
        if params.kid_validation.interval:
            assert self.watchers.measure is not None, (
                "train.kid_validation.interval needs a measure"
            )
            callbacks.append(Judge(params, keeper, self.watchers.measure))
        callbacks += [*self.watchers.callbacks(record), keeper, report, *agreement]
        return keeper, report, callbacks

    def _go_back(self, keeper: Keeper, cause: str) -> None:
        """Put the last complete epoch back."""
        state = keeper.state
        if state is None and self.first[0]:
            latest = self.store.load_latest()
            state = latest and latest.arrays
        if state is None:
            raise GanvasError(
                f"Training stopped before its first epoch was complete ({cause}), so there is no "
                "model to keep; what an earlier run has saved is untouched."
            )
        write_state(self.gan.state(), state)
        self.record.go_back(keeper.epochs)

    def _finish(self, ended_by: EndedBy, cause: str) -> Training:
        # The best epoch's state would say what was seen until then.
        images_seen = int(self.gan.steps.numpy()) * self.batch
        best = self.store.load_best() if self.params.kid_validation.keep == "best" else None
        if best is not None:
            write_state(self.gan.state(), best.arrays)
        message = tell_end(ended_by, cause, len(self.record.rows), self.params, self.record, best)
        logger.log(logging.WARNING if cause else logging.INFO, message)
        history = pd.DataFrame(self.record.rows)
        return Training(history, ended_by, message, images_seen, self.record)
