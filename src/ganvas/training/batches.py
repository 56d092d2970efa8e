"""Batches of real pictures and latents, decided by the seed, the epoch and the step."""

import itertools
from collections.abc import Iterator

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


def draw_batches(
    images: np.ndarray,
    positions: np.ndarray,
    latent: int,
    batch_size: int,
    seed: int,
    start: tuple[int, int] = (0, 0),
    share: slice = slice(None),
) -> Iterator[Batch]:
    """Draw whole batches without end, epoch after epoch.

    An epoch of n // batch_size batches shows every picture once, but for the few that don't fill
    a last batch. Pictures are read from disk as they are needed. What is drawn at a step depends
    on nothing drawn before it, so a run goes on where another has stopped.

    Args:
        images: uint8 of shape (N, H, W, 3).
        positions: Which of them to draw, int64 of shape (n,).
        latent: Length Z of a latent.
        batch_size: Pictures a batch, at most n.
        seed: Of the order and the latents.
        start: Epoch and step to begin at.
        share: The part of every batch that is wanted, where several machines divide it.

    Yields:
        Pictures, uint8 of shape (batch_size, H, W, 3), and latents, standard normal float32 of
        shape (batch_size, Z); of both only the share.
    """
    epoch, step = start
    for number in itertools.count(epoch):
        order = np.random.default_rng([seed, number]).permutation(positions)
        for at in range(step, len(positions) // batch_size):
            chosen = order[at * batch_size : (at + 1) * batch_size][share]
            # A third number keeps these apart from the order's own draws; 0 would not.
            rng = np.random.default_rng([seed, number, at + 1])
            latents = rng.standard_normal((batch_size, latent), dtype=np.float32)
            yield images[chosen], latents[share]
        step = 0
