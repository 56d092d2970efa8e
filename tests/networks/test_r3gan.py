"""R3GAN's layers against its source's table and formulas."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers
from pydantic import ValidationError

from ganvas.networks.r3gan import R3ganParams, build_r3gan

TINY = {"latent": 6, "width": 4, "max_width": 8, "group_width": 4, "blocks": 1}
# Channels of the maps from 4 pixels on, and groups, of the source's configurations.
FFHQ_64 = {"params": {}, "side": 64, "widths": [768] * 4 + [384], "groups": [96] * 4 + [48]}
FFHQ_256 = {
    "params": {"width": 96},
    "side": 256,
    "widths": [768] * 4 + [384, 192, 96],
    "groups": [96] * 4 + [48, 24, 12],
}
CIFAR = {"params": {"width": 768}, "side": 32, "widths": [768] * 4, "groups": [96] * 4}


def build(side: int = 32, classes: int = 0, **params):
    keras.utils.set_random_seed(0)
    return build_r3gan(R3ganParams(**(TINY | params)), (side, side, 3), classes)


def blocks_count(widths, groups, blocks=2, expansion=2):
    total = 0
    for width, parts in zip(widths, groups, strict=True):
        inner = expansion * width
        total += blocks * (2 * width * inner + 9 * inner * inner // parts + 2 * inner)
    return total


def transitions_count(widths):
    return sum(a * b for a, b in pairwise(widths) if a != b)


@pytest.mark.parametrize("source", [FFHQ_64, FFHQ_256, CIFAR], ids=["64", "256", "32"])
def test_counts_are_those_of_the_sources_configurations(source):
    widths, side = source["widths"], source["side"]
    pair = build_r3gan(R3ganParams(**source["params"]), (side, side, 3))
    both = blocks_count(widths, source["groups"]) + transitions_count(widths)
    first, last = widths[0], widths[-1]
    assert pair.generator.count_params() == both + 64 * first + 16 * first + 3 * last
    assert pair.discriminator.count_params() == both + 3 * last + 16 * first + first
    assert not pair.generator.non_trainable_weights and not pair.discriminator.non_trainable_weights


@pytest.mark.parametrize("source", [FFHQ_64, FFHQ_256], ids=["64", "256"])
def test_layers_are_those_of_the_sources_configurations(source):
    side, widths = source["side"], source["widths"]
    sides = [4 << number for number in range(len(widths))]
    expected = [
        (height, 2 * width, parts)
        for height, width, parts in zip(sides, widths, source["groups"], strict=True)
        for _ in range(2)
    ]
    pair = build_r3gan(R3ganParams(**source["params"]), (side, side, 3))
    for model, table in ((pair.generator, expected), (pair.discriminator, expected[::-1])):
        found = [
            (layer.output.shape[1], layer.filters, layer.groups)
            for layer in model.layers
            if isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 3)
        ]
        assert found == table
        kinds = {type(layer) for layer in model.layers}
        assert not kinds & {layers.BatchNormalization, layers.Activation}


@pytest.mark.parametrize("side", [8, 32, 64, 128, 256])
@pytest.mark.parametrize("classes", [0, 3])
def test_shapes_at_every_side(side, classes):
    generator, discriminator, decoder = build(side, classes)
    rows = [np.eye(3, dtype=np.float32)[:2]] if classes else []
    assert len(generator.inputs) == len(discriminator.inputs) == 1 + len(rows)
    latents = np.zeros((2, 6), np.float32)
    painted = np.asarray(generator([latents, *rows] if rows else latents))
    assert painted.shape == (2, side, side, 3) and decoder is None
    assert discriminator([painted, *rows] if rows else painted).shape == (2, 1)


def test_initial_weights_follow_the_fix_up():
    keras.utils.set_random_seed(0)
    pair = build_r3gan(R3ganParams(width=32, max_width=128), (32, 32, 3), classes=40)
    # 4 sides of 2 blocks each, with 3 layers in a block.
    gain = np.sqrt(2 / 1.04) * 8 ** (-1 / 4)
    for model in (pair.generator, pair.discriminator):
        width = model.get_layer("basis").output.shape[-1]
        for layer in model.layers:
            if not isinstance(layer, layers.Conv2D) or layer.name == "basis":
                continue
            kernel = np.asarray(layer.kernel)
            fan_in = np.prod(kernel.shape[:3])
            scaled = np.std(kernel) * np.sqrt(fan_in)
            if layer.use_bias:
                assert scaled == pytest.approx(gain, rel=0.1)
                assert not np.any(layer.bias)
            elif scaled:
                # Where maps are widened or narrowed, from images and to images.
                assert scaled == pytest.approx(1, rel=0.15)
            else:
                assert layer.filters * 2 == kernel.shape[2]
        spread = np.std(model.get_layer("basis").weights[0])
        of_table = np.std(model.get_layer("class_embedding").kernel)
        if model is pair.generator:
            assert spread == pytest.approx(1, rel=0.1)
            assert of_table == pytest.approx(40**-0.5, rel=0.1)
        else:
            assert spread == pytest.approx(1 / 4, rel=0.1)
            assert of_table == pytest.approx(40**-0.5 / np.sqrt(width), rel=0.1)


def test_blocks_begin_as_the_identity_and_images_as_colored_noise():
    """So the generator begins as one sum of blurred patterns, written out here."""
    generator = build(side=16).generator
    latents = np.random.default_rng(0).standard_normal((3, 6), dtype=np.float32)
    dense = next(each for each in generator.layers if isinstance(each, layers.Dense))
    basis = np.asarray(generator.get_layer("basis").weights[0]).reshape(4, 4, -1)
    x = (latents @ np.asarray(dense.kernel))[:, None, None] * basis
    pointwise = [
        np.asarray(each.kernel)[0, 0]
        for each in generator.layers
        if isinstance(each, layers.Conv2D) and not each.use_bias and np.any(each.kernel)
    ]
    # 4 and 8 pixels have 8 channels, 16 pixels 4.
    assert [kernel.shape for kernel in pointwise] == [(8, 4), (4, 3)]
    x = upsample(upsample(x) @ pointwise[0]) @ pointwise[1]
    np.testing.assert_allclose(generator(latents), x, atol=1e-5)


def upsample(x):
    """Each pixel spread over 4 × 4 by [1, 3, 3, 1] / 4 both ways, in twice the size."""
    count, height, width, channels = x.shape
    spread = np.zeros((count, 2 * height + 2, 2 * width + 2, channels))
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None] / 16
    for row in range(height):
        for column in range(width):
            place = x[:, row, column][:, None, None] * weights
            spread[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += place
    return spread[:, 1:-1, 1:-1]


def test_the_discriminator_begins_as_a_sum_of_smaller_images():
    discriminator = build(side=16).discriminator
    images = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    pointwise = [
        np.asarray(each.kernel)[0, 0]
        for each in discriminator.layers
        if isinstance(each, layers.Conv2D) and not each.use_bias and np.any(each.kernel)
    ]
    x = images @ pointwise[0]
    x = downsample(x) @ pointwise[1]
    x = downsample(x)
    basis = np.asarray(discriminator.get_layer("basis").weights[0])[..., 0]
    sums = (x * basis).sum(axis=(1, 2))
    head = next(each for each in discriminator.layers if isinstance(each, layers.Dense))
    np.testing.assert_allclose(discriminator(images), sums @ np.asarray(head.kernel), atol=1e-5)


def downsample(x):
    """The mean of 4 × 4 pixels by [1, 3, 3, 1] / 8 both ways, in half the size."""
    count, height, width, channels = x.shape
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None] / 64
    small = np.empty((count, height // 2, width // 2, channels))
    for row in range(height // 2):
        for column in range(width // 2):
            part = framed[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            small[:, row, column] = (part * weights).sum(axis=(1, 2))
    return small


def test_a_class_stands_beside_the_latent_and_weighs_what_the_discriminator_says():
    pair = build(classes=3)
    rows = np.eye(3, dtype=np.float32)
    latents = np.repeat(np.random.default_rng(0).standard_normal((1, 6), np.float32), 3, axis=0)
    painted = np.asarray(pair.generator([latents, rows]))
    assert all(np.ptp(painted[[0, other]], axis=0).max() > 1e-3 for other in (1, 2))
    images = np.repeat(painted[:1], 3, axis=0)
    table = np.asarray(pair.discriminator.get_layer("class_embedding").kernel)
    head = next(each for each in pair.discriminator.layers if type(each) is layers.Dense)
    told = keras.Model(pair.discriminator.inputs[0], head.output)(images)
    expected = (np.asarray(told) * table).sum(axis=1, keepdims=True)
    logits = pair.discriminator([images, rows])
    np.testing.assert_allclose(logits, expected, rtol=1e-4)
    assert np.ptp(logits) > 1e-3


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("classes", [0, 3])
def test_half_precision_gives_images_and_logits_in_full(precision, classes):
    keras.config.set_dtype_policy(precision)
    try:
        pair = build(classes=classes)
    finally:
        keras.config.set_dtype_policy("float32")
    for model in pair[:2]:
        assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
        assert all(weight.dtype == "float32" for weight in model.weights)
        inner = next(each for each in model.layers if getattr(each, "groups", 1) > 1)
        assert inner.compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("key", ["width", "max_width"])
def test_channels_must_fall_into_whole_groups(key):
    with pytest.raises(ValidationError, match=r"multiples of group_width, or less, and 9 × 2"):
        R3ganParams(**({"width": 8, "max_width": 8, "group_width": 16} | {key: 9}))


def test_channels_between_must_be_groups_too():
    wide = {"width": 56, "max_width": 512, "group_width": 128}
    with pytest.raises(ValidationError, match=r"comes to 224, and 224 × 2 can't be cut"):
        R3ganParams(**wide)
    assert build(side=32, **(wide | {"width": 32})).generator.count_params()


def test_a_block_of_few_channels_has_one_group():
    convolutions = [
        layer
        for layer in build(group_width=16, width=4, max_width=16).generator.layers
        if isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 3)
    ]
    assert [(layer.filters, layer.groups) for layer in convolutions] == [
        (32, 2),
        (32, 2),
        (16, 1),
        (8, 1),
    ]
