"""R3GAN's layers against the paper's configurations and formulas."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers
from pydantic import ValidationError

from ganvas.networks import NetworkParams
from ganvas.networks.r3gan import R3ganParams, build_r3gan

TINY = {"latent": 6, "width": 4, "max_width": 8, "group_width": 4, "blocks": 1}
# Channels of the feature maps from side 4 on, and groups, of the paper's configurations.
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
    for width, count in zip(widths, groups, strict=True):
        inner = expansion * width
        total += blocks * (2 * width * inner + 9 * inner * inner // count + 2 * inner)
    return total


def transitions_count(widths):
    return sum(a * b for a, b in pairwise(widths) if a != b)


@pytest.mark.slow
@pytest.mark.parametrize("config", [FFHQ_64, FFHQ_256, CIFAR], ids=["64", "256", "32"])
def test_parameter_counts_are_those_of_the_paper(config):
    widths, side = config["widths"], config["side"]
    networks = build_r3gan(R3ganParams(**config["params"]), (side, side, 3))
    shared = blocks_count(widths, config["groups"]) + transitions_count(widths)
    first, last = widths[0], widths[-1]
    assert networks.generator.count_params() == shared + 64 * first + 16 * first + 3 * last
    assert networks.discriminator.count_params() == shared + 3 * last + 16 * first + first
    assert (
        not networks.generator.non_trainable_weights
        and not networks.discriminator.non_trainable_weights
    )


@pytest.mark.slow
@pytest.mark.parametrize("config", [FFHQ_64, FFHQ_256], ids=["64", "256"])
def test_layers_are_those_of_the_paper(config):
    side, widths = config["side"], config["widths"]
    sides = [4 << number for number in range(len(widths))]
    expected = [
        (height, 2 * width, group_count)
        for height, width, group_count in zip(sides, widths, config["groups"], strict=True)
        for _ in range(2)
    ]
    networks = build_r3gan(R3ganParams(**config["params"]), (side, side, 3))
    for model, table in ((networks.generator, expected), (networks.discriminator, expected[::-1])):
        convolutions = [
            (layer.output.shape[1], layer.filters, layer.groups)
            for layer in model.layers
            if isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 3)
        ]
        assert convolutions == table
        kinds = {type(layer) for layer in model.layers}
        assert not kinds & {layers.BatchNormalization, layers.Activation}


@pytest.mark.slow
@pytest.mark.parametrize("side", [8, 32, 64, 128, 256])
@pytest.mark.parametrize("classes", [0, 3])
def test_shapes_at_every_side(side, classes):
    generator, discriminator, decoder, _ = build(side, classes)
    labels = [np.eye(3, dtype=np.float32)[:2]] if classes else []
    assert len(generator.inputs) == len(discriminator.inputs) == 1 + len(labels)
    latents = np.zeros((2, 6), np.float32)
    generated = np.asarray(generator([latents, *labels] if labels else latents))
    assert generated.shape == (2, side, side, 3) and decoder is None
    assert discriminator([generated, *labels] if labels else generated).shape == (2, 1)


@pytest.mark.slow
def test_initial_weights_follow_fix_up_initialization():
    keras.utils.set_random_seed(0)
    networks = build_r3gan(R3ganParams(width=32, max_width=128), (32, 32, 3), classes=40)
    # 4 sides of 2 blocks each, with 3 layers in a block.
    gain = np.sqrt(2 / 1.04) * 8 ** (-1 / 4)
    for model in (networks.generator, networks.discriminator):
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
                # Layers that change the width, and those from and to images.
                assert scaled == pytest.approx(1, rel=0.15)
            else:
                assert layer.filters * 2 == kernel.shape[2]
        spread = np.std(model.get_layer("basis").weights[0])
        embedding_spread = np.std(model.get_layer("class_embedding").kernel)
        if model is networks.generator:
            assert spread == pytest.approx(1, rel=0.1)
            assert embedding_spread == pytest.approx(40**-0.5, rel=0.1)
        else:
            assert spread == pytest.approx(1 / 4, rel=0.1)
            assert embedding_spread == pytest.approx(40**-0.5 / np.sqrt(width), rel=0.1)


def test_the_initial_generator_sums_blurred_patterns():
    """Blocks start as the identity, so the generator can be written out without them."""
    generator = build(side=16).generator
    latents = np.random.default_rng(0).standard_normal((3, 6), dtype=np.float32)
    dense = next(layer for layer in generator.layers if isinstance(layer, layers.Dense))
    basis = np.asarray(generator.get_layer("basis").weights[0]).reshape(4, 4, -1)
    x = (latents @ np.asarray(dense.kernel))[:, None, None] * basis
    pointwise = [
        np.asarray(layer.kernel)[0, 0]
        for layer in generator.layers
        if isinstance(layer, layers.Conv2D) and not layer.use_bias and np.any(layer.kernel)
    ]
    # 4 and 8 pixels have 8 channels, 16 pixels 4.
    assert [kernel.shape for kernel in pointwise] == [(8, 4), (4, 3)]
    x = upsample(upsample(x) @ pointwise[0]) @ pointwise[1]
    np.testing.assert_allclose(generator(latents), x, atol=1e-5)


def upsample(x):
    """Spread each pixel over 4 × 4 by [1, 3, 3, 1] / 4 along both axes, at twice the size."""
    count, height, width, channels = x.shape
    spread = np.zeros((count, 2 * height + 2, 2 * width + 2, channels))
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None] / 16
    for row in range(height):
        for column in range(width):
            values = x[:, row, column][:, None, None] * weights
            spread[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += values
    return spread[:, 1:-1, 1:-1]


def test_the_initial_discriminator_sums_downsampled_images():
    discriminator = build(side=16).discriminator
    images = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    pointwise = [
        np.asarray(layer.kernel)[0, 0]
        for layer in discriminator.layers
        if isinstance(layer, layers.Conv2D) and not layer.use_bias and np.any(layer.kernel)
    ]
    x = images @ pointwise[0]
    x = downsample(x) @ pointwise[1]
    x = downsample(x)
    basis = np.asarray(discriminator.get_layer("basis").weights[0])[..., 0]
    sums = (x * basis).sum(axis=(1, 2))
    head = next(layer for layer in discriminator.layers if isinstance(layer, layers.Dense))
    np.testing.assert_allclose(discriminator(images), sums @ np.asarray(head.kernel), atol=1e-5)


def downsample(x):
    """Average 4 × 4 pixels by [1, 3, 3, 1] / 8 along both axes, at half the size."""
    count, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None] / 64
    output = np.empty((count, height // 2, width // 2, channels))
    for row in range(height // 2):
        for column in range(width // 2):
            window = padded[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            output[:, row, column] = (window * weights).sum(axis=(1, 2))
    return output


@pytest.mark.slow
def test_the_class_conditions_generator_and_discriminator():
    networks = build(classes=3)
    labels = np.eye(3, dtype=np.float32)
    latents = np.repeat(np.random.default_rng(0).standard_normal((1, 6), np.float32), 3, axis=0)
    generated = np.asarray(networks.generator([latents, labels]))
    assert all(np.ptp(generated[[0, other]], axis=0).max() > 1e-3 for other in (1, 2))
    images = np.repeat(generated[:1], 3, axis=0)
    embedding = np.asarray(networks.discriminator.get_layer("class_embedding").kernel)
    head = next(layer for layer in networks.discriminator.layers if type(layer) is layers.Dense)
    features = keras.Model(networks.discriminator.inputs[0], head.output)(images)
    expected = (np.asarray(features) * embedding).sum(axis=1, keepdims=True)
    logits = networks.discriminator([images, labels])
    np.testing.assert_allclose(logits, expected, rtol=1e-4)
    assert np.ptp(logits) > 1e-3


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("classes", [0, 3])
def test_outputs_are_float32_in_half_precision(precision, classes):
    keras.config.set_dtype_policy(precision)
    try:
        networks = build(classes=classes)
    finally:
        keras.config.set_dtype_policy("float32")
    for model in networks[:2]:
        assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
        assert all(weight.dtype == "float32" for weight in model.weights)
        inner = next(layer for layer in model.layers if getattr(layer, "groups", 1) > 1)
        assert inner.compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("key", ["width", "max_width"])
def test_widths_must_be_divisible_by_the_group_width(key):
    wrong = {"width": 8, "max_width": 8, "group_width": 16} | {key: 9}
    with pytest.raises(ValidationError, match=r"multiples of group_width \(16\).*, and 9 × 2 is"):
        NetworkParams(name="r3gan", r3gan=wrong)
    # Where another network is chosen, they don't matter.
    assert NetworkParams(name="dcgan", r3gan=wrong).chosen.latent


def test_intermediate_widths_must_be_divisible_too():
    wide = {"width": 56, "max_width": 512, "group_width": 128}
    with pytest.raises(ValidationError, match=r"comes to 224, and 224 × 2 can't be divided"):
        NetworkParams(name="r3gan", r3gan=wide)
    assert build(side=32, **(wide | {"width": 32})).generator.count_params()


def test_a_block_with_few_channels_has_one_group():
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
