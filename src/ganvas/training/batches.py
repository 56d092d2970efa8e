"""Batches of real pictures, in an order that the seed and the epoch decide."""

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Whole batches of pictures, read from a memory-mapped array as they are needed.

    Every epoch sees every picture once, but for the few that don't fill a last batch.

    Args:
        images: uint8 of shape (N, H, W, 3).
        positions: Which of them to train on, int64 of shape (n,).
        batch_size: Pictures a batch, at most n.
        seed: With the epoch's number it decides the order.
    """

    def __init__(
        self, images: np.ndarray, positions: np.ndarray, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self.images, self.positions = images, positions
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self._shuffle()

    def __len__(self) -> int:
        return len(self.positions) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return (self.images[chosen],)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.random.default_rng([self.seed, self.epoch]).permutation(self.positions)
