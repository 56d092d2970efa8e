"""A dry run: what training with these parameters would take, from its first steps."""

import sys
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from math import lcm, prod

import keras
import tensorflow as tf

from ganvas.disk_space import format_bytes, free_space
from ganvas.grid_layout import label_rows
from ganvas.image_shape import describe_size
from ganvas.networks.batches import batch_size
from ganvas.networks.sampling import (
    cycle_classes,
    generate_images,
    latent_dim,
    sample_latents,
)
from ganvas.progress import format_duration
from ganvas.training.callbacks import has_snapshot
from ganvas.training.checkpoint_contents import count_bytes
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet, draw_batches, make_dataset
from ganvas.training.distribution import SINGLE_DEVICE
from ganvas.training.gan import GAN
from ganvas.training.latent_anchoring import with_anchors
from ganvas.training.memory import MemoryEstimate

CHANNELS = {1: "gray", 3: "RGB", 4: "RGB with alpha"}
# Training images whose latents are computed.
EMBEDDED = 256
# Pixels of an image on a grid, at most.
GRID_PIXELS = 256**2
# Steps that are searched for kinds, at most.
MAX_CYCLE = 10_000
# Adaptive augmentation begins with the probability 0, and then takes less time than later on.
TYPICAL_PROBABILITY = 0.5
# Images of which the time of generating others is estimated.
EVALUATED = 1000


def dry_run(
    gan: GAN,
    data: TrainingSet,
    params: TrainParams,
    memory: MemoryEstimate,
    store: CheckpointStore,
) -> str:
    """Run a few steps and estimate what a run would take.

    These are two steps, or twice `steps_per_execution`; of lazy regularization one more of each
    kind.

    Args:
        gan: The compiled GAN.
        data: Images to train on.
        params: Parameters of training.
        memory: The estimate for these networks.
        store: Where the run would write its checkpoints.

    Returns:
        Lines of text: number of parameters, memory, disk, steps an epoch, an estimate of the time.

    Raises:
        GanvasError: The disk has no space for a checkpoint.
    """
    images, batch = len(data.positions), params.images_per_step
    steps = images // batch
    disk = _describe_disk(gan, data, params, store, steps)
    seconds = _time_step(gan, data, params)
    lines = [
        f"generator: {gan.generator.count_params():,} parameters",
        f"discriminator: {gan.discriminator.count_params():,} parameters",
        *describe_memory(memory),
        *_peak_memory(),
        *disk,
        f"steps an epoch: {steps} of {batch} images, from {images:,}",
        f"a step: {seconds:.2f} s; an epoch: {format_duration(seconds * steps)}",
        f"training: {batch / seconds:,.3g} images a second on {_name_device()}",
        _time_generating(gan),
        _estimate_run(params, steps, seconds),
    ]
    return "\n".join(lines)


def describe_memory(memory: MemoryEstimate) -> list[str]:
    """Return the estimated memory, and its parts, in two lines.

    Example:
        >>> describe_memory(estimate_memory(networks, TrainParams()))[0]
        'memory, estimated: 1.36 GB at the peak'
    """
    parts = {
        "weights": memory.weights,
        "optimizer": memory.optimizer,
        "activations of a step": memory.activations,
        "gradients": memory.gradients,
        "copies for checkpoints": memory.copies,
        "TensorFlow and the graph": memory.process,
    }
    text = ", ".join(f"{name} {format_bytes(size)}" for name, size in parts.items() if size)
    return [
        f"memory, estimated: {format_bytes(memory.total)} at the peak",
        f"  of which {text}; generating a batch of samples {format_bytes(memory.sampling)}",
    ]


