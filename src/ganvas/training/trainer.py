"""A training run: resume, fit, finish.

Read on in `gan.py`, where `fit` spends its time: what happens in one step.
"""

import logging
import math
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import keras
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import GanNetworks, reconstructs_real_images
from ganvas.networks.image_encoder import FeatureProjection
from ganvas.networks.sampling import latent_dim
from ganvas.progress import format_duration
from ganvas.stop_signals import end_after_saving, on_signal
from ganvas.training.adversary import Adversary
from ganvas.training.callbacks import (
    CheckpointSaver,
    Diverged,
    DivergenceGuard,
    HistoryLogger,
    RestoreMetrics,
    StepCounter,
    StepLimit,
    StopSignal,
    TimeLimit,
)
from ganvas.training.checkpoint_contents import Checkpoint, RunState, count_bytes, write_variables
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import (
    TrainingSet,
    check_steps_per_execution,
    count_steps,
    draw_batches,
    make_dataset,
)
from ganvas.training.distribution import SINGLE_DEVICE, Devices, SynchronizedStop
from ganvas.training.gan import GAN
from ganvas.training.kept_epochs import write_select_command
from ganvas.training.latent_anchoring import AnchoredAdversary, uses_anchors, with_anchors
from ganvas.training.optimizers import make_optimizer
from ganvas.training.progress_logger import ProgressLogger
from ganvas.training.reconstruction import ReconstructingAdversary

logger = logging.getLogger(__name__)

StopReason = Literal["epochs", "steps", "time", "patience", "interrupted", "diverged", "chosen"]
# The parameters whose limits a run has reached when it is resumed, by stop reason.
LIMITS: dict[StopReason, str] = {
    "epochs": "train.epochs",
    "steps": "train.max_steps",
    "time": "train.max_minutes",
    "patience": "train.kid_validation.patience",
}
# The parameters that change what a run learns, and may nevertheless change when it is resumed. A
# change of any other starts a new run (`IDENTITY` in `pipelines/train/params.py`), or changes only
# where the run ends and what it writes.
RESUMABLE = {
    "generator_learning_rate",
    "discriminator_learning_rate",
    "schedule",
    "jit_compile",
    "distribute",
}
# The keys of train.schedule that every version has had.
EARLIER_SCHEDULE = {"name", "interval", "factor"}


class TrainingResult(NamedTuple):
    """The result of a run besides the trained networks.

    Attributes:
        generator: The generator to evaluate and save, which takes standard normal latents: with
            averaged weights, and the prior of anchored latents.
        history: One row an epoch: epoch, loss_g, loss_d, real_score, fake_score (means over the
            epoch; scores are sigmoid outputs in [0, 1]), seconds, images_per_second; and what
            callbacks add: augment_probability, diversity, novelty, warnings, kernel_distance.
        stop_reason: What ended the run; after a divergence the networks are those of the last
            complete epoch. chosen: they are those of an earlier epoch, see `restore_checkpoint`.
        message: The stop reason in a sentence.
        steps: Number of steps, that is, of updates of the generator, in the whole run.
        images_seen: Number of real images shown to the discriminator in the whole run.
        run_state: Start, warnings, seconds, best epoch and parts.
        projection: Map from an image's backbone features to the latent that the generator has
            learned for it; None without anchors.
    """

    generator: keras.Model
    history: pd.DataFrame
    stop_reason: StopReason
    message: str
    steps: int
    images_seen: int
    run_state: RunState
    projection: FeatureProjection | None = None


