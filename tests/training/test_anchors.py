import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks import NetworkParams, build
from ganvas.training.anchors import with_anchors
from ganvas.training.batches import TrainingSet, draw_batches
from ganvas.training.config import TrainParams

SIDE, LATENT = 32, 5
POSITIONS = np.arange(10, 310)
PARAMS = TrainParams(batch_size=8, simultaneous_updates=True, anchor={"every": 2})


def paint(count: int = 320) -> np.ndarray:
    """Images of two colors that meet at an edge somewhere."""
    rng = np.random.default_rng(0)
    made = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for image in made:
        edge = rng.integers(4, SIDE - 4)
        image[:edge], image[edge:] = rng.integers(0, 256, (2, 3))
    return made


@pytest.fixture(scope="module")
def images():
    return paint()


@pytest.fixture(scope="module")
def discriminator():
    keras.utils.set_random_seed(0)
    narrow = {"latent": LATENT, "generator_width": 2, "projection": 4, "head_width": 4}
    params = NetworkParams(name="projected", projected=narrow)
    return build(params, (SIDE, SIDE, 3)).discriminator


@pytest.fixture(scope="module")
def data(images, discriminator):
    return with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)


def test_latents_are_normal_and_uncorrelated(data):
    latents = data.anchors[POSITIONS]
    assert data.anchors.shape == (320, LATENT) and data.anchors.dtype == np.float32
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(latents.std(axis=0), 1, atol=0.03)
    # Ranks change little of the components' being uncorrelated.
    assert np.abs(np.corrcoef(latents.T) - np.eye(LATENT)).max() < 0.2
    # A normal distribution has 68.3 % of its values within one deviation.
    np.testing.assert_allclose((np.abs(latents) < 1).mean(axis=0), 0.683, atol=0.02)


def test_latents_rank_images_as_principal_components_do(images):
    given = keras.Input((SIDE, SIDE, 3))
    trunk = keras.Model(
        given, [given, *(layers.AveragePooling2D(k)(given) for k in (2, 8))], name="trunk"
    )
    inputs = keras.Input((SIDE, SIDE, 3))
    logits = layers.Flatten()(trunk(inputs)[2])
    data = with_anchors(TrainingSet(images, POSITIONS), keras.Model(inputs, logits), LATENT, PARAMS)
    scaled = images[POSITIONS].astype(float) / 127.5 - 1
    blocks = [
        scaled.reshape(len(scaled), n, SIDE // n, n, SIDE // n, 3).mean(axis=(2, 4))
        for n in (4, 4, 8)
    ]
    rows = []
    for block, weight in zip(blocks, (1, 1, 2), strict=True):
        flat = block.reshape(len(block), -1) - block.reshape(len(block), -1).mean(axis=0)
        rows.append(weight * flat / np.sqrt((flat**2).sum(axis=1).mean()))
    left, sizes, _ = np.linalg.svd(np.concatenate(rows, axis=1), full_matrices=False)
    for number in range(2):
        ours = data.anchors[POSITIONS, number].argsort().argsort()
        theirs = (left[:, number] * sizes[number]).argsort().argsort()
        assert abs(np.corrcoef(ours, theirs)[0, 1]) > 0.999


def test_like_images_have_like_latents(images, discriminator):
    again = images.copy()
    again[11] = np.clip(again[10].astype(int) + 2, 0, 255)
    data = with_anchors(TrainingSet(again, POSITIONS), discriminator, LATENT, PARAMS)
    distances = np.linalg.norm(data.anchors[POSITIONS] - data.anchors[10], axis=1)
    assert distances[0] == 0 and distances.argsort()[1] == 1


def test_the_same_images_have_the_same_latents(images, discriminator, data):
    again = with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)
    np.testing.assert_array_equal(again.anchors, data.anchors)


