"""Batches of real pictures and latents, decided by the seed, the epoch and the step."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ganvas.arrays import Pictures
from ganvas.training.params import TrainParams

Batch = tuple[np.ndarray, ...]


class TrainingSet(NamedTuple):
    """What is trained on.

    Attributes:
        images: uint8 of shape (N, H, W, 3), read from disk as they are needed.
        positions: Which of them to draw, int64 of shape (n,).
        labels: The number of each picture's class, int32 of shape (N,); None: no classes.
        classes: How many classes there are.
        anchors: Each picture's own latent, float32 of shape (N, Z); None: none has one.
    """

    images: Pictures
    positions: np.ndarray
    labels: np.ndarray | None = None
    classes: int = 0
    anchors: np.ndarray | None = None


def draw_batches(
    data: TrainingSet,
    latent: int,
    params: TrainParams,
    start: tuple[int, int] = (0, 0),
    share: slice = slice(None),
) -> Iterator[Batch]:
    """Draw whole batches without end, epoch after epoch.

    An epoch of n // b batches, b being `batch_size` times `discriminator_steps`, shows every
    picture once, but for the few that don't fill a last batch. What is drawn at a step depends on
    nothing drawn before it, so a run goes on where another has stopped.

    Args:
        data: What to draw from.
        latent: Length Z of a latent.
        params: Of training: how many pictures a step takes, the seed, and which classes to ask for.
        start: Epoch and step to begin at.
        share: The part of every batch that is wanted, where several machines divide it.

    Yields:
        Pictures, uint8 of shape (b, H, W, 3), and latents, standard normal float32 of shape
        (b, Z), the pictures' own in the places that `train.anchor` says; with classes also those
        that the pictures show and those to ask the generator for, int32 of shape (b,). Of all
        only the share.
    """
    size = params.pictures_a_step
    epoch, step = start
    for number in itertools.count(epoch):
        order = np.random.default_rng([params.seed, number]).permutation(data.positions)
        for at in range(step, len(data.positions) // size):
            chosen = order[at * size : (at + 1) * size][share]
            # A third number keeps these apart from the order's own draws; 0 would not.
            rng = np.random.default_rng([params.seed, number, at + 1])
            latents = rng.standard_normal((size, latent), dtype=np.float32)[share]
            if data.anchors is not None:
                every = params.anchor.every
                latents[::every] = data.anchors[chosen[::every]]
            if data.labels is None:
                yield data.images[chosen], latents
                continue
            labels = data.labels[chosen]
            drawn = rng.integers(data.classes, size=size, dtype=np.int32)[share]
            if data.anchors is not None:
                # Who must look like a real picture is asked for its class.
                drawn[::every] = labels[::every]
            yield data.images[chosen], latents, labels, drawn if params.balance else labels
        step = 0
