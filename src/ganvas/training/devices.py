"""The devices that train together: the GPUs of one machine, or several machines.

Each device is a replica: it holds all variables and works on its share of every batch. Replicas
meet where gradients, statistics and scores are averaged, so that their variables stay equal.
"""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ganvas.errors import Finished, GanvasError
from ganvas.training.checkpoints import Checkpoint, CheckpointStore
from ganvas.training.config import TrainParams

logger = logging.getLogger(__name__)

# Between two agreements on whether to stop: each waits for all workers.
STEPS_BETWEEN_AGREEMENTS = 10
# Numbers of 8 bytes that are handed round at once.
CHUNK = 2**20
# What collectives end with on the other workers when one is gone.
LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class Devices:
    """What trains together, seen from one of the workers: a process with devices of its own.

    Args:
        strategy: How TensorFlow keeps the replicas equal; None: one device.
        worker: The number of this process; 0 is the chief, who alone writes files.
        workers: How many there are.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, worker: int = 0, workers: int = 1
    ) -> None:
        self.strategy, self.worker, self.workers = strategy, worker, workers

    @property
    def replicas(self) -> int:
        """Devices of all workers together."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.worker == 0

    @property
    def shares(self) -> list[slice]:
        """The parts of a batch that the devices of this worker take.

        Strided, so that any leading part of a batch, such as one of its pieces, is shared out
        evenly too.
        """
        here = self.replicas // self.workers
        first = self.worker * here
        return [slice(number, None, self.replicas) for number in range(first, first + here)]

    def scope(self) -> AbstractContextManager[Any]:
        """Where networks, optimizers and the GAN must be made."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def check(self, params: TrainParams, anchored: bool) -> None:
        """Check that these devices can train so.

        Args:
            params: How.
            anchored: Whether `train.anchor` counts, see `ganvas.training.anchors.has_anchors`.

        Raises:
            GanvasError: They can't.
        """
        if self.strategy is None:
            return
        every = params.anchor.every if anchored else None
        parts = self.replicas * params.gradient_accumulation_steps * (every or 1)
        if params.batch_size % parts:
            anchors = f" with one anchor in {every} images (train.anchor.every)" if every else ""
            raise GanvasError(
                f"A batch of {params.batch_size} can't be shared out to {self.replicas} devices in "
                f"{params.gradient_accumulation_steps} piece(s) each{anchors}: set "
                f"train.batch_size to a multiple of {parts}."
            )
        if params.jit_compile or params.steps_per_execution > 1:
            raise GanvasError(
                "Several devices can train neither with train.jit_compile=true nor with "
                "train.steps_per_execution above 1: set false and 1, or train.distribute=none."
            )
        # Keras looks for overflows before it adds up the gradients of all devices.
        if params.precision == "mixed_float16":
            raise GanvasError(
                "Several devices can't train with train.precision=mixed_float16, since an overflow "
                "on one of them would spoil all: set mixed_bfloat16 or float32, or "
                "train.distribute=none."
            )

    def agree(self, wish: bool) -> bool:
        """Say whether any worker wishes it; all must ask at the same time."""
        return bool(self._add_up(np.array([wish], np.int64))[0])

    def hand_round(self, data: bytes) -> bytes:
        """Give every worker the chief's bytes; all must ask at the same time."""
        if self.workers == 1:
            return data
        words = np.frombuffer(data + bytes(-len(data) % 8), np.int64)
        length, count = self._add_up(np.array([len(data), len(words)]) * self.chief)
        if not self.chief:
            words = np.zeros(count, np.int64)
        chunks = [self._add_up(words[at : at + CHUNK]) for at in range(0, count, CHUNK)]
        return np.concatenate([*chunks, np.zeros(0, np.int64)]).tobytes()[:length]

    def share_store(self, open_store: Callable[[], CheckpointStore]) -> CheckpointStore:
        """Open the checkpoints on the chief alone, and give every worker the latest of them."""
        if self.workers == 1:
            return open_store()
        store = open_store() if self.chief else None
        latest = store.load_latest() if store else None
        data = self.hand_round(_pack(latest) if latest else b"")
        return store or _ChiefsStore(_unpack(data) if data else None)

    def check_same(self, facts: dict[str, Any], networks: Iterable[keras.Model]) -> None:
        """Check that all workers train the same.

        Args:
            facts: What must be equal, in JSON's types.
            networks: Whose weights must be.

        Raises:
            GanvasError: One differs from the chief; all workers raise it.
        """
        if self.workers == 1:
            return
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode())
        for network in networks:
            for weights in network.get_weights():
                digest.update(np.ascontiguousarray(weights).data)
        if self.agree(self.hand_round(digest.digest()) != digest.digest()):
            raise GanvasError(
                "The workers differ in parameters, images or initial weights: give all of them "
                "the same --env, --params, collection and train.weights_from, and start them again."
            )

    def dismiss(self, diverged: bool) -> None:
        """End the run on a worker that isn't the chief, once training is over.

        Raises:
            Finished: It did what it was asked to.
            GanvasError: Training diverged, of which the chief tells more.
        """
        if self.chief:
            return
        if diverged:
            raise GanvasError(f"Training diverged, and worker {self.worker} stops with the chief.")
        raise Finished(f"Worker {self.worker} is done; the chief saves the models.")

    @contextmanager
    def in_touch(self) -> Iterator[None]:
        """Tell in one sentence that another worker is lost.

        Raises:
            GanvasError: It is.
        """
        try:
            yield
        except LOSSES as error:
            if self.workers == 1:
                raise
            logger.debug("TensorFlow says: %s", error)
            raise GanvasError(
                f"Worker {self.worker} of {self.workers} has lost touch with another one "
                f"({type(error).__name__}), so training can't go on: start all workers again, and "
                "it resumes from the last checkpoint."
            ) from error

    def _add_up(self, numbers: np.ndarray) -> np.ndarray:
        """Add int64 numbers of shape (n,) of all workers."""
        strategy = self.strategy
        if self.workers == 1 or strategy is None:
            return numbers

        def add(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # Of the devices of a worker the first one speaks.
            first = context.replica_id_in_sync_group % (self.replicas // self.workers) == 0
            values = tf.where(first, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        if not hasattr(self, "_adder"):
            self._adder = tf.function(
                lambda values: strategy.run(add, (values,)),
                input_signature=[tf.TensorSpec([None], "int64")],
            )
        return strategy.experimental_local_results(self._adder(numbers))[0].numpy()


ALONE = Devices()


class Agreement(keras.callbacks.Callback):
    """Lets workers stop at the same step, whichever of them wishes it.

    It must stand behind the callbacks that stop training.
    """

    def __init__(self, devices: Devices) -> None:
        super().__init__()
        self.devices, self.steps, self.wish = devices, 0, False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask now and then; until then nobody stops."""
        self.steps += 1
        self._ask(self.steps % STEPS_BETWEEN_AGREEMENTS == 0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask."""
        self._ask(True)

    def _ask(self, now: bool) -> None:
        self.wish |= self.model.stop_training
        self.model.stop_training = now and self.devices.agree(self.wish)


class _ChiefsStore(CheckpointStore):
    """The chief's latest checkpoint, on a worker that writes nothing."""

    def __init__(self, latest: Checkpoint | None) -> None:
        super().__init__(Path(), 0)
        self.latest = latest

    def save(self, checkpoint: Checkpoint) -> None:
        """Leave it to the chief."""

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Leave it to the chief."""

    def load_latest(self) -> Checkpoint | None:
        return self.latest

    def load_best(self) -> Checkpoint | None:
        return None


def _pack(checkpoint: Checkpoint) -> bytes:
    stream = io.BytesIO()
    told = json.dumps([checkpoint.epoch, checkpoint.step, checkpoint.facts])
    np.savez(stream, allow_pickle=False, told=np.array(told), **checkpoint.arrays)
    return stream.getvalue()


def _unpack(data: bytes) -> Checkpoint:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    epoch, step, facts = json.loads(str(arrays.pop("told")))
    return Checkpoint(epoch, step, arrays, facts)
