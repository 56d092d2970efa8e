"""Latents that are found for images, of a small generator whose images they determine."""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.latents.fit_encoder import choose_upscale, fit_encoder
from ganvas.latents.inversion import Inverter, _measure_basis
from ganvas.networks.image_encoder import encode, load_backbone
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.latent_spaces import generate_from_w, map_to_w
from ganvas.networks.sampling import sample_latents

LATENT, CLASSES = 6, 3
STEPS = 60


def make_generator(shape=(32, 32, 3), classes=CLASSES) -> keras.Model:
    """Smooth images, whose coarse colors are a linear map of latents and classes."""
    keras.utils.set_random_seed(3)
    height, width, channels = shape
    latent = keras.Input((LATENT,), name="latent")
    labels = [keras.Input((classes,), name="classes")] if classes else []
    size = (height // 8) * (width // 8) * channels
    wide = keras.initializers.RandomNormal(stddev=0.5)
    x = layers.Dense(size, kernel_initializer=wide)(latent)
    if classes:
        x = x + layers.Dense(size, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0))(
            labels[0]
        )
    x = layers.Reshape((height // 8, width // 8, channels))(x)
    images = layers.UpSampling2D(8, interpolation="bilinear")(layers.Activation("tanh")(x))
    return keras.Model([latent, *labels] if classes else latent, images, name="generator")


def draw(generator, count=12, classes=CLASSES):
    """Latents, labels and images."""
    labels = np.eye(classes, dtype=np.float32)[np.arange(count) % classes] if classes else None
    w = map_to_w(generator, sample_latents(generator, count, seed=1), labels)
    return w, labels, generate_from_w(generator, w, labels)


@pytest.fixture(scope="module")
def inverter() -> Inverter:
    generator = make_generator()
    return Inverter(generator, fit_encoder(generator, count=192))


@pytest.fixture(scope="module")
def drawn(inverter):
    return draw(inverter.generator)


@pytest.fixture(scope="module")
def found(inverter, drawn):
    return inverter.invert(drawn[2], steps=STEPS)


def correlations(a, b) -> np.ndarray:
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])


def test_latents_and_classes_of_generated_images_are_found(drawn, found):
    w, labels, images = drawn
    assert found.w.shape == w.shape and found.w.dtype == np.float32
    np.testing.assert_array_equal(found.labels, labels)
    assert np.median(correlations(found.w, w)) > 0.99
    assert np.abs(found.images.astype(int) - images).mean() < 4


def test_refinement_comes_nearer_than_the_encoder(inverter, drawn, found):
    start = inverter.invert(drawn[2], drawn[1], steps=0)
    assert (found.feature_distances < start.feature_distances).all()
    assert found.pixel_distances.mean() < 0.5 * start.pixel_distances.mean()
    # Without steps it is the encoder's latent, or the mean where that comes nearer.
    codes, is_mean = encode(inverter.encoder, drawn[2]), ~start.w.any(axis=1)
    np.testing.assert_allclose(start.w[~is_mean], codes[~is_mean], atol=1e-5)
    assert is_mean.sum() < 4


def test_an_image_does_not_depend_on_the_others(inverter, drawn, found):
    part = inverter.invert(drawn[2][3:8], steps=STEPS)
    np.testing.assert_allclose(part.w, found.w[3:8], atol=0.02)


@pytest.mark.exhaustive
def test_a_single_image_has_the_latent_that_it_has_among_others(inverter, drawn, found):
    (alone,) = inverter.invert(drawn[2][4:5], drawn[1][4:5], steps=STEPS).w
    np.testing.assert_allclose(alone, found.w[4], atol=0.02)


def test_nothing_is_compiled_again(inverter, drawn, found):
    before = dict(inverter._compiled)
    inverter.invert(drawn[2][:7], drawn[1][:7], steps=3)
    inverter.invert(np.concatenate([drawn[2]] * 2), steps=2)
    assert inverter._compiled == before
    counts = {x.experimental_get_tracing_count() for x in inverter._compiled.values()}
    assert counts == {1}


def test_distances_are_those_of_pixels_and_normalized_features(inverter, drawn):
    a, b = drawn[2][:3], drawn[2][4:7]
    pixels, features = inverter.distances(a, b)
    backbone = load_backbone("efficientnet_lite0", (32, 32, 3), 1)
    for number in range(3):
        difference = np.abs(a[number].astype(float) - b[number]).mean() / 255
        assert pixels[number] == pytest.approx(difference, abs=1e-6)
        maps = [
            [np.asarray(x)[0].astype(float) for x in backbone(image[None] / 127.5 - 1)[1:]]
            for image in (a[number], b[number])
        ]
        of_maps = []
        for x, y in zip(*maps, strict=True):
            positions = []
            for u, v in zip(x.reshape(-1, x.shape[2]), y.reshape(-1, y.shape[2]), strict=True):
                positions.append(((u / np.linalg.norm(u) - v / np.linalg.norm(v)) ** 2).sum())
            of_maps.append(np.mean(positions))
        assert features[number] == pytest.approx(np.mean(of_maps), rel=1e-3)
    assert max(map(max, inverter.distances(a, a))) == 0


