"""ArtGAN's layers against its paper's table, and its outputs against its paper's losses."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.errors import GanvasError
from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.sampling import one_hot

K = 5
# Type, output shape and kernel's side and stride of every layer with a kernel, at 64 pixels.
ORIGINAL = {
    "generator": [
        ("Conv2DTranspose", (4, 4, 1024), 4, 1),
        ("Conv2DTranspose", (8, 8, 512), 4, 2),
        ("Conv2DTranspose", (16, 16, 256), 4, 2),
        ("Conv2DTranspose", (32, 32, 128), 4, 2),
        ("Conv2DTranspose", (32, 32, 128), 3, 1),
        ("Conv2DTranspose", (64, 64, 3), 4, 2),
    ],
    "discriminator": [
        ("Conv2D", (32, 32, 128), 4, 2),
        ("Conv2D", (32, 32, 128), 3, 1),
        ("Conv2D", (16, 16, 256), 4, 2),
        ("Conv2D", (8, 8, 512), 4, 2),
        ("Conv2D", (4, 4, 1024), 4, 2),
        ("Dense", (28,), None, None),
    ],
}
IMPROVED = {
    "generator": [
        ("Dense", (8192,), None, None),
        *(
            ("Conv2D", (side, side, width), 3, 1)
            for side, width in (
                *((8, 512), (16, 256), (32, 128)),
                *((64, 64), (64, 64), (128, 32), (128, 3)),
            )
        ),
    ],
    "discriminator": [
        *(
            ("Conv2D", (side, side, width), 3, stride)
            for side, width, stride in (
                *((32, 128, 2), (16, 256, 2), (8, 512, 2), (8, 512, 1), (4, 1024, 2)),
                *((4, 512, 1), (8, 256, 1), (16, 128, 1), (32, 64, 1), (64, 32, 1), (64, 3, 1)),
            )
        ),
        ("Dense", (27,), None, None),
    ],
}


def build(side: int = 32, classes: int = K, **params):
    keras.utils.set_random_seed(0)
    return build_artgan(
        ArtganParams(**({"width": 4, "latent": 6} | params)), (side, side, 3), classes
    )


def describe(network: keras.Model) -> list[tuple]:
    table = []
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose):
            size = layer.kernel_size[0], layer.strides[0]
            table.append((type(layer).__name__, layer.output.shape[1:], *size))
        elif isinstance(layer, layers.Dense):
            table.append(("Dense", layer.output.shape[1:], None, None))
    return table


def sample_inputs(network: keras.Model, count: int = 3, classes: int = K) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((count, network.inputs[0].shape[-1]), dtype=np.float32)
    return [latents, one_hot(np.arange(count) % classes, classes)]


def images(count: int = 3, side: int = 32) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, side, side, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "table"), [("original", ORIGINAL), ("improved", IMPROVED)])
def test_layers_are_those_of_the_papers_table(variant, table):
    generator, discriminator, *_ = build(64, 27, variant=variant, width=128, latent=100)
    assert describe(generator) == table["generator"]
    # Keras lists the layers of a branching network by depth.
    assert sorted(map(str, describe(discriminator))) == sorted(map(str, table["discriminator"]))


@pytest.mark.slow
def test_parameter_counts_of_the_original():
    generator, discriminator, decoder, _ = build(64, 27, width=128, latent=100)
    widths = [127, 1024, 512, 256, 128, 128, 3]
    kernels = sum(
        a * b * k * k for a, b, k in zip(widths, widths[1:], (4, 4, 4, 4, 3, 4), strict=False)
    )
    # Four per normalized channel, two of them moving averages; the last layer has a bias.
    assert generator.count_params() == kernels + 4 * sum(widths[1:-1]) + 3 == 13_252_611
    widths = [3, 128, 128, 256, 512, 1024]
    kernels = sum(
        a * b * k * k for a, b, k in zip(widths, widths[1:], (4, 3, 4, 4, 4), strict=False)
    )
    head = 16_384 * 28 + 28
    norms = 4 * sum(widths[2:])
    assert discriminator.count_params() == kernels + 128 + norms + head == 11_630_236
    shared = {id(weight) for weight in generator.weights}
    assert decoder.weights and all(id(weight) in shared for weight in decoder.weights)


@pytest.mark.slow
def test_parameter_counts_of_the_improved_variant():
    generator, discriminator, decoder, _ = build(64, 27, variant="improved", width=128, latent=100)
    widths = [512, 512, 256, 128, 64, 64, 32, 3]
    kernels = 9 * sum(a * b for a, b in pairwise(widths))
    norms = 4 * (8192 + sum(widths[1:-1]))
    assert generator.count_params() == 127 * 8192 + kernels + norms
    encoder, decoder_widths = [3, 128, 256, 512, 512, 1024], [1024, 512, 256, 128, 64, 32, 3]
    kernels = 9 * sum(a * b for w in (encoder, decoder_widths) for a, b in pairwise(w))
    norms = 4 * (sum(encoder[2:]) + sum(decoder_widths[1:-1]))
    assert discriminator.count_params() == kernels + norms + 16_384 * 27 + 27
    assert decoder is None


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["original", "improved"])
@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_shapes_at_every_side(variant, side):
    generator, discriminator, decoder, _ = build(side, variant=variant)
    generated = generator(sample_inputs(generator, 2))
    assert generated.shape == (2, side, side, 3)
    assert np.abs(generated).max() <= 1
    outputs = discriminator(generated)
    assert outputs["logits"].shape == (2, 1)
    if variant == "improved":
        assert outputs["softmax_classes"].shape == (2, K)
        assert outputs["reconstruction"].shape == generated.shape
    else:
        assert outputs["sigmoid_classes"].shape == (2, K)
        assert decoder(outputs["features"]).shape == generated.shape


def test_the_generator_consists_of_znet_and_the_decoder():
    generator, _, decoder, _ = build()
    inputs = sample_inputs(generator)
    first = decoder.layers[1]
    features = keras.Model(generator.inputs, generator.get_layer(first.name).input)(inputs)
    np.testing.assert_allclose(decoder(features), generator(inputs), atol=1e-6)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def raw_outputs(discriminator: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Scale up the last layer in place, and return its K + 1 outputs."""
    (dense,) = [layer for layer in discriminator.layers if isinstance(layer, layers.Dense)]
    # Initially they hardly differ from 0.
    dense.set_weights([1000 * weight for weight in dense.get_weights()])
    return np.asarray(keras.Model(discriminator.input, dense.output)(inputs), np.float64)


