"""A dry run: everything is built, two steps are done, and nothing is kept."""

import sys
import time
from functools import partial

import keras

from ganvas.networks.sampling import latent_length
from ganvas.training.anchors import with_anchors
from ganvas.training.batches import TrainingSet, draw_batches
from ganvas.training.config import TrainParams
from ganvas.training.devices import ALONE
from ganvas.training.feeding import feed
from ganvas.training.gan import GAN


def rehearse(gan: GAN, data: TrainingSet, params: TrainParams) -> str:
    """Do two steps, or twice as many as are done at once; tell what a run would take.

    Args:
        gan: Compiled.
        data: What to train on.
        params: How to train.

    Returns:
        Lines: parameters, memory, steps an epoch, an estimate of the time.
    """
    latent = latent_length(gan.generator)
    data = with_anchors(data, gan.discriminator, latent, params)
    draw = partial(draw_batches, data, latent, params, (0, 0))
    clock = _Clock()
    gan.fit(
        feed(draw, ALONE),
        steps_per_epoch=1,
        epochs=2,
        verbose=0,
        shuffle=False,
        callbacks=[clock],
    )
    images, batch = len(data.positions), params.images_a_step
    steps = images // batch
    # The first step also compiles.
    seconds = (clock.ends[1] - clock.ends[0]) / params.steps_per_execution
    limit = f", train.max_minutes={params.max_minutes:g} at most" if params.max_minutes else ""
    total = seconds * steps * params.epochs
    lines = [
        f"generator: {gan.generator.count_params():,} parameters",
        f"discriminator: {gan.discriminator.count_params():,} parameters",
        *_tell_memory(),
        f"steps an epoch: {steps} of {batch} images, from {images:,}",
        f"a step: {seconds:.2f} s; an epoch: {format_duration(seconds * steps)}",
        f"all {params.epochs} epochs: {format_duration(total)}{limit}",
    ]
    return "\n".join(lines)


def format_duration(seconds: float) -> str:
    """Tell a duration in its fitting unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


class _Clock(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        # Reading a value waits for the device.
        float(self.model.steps)
        self.ends.append(time.monotonic())


def _tell_memory() -> list[str]:
    try:
        import resource
    except ImportError:
        # Windows has no such account.
        return []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gib = peak / 2**30 if sys.platform == "darwin" else peak / 2**20
    return [f"memory of this process at its highest: {gib:.2f} GiB"]
