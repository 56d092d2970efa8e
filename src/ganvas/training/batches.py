"""Batches of real pictures, in an order that the seed and the epoch decide."""

import itertools
from collections.abc import Iterator

import numpy as np


def draw_batches(
    images: np.ndarray, positions: np.ndarray, batch_size: int, seed: int
) -> Iterator[np.ndarray]:
    """Draw whole batches without end, epoch after epoch.

    An epoch of n // batch_size batches shows every picture once, but for the few that don't fill
    a last batch. Pictures are read from a memory-mapped array as they are needed.

    Args:
        images: uint8 of shape (N, H, W, 3).
        positions: Which of them to draw, int64 of shape (n,).
        batch_size: Pictures a batch, at most n.
        seed: With the epoch's number it decides the order.

    Yields:
        uint8 of shape (batch_size, H, W, 3).
    """
    whole = len(positions) // batch_size * batch_size
    for epoch in itertools.count():
        order = np.random.default_rng([seed, epoch]).permutation(positions)
        for start in range(0, whole, batch_size):
            yield images[order[start : start + batch_size]]
