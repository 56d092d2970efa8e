from functools import partial
from itertools import islice, pairwise

import click
import numpy as np
import pytest

from ganvas.command_errors import in_one_sentence
from ganvas.errors import GanvasError
from ganvas.ingestion.encoded_shards import EncodedImages, encode_pixels, write_encoded_shard
from ganvas.ingestion.shards import open_shards
from ganvas.networks.latent_prior import LatentPrior
from ganvas.training.config import TrainParams
from ganvas.training.dataset import Batch, TrainingSet, count_steps, draw_batches, make_dataset
from ganvas.training.distribution import SINGLE_DEVICE


def make_images(count: int) -> np.ndarray:
    """Images whose pixels are their positions."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def draw(count: int, seed: int = 0, **options) -> list[Batch]:
    """Draw batches of 5 of the images 1 to 20, four of them an epoch, with latents of length 6."""
    params = TrainParams(batch_size=5, seed=seed)
    data = TrainingSet(make_images(30), np.arange(1, 21))
    return list(islice(draw_batches(data, 6, params, **options), count))


def draw_orders(seed: int, epochs: int) -> list[list[int]]:
    """Return the positions of the images of each epoch in their order."""
    batches = draw(4 * epochs, seed)
    positions = [int(value) for images, _ in batches for value in images[:, 0, 0, 0]]
    return [positions[start : start + 20] for start in range(0, 20 * epochs, 20)]


def assert_equal(actual: list[Batch], expected: list[Batch]) -> None:
    for actual_batch, expected_batch in zip(actual, expected, strict=True):
        for a, b in zip(actual_batch, expected_batch, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_every_epoch_has_every_image_once_in_another_order():
    orders = draw_orders(seed=0, epochs=3)
    assert all(sorted(order) == list(range(1, 21)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_the_order_depends_on_the_seed():
    first = draw_orders(seed=1, epochs=2)
    assert first == draw_orders(seed=1, epochs=2) != draw_orders(seed=2, epochs=2)


def test_an_incomplete_batch_is_dropped():
    data = TrainingSet(make_images(30), np.arange(13))
    batches = list(islice(draw_batches(data, 6, TrainParams(batch_size=5)), 4))
    positions = [images[:, 0, 0, 0].tolist() for images, _ in batches]
    assert all(len(images) == len(latents) == 5 for images, latents in batches)
    assert len({*positions[0], *positions[1]}) == len({*positions[2], *positions[3]}) == 10


@pytest.mark.parametrize("start", [(0, 0), (0, 3), (1, 0), (2, 1), (0, 4)])
def test_a_later_start_skips_batches_and_changes_no_others(start):
    epoch, step = start
    skipped = 4 * epoch + step
    assert_equal(draw(7, start=start), draw(skipped + 7)[skipped:])


@pytest.mark.parametrize("bounds", [(0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_the_shares_of_several_machines_make_up_the_batches(bounds):
    shares = [draw(6, share=slice(*ends)) for ends in pairwise(bounds)]
    joined = [
        tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        for parts in zip(*shares, strict=True)
    ]
    assert_equal(joined, draw(6))


def test_latents_are_standard_normal_and_equal_for_the_same_seed():
    data = TrainingSet(make_images(30), np.arange(30))
    batches = islice(draw_batches(data, 100, TrainParams(batch_size=10, seed=4)), 30)
    latents = np.concatenate([latents for _, latents in batches])
    assert latents.dtype == np.float32
    assert latents.shape == (300, 100)
    assert abs(latents.mean()) < 0.03
    assert abs(latents.std() - 1) < 0.03
    assert_equal(draw(5, seed=3), draw(5, seed=3))


def test_latents_differ_between_images_steps_and_seeds():
    rows = [tuple(row) for seed in (0, 1) for _, latents in draw(9, seed) for row in latents]
    assert len(set(rows)) == len(rows) == 2 * 9 * 5


def test_latents_are_independent_of_the_random_numbers_of_the_order():
    generators = [np.random.default_rng([0, epoch]) for epoch in range(3)]
    of_orders = [rng.standard_normal((5, 6), dtype=np.float32) for rng in generators]
    drawn = [latents for _, latents in draw(12)]
    assert not any((a == b).all() for a in of_orders for b in drawn)


def test_a_dataset_has_the_batches_in_their_order():
    params = TrainParams(batch_size=5, seed=2)
    data = TrainingSet(make_images(30), np.arange(1, 21))
    dataset = make_dataset(lambda share: draw_batches(data, 6, params, share=share), SINGLE_DEVICE)
    assert_equal(list(dataset.take(9).as_numpy_iterator()), draw(9, seed=2))


def draw_labeled(count: int, num_classes: int = 3, **params) -> list[Batch]:
    """Draw batches of 5 of the images 0 to 29, whose classes are their positions modulo 3."""
    labels = np.arange(30, dtype=np.int32) % 3
    data = TrainingSet(make_images(30), np.arange(30), labels, num_classes)
    return list(islice(draw_batches(data, 6, TrainParams(batch_size=5, **params)), count))


def test_target_classes_are_the_labels_of_the_real_images():
    for images, _, real_labels, fake_labels in draw_labeled(12):
        assert real_labels.dtype == fake_labels.dtype == np.int32
        np.testing.assert_array_equal(real_labels, images[:, 0, 0, 0] % 3)
        np.testing.assert_array_equal(fake_labels, real_labels)


def test_uniform_class_sampling_has_every_target_class_equally_often():
    batches = draw_labeled(600, num_classes=4, uniform_class_sampling=True)
    for images, _, real_labels, _ in batches:
        np.testing.assert_array_equal(real_labels, images[:, 0, 0, 0] % 3)
    fake_labels = np.concatenate([labels for *_, labels in batches])
    frequencies = np.bincount(fake_labels, minlength=4) / len(fake_labels)
    np.testing.assert_allclose(frequencies, 0.25, atol=0.03)


def test_classes_change_neither_order_nor_latents():
    labeled = draw_labeled(7)
    data = TrainingSet(make_images(30), np.arange(30))
    plain = draw_batches(data, 6, TrainParams(batch_size=5))
    for plain_batch, labeled_batch in zip(plain, labeled, strict=False):
        assert_equal([plain_batch], [labeled_batch[:2]])


def test_shares_of_a_labeled_batch_make_up_the_whole():
    data = TrainingSet(make_images(30), np.arange(30), np.arange(30, dtype=np.int32) % 3, 3)
    params = TrainParams(batch_size=6, uniform_class_sampling=True)
    whole = next(draw_batches(data, 6, params))
    parts = [next(draw_batches(data, 6, params, share=slice(i, None, 2))) for i in (0, 1)]
    for column, array in enumerate(whole):
        for i, part in enumerate(parts):
            np.testing.assert_array_equal(part[column], array[i::2])


# --- Latents around anchors -------------------------------------------------------------------

# The anchor of the image at position p is p, on all axes; the last positions are not trained on.
POSITIONS = np.random.default_rng(9).permutation(27) + 1
LABELS = np.arange(30, dtype=np.int32) % 3
NOISE, SHRINKAGE = 0.01, np.sqrt(1 - 0.01**2)


def make_anchored(conditional: bool = True) -> TrainingSet:
    anchors = np.repeat(POSITIONS.astype(np.float32)[:, None], 6, axis=1)
    prior = LatentPrior(anchors, np.full(6, 8, np.float32), NOISE)
    if not conditional:
        return TrainingSet(make_images(30), POSITIONS, anchors=anchors, prior=prior)
    prior = prior._replace(labels=LABELS[POSITIONS], num_classes=3)
    return TrainingSet(make_images(30), POSITIONS, LABELS, 3, anchors, prior)


def make_params(every: int, **params) -> TrainParams:
    anchor = {"every": every}
    return TrainParams(batch_size=12, simultaneous_updates=True, anchor=anchor, **params)


def find_anchors(latents: np.ndarray) -> np.ndarray:
    """Return the position of the image whose anchor each latent is sampled around."""
    return np.rint(latents.mean(axis=1) / SHRINKAGE).astype(int)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_every_nth_latent_is_around_the_anchor_of_its_image(conditional, every):
    data, params = make_anchored(conditional), make_params(every)
    plain = draw_batches(data._replace(anchors=None, prior=None), 6, params)
    others, noise = [], []
    for batch, plain_batch in islice(zip(draw_batches(data, 6, params), plain, strict=True), 200):
        images, latents = batch[:2]
        np.testing.assert_array_equal(images, plain_batch[0])
        own, found = images[:, 0, 0, 0].astype(int), find_anchors(latents)
        np.testing.assert_array_equal(found[::every], own[::every])
        assert set(found) <= set(POSITIONS)
        others.append((found != own).reshape(-1, every)[:, 1:].mean() if every > 1 else 1)
        noise.append(latents / SHRINKAGE - found[:, None])
        if conditional:
            np.testing.assert_array_equal(LABELS[found], batch[3])
            np.testing.assert_array_equal(batch[2], batch[3])
    # Of 27, or of 9 of a class, few are those of their own image.
    assert np.mean(others) > 0.8
    noise = np.concatenate(noise)
    assert abs(noise.mean()) < 0.005 and noise.std() == pytest.approx(NOISE * 8, rel=0.05)


def test_with_uniform_class_sampling_latents_have_the_class_of_the_generated_image():
    labels = np.zeros(30, np.int32)
    labels[POSITIONS[:5]] = 1
    data = make_anchored()
    prior = data.prior._replace(labels=labels[POSITIONS])
    params, targets = make_params(3, uniform_class_sampling=True), []
    data = data._replace(labels=labels, prior=prior)
    for _, latents, real_labels, fake_labels in islice(draw_batches(data, 6, params), 200):
        np.testing.assert_array_equal(fake_labels[::3], real_labels[::3])
        # The third class has no images, so that any anchor is taken.
        known = fake_labels < 2
        found = find_anchors(latents)
        np.testing.assert_array_equal(labels[found[known]], fake_labels[known])
        assert fake_labels.dtype == real_labels.dtype == np.int32
        targets.append(fake_labels.reshape(-1, 3)[:, 1:])
    frequencies = np.bincount(np.concatenate(targets).ravel(), minlength=3) / (200 * 8)
    np.testing.assert_allclose(frequencies, 1 / 3, atol=0.04)


@pytest.mark.parametrize("start", [(0, 1), (2, 0)])
def test_a_later_start_changes_no_latents_around_anchors(start):
    data, params = make_anchored(), make_params(3)
    batches = list(islice(draw_batches(data, 6, params), 8))
    skipped = 2 * start[0] + start[1]
    later = draw_batches(data, 6, params, start=start)
    assert_equal(list(islice(later, 8 - skipped)), batches[skipped:])


def test_shares_have_anchors_at_the_same_interval_as_the_whole_batch():
    data, params = make_anchored(), make_params(3, uniform_class_sampling=True)
    whole = next(draw_batches(data, 6, params))
    parts = [next(draw_batches(data, 6, params, share=slice(i, None, 2))) for i in (0, 1)]
    for column, array in enumerate(whole):
        groups = array.reshape(4, 3, *array.shape[1:])
        for i, part in enumerate(parts):
            expected = groups[i::2].reshape(part[column].shape)
            np.testing.assert_array_equal(part[column], expected)
    for images, latents, real_labels, fake_labels in parts:
        np.testing.assert_array_equal(find_anchors(latents)[::3], images[::3, 0, 0, 0])
        np.testing.assert_array_equal(fake_labels[::3], real_labels[::3])


# --- Encoded images ---------------------------------------------------------------------------


@pytest.fixture
def encoded(tmp_path):
    """30 random images of 8×6 pixels, and the same ones in two encoded shards."""
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 6, 3), dtype=np.uint8)
    for number, part in enumerate(np.split(images, [12])):
        contents = [encode_pixels(image) for image in part]
        lengths = np.array([len(content) for content in contents])
        parts = [EncodedImages(np.frombuffer(b"".join(contents), np.uint8), lengths)]
        write_encoded_shard(tmp_path / f"images-{number:05d}.webps", parts, images.shape[1:])
    return images, tmp_path


def take(images, count: int, **options) -> list[Batch]:
    draw_shares = partial(
        draw_batches, TrainingSet(images, np.arange(30)), 6, TrainParams(batch_size=7), **options
    )
    dataset = make_dataset(lambda share: draw_shares(share=share), SINGLE_DEVICE)
    return [tuple(map(np.asarray, batch)) for batch in dataset.take(count)]


@pytest.mark.parametrize("start", [(0, 0), (1, 2)])
def test_batches_of_encoded_images_are_those_of_raw_ones(encoded, start):
    images, folder = encoded
    raw = take(images, 9, start=start)
    for _ in range(2):
        assert_equal(take(open_shards(folder), 9, start=start), raw)


def test_a_damaged_image_ends_training_with_the_sentence_that_names_it(encoded):
    _, folder = encoded
    file = folder / "images-00001.webps"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(Exception, match="Image 17 of") as caught:
        take(open_shards(folder), 4)

    @in_one_sentence
    def command():
        raise caught.value

    with pytest.raises(click.ClickException) as shown:
        command()
    assert str(shown.value).startswith(f"Image 17 of {file} is damaged")
    assert str(shown.value).endswith("with the same --env and --params.")


# --- Steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 12])
def test_steps_per_execution_that_do_not_divide_an_epoch_are_an_error_with_the_divisors(steps):
    with pytest.raises(GanvasError, match=rf"6 steps .* {steps} at once: .* to 1, 2, 3 or 6\.$"):
        count_steps(27, TrainParams(batch_size=4, steps_per_execution=steps))


def test_an_epoch_has_as_many_steps_as_whole_batches():
    assert [count_steps(count, TrainParams(batch_size=4)) for count in (4, 27, 28)] == [1, 6, 7]
    params = TrainParams(batch_size=4, discriminator_steps=2, steps_per_execution=3)
    assert count_steps(27, params) == 3


@pytest.mark.parametrize(
    ("count", "remedy"),
    [(5, r"to at most 5\.$"), (1, r"ingest more images, since .* 2 at least, or lower ing.*\.$")],
)
def test_too_few_images_are_an_error_whose_remedy_is_possible(count, remedy):
    with pytest.raises(GanvasError, match=rf"There are {count} images to train on.*: .*{remedy}"):
        count_steps(count, TrainParams(batch_size=8))
