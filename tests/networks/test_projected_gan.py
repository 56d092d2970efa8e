"""Projected GAN: what is frozen, what each head sees, and how maps are mixed."""

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from ganvas.networks.projected_gan import ProjectedParams, build_projected

NARROW = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}


def build(side: int = 64, **params):
    keras.utils.set_random_seed(0)
    return build_projected(ProjectedParams(**NARROW | params), (side, side, 3))


def parts(pair):
    return (pair.discriminator.get_layer(name) for name in ("trunk", "heads"))


@pytest.fixture(scope="module")
def pair():
    return build()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)


def test_five_heads_judge_sixteenths(pair, images):
    trunk, heads = parts(pair)
    maps = trunk(images)
    np.testing.assert_array_equal(maps[0], images)
    assert [each.shape[1:] for each in maps[1:]] == [
        (16, 16, 24),
        (8, 8, 40),
        (4, 4, 112),
        (2, 2, 320),
    ]
    logits = np.asarray(heads(maps))
    assert logits.shape == (2, 80)
    np.testing.assert_allclose(pair.discriminator(images), logits, atol=1e-6)
    # The coarsest head has four logits of its own, each for a quarter.
    quarters = logits[:, 64:].reshape(2, 2, 2, 2, 2)
    np.testing.assert_array_equal(quarters, quarters[:, :, :1, :, :1] + np.zeros_like(quarters))


@pytest.mark.parametrize("number", range(5))
def test_each_head_sees_its_own_map_and_the_coarser_ones(pair, images, number):
    trunk, heads = parts(pair)
    maps = [np.asarray(each) for each in trunk(images)]
    before = np.asarray(heads(maps)).reshape(2, 5, 16)
    maps[number] = maps[number] + 1
    changed = (np.asarray(heads(maps)).reshape(2, 5, 16) != before).any(axis=(0, 2))
    # The image itself is mixed with nothing; a map reaches the heads of all finer ones.
    expected = [head == 0 if number == 0 else 1 <= head <= number for head in range(5)]
    assert changed.tolist() == expected


def test_only_heads_learn(pair):
    trunk, heads = parts(pair)
    assert not trunk.trainable_variables
    frozen = {id(each) for each in heads.non_trainable_variables}
    mixing = [each for each in heads.layers if isinstance(each, keras.layers.Conv2D)]
    # Four within maps, four across scales.
    assert len(mixing) == 8 and all(id(each.kernel) in frozen for each in mixing)
    learning = {each.path for each in pair.discriminator.trainable_variables}
    assert learning == {each.path for each in heads.trainable_variables}
    # The image's head has five convolutions, the others 4, 3, 2 and 2.
    assert len(learning) == 2 * (5 + 4 + 3 + 2 + 2)


def test_a_magnified_image_is_seen_as_a_larger_one(images):
    large, plain = build(input_upscale=2), build(side=128)
    seen = np.asarray(keras.layers.UpSampling2D(2, interpolation="bilinear")(images))
    ours, theirs = (next(parts(each)) for each in (large, plain))
    for one, other in zip(ours(images)[1:], theirs(seen)[1:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert large.discriminator(images).shape == (2, 80)


def test_the_generator_is_no_wider_than_asked():
    generator = build(side=128, generator_width=8, max_width=32).generator
    widths = [
        layer.filters
        for layer in generator.layers
        if isinstance(layer, keras.layers.Conv2DTranspose)
    ]
    assert widths == [32, 32, 32, 16, 8, 3]


def test_a_image_can_be_magnified_by_powers_of_two_alone():
    with pytest.raises(ValidationError, match="1, 2, 4 or 8"):
        ProjectedParams(input_upscale=3)
