"""Latents that are computed from real images."""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks import NetworkParams, build
from ganvas.networks.image_encoder import ImageEncoder, average_over_grid, encode
from ganvas.networks.latent_prior import MAX_ANCHORS
from ganvas.training import latent_anchoring
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.latent_anchoring import _interpolate_neighbors, with_anchors

SIDE = 32
LATENT = 5
POSITIONS = np.arange(10, 310)
ANCHOR = {"every": 2, "neighbors": 0}
PARAMS = TrainParams(batch_size=8, simultaneous_updates=True, anchor=ANCHOR)


@pytest.fixture(scope="module")
def images():
    """Images of two colors that meet at an edge somewhere."""
    rng = np.random.default_rng(0)
    images = np.empty((320, SIDE, SIDE, 3), np.uint8)
    for image in images:
        edge = rng.integers(4, SIDE - 4)
        image[:edge], image[edge:] = rng.integers(0, 256, (2, 3))
    return images


@pytest.fixture(scope="module")
def discriminator():
    keras.utils.set_random_seed(0)
    narrow = {"latent": LATENT, "generator_width": 2, "projection": 4, "head_width": 4}
    params = NetworkParams(name="projected", projected=narrow)
    return build(params, (SIDE, SIDE, 3)).discriminator


@pytest.fixture(scope="module")
def data(images, discriminator):
    return with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)


@pytest.mark.slow
def test_anchors_are_uncorrelated_and_their_mean_squared_length_is_that_of_n01(data):
    anchors, scale = data.prior.anchors, data.prior.scale
    assert anchors.shape == (300, LATENT) and anchors.dtype == np.float32
    assert np.square(anchors).sum(axis=1).mean() == pytest.approx(LATENT, rel=1e-4)
    np.testing.assert_allclose(anchors.mean(axis=0), 0, atol=0.01)
    assert np.abs(np.corrcoef(anchors.T) - np.eye(LATENT)).max() < 0.01
    # The first components vary most.
    assert (np.diff(scale) < 0).all() and scale[0] > 1 > scale[-1] > 0
    np.testing.assert_allclose(scale, anchors.std(axis=0), rtol=1e-5)
    assert data.prior.noise == PARAMS.anchor.noise == 0.3
    assert data.prior.labels is None and data.prior.num_classes == 0


