import keras
import numpy as np

from ganvas.training.batches import Batches


def images(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


class Witness(keras.Model):
    """Notes which pictures `fit` shows it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def train_step(self, data):
        (batch,) = data
        self.seen.append(np.asarray(batch)[:, 0, 0, 0].tolist())
        return {"pictures": float(len(batch))}


def orders(seed: int, epochs: int) -> list[list[int]]:
    witness = Witness()
    witness.compile(run_eagerly=True)
    positions = np.arange(1, 21)
    batches = Batches(images(30), positions, batch_size=5, seed=seed)
    witness.fit(batches, epochs=epochs, verbose=0, shuffle=False)
    seen = [number for batch in witness.seen for number in batch]
    return [seen[start : start + 20] for start in range(0, 20 * epochs, 20)]


def test_every_epoch_shows_every_picture_once_in_another_order():
    shown = orders(seed=0, epochs=3)
    assert all(sorted(order) == list(range(1, 21)) for order in shown)
    assert len({tuple(order) for order in shown}) == 3


def test_the_seed_decides_the_order():
    assert orders(seed=1, epochs=2) == orders(seed=1, epochs=2) != orders(seed=2, epochs=2)


def test_an_incomplete_batch_is_left_out():
    batches = Batches(images(30), np.arange(13), batch_size=5, seed=0)
    assert len(batches) == 2 and all(len(batches[k][0]) == 5 for k in range(2))