def _describe_disk(
    gan: GAN, data: TrainingSet, params: TrainParams, store: CheckpointStore, steps: int
) -> list[str]:
    """Return what packed images and checkpoints take; raise GanvasError if these don't fit."""
    count, height, width, channels = data.images.shape
    size, total = count_bytes(gan.state()), params.total_steps(steps)
    epochs = range(1, total // steps + 1) if total else range(0)
    store.check_space(size, epochs)
    # The last few, the best and, while it is written, one more.
    files = params.checkpoint.keep + 1 + (params.kid_validation.keep == "best")
    files += sum(map(store.keeps, epochs[: -params.checkpoint.keep]))
    # Arrays that aren't of a collection are as large as those of a raw one.
    raw = prod(data.images.shape)
    stored = getattr(data.images, "stored_bytes", raw)
    encoded = "" if stored == raw else f" encoded, {format_bytes(raw)} decoded"
    return [
        f"packed images: {count:,} of {describe_size(height, width)} pixels, {CHANNELS[channels]}, "
        f"{format_bytes(stored)}{encoded}",
        f"checkpoints: {format_bytes(size)} each, up to {format_bytes(files * size)} in all; "
        f"{format_bytes(free_space(store.folder))} of disk are free",
        *_describe_snapshots(gan, data, params, epochs),
    ]


def _describe_snapshots(
    gan: GAN, data: TrainingSet, params: TrainParams, epochs: range
) -> list[str]:
    """Return what snapshots take at most; nothing if the number of epochs isn't known."""
    count = sum(has_snapshot(epoch, params) for epoch in epochs)
    if not count:
        return []
    rows, columns = params.snapshot_rows, params.snapshot_columns
    samples = len(label_rows(data.num_shown, rows, columns))
    # As on grids, where larger ones are reduced.
    pixels = min(prod(gan.generator.output_shape[1:3]), GRID_PIXELS)
    most = format_bytes(count * samples * pixels * 3)
    return [f"snapshots: {count:,} of {samples} samples, up to {most} in all"]


def _time_step(gan: GAN, data: TrainingSet, params: TrainParams) -> float:
    """Return the mean seconds of a step, without the first one, which also compiles."""
    latent = latent_dim(gan.generator)
    # Of a few images, because embedding all takes long and is done once.
    few = max(EMBEDDED, params.images_per_step)
    data = data._replace(positions=data.positions[:few])
    data = with_anchors(data, gan.discriminator, latent, params)
    draw = partial(draw_batches, data, latent, params, (0, 0))
    kinds = list_kinds_of_steps(params) if params.steps_per_execution == 1 else {1: 1.0}
    timer = _StepTimer(list(kinds))
    if params.augment.is_adaptive:
        gan.adversary.augment_probability.assign(TYPICAL_PROBABILITY)
    gan.fit(
        make_dataset(draw, SINGLE_DEVICE),
        steps_per_epoch=1,
        epochs=1 + len(kinds),
        verbose=0,
        shuffle=False,
        callbacks=[timer],
    )
    seconds = (after - before for before, after in pairwise(timer.times))
    mean = sum(share * each for share, each in zip(kinds.values(), seconds, strict=True))
    return mean / params.steps_per_execution


def list_kinds_of_steps(params: TrainParams) -> dict[int, float]:
    """Return a step of each kind, by which lazy regularization is due, and the share of its kind.

    Example:
        >>> list_kinds_of_steps(TrainParams(penalty={"r1": 1.0, "interval": 16}))
        {1: 0.9375, 16: 0.0625}
    """
    penalty, paths = params.penalty, params.path_length
    intervals = [penalty.interval] if penalty.r1 or penalty.r2 or penalty.wgan_gp else []
    intervals += [paths.interval] if paths.weight else []
    cycle = min(lcm(*intervals), MAX_CYCLE)
    steps: dict[tuple[bool, ...], int] = {}
    count: Counter[tuple[bool, ...]] = Counter()
    for step in range(1, cycle + 1):
        kind = tuple(step % interval == 0 for interval in intervals)
        steps.setdefault(kind, step)
        count[kind] += 1
    return {step: count[kind] / cycle for kind, step in steps.items()}


def _time_generating(gan: GAN) -> str:
    """Measure a batch of samples; the generator is of the same layers as the one to evaluate."""
    generator = gan.generator
    count = batch_size(*generator.output_shape[1:3])
    latents, labels = sample_latents(generator, count, seed=0), cycle_classes(generator, count)
    start = time.perf_counter()
    generate_images(generator, latents, labels)
    seconds = (time.perf_counter() - start) / count
    return (
        f"generating: {1 / seconds:,.3g} images a second, {EVALUATED:,} for an evaluation in "
        f"{format_duration(EVALUATED * seconds)}"
    )


def _estimate_run(params: TrainParams, steps: int, seconds: float) -> str:
    """Describe the length of a run of so many steps an epoch and seconds a step."""
    total, minutes = params.total_steps(steps), params.max_minutes
    if total is None:
        assert minutes, "TrainParams refuses a run without a limit"
        count = int(minutes * 60 / seconds)
        return f"{minutes:g} minutes: about {count:,} steps, {count / steps:.1f} epochs"
    limit = f", train.max_minutes={minutes:g} at most" if minutes else ""
    length = f"all {params.epochs} epochs"
    if total == params.max_steps:
        length = f"all {total:,} steps, {total / steps:.1f} epochs"
    return f"{length}: {format_duration(seconds * total)}{limit}"


class _StepTimer(keras.callbacks.Callback):
    """Records when each step ends; after the first the steps have given numbers."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__()
        self.numbers = iter(numbers)
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        # Reading a value waits for the device.
        float(self.model.steps)
        self.times.append(time.monotonic())
        if self.model.steps_per_execution == 1 and (number := next(self.numbers, None)):
            self.model.steps.assign(number)


def _name_device() -> str:
    """Return the name of the GPU, or "the CPU"."""
    gpus = tf.config.get_visible_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return str(details.get("device_name", "the GPU")) if gpus else "the CPU"


def _peak_memory() -> list[str]:
    """Return the measured peaks of the process and of the GPU, as far as they are known."""
    lines = []
    if tf.config.get_visible_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        lines.append(f"peak memory of the GPU's arrays in these steps: {format_bytes(peak)}")
    try:
        import resource
    except ImportError:
        # Not available on Windows.
        return lines
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = peak if sys.platform == "darwin" else peak * 2**10
    return [*lines, f"peak memory of this process in these steps: {format_bytes(size)}"]