def train(
    networks: GanNetworks,
    ema_generator: keras.Model,
    data: TrainingSet,
    params: TrainParams,
    store: CheckpointStore,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    devices: Devices = SINGLE_DEVICE,
) -> TrainingResult:
    """Train a generator and a discriminator against each other, in place.

    Resumes from the store's latest checkpoint. Ctrl-C and SIGTERM end the run with the weights of
    the present step, and a loss that is not finite with those of the last complete epoch.

    Args:
        networks: Networks to train, with the weights to start a new run from.
        ema_generator: A generator for the moving average of the weights; the networks' own if
            `params.ema_decay` is 0.
        data: Images to train on.
        params: Parameters of training.
        store: Checkpoints of the run.
        callbacks: Keras callbacks; see `ganvas.training.callbacks` for their order.
        devices: The devices that train; the networks must have been created in their scope.

    Raises:
        GanvasError: The batch size or number of steps doesn't fit the other parameters or the
            devices, a device is lost, or training diverged before its first epoch was complete.
        Interrupted: Ctrl-C or SIGTERM came before the first step.

    Example:
        >>> networks = build_dcgan(DcganParams(), image_shape=(64, 64, 3))
        >>> data = TrainingSet(images, positions=np.arange(len(images)))
        >>> store = CheckpointStore(Path("checkpoints"), keep=2)
        >>> result = train(networks, networks.generator, data, TrainParams(epochs=5), store)
        >>> result.history[["epoch", "loss_g", "loss_d"]]
    """
    steps = count_steps(len(data.positions), params)
    devices.check(params, uses_anchors(networks.discriminator, params))
    with devices.worker_errors_as_ganvas_errors():
        data = with_anchors(data, networks.discriminator, latent_dim(networks.generator), params)
        with devices.scope():
            gan = build_gan(networks, ema_generator, data, params, steps)
        return _Run(gan, data, params, store, devices).execute(callbacks)


def build_gan(
    networks: GanNetworks,
    ema_generator: keras.Model,
    data: TrainingSet,
    params: TrainParams,
    steps: int,
) -> GAN:
    """Return the compiled GAN.

    Args:
        networks: Networks to train.
        ema_generator: A generator for the moving average of the weights, or the networks' own.
        data: Images to train on, with anchors if they are used.
        params: Parameters of training.
        steps: Steps an epoch.
    """
    gan = GAN(networks, ema_generator, params, _make_adversary(networks, params, steps), data.prior)
    gan.compile(
        make_optimizer(params, params.generator_learning_rate, steps),
        make_optimizer(
            params, params.discriminator_learning_rate, steps, params.discriminator_steps
        ),
        jit_compile=params.jit_compile,
        steps_per_execution=params.steps_per_execution,
    )
    return gan


def _make_adversary(networks: GanNetworks, params: TrainParams, steps: int) -> Adversary:
    discriminator, schedule_steps = networks.discriminator, params.schedule_steps(steps)
    if uses_anchors(discriminator, params):
        return AnchoredAdversary(discriminator, params, schedule_steps)
    kind = ReconstructingAdversary if reconstructs_real_images(discriminator) else Adversary
    return kind(discriminator, params, schedule_steps)


