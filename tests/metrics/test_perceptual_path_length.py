"""Perceptual path length, by closed forms and by a loop over single images."""

import keras
import numpy as np
import pytest

from ganvas.metrics.perceptual_path_length import (
    EPSILON,
    STREAM,
    load_feature_maps,
    measure_distances,
    perceptual_distances,
    perceptual_path_length,
)
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2

NARROW = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=5, mapping_layers=2)
NO_CLASSES = np.zeros((40, 0), np.float32)


def as_vector(shape: tuple[int, int, int]) -> keras.Model:
    """Return a linear network of two equal maps, whose only position has the whole image."""
    images = keras.Input(shape)
    vector = keras.layers.Reshape((1, 1, int(np.prod(shape))))(images)
    return keras.Model(images, [vector, 2 * vector])


def as_image(width: int) -> keras.Model:
    """Return a generator whose image has the numbers of the latent as pixels."""
    latents = keras.Input((width,))
    return keras.Model(latents, keras.layers.Reshape((2, width // 6, 3))(latents))


def draw_ends(count: int, latent: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, STREAM])
    return rng.standard_normal((count, 2, latent), np.float32)


def naive_lpips(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean over positions of the squared distance of unit vectors; (h, w, c) each."""
    total = 0.0
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            a, b = (m[row, column].astype(float) for m in (x, y))
            a, b = (v / np.sqrt(sum(value**2 for value in v)) for v in (a, b))
            total += sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    return total / (x.shape[0] * x.shape[1])


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_an_identity_moves_by_the_angle_between_the_latents(sampling):
    # At unit speed on a sphere, the speed is the same at each point.
    distances = measure_distances(as_image(12), as_vector((2, 2, 3)), NO_CLASSES, "z", sampling)
    units = draw_ends(40, 12) / np.linalg.norm(draw_ends(40, 12), axis=2, keepdims=True)
    angles = np.arccos(np.sum(units[:, 0] * units[:, 1], axis=1))
    expected = np.square(2 * np.sin(EPSILON * angles / 2) / EPSILON)
    np.testing.assert_allclose(distances / 2, expected, rtol=0.01)
    np.testing.assert_allclose(expected, angles**2, rtol=1e-6)


def test_a_linear_generator_in_w_moves_by_the_part_across_the_start():
    # Of a step from w0 towards w1, a unit vector sees what is perpendicular to w0.
    latents = keras.Input((6,), name="latent")
    mapping = keras.Model(latents, keras.layers.Dense(12, use_bias=False)(latents), name="mapping")
    styles, noise = keras.Input((1, 12)), keras.Input((2, 2, 1))
    images = keras.layers.Reshape((2, 2, 3))(styles) + 0 * noise
    synthesis = keras.Model([styles, noise], images, name="synthesis")
    constant = keras.ops.zeros_like(latents[:, :4, None, None])
    image = synthesis(
        [keras.ops.expand_dims(mapping(latents), 1), keras.layers.Reshape((2, 2, 1))(constant)]
    )
    distances = measure_distances(
        keras.Model(latents, image), as_vector((2, 2, 3)), NO_CLASSES, "w"
    )
    (kernel,) = mapping.get_weights()
    start, end = np.moveaxis(draw_ends(40, 6).astype(float) @ kernel, 1, 0)
    length = np.sum(start**2, axis=1)
    along = np.sum((end - start) * start, axis=1)
    expected = np.sum((end - start) ** 2, axis=1) / length - (along / length) ** 2
    np.testing.assert_allclose(distances / 2, expected, rtol=0.02)


@pytest.fixture(scope="module")
def small_maps() -> keras.Model:
    """Feature maps of two sizes with random weights."""
    keras.utils.set_random_seed(3)
    images = keras.Input((16, 16, 3))
    first = keras.layers.Conv2D(4, 3, strides=2, activation="tanh")(images)
    return keras.Model(images, [first, keras.layers.Conv2D(6, 3, strides=2)(first)])


@pytest.mark.parametrize(
    ("classes", "space", "sampling"), [(3, "z", "end"), (0, "w", "full")], ids=["z", "w"]
)
def test_stylegan2_is_measured_as_by_a_loop_over_pairs(classes, space, sampling, small_maps):
    keras.utils.set_random_seed(4)
    generator = build_stylegan2(NARROW, (16, 16, 3), classes).generator
    mapping, synthesis = (generator.get_layer(name) for name in ("mapping", "synthesis"))
    for layer in synthesis.layers:
        if layer.name.endswith("noise_strength"):
            layer.set_weights([np.ones_like(layer.get_weights()[0])])
    # It is left out: papers measure images without truncation.
    generator.get_layer("truncation").set_weights([np.full((1, 6, 1), 0.5, np.float32)])
    count, epsilon = 3, 1e-2
    labels = np.eye(count, classes, dtype=np.float32)
    rng = np.random.default_rng([7, STREAM])
    latents = rng.standard_normal((count, 2, 6), np.float32).astype(float)
    points = rng.random(count) if sampling == "full" else np.zeros(count)
    # Half a batch of 64 images.
    noises = [rng.standard_normal((32, *x.shape[1:]), np.float32) for x in synthesis.inputs[1:]]

    def style(latent, number):
        inputs = [latent[None].astype(np.float32), labels[number : number + 1]]
        return np.asarray(mapping(inputs if classes else inputs[0]))[0]

    expected = []
    for number, (z0, z1) in enumerate(latents):
        maps = []
        for t in (points[number], points[number] + epsilon):
            if space == "w":
                w0, w1 = style(z0, number), style(z1, number)
                w = w0 + t * (w1 - w0)
            else:
                a, b = z0 / np.linalg.norm(z0), z1 / np.linalg.norm(z1)
                angle = np.arccos(a @ b)
                arc = np.sin((1 - t) * angle) * a + np.sin(t * angle) * b
                w = style(arc / np.sin(angle) * np.sqrt(6), number)
            noise = [x[number : number + 1] for x in noises]
            image = synthesis([np.tile(w, (1, 6, 1)).astype(np.float32), *noise])
            maps.append([np.asarray(x)[0] for x in small_maps(image)])
        distance = sum(naive_lpips(x, y) for x, y in zip(*maps, strict=True))
        expected.append(distance / epsilon**2)
    distances = measure_distances(generator, small_maps, labels, space, sampling, 7, epsilon)
    np.testing.assert_allclose(distances, expected, rtol=2e-3)


def test_the_last_batch_is_measured_like_the_others(small_maps):
    latents = keras.Input((2,))
    images = keras.layers.Reshape((16, 16, 3))(keras.layers.Dense(768)(latents))
    generator = keras.Model(latents, images)
    many = measure_distances(generator, small_maps, np.zeros((40, 0), np.float32), "z")
    # Random points are drawn after the latents, so the first pairs are the same.
    few = measure_distances(generator, small_maps, np.zeros((33, 0), np.float32), "z")
    np.testing.assert_allclose(many[:33], few, rtol=0.01)
    assert (many > 0).all()


def test_distances_are_those_of_a_naive_loop():
    rng = np.random.default_rng(0)
    first, second = (
        [rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 1, 2, 7))] for _ in range(2)
    )
    expected = [
        sum(naive_lpips(x[n], y[n]) for x, y in zip(first, second, strict=True)) for n in range(2)
    ]
    np.testing.assert_allclose(perceptual_distances(first, second), expected, rtol=1e-9)
    assert perceptual_distances([np.zeros((1, 1, 1, 2))], [np.zeros((1, 1, 1, 2))]) == 0


def test_the_most_extreme_distances_do_not_count():
    distances = np.random.default_rng(0).exponential(size=250)
    ordered = np.sort(distances)
    # Positions 2.49 and 246.51 of 0 to 249.
    kept = ordered[2:248]
    length = perceptual_path_length(np.append(distances[100:], distances[:100]))
    assert length.mean == pytest.approx(kept.mean())
    assert length.error == pytest.approx(np.std(kept, ddof=1) / np.sqrt(246))
    assert np.isnan(perceptual_path_length(np.ones(1)).error)


def test_large_transparent_images_are_reduced_before_their_feature_maps():
    network = load_feature_maps("efficientnet_lite0", (1024, 512, 4))
    assert [x.shape[1:3] for x in network.outputs] == [(128, 64), (64, 32), (32, 16), (16, 8)]
    assert {x.dtype for x in network.outputs} == {"float32"}
