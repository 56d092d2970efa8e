import keras
import numpy as np
import pytest
from keras import ops

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.latent_spaces import (
    generate_from_w,
    has_mapping,
    map_to_w,
    mean_w,
    synthesize_w,
    w_shape,
)
from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2

SHAPE = (16, 16, 3)


def make_dcgan():
    params = DcganParams(latent=6, generator_width=4, discriminator_width=1)
    return build_dcgan(params, SHAPE, classes=3).generator


def make_anchored():
    anchors = np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32)
    return add_prior(make_dcgan(), LatentPrior(anchors, anchors.std(0), 0.3, np.arange(40) % 3, 3))


def make_style_based():
    params = Stylegan2Params(channel_base=64, max_width=8, latent=6, style=5)
    return build_stylegan2(params, SHAPE, classes=3).generator


@pytest.fixture(scope="module", params=[make_dcgan, make_anchored, make_style_based])
def generator(request):
    keras.utils.set_random_seed(0)
    generator = request.param()
    # Larger weights, so that images differ.
    generator.set_weights([x * (4 if x.ndim > 3 else 1) for x in generator.get_weights()])
    return generator


def test_images_of_mapped_latents_are_those_of_the_generator(generator):
    latents, labels = sample_latents(generator, 70, 0), cycle_classes(generator, 70)
    w = map_to_w(generator, latents, labels)
    assert w.shape == (70, *w_shape(generator))
    images = generate_images(generator, latents, labels)
    assert images.std() > 1
    np.testing.assert_array_equal(generate_from_w(generator, w, labels), images)


def test_float_images_are_those_before_rounding(generator):
    latents, labels = sample_latents(generator, 4, 1), cycle_classes(generator, 4)
    w = map_to_w(generator, latents, labels)
    images = ops.clip((synthesize_w(generator, w, labels) + 1) * 127.5, 0, 255)
    expected = generate_images(generator, latents, labels)
    assert np.abs(np.asarray(images) - expected).max() < 0.51


def test_only_a_mapping_changes_latents(generator):
    latents, labels = sample_latents(generator, 4, 1), cycle_classes(generator, 4)
    w = map_to_w(generator, latents, labels)
    is_same = w.shape == latents.shape and np.array_equal(w, latents)
    assert is_same != has_mapping(generator)


def test_means_are_those_of_many_mapped_latents(generator):
    labels = np.float32([[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    means = mean_w(generator, labels)
    latents = sample_latents(generator, 1024, seed=7)
    for mean, label in zip(means, labels, strict=True):
        w = map_to_w(generator, latents, np.broadcast_to(label, (1024, 3)))
        np.testing.assert_allclose(mean, w.mean(axis=0), atol=0.2 * max(w.std(), 0.1))
    np.testing.assert_array_equal(means[0], means[2])