def test_a_few_images_leave_the_rest_of_long_latents_to_chance(images, discriminator):
    few = TrainingSet(images, np.arange(4))
    latents = with_anchors(few, discriminator, 200, PARAMS).anchors
    assert latents.shape == (320, 200) and np.isfinite(latents).all()
    assert 0.9 < latents[:4, 3:].std() < 1.1


def test_every_so_many_latents_of_a_batch_are_the_images_own(data):
    plain = data._replace(anchors=None)
    for with_own, without in zip(
        [next(draw_batches(data, LATENT, PARAMS, (0, 2)))],
        [next(draw_batches(plain, LATENT, PARAMS, (0, 2)))],
        strict=True,
    ):
        np.testing.assert_array_equal(with_own[0], without[0])
        np.testing.assert_array_equal(with_own[1][1::2], without[1][1::2])
        for shown, latent in zip(with_own[0][::2], with_own[1][::2], strict=True):
            (place,) = (data.images == shown).all(axis=(1, 2, 3)).nonzero()
            np.testing.assert_array_equal(latent, data.anchors[place[0]])


def test_images_that_are_painted_again_are_asked_for_their_own_class(data):
    labels = np.arange(320, dtype=np.int32) % 7
    balanced = PARAMS.model_copy(update={"uniform_class_sampling": True})
    batch = next(draw_batches(data._replace(labels=labels, classes=7), LATENT, balanced, (0, 0)))
    shown, asked = batch[2:]
    np.testing.assert_array_equal(asked[::2], shown[::2])
    assert (asked[1::2] != shown[1::2]).any()


def test_latents_are_normal_within_each_class_and_tell_none(images, discriminator, data):
    # Classes that the first component tells apart: half, two fifths, and a single image.
    labels = np.zeros(320, np.int32)
    order = POSITIONS[data.anchors[POSITIONS, 0].argsort()]
    labels[order[150:]], labels[order[-30:]], labels[order[-1]] = 1, 2, 3
    by_class = data._replace(labels=labels, classes=4, anchors=None)
    latents = with_anchors(by_class, discriminator, LATENT, PARAMS).anchors
    for label in range(3):
        rows = latents[POSITIONS][labels[POSITIONS] == label]
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(rows.std(axis=0), 1, atol=0.15)
    np.testing.assert_array_equal(latents[order[-1]], 0)
    # Within a class alike images still have alike latents.
    first = POSITIONS[labels[POSITIONS] == 0]
    color = images[first].mean(axis=(1, 2, 3))
    best = max(abs(np.corrcoef(latents[first, number], color)[0, 1]) for number in range(LATENT))
    assert best > 0.6


def test_large_maps_in_half_precision_count():
    """Checkered images, whose contrast a map knows alone, and their colors little else."""
    rng = np.random.default_rng(0)
    contrast, brightness = rng.integers(0, 100, 300), rng.integers(-20, 20, 300)
    checkers = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 2 - 1
    gray = 128 + brightness[:, None, None] + contrast[:, None, None] * checkers
    images = np.repeat(gray[..., None], 3, axis=3).astype(np.uint8)
    given = keras.Input((SIDE, SIDE, 3))
    squares = layers.AveragePooling2D(8)(layers.Multiply()([given, given]))
    # The sum of their own squares is beyond float16.
    large = layers.Rescaling(1000.0, dtype="mixed_float16")(squares)
    trunk = keras.Model(given, [given, large], name="trunk")
    inputs = keras.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(inputs, layers.Flatten()(trunk(inputs)[1]))
    data = with_anchors(TrainingSet(images, np.arange(300)), discriminator, 2, PARAMS)
    # Colors weigh more, so that brightness comes first.
    ranks = data.anchors[:, 1].argsort().argsort()
    assert abs(np.corrcoef(ranks, contrast)[0, 1]) > 0.95


def test_without_anchors_nothing_is_computed(images):
    plain = TrainingSet(images, POSITIONS)
    assert with_anchors(plain, None, LATENT, TrainParams()) is plain
