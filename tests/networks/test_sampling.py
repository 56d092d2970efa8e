import keras
import numpy as np
import pytest

from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.sampling import generate_images, sample_latents, slerp, to_float, to_uint8


def test_a_image_depends_on_seed_and_number_alone(networks):
    generator, _ = networks
    few = generate_images(generator, sample_latents(generator, 3, seed=5))
    many = generate_images(generator, sample_latents(generator, 130, seed=5))
    assert many.shape == (130, 32, 32, 3) and many.dtype == np.uint8
    np.testing.assert_array_equal(few, many[:3])


def test_another_seed_paints_other_images(networks):
    generator, _ = networks
    one, other = (generate_images(generator, sample_latents(generator, 3, seed)) for seed in (1, 2))
    assert (one != other).any(axis=(1, 2, 3)).all()


def test_painting_agrees_with_the_generator(networks):
    generator, _ = networks
    latents = sample_latents(generator, 70, seed=0)
    expected = (np.asarray(generator(latents, training=False)) + 1) * 127.5
    assert np.abs(generate_images(generator, latents) - expected).max() <= 0.5 + 1e-3


def test_the_way_to_floats_and_back_loses_nothing():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)
    assert to_float(levels)[[0, -1]].tolist() == [-1, 1]


def test_values_beyond_the_range_are_clipped():
    assert to_uint8(np.array([-1.2, 1.2])).tolist() == [0, 255]


def test_rounding_does_not_depend_on_the_size_of_a_batch():
    """In a wide network sums are taken in another order for another size of batch."""
    keras.utils.set_random_seed(0)
    params = DcganParams(generator_width=32, discriminator_width=1)
    generator = build_dcgan(params, (64, 64, 3)).generator
    # As vivid as a trained one, so that rounding has something to round.
    weights = [array * 6 if array.ndim == 4 else array for array in generator.get_weights()]
    generator.set_weights(weights)
    many = generate_images(generator, sample_latents(generator, 64, seed=0))
    for count in (1, 3, 5, 33):
        few = generate_images(generator, sample_latents(generator, count, seed=0))
        np.testing.assert_array_equal(few, many[:count])


def test_a_walk_keeps_to_the_arc_between_its_ends():
    start, end = np.random.default_rng(0).normal(size=(2, 5, 40)).astype(np.float32)
    walks = slerp(start, end, 7)
    assert walks.shape == (5, 7, 40) and walks.dtype == np.float32
    np.testing.assert_allclose(walks[:, 0], start, atol=1e-5)
    np.testing.assert_allclose(walks[:, -1], end, atol=1e-5)
    for walk, a, b in zip(walks, start.astype(float), end.astype(float), strict=True):
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for number, point in enumerate(walk):
            t = number / 6
            expected = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
            np.testing.assert_allclose(point, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, -1])
def test_a_walk_between_parallel_or_opposite_latents_is_straight(factor):
    start = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    (walk,) = slerp(start, factor * start, 3)
    np.testing.assert_allclose(walk[1], start[0] * (1 + factor) / 2, atol=1e-3)


def test_truncation_draws_latents_nearer_to_the_origin(networks):
    generator, _ = networks
    whole, half = sample_latents(generator, 4, 1), sample_latents(generator, 4, 1, truncation=0.5)
    np.testing.assert_array_equal(half, whole / 2)
    assert half.dtype == np.float32
