"""Which devices train: what `train.distribute` and TF_CONFIG say."""

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import tensorflow as tf

from ganvas.errors import GanvasError
from ganvas.training.devices import ALONE, Devices

logger = logging.getLogger(__name__)

EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


def has_gpu() -> bool:
    """Tell whether TensorFlow has a GPU to use."""
    return bool(tf.config.get_visible_devices("GPU"))


def gather_devices(choice: str) -> Devices:
    """Take the devices that `train.distribute` asks for.

    It must come before TensorFlow's first computation.

    Args:
        choice: auto, none, mirrored or multi_worker.

    Raises:
        GanvasError: They can't be had.
    """
    workers = _read_workers() if choice in ("auto", "multi_worker") else None
    if choice == "multi_worker" and workers is None:
        raise GanvasError(
            "train.distribute=multi_worker needs the environment variable TF_CONFIG on every "
            f"worker, such as {EXAMPLE}."
        )
    if workers is not None and workers.total > 1:
        return _join(workers)
    gpus = len(tf.config.get_visible_devices("GPU"))
    if choice == "none" or (choice != "mirrored" and gpus < 2):
        return ALONE
    # Where there is no GPU, the CPUs that TensorFlow was told to divide the machine into.
    names = [each.name for each in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
    if len(names) < 2:
        raise GanvasError(
            f"train.distribute=mirrored needs two GPUs or more, but TensorFlow sees {gpus}: set "
            "train.distribute=none."
        )
    return Devices(tf.distribute.MirroredStrategy(names))


class _Workers(NamedTuple):
    """What TF_CONFIG says."""

    number: int
    total: int


def _read_workers() -> _Workers | None:
    """Read TF_CONFIG; None where it isn't set.

    Raises:
        GanvasError: It can't be used.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        jobs = {job: len(list(cluster.get(job, []))) for job in ("chief", "worker")}
        kind, index = task["type"], int(task["index"])
        if not 0 <= index < jobs[kind]:
            raise ValueError(f"there is no {kind} {index} in its cluster")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise GanvasError(f"TF_CONFIG can't be used ({told}): write it like {EXAMPLE}.") from error
    return _Workers(index + (jobs["chief"] if kind == "worker" else 0), sum(jobs.values()))


def _join(workers: _Workers) -> Devices:
    """Wait for all workers and train with them."""
    told = "Worker %d of %d waits for the others%s."
    logger.info(told, workers.number, workers.total, "" if workers.number else " as the chief")
    with _signals_at_hand():
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise GanvasError(
                "TensorFlow has computed something before the workers could meet: run training by "
                "itself, with `kedro run --pipelines=train --nodes=train.train_gan`."
            ) from error
    return Devices(strategy, workers.number, workers.total)


@contextmanager
def _signals_at_hand() -> Iterator[None]:
    """Let Ctrl-C end the wait for other workers, and SIGTERM do afterwards what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupt, terminate = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if interrupt is signal.default_int_handler:
        # Python would answer when the wait is over, which can take TensorFlow an hour.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        # TensorFlow takes note of it and goes on, but who sends it wants the process to end.
        signal.signal(signal.SIGTERM, terminate)
