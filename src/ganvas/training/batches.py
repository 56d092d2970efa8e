"""Batches of real images and latents, decided by the seed, the epoch and the step."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ganvas.arrays import Images
from ganvas.errors import GanvasError
from ganvas.training.config import TrainParams

Batch = tuple[np.ndarray, ...]


class TrainingSet(NamedTuple):
    """What is trained on.

    Attributes:
        images: uint8 of shape (N, H, W, 3), read from disk as they are needed.
        positions: Which of them to draw, int64 of shape (n,).
        labels: The number of each image's class, int32 of shape (N,); None: no classes.
        classes: How many classes there are.
        anchors: Each image's own latent, float32 of shape (N, Z); None: none has one.
    """

    images: Images
    positions: np.ndarray
    labels: np.ndarray | None = None
    classes: int = 0
    anchors: np.ndarray | None = None


def count_steps(images: int, params: TrainParams) -> int:
    """Count the steps of an epoch.

    Args:
        images: How many there are to train on.
        params: How to train.

    Raises:
        GanvasError: There are fewer images than a step takes, a batch can't be cut up, or the
            steps can't be done as many at once as asked for.
    """
    batch = params.images_a_step
    if images < batch:
        raise GanvasError(
            f"There are {images} images to train on, fewer than a step takes: set "
            f"train.batch_size (now {params.batch_size}) times train.discriminator_steps (now "
            f"{params.discriminator_steps}) to at most {images}."
        )
    if params.batch_size % params.gradient_accumulation_steps:
        raise GanvasError(
            f"A batch of {params.batch_size} can't be cut into "
            f"{params.gradient_accumulation_steps} pieces: set train.gradient_accumulation_steps "
            "to a number that divides train.batch_size."
        )
    steps = images // batch
    check_steps_at_once(steps, params)
    return steps


def check_steps_at_once(steps: int, params: TrainParams) -> None:
    """Check that `train.steps_per_execution` divides the steps to an epoch's end.

    Keras would go on into the next epoch.

    Raises:
        GanvasError: It doesn't.
    """
    at_once = params.steps_per_execution
    if steps % at_once:
        divisors = [str(each) for each in range(1, steps + 1) if steps % each == 0]
        raise GanvasError(
            f"The {steps} steps to an epoch's end can't be done {at_once} at once: set "
            f"train.steps_per_execution to a number that divides them ({', '.join(divisors)})."
        )


def draw_batches(
    data: TrainingSet,
    latent: int,
    params: TrainParams,
    start: tuple[int, int] = (0, 0),
    share: slice = slice(None),
) -> Iterator[Batch]:
    """Draw whole batches without end, epoch after epoch.

    An epoch of n // b batches, b being `batch_size` times `discriminator_steps`, shows every
    image once, but for the few that don't fill a last batch. What is drawn at a step depends on
    nothing drawn before it, so a run goes on where another has stopped.

    Args:
        data: What to draw from.
        latent: Length Z of a latent.
        params: Of training: how many images a step takes, the seed, and which classes to ask for.
        start: Epoch and step to begin at.
        share: The part of every batch that is wanted, where several devices divide it: of its
            images, or with anchors of its groups of `train.anchor.every` images, each of which
            begins with one that has a latent of its own.

    Yields:
        Images, uint8 of shape (b, H, W, 3), and latents, standard normal float32 of shape
        (b, Z), the images' own in the places that `train.anchor` says; with classes also those
        that the images show and those to ask the generator for, int32 of shape (b,). Of all
        only the share.
    """
    size = params.images_a_step
    # Neighbors stay together, so that a share has its anchors in the same places as the whole.
    group = 1 if data.anchors is None else params.anchor.every or 1
    places = np.arange(size).reshape(-1, group)[share].ravel()
    epoch, step = start
    for number in itertools.count(epoch):
        order = np.random.default_rng([params.seed, number]).permutation(data.positions)
        for at in range(step, len(data.positions) // size):
            chosen = order[at * size : (at + 1) * size]
            # A third number keeps these apart from the order's own draws; 0 would not.
            rng = np.random.default_rng([params.seed, number, at + 1])
            drawn = _draw_latents(data, latent, params, chosen, rng)
            yield data.images[chosen[places]], *(each[places] for each in drawn)
        step = 0


def _draw_latents(
    data: TrainingSet,
    latent: int,
    params: TrainParams,
    chosen: np.ndarray,
    rng: np.random.Generator,
) -> Batch:
    """Draw a whole batch's latents; with classes give those that are shown and asked for too."""
    every = params.anchor.every
    latents = rng.standard_normal((len(chosen), latent), dtype=np.float32)
    if data.anchors is not None:
        latents[::every] = data.anchors[chosen[::every]]
    if data.labels is None:
        return (latents,)
    labels = data.labels[chosen]
    drawn = rng.integers(data.classes, size=len(chosen), dtype=np.int32)
    if data.anchors is not None:
        # Who must look like a real image is asked for its class.
        drawn[::every] = labels[::every]
    return latents, labels, drawn if params.uniform_class_sampling else labels