def restore_checkpoint(
    networks: GanNetworks,
    ema_generator: keras.Model,
    data: TrainingSet,
    params: TrainParams,
    checkpoint: Checkpoint,
    chosen: str,
) -> TrainingResult:
    """Set the weights of networks to those of a checkpoint, without training.

    Args:
        networks: Networks like those of the run, in place.
        ema_generator: As in `train`.
        data: The run's images; the prior of the generator is computed from them.
        params: The run's parameters.
        checkpoint: A checkpoint of the run.
        chosen: Which epoch was chosen and why, in a sentence; empty: it is the run's last one.

    Returns:
        What `train` returns if it ends there: history, steps and warnings up to this checkpoint.

    Raises:
        GanvasError: The checkpoint is of other networks.
    """
    steps = count_steps(len(data.positions), params)
    data = with_anchors(data, networks.discriminator, latent_dim(networks.generator), params)
    gan = build_gan(networks, ema_generator, data, params, steps)
    _write_state(gan, checkpoint, "The checkpoint of this epoch")
    run_state = RunState.from_dict(checkpoint.run_state)
    done = int(gan.steps.numpy())
    limit = _find_limit(params, run_state, done, steps) or "interrupted"
    reason: StopReason = "chosen" if chosen else limit
    message = _end_message(params, run_state, reason, chosen, done, steps)
    return _make_result(gan, data, params, run_state, reason, message, done)


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        gan: GAN,
        data: TrainingSet,
        params: TrainParams,
        store: CheckpointStore,
        devices: Devices,
    ) -> None:
        self.gan, self.data, self.params = gan, data, params
        self.store, self.devices = store, devices
        self.steps = count_steps(len(data.positions), params)
        checkpoint = store.load_latest()
        self.start = self._restore(checkpoint) if checkpoint else (0, 0)
        # A checkpoint within an epoch may be of a run with another steps_per_execution.
        check_steps_per_execution(self.steps - self.start[1], params)
        self.run_state = RunState.from_dict(checkpoint.run_state) if checkpoint else RunState()
        if checkpoint:
            store.restore_best(self.run_state)
        elif devices.is_chief:
            self.run_state.started = store.claim_start()
        gan.run_state = self.run_state
        self.clock = TimeLimit(params.max_minutes, self.run_state)

    def execute(self, callbacks: Sequence[keras.callbacks.Callback]) -> TrainingResult:
        """Train until the run ends, and return its result."""
        finished = self._limit_reached()
        if finished is not None:
            self._check_not_beyond()
            logger.info("%s", self._describe_finished(finished))
            self.devices.exit_non_chief(finished)
            return self._make_result(finished, "")
        if self.devices.is_chief:
            total = self.params.total_steps(self.steps)
            epochs = range(self.start[0] + 1, total // self.steps + 1) if total else range(0)
            self.store.check_space(count_bytes(self.gan.state()), epochs)
        # The row of a partial epoch is written again when the epoch is complete.
        self.run_state.rollback(self.start[0])
        self._record_part()
        self.run_state.start_clock()
        self._log_start()
        stop_reason, cause = self._fit(callbacks)
        self.devices.exit_non_chief(stop_reason)
        result = self._make_result(stop_reason, cause)
        logger.log(logging.WARNING if cause else logging.INFO, result.message)
        return result

    def _restore(self, checkpoint: Checkpoint) -> tuple[int, int]:
        _write_state(self.gan, checkpoint, f"The last checkpoint in {self.store.folder}")
        self.metric_values = [
            array for name, array in checkpoint.arrays.items() if name.startswith("metrics/")
        ]
        steps = f" and {checkpoint.step} steps" if checkpoint.step else ""
        logger.info("Resuming after epoch %d%s.", checkpoint.epoch, steps)
        return checkpoint.epoch, checkpoint.step

    def _record_part(self) -> None:
        """Record with which parameters the run begins, and any others with which it resumes."""
        parts, step = self.run_state.parts, int(self.gan.steps.numpy())
        parameters: dict[str, Any] = self.params.model_dump(mode="json", include=RESUMABLE)
        # Those of earlier versions are recorded as they did, and later ones only where they count.
        later = self.params.schedule.model_dump(mode="json", exclude_defaults=True)
        parameters["schedule"] = {
            key: value
            for key, value in parameters["schedule"].items()
            if key in EARLIER_SCHEDULE or key in later
        }
        if self.params.schedule.name == "cosine":
            parameters["schedule_steps"] = self.params.schedule_steps(self.steps)
        if self.params.kid_validation.keep == "best":
            parameters["kid_validation"] = self.params.kid_validation.model_dump(mode="json")
        # A run of an earlier version has no record of its first part.
        if not step or (parts and parts[-1]["parameters"] != parameters):
            parts.append({"step": step, "parameters": parameters})

    def _limit_reached(self) -> StopReason | None:
        """Return the limit that the run has reached, if any."""
        self.run_state.tick()
        return _find_limit(self.params, self.run_state, int(self.gan.steps.numpy()), self.steps)

    def _log_start(self) -> None:
        """Log how long training is, and which parameters have no effect in this time."""
        logger.info(
            "Training on %s images, %s steps an epoch; the first step takes longer, since it "
            "compiles the networks.",
            f"{len(self.data.positions):,}",
            f"{self.steps:,}",
        )
        if limits := self.params.describe_limits(self.steps):
            logger.info("%s", limits)
        for sentence in self.params.find_unused(self.steps):
            logger.warning("%s", sentence)

    def _check_not_beyond(self) -> None:
        """Refuse a run that has more steps than are asked for.

        Raises:
            GanvasError: Its networks are not those of the epoch or step that was asked for.
        """
        done, params = int(self.gan.steps.numpy()), self.params
        epochs = math.ceil(done / self.steps)
        for name, asked, steps, enough in (
            ("epochs", params.epochs, (params.epochs or 0) * self.steps, epochs),
            ("max_steps", params.max_steps, params.max_steps, done),
        ):
            if asked and steps and done > steps:
                raise GanvasError(
                    f"This run is already beyond train.{name}={asked}: it has "
                    f"{self._describe_steps(done)}; {self.store.describe()}. "
                    f"{self._describe_choice(steps)} Set train.{name}={enough} or more to use or "
                    "resume it, or train.resume=false to train anew up to "
                    f"{asked} and keep this run."
                )

    def _describe_choice(self, done: int) -> str:
        """Return how to use the models after fewer steps, in a sentence."""
        epoch, rest = divmod(done, self.steps)
        if rest or not self.store.has_epoch(epoch):
            return (
                f"`{write_select_command('N')}` with the same --env and --params takes the models "
                f"of a kept epoch N; train.checkpoint.keep_every=1 keeps all epochs."
            )
        return (
            f"`{write_select_command(epoch)}` with the same --env and --params takes the models of "
            f"epoch {epoch}."
        )

    def _describe_finished(self, stop_reason: StopReason) -> str:
        """Return that nothing is trained, and what would change that, in a sentence or two."""
        done = int(self.gan.steps.numpy())
        parameter = LIMITS[stop_reason]
        minutes = f" in {format_duration(self.run_state.seconds)}" if stop_reason == "time" else ""
        return (
            f"This training is finished ({self._describe_steps(done)}{minutes}): nothing is "
            f"trained, and what follows uses its networks again. A higher {parameter} resumes it; "
            "train.resume=false trains anew and keeps it."
        )

    def _describe_steps(self, done: int) -> str:
        epochs, rest = divmod(done, self.steps)
        where = f"step {rest} of epoch {epochs + 1}" if rest else f"epoch {epochs}"
        return f"{done:,} steps, up to {where}"

    def _fit(self, callbacks: Sequence[keras.callbacks.Callback]) -> tuple[StopReason, str]:
        """Fit until the end, a limit, a signal or a divergence; return which, and its cause."""
        params, counter = self.params, StepCounter(self.steps, self.start)
        guard, stop = DivergenceGuard(), StopSignal(counter)
        saver = CheckpointSaver(params, self.run_state, self.store, guard, counter)
        progress = ProgressLogger(self.run_state, params, counter)
        all_callbacks: list[keras.callbacks.Callback] = [counter, guard, saver, stop]
        if self.devices.is_chief:
            history = HistoryLogger(self.run_state, params.images_per_step, counter)
            all_callbacks = [counter, guard, self.clock, history, *callbacks, saver, progress, stop]
        if self.devices.workers > 1:
            all_callbacks.append(SynchronizedStop(self.devices))
        if params.max_steps:
            all_callbacks.append(StepLimit(params.max_steps, counter))
        total = params.total_steps(self.steps)
        end = math.ceil(total / self.steps) if total else sys.maxsize
        try:
            with on_signal(stop.receive):
                epoch, step = self.start
                if step:
                    # `fit` begins with a whole epoch, so the rest of one takes a separate call.
                    restore = RestoreMetrics(self.metric_values)
                    self._fit_epochs(epoch, epoch + 1, step, [restore, *all_callbacks])
                    epoch += 1
                if not self.gan.stop_training:
                    self._fit_epochs(epoch, end, 0, all_callbacks)
        except Diverged as error:
            self._roll_back(saver, str(error))
            return "diverged", str(error)
        finally:
            progress.close()
            saver.save_last_epoch()
        # Any worker's signal ends them all.
        interrupted = self.devices.any_worker(stop.received)
        if interrupted and not stop.received:
            end_after_saving()
        return self._limit_reached() or ("interrupted" if interrupted else "epochs"), ""

    def _fit_epochs(
        self, first: int, end: int, step: int, callbacks: list[keras.callbacks.Callback]
    ) -> None:
        latent = latent_dim(self.gan.generator)
        draw = partial(draw_batches, self.data, latent, self.params, (first, step))
        self.gan.fit(
            make_dataset(draw, self.devices),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self.steps - step,
            verbose=0,
            shuffle=False,
            callbacks=callbacks,
        )

    def _roll_back(self, saver: CheckpointSaver, cause: str) -> None:
        """Restore the last complete epoch; if there is none since a resume, the last checkpoint."""
        if saver.state is not None:
            write_variables(self.gan.state(), saver.state)
            self.run_state.rollback(saver.epochs)
            return
        latest = self.store.load_latest()
        # Without a row of the history there is nothing to report.
        if latest is None or not latest.run_state["rows"]:
            raise GanvasError(
                f"Training stopped before its first epoch was complete ({cause}), so there is no "
                "model to save; what an earlier run has saved is untouched."
            )
        write_variables(self.gan.state(), latest.arrays)
        # The last row may be of the epoch in which the part before has ended.
        kept = RunState.from_dict(latest.run_state)
        self.run_state.rows, self.run_state.warnings = kept.rows, kept.warnings
        self.run_state.parts = kept.parts

    def _make_result(self, stop_reason: StopReason, cause: str) -> TrainingResult:
        # Read before the best epoch is restored, and its step count with it.
        steps = int(self.gan.steps.numpy())
        best = self.store.load_best() if self.params.kid_validation.keep == "best" else None
        if best is not None:
            write_variables(self.gan.state(), best.arrays)
        message = _end_message(self.params, self.run_state, stop_reason, cause, steps, self.steps)
        if best is not None:
            message += f" The best epoch, {best.epoch}, is used."
        return _make_result(
            self.gan, self.data, self.params, self.run_state, stop_reason, message, steps
        )


def _make_result(
    gan: GAN,
    data: TrainingSet,
    params: TrainParams,
    run_state: RunState,
    stop_reason: StopReason,
    message: str,
    steps: int,
) -> TrainingResult:
    history, images_seen = pd.DataFrame(run_state.rows), steps * params.images_per_step
    return TrainingResult(
        gan.ema_generator,
        history,
        stop_reason,
        message,
        steps,
        images_seen,
        run_state,
        data.projection,
    )


def _write_state(gan: GAN, checkpoint: Checkpoint, name: str) -> None:
    """Set all variables to those of a checkpoint; raise GanvasError if it is of another model."""
    try:
        write_variables(gan.state(), checkpoint.arrays)
    except ValueError as error:
        raise GanvasError(
            f"{name} does not match the model ({error}); it may come from an older version. Set "
            "train.resume=false to start a new run; the earlier one is kept."
        ) from error


def _find_limit(
    params: TrainParams, run_state: RunState, done: int, steps: int
) -> StopReason | None:
    """Return the limit that a run has reached after `done` steps, of `steps` an epoch, if any."""
    if params.epochs and done >= params.epochs * steps:
        return "epochs"
    if params.max_steps and done >= params.max_steps:
        return "steps"
    if params.max_minutes and run_state.seconds >= params.max_minutes * 60:
        return "time"
    patience = params.kid_validation.patience
    return "patience" if patience and run_state.evals_without_improvement >= patience else None


def _end_message(
    params: TrainParams,
    run_state: RunState,
    stop_reason: StopReason,
    cause: str,
    done: int,
    steps: int,
) -> str:
    """Return a sentence that reports why the run ended, and which weights are kept.

    Args:
        params: Parameters of training.
        run_state: The state of the run.
        stop_reason: Why it ended.
        cause: What diverged, or which epoch was chosen, if any.
        done: Steps that are done.
        steps: Steps an epoch.
    """
    epochs = len(run_state.rows)
    complete, rest = divmod(done, steps)
    kept = f"step {rest} of epoch {complete + 1}" if rest else f"epoch {complete}"
    match stop_reason:
        case "epochs":
            plural = "" if epochs == 1 else "s"
            return f"Training is complete after {epochs} epoch{plural}."
        case "steps":
            return f"Training is complete after {done:,} steps, in epoch {epochs}."
        case "time":
            total = params.total_steps(steps)
            of = f" of {math.ceil(total / steps)}" if total else ""
            return (
                f"Training stopped at the time limit (train.max_minutes="
                f"{params.max_minutes:g}) in epoch {epochs}{of}: the same command with a "
                "higher limit resumes it."
            )
        case "patience":
            assert run_state.best, "patience begins with a best epoch"
            best = run_state.best["epoch"]
            return f"Training ended in epoch {epochs}: no improvement since epoch {best}."
        case "interrupted":
            return f"Training was interrupted: the model of {kept} is kept."
        case "chosen":
            return cause
        case "diverged":
            return (
                f"Training diverged, {cause}: the model of {kept} is kept; try lower "
                "train.generator_learning_rate and train.discriminator_learning_rate."
            )