@pytest.mark.parametrize("num_classes", [0, 3])
def test_anchors_are_principal_components_of_the_differences_within_classes(images, num_classes):
    inputs = keras.Input((SIDE, SIDE, 3))
    backbone = keras.Model(
        inputs, [inputs, *(layers.AveragePooling2D(k)(inputs) for k in (2, 8))], name="backbone"
    )
    x = keras.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(x, layers.Flatten()(backbone(x)[2]))
    # Of the first class are the darkest images.
    labels = np.random.default_rng(0).integers(1, 3, 320)
    labels[images.mean(axis=(1, 2, 3)).argsort()[:100]] = 0
    labels = labels.astype(np.int32) if num_classes else None
    plain = TrainingSet(images, POSITIONS, labels, num_classes)
    prior = with_anchors(plain, discriminator, LATENT, PARAMS).prior

    # Blocks of one size, colors with twice the weight, and all components.
    scaled = images[POSITIONS].astype(float) / 127.5 - 1
    blocks = [
        scaled.reshape(len(scaled), n, SIDE // n, n, SIDE // n, 3).mean(axis=(2, 4))
        for n in (4, 4, 8)
    ]
    columns = []
    for block, weight in zip(blocks, (1, 1, 2), strict=True):
        flat = block.reshape(len(block), -1) - block.reshape(len(block), -1).mean(axis=0)
        columns.append(weight * flat / np.sqrt((flat**2).sum(axis=1).mean()))
    rows = np.concatenate(columns, axis=1)
    centered = rows.copy()
    for label in range(num_classes):
        members = labels[POSITIONS] == label
        centered[members] -= rows[members].mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    expected = rows @ axes[:LATENT].T
    expected *= np.sqrt(LATENT / (expected**2).sum(axis=1).mean())
    for i in range(2):
        sign = np.sign(prior.anchors[:, i] @ expected[:, i])
        np.testing.assert_allclose(sign * prior.anchors[:, i], expected[:, i], atol=0.05)
    if num_classes:
        np.testing.assert_array_equal(prior.labels, labels[POSITIONS])
        assert prior.num_classes == num_classes


def test_the_encoder_finds_the_anchors_without_noise(images, data):
    encoder = ImageEncoder("efficientnet_lite0", 1, (SIDE, SIDE, 3), (LATENT,), data.projection)
    w = encode(encoder, images[POSITIONS])
    expected = np.sqrt(1 - PARAMS.anchor.noise**2) * data.anchors
    np.testing.assert_allclose(w, expected, atol=2e-3)


@pytest.mark.slow
def test_similar_images_have_similar_anchors(images, discriminator):
    with_pair = images.copy()
    with_pair[11] = np.clip(with_pair[10].astype(int) + 2, 0, 255)
    data = with_anchors(TrainingSet(with_pair, POSITIONS), discriminator, LATENT, PARAMS)
    distances = np.linalg.norm(data.prior.anchors - data.prior.anchors[0], axis=1)
    assert distances[0] == 0 and distances.argsort()[1] == 1


@pytest.mark.slow
def test_the_same_images_have_the_same_anchors(images, discriminator, data):
    repeated = with_anchors(TrainingSet(images, POSITIONS), discriminator, LATENT, PARAMS)
    np.testing.assert_array_equal(repeated.prior.anchors, data.prior.anchors)
    np.testing.assert_array_equal(repeated.prior.scale, data.prior.scale)


def test_axes_along_which_images_do_not_differ_are_noise(images, discriminator):
    """Five images, two of them equal, differ along three axes."""
    few = TrainingSet(images[[0, 1, 2, 3, 3]], np.arange(5))
    prior = with_anchors(few, discriminator, 200, PARAMS).prior
    assert prior.anchors.shape == (5, 200)
    assert np.square(prior.anchors).sum(axis=1).mean() == pytest.approx(200, rel=1e-4)
    assert (prior.anchors[:, :3].std(axis=0) > 0.1).all()
    np.testing.assert_allclose(prior.anchors[:, 3:], 0, atol=1e-3)
    np.testing.assert_array_equal(prior.scale[3:], prior.scale[:3].min())
    noise = prior.add_noise(prior.anchors[np.zeros(500, int)], np.random.default_rng(0))[:, 3:]
    assert noise.std() == pytest.approx(0.3 * prior.scale[-1], rel=0.02)


def test_images_that_do_not_differ_at_all_have_latents_of_noise(images, discriminator):
    equal = TrainingSet(np.repeat(images[:1], 6, axis=0), np.arange(6))
    prior = with_anchors(equal, discriminator, LATENT, PARAMS).prior
    assert np.isfinite(prior.anchors).all() and (prior.scale > 0).all()
    assert np.isfinite(prior.add_noise(prior.anchors, np.random.default_rng(0))).all()


def test_the_prior_is_between_neighbors_of_a_class():
    """Two classes of two distant clusters each: no latent is far from both ends."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    centers = np.array([[0, 0, 0], [50, 0, 0], [0, 90, 0], [50, 90, 0]], np.float32)
    cluster = rng.integers(2, size=400)
    anchors = centers[2 * labels + cluster] + rng.standard_normal((400, 3), dtype=np.float32)
    chosen, between = _interpolate_neighbors(anchors, labels, 5, rng)
    assert between.shape == (MAX_ANCHORS, 3) and between.dtype == np.float32
    # Around the mean of a class, which lies between its clusters, they vary as the anchors do.
    for label in (0, 1):
        members = between[labels[chosen] == label]
        expected = anchors[labels == label]
        np.testing.assert_allclose(members.mean(axis=0), expected.mean(axis=0), atol=10)
        assert (np.abs(members[:, 1] - 90 * label) < 6).all()
    # Each is the interpolation of the chosen anchor and one of its neighbors.
    means = np.stack([anchors[labels == label].mean(axis=0) for label in (0, 1)])
    for row in range(0, MAX_ANCHORS, 200):
        first, mean = anchors[chosen[row]], means[labels[chosen[row]]]
        members = anchors[labels == labels[chosen[row]]]
        near = members[np.linalg.norm(members - first, axis=1).argsort()[1:6]]
        angles = np.linspace(0, np.pi / 2, 2001)[:, None, None]
        arcs = mean + np.cos(angles) * (first - mean) + np.sin(angles) * (near - mean)
        assert np.linalg.norm(arcs - between[row], axis=2).min() < 0.05
    assert len(np.unique(chosen)) > 390


def test_the_only_image_of_a_class_has_no_neighbors():
    anchors = np.arange(9, dtype=np.float32).reshape(3, 3)
    labels = np.array([0, 1, 1])
    chosen, between = _interpolate_neighbors(anchors, labels, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(between[chosen == 0], anchors[np.zeros((chosen == 0).sum(), int)])
    assert np.isfinite(between).all()


def test_large_half_precision_feature_maps_are_pooled_without_overflow():
    """Checkered images: a feature map alone contains their contrast, their colors little else."""
    rng = np.random.default_rng(0)
    contrast, brightness = rng.integers(0, 100, 300), rng.integers(-20, 20, 300)
    checkers = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 2 - 1
    gray = 128 + brightness[:, None, None] + contrast[:, None, None] * checkers
    images = np.repeat(gray[..., None], 3, axis=3).astype(np.uint8)
    inputs = keras.Input((SIDE, SIDE, 3))
    squares = layers.AveragePooling2D(8)(layers.Multiply()([inputs, inputs]))
    # The sum of their own squares is beyond float16.
    large = layers.Rescaling(1000.0, dtype="mixed_float16")(squares)
    backbone = keras.Model(inputs, [inputs, large], name="backbone")
    x = keras.Input((SIDE, SIDE, 3))
    discriminator = keras.Model(x, layers.Flatten()(backbone(x)[1]))
    data = with_anchors(TrainingSet(images, np.arange(300)), discriminator, 2, PARAMS)
    # Colors have a larger weight, so that brightness comes first.
    assert abs(np.corrcoef(data.prior.anchors[:, 1], contrast**2)[0, 1]) > 0.95


def test_without_the_parameter_no_anchors_are_computed(images):
    plain = TrainingSet(images, POSITIONS)
    assert with_anchors(plain, None, LATENT, TrainParams()) is plain


@pytest.mark.parametrize("shape", [(96, 64, 1), (416, 32, 4)], ids=str)
def test_anchors_of_any_shape_have_about_as_many_features(monkeypatch, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, *shape), dtype=np.uint8)
    inputs = keras.Input(shape)
    fine = layers.Conv2D(3, 3, 2, "same")(inputs)
    coarse = layers.Conv2D(4, 3, 2, "same")(fine)
    backbone = keras.Model(inputs, [inputs, fine, coarse], name="backbone")
    x = keras.Input(shape)
    discriminator = keras.Model(x, layers.Flatten()(backbone(x)[2]))
    # Three images at a time, as if they were large.
    monkeypatch.setattr(latent_anchoring, "BATCH_PIXELS", 3 * shape[0] * shape[1])
    batches = list(latent_anchoring._pool_features(backbone, images, np.arange(12)))
    assert [len(blocks[0]) for blocks in batches] == [3] * 4
    for blocks in batches:
        pairs = zip(blocks, (3, 4, shape[2]), strict=True)
        cells = [block.shape[1] / channels for block, channels in pairs]
        assert 16 <= cells[0] <= 32 and 16 <= cells[1] <= 32 and 64 <= cells[2] <= 128
    data = with_anchors(TrainingSet(images, np.arange(12)), discriminator, LATENT, PARAMS)
    assert data.anchors.shape == (12, LATENT) and np.isfinite(data.anchors).all()
    # Averages over cells, of which those at an end are smaller, keep the mean of constant images.
    constant = average_over_grid(np.full((1, *shape), 0.25, np.float32), 8)
    np.testing.assert_allclose(constant, 0.25)
