"""A dry run: what training with these parameters would take, from its first two steps."""

import sys
import time
from functools import partial

import keras

from ganvas.networks.sampling import latent_dim
from ganvas.progress import format_duration
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet, draw_batches, make_dataset
from ganvas.training.distribution import SINGLE_DEVICE
from ganvas.training.gan import GAN
from ganvas.training.latent_anchoring import with_anchors


def dry_run(gan: GAN, data: TrainingSet, params: TrainParams) -> str:
    """Run two steps, or twice `steps_per_execution`, and estimate what a run would take.

    Args:
        gan: The compiled GAN.
        data: Images to train on.
        params: Parameters of training.

    Returns:
        Lines of text: number of parameters, memory, steps an epoch, an estimate of the time.
    """
    latent = latent_dim(gan.generator)
    data = with_anchors(data, gan.discriminator, latent, params)
    draw = partial(draw_batches, data, latent, params, (0, 0))
    timer = _StepTimer()
    gan.fit(
        make_dataset(draw, SINGLE_DEVICE),
        steps_per_epoch=1,
        epochs=2,
        verbose=0,
        shuffle=False,
        callbacks=[timer],
    )
    images, batch = len(data.positions), params.images_per_step
    steps = images // batch
    # The first step also compiles.
    seconds = (timer.times[1] - timer.times[0]) / params.steps_per_execution
    lines = [
        f"generator: {gan.generator.count_params():,} parameters",
        f"discriminator: {gan.discriminator.count_params():,} parameters",
        *_peak_memory(),
        f"steps an epoch: {steps} of {batch} images, from {images:,}",
        f"a step: {seconds:.2f} s; an epoch: {format_duration(seconds * steps)}",
        _estimate_run(params, steps, seconds),
    ]
    return "\n".join(lines)


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
    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        # Reading a value waits for the device.
        float(self.model.steps)
        self.times.append(time.monotonic())


def _peak_memory() -> list[str]:
    try:
        import resource
    except ImportError:
        # Not available on Windows.
        return []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gib = peak / 2**30 if sys.platform == "darwin" else peak / 2**20
    return [f"peak memory of this process: {gib:.2f} GiB"]