@pytest.mark.exhaustive
def test_mixtures_of_classes_are_found(inverter):
    w = sample_latents(inverter.generator, 5, seed=2)
    labels = np.repeat(np.array([[0.5, 0.5, 0.0]], np.float32), 5, axis=0)
    images = generate_from_w(inverter.generator, w, labels)
    plain = inverter.invert(images, steps=STEPS)
    mixed = inverter.invert(images, steps=STEPS, mix_labels=True)
    assert (mixed.labels >= 0).all()
    np.testing.assert_allclose(mixed.labels.sum(axis=1), 1, rtol=1e-5)
    assert mixed.pixel_distances.mean() < plain.pixel_distances.mean()
    assert np.abs(mixed.labels - labels).mean() < np.abs(plain.labels - labels).mean()


@pytest.mark.parametrize("shape", [(64, 32, 1), (32, 32, 4)], ids=str)
@pytest.mark.exhaustive
def test_images_of_any_shape_are_inverted(shape):
    generator = make_generator(shape, classes=0)
    inverter = Inverter(generator, fit_encoder(generator, count=128))
    _, _, images = draw(generator, 5, classes=0)
    start, found = (inverter.invert(images, steps=steps) for steps in (0, 30))
    assert found.labels.shape == (5, 0) and found.images.shape == (5, *shape)
    assert found.feature_distances.mean() < start.feature_distances.mean()
    if shape[2] == 4:
        # Colors that nobody sees count for nothing.
        hidden = images.copy()
        hidden[..., 3] = 0
        other = hidden.copy()
        other[..., :3] = 255 - other[..., :3]
        assert max(map(max, inverter.distances(hidden, other))) < 1e-6


def test_coordinates_of_an_anchored_generator_have_unit_variance():
    generator = make_generator()
    rng = np.random.default_rng(0)
    anchors = rng.standard_normal((60, LATENT), dtype=np.float32) * np.array([5, 1, 1, 1, 1, 0.1])
    labels = np.arange(60) % CLASSES
    anchors[:, 1] += 3 * labels
    prior = LatentPrior(anchors.astype(np.float32), anchors.std(axis=0), 0.3, labels, CLASSES)
    anchored = add_prior(generator, prior)
    basis = _measure_basis(anchored, np.eye(CLASSES, dtype=np.float32))
    for number in range(CLASSES):
        rows = np.eye(CLASSES, dtype=np.float32)[np.full(500, number)]
        w = map_to_w(anchored, sample_latents(anchored, 500, seed=7), rows)
        u = (w - w.mean(axis=0)) @ np.linalg.inv(basis).T
        # Classes have deviations of their own; what differs between them is in their means.
        assert u.std(axis=0).min() > 0.6 and u.std(axis=0).max() < 1.5


def test_other_shapes_are_refused(inverter, drawn):
    with pytest.raises(ValueError, match="images have the shape"):
        inverter.invert(drawn[2][:, :16])
    with pytest.raises(ValueError, match="labels have the shape"):
        inverter.invert(drawn[2], drawn[1][:3])
    with pytest.raises(ValueError, match="another generator"):
        Inverter(make_generator((64, 32, 3)), inverter.encoder)


def test_no_image_has_no_latent(inverter, drawn):
    found = inverter.invert(drawn[2][:0])
    assert found.w.shape == (0, LATENT) and found.images.shape == (0, 32, 32, 3)
    assert found.pixel_distances.shape == (0,)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [((64, 64), 1), ((96, 64), 1), ((1024, 1024), 0.25), ((512, 512), 0.5), ((16, 16), 2)],
    ids=str,
)
def test_backbones_see_whole_maps_of_a_moderate_size(sides, expected):
    assert choose_upscale(*sides) == expected


@pytest.mark.exhaustive
def test_each_layer_of_stylegan2_has_a_style_of_its_own_in_w_plus():
    from ganvas.networks.config import Stylegan2Params
    from ganvas.networks.stylegan2 import build_stylegan2

    keras.utils.set_random_seed(0)
    params = Stylegan2Params(channel_base=512, max_width=32, latent=16, style=16)
    generator = build_stylegan2(params, (32, 32, 3), classes=2).generator
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    w = map_to_w(generator, sample_latents(generator, 4, 0), labels)
    images = generate_from_w(generator, w)
    inverter = Inverter(generator, fit_encoder(generator, count=64))
    start = inverter.invert(images, steps=0)
    one = inverter.invert(images, steps=20, space="w")
    each = inverter.invert(images, steps=20, space="w+")
    assert (one.w == one.w[:, :1]).all() and (each.w != each.w[:, :1]).any()
    assert one.feature_distances.mean() <= start.feature_distances.mean()
    assert each.feature_distances.mean() <= start.feature_distances.mean()
    assert set(map(tuple, each.labels)) <= {(1.0, 0.0), (0.0, 1.0)}
