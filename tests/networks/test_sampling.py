import keras
import numpy as np
import pytest

from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.sampling import generate_images, sample_latents, slerp


def test_an_image_depends_only_on_its_seed_and_number(networks):
    generator, _ = networks
    few = generate_images(generator, sample_latents(generator, 3, seed=5))
    many = generate_images(generator, sample_latents(generator, 130, seed=5))
    assert many.shape == (130, 32, 32, 3) and many.dtype == np.uint8
    np.testing.assert_array_equal(few, many[:3])


def test_another_seed_generates_other_images(networks):
    generator, _ = networks
    a, b = (generate_images(generator, sample_latents(generator, 3, seed)) for seed in (1, 2))
    assert (a != b).any(axis=(1, 2, 3)).all()


def test_generated_images_agree_with_the_generators_output(networks):
    generator, _ = networks
    latents = sample_latents(generator, 70, seed=0)
    expected = (np.asarray(generator(latents, training=False)) + 1) * 127.5
    assert np.abs(generate_images(generator, latents) - expected).max() <= 0.5 + 1e-3


@pytest.mark.slow
def test_images_do_not_depend_on_the_number_generated():
    """In a wide network the order of sums depends on the batch size."""
    keras.utils.set_random_seed(0)
    params = DcganParams(generator_width=32, discriminator_width=1)
    generator = build_dcgan(params, (64, 64, 3)).generator
    # Larger weights make contrasts like a trained network's, so that rounding matters.
    weights = [array * 6 if array.ndim == 4 else array for array in generator.get_weights()]
    generator.set_weights(weights)
    many = generate_images(generator, sample_latents(generator, 64, seed=0))
    for count in (1, 3, 5, 33):
        few = generate_images(generator, sample_latents(generator, count, seed=0))
        np.testing.assert_array_equal(few, many[:count])


def test_slerp_agrees_with_its_formula():
    start, end = np.random.default_rng(0).normal(size=(2, 5, 40)).astype(np.float32)
    paths = slerp(start, end, 7)
    assert paths.shape == (5, 7, 40) and paths.dtype == np.float32
    np.testing.assert_allclose(paths[:, 0], start, atol=1e-5)
    np.testing.assert_allclose(paths[:, -1], end, atol=1e-5)
    for path, a, b in zip(paths, start.astype(float), end.astype(float), strict=True):
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for number, point in enumerate(path):
            t = number / 6
            expected = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
            np.testing.assert_allclose(point, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, -1])
def test_slerp_is_linear_between_parallel_or_opposite_latents(factor):
    start = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    (path,) = slerp(start, factor * start, 3)
    np.testing.assert_allclose(path[1], start[0] * (1 + factor) / 2, atol=1e-3)


def test_truncation_scales_latents(networks):
    generator, _ = networks
    latents, factors = sample_latents(generator, 4, 1), np.float32([0.5, 1, 2, 0.7])
    truncated = generate_images(generator, latents, truncation=factors)
    expected = generate_images(generator, latents * factors[:, None])
    np.testing.assert_array_equal(truncated, expected)
    half = generate_images(generator, latents, truncation=0.5)
    np.testing.assert_array_equal(half, generate_images(generator, latents / 2))


def test_truncation_is_one_number_or_one_for_each_image(networks):
    generator, _ = networks
    with pytest.raises(ValueError, match="broadcast"):
        generate_images(generator, sample_latents(generator, 4, 1), truncation=np.ones(3))
