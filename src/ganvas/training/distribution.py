"""Training on several devices: the GPUs of one machine, or several machines.

Each device is a replica: it holds all variables and processes its share of every batch. Replicas
average their gradients, statistics and metrics, so that their variables stay equal. Nothing here
changes training on a single device.
"""

import hashlib
import io
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ganvas.errors import Finished, GanvasError
from ganvas.training.checkpoint_contents import Checkpoint, RunState
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.gpu import TOO_FEW_GPUS, read_workers
from ganvas.training.tf_config import Workers

logger = logging.getLogger(__name__)

# Steps between two checks whether any worker must stop: each check waits for all workers.
STEPS_BETWEEN_STOP_CHECKS = 10
# Number of 8-byte integers that are broadcast at once.
BROADCAST_CHUNK = 2**20
# What collective operations raise on the other workers when one is lost.
WORKER_LOST_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class Devices:
    """The devices that train together, as one worker sees them: a process with local devices.

    Args:
        strategy: TensorFlow's distribution strategy; None for a single device.
        worker: Number of this process; 0 is the chief, which alone writes files.
        workers: Number of processes.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, worker: int = 0, workers: int = 1
    ) -> None:
        self.strategy, self.worker, self.workers = strategy, worker, workers

    @property
    def replicas(self) -> int:
        """Number of devices of all workers together."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files."""
        return self.worker == 0

    @property
    def shares(self) -> list[slice]:
        """The parts of a batch for the devices of this worker.

        Strided, so that any leading part of a batch, such as a micro-batch, is divided evenly too.
        """
        local = self.replicas // self.workers
        first = self.worker * local
        return [slice(i, None, self.replicas) for i in range(first, first + local)]

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which networks, optimizers and the GAN must be created."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def check(self, params: TrainParams, anchored: bool) -> None:
        """Check that these devices can train with these parameters.

        Args:
            params: Parameters of training.
            anchored: Whether latents are anchored; see `latent_anchoring.uses_anchors`.

        Raises:
            GanvasError: A batch can't be divided among them, or a parameter needs a single device.
        """
        if self.strategy is None:
            return
        every = params.anchor.every if anchored else None
        parts = self.replicas * params.gradient_accumulation_steps * (every or 1)
        if params.batch_size % parts:
            anchors = f" with one anchor in {every} images (train.anchor.every)" if every else ""
            raise GanvasError(
                f"A batch of {params.batch_size} can't be divided among {self.replicas} devices in "
                f"{params.gradient_accumulation_steps} micro-batch(es) each{anchors}: set "
                f"train.batch_size to a multiple of {parts}."
            )
        if problem := params.find_multi_device_problem():
            raise GanvasError(f"{problem[0].upper()}{problem[1:]}.")

    def any_worker(self, condition: bool) -> bool:
        """Return whether the condition holds on any worker; all must call this at once."""
        return bool(self._sum_over_workers(np.array([condition], np.int64))[0])

    def broadcast_bytes(self, data: bytes) -> bytes:
        """Return the chief's bytes on every worker; all must call this at once."""
        if self.workers == 1:
            return data
        words = np.frombuffer(data + bytes(-len(data) % 8), np.int64)
        length, count = self._sum_over_workers(np.array([len(data), len(words)]) * self.is_chief)
        if not self.is_chief:
            words = np.zeros(count, np.int64)
        chunks = [
            self._sum_over_workers(words[start : start + BROADCAST_CHUNK])
            for start in range(0, count, BROADCAST_CHUNK)
        ]
        return np.concatenate([*chunks, np.zeros(0, np.int64)]).tobytes()[:length]

    def share_store(self, open_store: Callable[[], CheckpointStore]) -> CheckpointStore:
        """Open the checkpoint store on the chief alone, and send its latest checkpoint to all."""
        if self.workers == 1:
            return open_store()
        store = open_store() if self.is_chief else None
        latest = store.load_latest() if store else None
        data = self.broadcast_bytes(_pack_checkpoint(latest) if latest else b"")
        return store or _ReadOnlyStore(_unpack_checkpoint(data) if data else None)

    def check_same(self, config: dict[str, Any], networks: Iterable[keras.Model]) -> None:
        """Check that all workers train the same run.

        Args:
            config: What must be equal, in JSON's types.
            networks: Networks whose weights must be equal.

        Raises:
            GanvasError: A worker differs from the chief; raised on all workers.
        """
        if self.workers == 1:
            return
        digest = hashlib.blake2b(json.dumps(config, sort_keys=True).encode())
        for network in networks:
            for weights in network.get_weights():
                digest.update(np.ascontiguousarray(weights).data)
        if self.any_worker(self.broadcast_bytes(digest.digest()) != digest.digest()):
            raise GanvasError(
                "The workers differ in parameters, images or initial weights: start all of them "
                "with the same --env, --params, collection and train.weights_from."
            )

    def exit_non_chief(self, stop_reason: str) -> None:
        """End the run on a worker other than the chief after training.

        Raises:
            Finished: Training ended as it should.
            GanvasError: Training diverged or was interrupted; the chief reports how.
        """
        if self.is_chief:
            return
        if stop_reason in ("diverged", "interrupted"):
            raise GanvasError(
                f"Training ended early ({stop_reason}): worker {self.worker} stops with the chief."
            )
        raise Finished(f"Worker {self.worker} is done; the chief saves the models.")

    @contextmanager
    def worker_errors_as_ganvas_errors(self) -> Iterator[None]:
        """Raise TensorFlow's errors about a lost worker as a GanvasError.

        Raises:
            GanvasError: Another worker is lost.
        """
        try:
            yield
        except WORKER_LOST_ERRORS as error:
            if self.workers == 1:
                raise
            logger.debug("TensorFlow's error: %s", error)
            raise GanvasError(
                f"Worker {self.worker} of {self.workers} has lost another worker "
                f"({type(error).__name__}), so training can't continue: start all workers again "
                "to resume from the last checkpoint."
            ) from error

    def _sum_over_workers(self, numbers: np.ndarray) -> np.ndarray:
        """Add up int64 numbers of shape (n,) over all workers."""
        strategy = self.strategy
        if self.workers == 1 or strategy is None:
            return numbers

        def add(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # Only the first device of each worker contributes.
            first = context.replica_id_in_sync_group % (self.replicas // self.workers) == 0
            values = tf.where(first, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        if not hasattr(self, "_adder"):
            self._adder = tf.function(
                lambda values: strategy.run(add, (values,)),
                input_signature=[tf.TensorSpec([None], "int64")],
            )
        return strategy.experimental_local_results(self._adder(numbers))[0].numpy()


SINGLE_DEVICE = Devices()


class SynchronizedStop(keras.callbacks.Callback):
    """Stop all workers at the same step, soon after one of them has set `stop_training`.

    It must come after the callbacks that stop training on a single worker.
    """

    def __init__(self, devices: Devices) -> None:
        super().__init__()
        self.devices, self.steps, self.stop_requested = devices, 0, False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check at intervals; in between, no worker stops."""
        self.steps += 1
        self._check(self.steps % STEPS_BETWEEN_STOP_CHECKS == 0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check whether a worker must stop."""
        self._check(True)

    def _check(self, now: bool) -> None:
        self.stop_requested |= self.model.stop_training
        self.model.stop_training = now and self.devices.any_worker(self.stop_requested)


class _ReadOnlyStore(CheckpointStore):
    """The chief's latest checkpoint, on a worker that writes nothing."""

    def __init__(self, latest: Checkpoint | None) -> None:
        super().__init__(Path(), 0)
        self.latest = latest

    def save(self, checkpoint: Checkpoint) -> None:
        pass

    def save_best(self, checkpoint: Checkpoint) -> None:
        pass

    def restore_best(self, run_state: RunState) -> None:
        pass

    def load_latest(self) -> Checkpoint | None:
        return self.latest

    def load_best(self) -> Checkpoint | None:
        return None


def _pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    stream = io.BytesIO()
    header = json.dumps([checkpoint.epoch, checkpoint.step, checkpoint.run_state])
    arrays: dict[str, Any] = {"header": np.array(header), **checkpoint.arrays}
    np.savez(stream, **arrays)
    return stream.getvalue()


def _unpack_checkpoint(data: bytes) -> Checkpoint:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    epoch, step, run_state = json.loads(str(arrays.pop("header")))
    return Checkpoint(epoch, step, arrays, run_state)


# --- Choosing the devices ---------------------------------------------------------------------


def select_devices(choice: str) -> Devices:
    """Return the devices that `train.distribute` and TF_CONFIG choose.

    It must be called before TensorFlow's first computation.

    Args:
        choice: auto, none, mirrored or multi_worker.

    Raises:
        GanvasError: They are not available, or TF_CONFIG is not valid.

    Example:
        >>> select_devices("none").replicas
        1
    """
    workers = read_workers(choice)
    if workers is not None and workers.total > 1:
        return _join_workers(workers)
    gpus = len(tf.config.get_visible_devices("GPU"))
    if choice == "none" or (choice != "mirrored" and gpus < 2):
        return SINGLE_DEVICE
    # Without a GPU, the logical CPUs that TensorFlow is configured with.
    names = [device.name for device in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
    if len(names) < 2:
        raise GanvasError(TOO_FEW_GPUS.format(gpus))
    return Devices(tf.distribute.MirroredStrategy(names))


def _join_workers(workers: Workers) -> Devices:
    """Wait for all workers, and return the devices of all of them."""
    role = "" if workers.number else " as the chief"
    logger.info(
        "Worker %d of %d waits for the other workers%s.", workers.number, workers.total, role
    )
    with _preserve_signal_handlers():
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise GanvasError(
                "TensorFlow has computed something before the workers could meet: run training by "
                "itself, with `kedro run --pipelines=train --nodes=train.train_gan`."
            ) from error
    return Devices(strategy, workers.number, workers.total)


@contextmanager
def _preserve_signal_handlers() -> Iterator[None]:
    """Let Ctrl-C end the wait for other workers, and restore the handlers afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupt, terminate = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if interrupt != signal.SIG_IGN:
        # Python would react only when the wait is over, which can take TensorFlow an hour.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        # TensorFlow's handler only records SIGTERM, which must end the run.
        signal.signal(signal.SIGTERM, terminate)


# --- Within a step ----------------------------------------------------------------------------
# Each replica updates its own copies of variables, so the values must be equal on all replicas.


def mean_over_replicas(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the mean of each value over the replicas."""
    if not tf.distribute.has_strategy():
        return list(values)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(values))


def divide_by_replicas(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Divide gradients by the number of replicas, since Keras optimizers sum over replicas."""
    if not tf.distribute.has_strategy():
        return gradients
    count = tf.distribute.get_strategy().num_replicas_in_sync
    return [gradient / count for gradient in gradients]


def sync_batch_norm_statistics(networks: Sequence[keras.Model]) -> None:
    """Set moving averages, such as those of batch norm, to their means over the replicas."""
    if not tf.distribute.has_strategy():
        return
    statistics = [
        variable
        for network in networks
        for variable in network.non_trainable_variables
        if variable.dtype == "float32"
    ]
    if statistics:
        # A copy has a device that TensorFlow can name, unlike the value that is read.
        means = mean_over_replicas([tf.identity(variable.value) for variable in statistics])
        for variable, mean in zip(statistics, means, strict=True):
            variable.assign(mean)


def as_log(value: tf.Tensor) -> tf.Tensor:
    """Return a scalar in the shape in which Keras averages logs over replicas."""
    strategy = tf.distribute.get_strategy()
    # With this strategy alone Keras takes the mean over axis 0.
    multi_worker = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return value[None] if multi_worker else value


def make_seed_generator(seed: int) -> keras.random.SeedGenerator:
    """Create a seed generator whose seeds differ between replicas."""
    kind = _ReplicaSeedGenerator if tf.distribute.has_strategy() else keras.random.SeedGenerator
    return kind(seed)


def make_mean_metric(name: str) -> keras.metrics.Mean:
    """Create the mean of a value that is equal on all replicas."""
    kind = _ReplicatedMean if tf.distribute.has_strategy() else keras.metrics.Mean
    return kind(name)


class _ReplicaSeedGenerator(keras.random.SeedGenerator):
    """Seed generator with the same state on all replicas, and different seeds."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        seed = super().next(ordered)
        context = tf.distribute.get_replica_context()
        if context is None:
            return seed
        replica = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        # Far from neighboring seeds, which users may choose for other runs.
        return seed + tf.stack([replica * 1_000_003, tf.zeros_like(replica)])


class _ReplicatedMean(keras.metrics.Mean):
    """Mean whose variables are read without a reduction: all replicas have the same values."""

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: keras.Initializer,
        dtype: str | None = None,
        aggregation: str = "none",
        name: str | None = None,
    ) -> keras.Variable:
        """Add a variable as Keras does, without aggregation."""
        variable = keras.Variable(
            keras.initializers.get(initializer),
            shape,
            dtype or self.dtype,
            trainable=False,
            aggregation="none",
            name=name,
        )
        self._tracker.add_to_store("variables", variable)
        return variable
