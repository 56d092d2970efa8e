from itertools import islice

import numpy as np

from ganvas.training.batches import draw_batches
from ganvas.training.gan import stream


def images(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def orders(seed: int, epochs: int) -> list[list[int]]:
    """What each epoch shows, of the pictures 1 to 20."""
    batches = draw_batches(images(30), np.arange(1, 21), batch_size=5, seed=seed)
    seen = [int(number) for batch in islice(batches, 4 * epochs) for number in batch[:, 0, 0, 0]]
    return [seen[start : start + 20] for start in range(0, 20 * epochs, 20)]


def test_every_epoch_shows_every_picture_once_in_another_order():
    shown = orders(seed=0, epochs=3)
    assert all(sorted(order) == list(range(1, 21)) for order in shown)
    assert len({tuple(order) for order in shown}) == 3


def test_the_seed_decides_the_order():
    assert orders(seed=1, epochs=2) == orders(seed=1, epochs=2) != orders(seed=2, epochs=2)


def test_an_incomplete_batch_is_left_out():
    batches = list(islice(draw_batches(images(30), np.arange(13), batch_size=5, seed=0), 4))
    assert all(len(batch) == 5 for batch in batches)
    numbers = [batch[:, 0, 0, 0].tolist() for batch in batches]
    assert len({*numbers[0], *numbers[1]}) == len({*numbers[2], *numbers[3]}) == 10


def test_the_stream_gives_the_batches_in_their_order():
    expected = list(islice(draw_batches(images(30), np.arange(30), 4, seed=2), 9))
    given = stream(draw_batches(images(30), np.arange(30), 4, seed=2), (4, 2, 2, 3)).take(9)
    for one, other in zip(given.as_numpy_iterator(), expected, strict=True):
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