@pytest.mark.parametrize("real", [True, False])
def test_sigmoid_outputs_have_the_loss_of_the_paper(real):
    _, discriminator, *_ = build()
    raw = raw_outputs(discriminator, images())
    labels = np.arange(3) if real else np.full(3, K)
    targets, p = one_hot(labels, K + 1), 1 / (1 + np.exp(-raw))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1)
    outputs = {name: np.asarray(value) for name, value in discriminator(images()).items()}
    class_logits, logits = outputs["sigmoid_classes"], outputs["logits"][:, 0]
    class_loss = (softplus(class_logits) - targets[:, :K] * class_logits).sum(axis=1)
    loss = softplus(-logits if real else logits) + class_loss
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert np.ptp(expected) > 0.01


@pytest.mark.parametrize("real", [True, False])
def test_softmax_outputs_have_the_cross_entropy_of_k_plus_1_classes(real):
    _, discriminator, *_ = build(class_loss="softmax")
    raw = raw_outputs(discriminator, images())
    labels = np.arange(3) if real else np.full(3, K)
    expected = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(3), labels]
    outputs = {name: np.asarray(value) for name, value in discriminator(images()).items()}
    class_logits, logits = outputs["softmax_classes"], outputs["logits"][:, 0]
    loss = softplus(-logits if real else logits)
    if real:
        loss = loss + np.log(np.exp(class_logits).sum(axis=1)) - class_logits[np.arange(3), labels]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_improved_logit_is_the_logsumexp_of_its_class_logits():
    _, discriminator, *_ = build(variant="improved")
    outputs = discriminator(images())
    expected = np.log(np.exp(np.asarray(outputs["softmax_classes"])).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-5)


def test_the_improved_variants_latent_is_uniform():
    generator, *_ = build(variant="improved")
    (merge,) = [layer for layer in generator.layers if isinstance(layer, layers.Concatenate)]
    latents, labels = sample_inputs(generator, 4000)
    uniform = np.asarray(keras.Model(generator.inputs, merge.input[0])([latents, labels])).ravel()
    levels = np.linspace(-0.9, 0.9, 7)
    below = (uniform[:, None] < levels).mean(axis=0)
    np.testing.assert_allclose(below, (levels + 1) / 2, atol=0.015)
    assert (np.argsort(uniform) == np.argsort(latents.ravel())).mean() > 0.99


@pytest.mark.parametrize("variant", ["original", "improved"])
def test_noise_and_dropout_are_active_only_in_training(variant):
    generator, discriminator, *_ = build(variant=variant, noise=0.3, dropout=0.5)
    kinds = {type(layer) for network in (generator, discriminator) for layer in network.layers}
    assert {layers.GaussianNoise, layers.Dropout} <= kinds
    logits = [np.asarray(discriminator(images())["logits"]) for _ in range(2)]
    np.testing.assert_array_equal(*logits)


def test_an_image_of_a_class_mixture_is_between_those_of_the_classes():
    generator, *_ = build()
    latents = sample_inputs(generator, 1)[0]
    labels = np.array([[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 1, 0, 0, 0]], np.float32)
    first, mixture, second = np.asarray(generator([np.repeat(latents, 3, axis=0), labels]))
    distance = np.abs(first - second).mean()
    assert 0 < np.abs(first - mixture).mean() < distance > np.abs(second - mixture).mean() > 0


@pytest.mark.parametrize("variant", ["original", "improved"])
def test_outputs_are_float32_in_half_precision(variant):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator, *_ = build(variant=variant)
    finally:
        keras.config.set_dtype_policy("float32")
    outputs = discriminator(images())
    tensors = [generator(sample_inputs(generator)), *outputs.values()]
    assert {keras.backend.standardize_dtype(x.dtype) for x in tensors} == {"float32"}


def test_building_without_classes_is_rejected():
    with pytest.raises(GanvasError, match="is class-conditional"):
        build(classes=0)
