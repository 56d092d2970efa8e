from itertools import islice, pairwise

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.training.batches import Batch, TrainingSet, count_steps, draw_batches
from ganvas.training.config import TrainParams
from ganvas.training.feeding import stream


def images(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def draw(count: int, seed: int = 0, **options) -> list[Batch]:
    """The first batches of 5 of the images 1 to 20, four of them an epoch, with latents of 6."""
    params = TrainParams(batch_size=5, seed=seed)
    data = TrainingSet(images(30), np.arange(1, 21))
    return list(islice(draw_batches(data, 6, params, **options), count))


def orders(seed: int, epochs: int) -> list[list[int]]:
    """What each epoch shows."""
    seen = [int(number) for shown, _ in draw(4 * epochs, seed) for number in shown[:, 0, 0, 0]]
    return [seen[start : start + 20] for start in range(0, 20 * epochs, 20)]


def assert_equal(ours: list[Batch], theirs: list[Batch]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for array, expected in zip(one, other, strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)


def test_every_epoch_shows_every_image_once_in_another_order():
    shown = orders(seed=0, epochs=3)
    assert all(sorted(order) == list(range(1, 21)) for order in shown)
    assert len({tuple(order) for order in shown}) == 3


def test_the_seed_decides_the_order():
    assert orders(seed=1, epochs=2) == orders(seed=1, epochs=2) != orders(seed=2, epochs=2)


def test_an_incomplete_batch_is_left_out():
    data = TrainingSet(images(30), np.arange(13))
    batches = list(islice(draw_batches(data, 6, TrainParams(batch_size=5)), 4))
    numbers = [shown[:, 0, 0, 0].tolist() for shown, _ in batches]
    assert all(len(shown) == len(latents) == 5 for shown, latents in batches)
    assert len({*numbers[0], *numbers[1]}) == len({*numbers[2], *numbers[3]}) == 10


@pytest.mark.parametrize("start", [(0, 0), (0, 3), (1, 0), (2, 1), (0, 4)])
def test_a_later_start_leaves_out_what_came_before_and_changes_nothing_else(start):
    epoch, step = start
    before = 4 * epoch + step
    assert_equal(draw(7, start=start), draw(before + 7)[before:])


@pytest.mark.parametrize("cuts", [(0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_the_shares_of_several_machines_make_up_the_batches(cuts):
    shares = [draw(6, share=slice(*ends)) for ends in pairwise(cuts)]
    joined = [
        tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        for parts in zip(*shares, strict=True)
    ]
    assert_equal(joined, draw(6))


def test_latents_are_standard_normal_and_alike_for_the_same_seed():
    data = TrainingSet(images(30), np.arange(30))
    batches = islice(draw_batches(data, 100, TrainParams(batch_size=10, seed=4)), 30)
    latents = np.concatenate([latents for _, latents in batches])
    assert latents.dtype == np.float32
    assert latents.shape == (300, 100)
    assert abs(latents.mean()) < 0.03
    assert abs(latents.std() - 1) < 0.03
    assert_equal(draw(5, seed=3), draw(5, seed=3))


def test_latents_differ_from_image_to_image_step_to_step_and_by_seed():
    rows = [tuple(row) for seed in (0, 1) for _, latents in draw(9, seed) for row in latents]
    assert len(set(rows)) == len(rows) == 2 * 9 * 5


def test_no_latents_are_made_of_the_numbers_that_decide_an_order():
    orders = [np.random.default_rng([0, epoch]) for epoch in range(3)]
    used = [rng.standard_normal((5, 6), dtype=np.float32) for rng in orders]
    drawn = [latents for _, latents in draw(12)]
    assert not any((one == other).all() for one in used for other in drawn)


def test_the_stream_gives_the_batches_in_their_order():
    given = stream(iter(draw(9, seed=2)), draw(1)[0]).take(9)
    assert_equal(list(given.as_numpy_iterator()), draw(9, seed=2))


def draw_labeled(count: int, classes: int = 3, **params) -> list[Batch]:
    """Batches of 5 of the images 0 to 29, image n being of the class n modulo 3."""
    data = TrainingSet(images(30), np.arange(30), np.arange(30, dtype=np.int32) % 3, classes)
    return list(islice(draw_batches(data, 6, TrainParams(batch_size=5, **params)), count))


def test_labels_are_those_of_the_images_and_are_asked_for():
    for shown, _, labels, asked in draw_labeled(12):
        assert labels.dtype == asked.dtype == np.int32
        np.testing.assert_array_equal(labels, shown[:, 0, 0, 0] % 3)
        np.testing.assert_array_equal(asked, labels)


def test_balance_asks_for_every_class_equally_often():
    batches = draw_labeled(600, classes=4, uniform_class_sampling=True)
    for shown, _, labels, _ in batches:
        np.testing.assert_array_equal(labels, shown[:, 0, 0, 0] % 3)
    asked = np.concatenate([asked for *_, asked in batches])
    shares = np.bincount(asked, minlength=4) / len(asked)
    np.testing.assert_allclose(shares, 0.25, atol=0.03)


def test_classes_change_neither_order_nor_latents():
    plain = draw_labeled(7)
    data = TrainingSet(images(30), np.arange(30))
    for one, other in zip(draw_batches(data, 6, TrainParams(batch_size=5)), plain, strict=False):
        assert_equal([one], [other[:2]])


def test_shares_of_a_labeled_batch_make_up_the_whole():
    data = TrainingSet(images(30), np.arange(30), np.arange(30, dtype=np.int32) % 3, 3)
    params = TrainParams(batch_size=6, uniform_class_sampling=True)
    whole = next(draw_batches(data, 6, params))
    parts = [next(draw_batches(data, 6, params, share=slice(at, None, 2))) for at in (0, 1)]
    for number, array in enumerate(whole):
        for at, part in enumerate(parts):
            np.testing.assert_array_equal(part[number], array[at::2])


def test_shares_have_latents_of_their_own_where_the_whole_batch_has_them():
    labels = np.arange(30, dtype=np.int32) % 3
    own = np.arange(180, dtype=np.float32).reshape(30, 6)
    data = TrainingSet(images(30), np.arange(30), labels, 3, own)
    params = TrainParams(
        batch_size=12, uniform_class_sampling=True, simultaneous_updates=True, anchor={"every": 3}
    )
    whole = next(draw_batches(data, 6, params))
    parts = [next(draw_batches(data, 6, params, share=slice(at, None, 2))) for at in (0, 1)]
    for number, array in enumerate(whole):
        threes = array.reshape(4, 3, *array.shape[1:])
        for at, part in enumerate(parts):
            np.testing.assert_array_equal(part[number], threes[at::2].reshape(part[number].shape))
    for shown, latents, labels, asked in parts:
        np.testing.assert_array_equal(latents[::3], own[shown[::3, 0, 0, 0]])
        np.testing.assert_array_equal(asked[::3], labels[::3])


@pytest.mark.parametrize("at_once", [4, 12])
def test_steps_at_once_that_do_not_divide_an_epoch_are_told_with_those_that_do(at_once):
    with pytest.raises(GanvasError, match=rf"6 steps .* {at_once} at once: .*\(1, 2, 3, 6\)\.$"):
        count_steps(27, TrainParams(batch_size=4, steps_per_execution=at_once))


def test_an_epoch_has_as_many_steps_as_whole_batches():
    assert [count_steps(count, TrainParams(batch_size=4)) for count in (4, 27, 28)] == [1, 6, 7]
    params = TrainParams(batch_size=4, discriminator_steps=2, steps_per_execution=3)
    assert count_steps(27, params) == 3
