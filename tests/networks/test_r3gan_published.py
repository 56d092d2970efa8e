"""R3GAN's networks against a NumPy forward pass of their authors' code, on random weights.

The authors' code (github.com/brownvc/R3GAN) resamples by one filter, [1, 3, 3, 1] / 8 along both
axes, with a transposed convolution upwards.
"""

import keras
import numpy as np
import pytest

from ganvas.networks.config import R3ganParams
from ganvas.networks.r3gan import build_r3gan
from ganvas.networks.sampling import one_hot

K = 3
KINDS = ("conv2d", "dense", "basis", "class_embedding")
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


class Weights:
    """Random weights of a network, by the kind of its layers in the order of their names."""

    def __init__(self, network: keras.Model, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.by_kind: dict[str, list] = {}
        for layer in sorted(network.layers, key=lambda x: (len(x.name), x.name)):
            if layer.weights:
                drawn = [
                    rng.normal(size=x.shape) / np.sqrt(np.prod(x.shape[:-1]) or 1)
                    for x in layer.weights
                ]
                layer.set_weights([x.astype(np.float32) for x in drawn])
                kind = next(x for x in KINDS if layer.name.startswith(x))
                self.by_kind.setdefault(kind, []).append(drawn)

    def next(self, kind: str) -> list[np.ndarray]:
        return self.by_kind[kind].pop(0)


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve (N, H, W, C) in as many groups as the kernel (k, k, C / groups, D) needs."""
    radius, (height, width) = len(kernel) // 2, x.shape[1:3]
    padded = np.pad(x, [(0, 0), (radius, radius), (radius, radius), (0, 0)])
    groups = x.shape[3] // kernel.shape[2]
    results = []
    for part, weights in zip(np.split(padded, groups, 3), np.split(kernel, groups, 3), strict=True):
        results.append(
            sum(
                part[:, i : i + height, j : j + width] @ weights[i, j]
                for i in range(len(kernel))
                for j in range(len(kernel))
            )
        )
    return np.concatenate(results, axis=3)


def upsample(x: np.ndarray) -> np.ndarray:
    """Scatter each pixel, times 4 times the filter, with stride 2; cut one pixel at each edge."""
    count, height, width, channels = x.shape
    result = np.zeros((count, 2 * height + 2, 2 * width + 2, channels))
    for i in range(4):
        for j in range(4):
            result[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += 4 * FILTER[i, j] * x
    return result[:, 1:-1, 1:-1]


def downsample(x: np.ndarray) -> np.ndarray:
    """Filter pixels, padded by one, with stride 2."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[1:3]
    return sum(
        FILTER[i, j] * padded[:, i : i + height : 2, j : j + width : 2]
        for i in range(4)
        for j in range(4)
    )


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def block(weights: Weights, x: np.ndarray) -> np.ndarray:
    """Expand channels, convolve in groups, and project back: a bias before each activation."""
    y = x
    for _ in range(2):
        kernel, bias = weights.next("conv2d")
        y = leaky(convolve(y, kernel) + bias)
    return x + convolve(y, weights.next("conv2d")[0])


def generate(weights: Weights, inputs: np.ndarray, params: R3ganParams) -> np.ndarray:
    x = inputs @ weights.next("dense")[0]
    basis = weights.next("basis")[0]
    x = x[:, None] * basis
    x = x.reshape(len(x), 4, 4, -1)
    for number, width in enumerate(params.stage_widths(32, 32)):
        if number:
            if width != x.shape[3]:
                x = convolve(x, weights.next("conv2d")[0])
            x = upsample(x)
        for _ in range(params.blocks):
            x = block(weights, x)
    return convolve(x, weights.next("conv2d")[0])


def discriminate(weights: Weights, images: np.ndarray, params: R3ganParams) -> np.ndarray:
    x = convolve(images, weights.next("conv2d")[0])
    for number, width in enumerate(params.stage_widths(32, 32)[::-1]):
        if number:
            x = downsample(x)
            if width != x.shape[3]:
                x = convolve(x, weights.next("conv2d")[0])
        for _ in range(params.blocks):
            x = block(weights, x)
    # Each channel of the last maps is compared with a pattern of their size.
    x = np.einsum("nhwc,hwc->nc", x, weights.next("basis")[0][..., 0])
    return x @ weights.next("dense")[0]


@pytest.mark.parametrize("classes", [0, K])
def test_networks_equal_the_published_ones_on_random_weights(classes):
    # Channels of 8, 16 and 16, so that one transition has no convolution; 2 and 4 groups.
    params = R3ganParams(
        latent=5, width=8, max_width=16, blocks=2, group_width=8, class_embedding=4
    )
    keras.utils.set_random_seed(0)
    generator, discriminator, *_ = build_r3gan(params, (32, 32, 3), classes)
    weights = [Weights(network, seed) for seed, network in enumerate((generator, discriminator))]
    rng = np.random.default_rng(2)
    latents = rng.standard_normal((3, 5), dtype=np.float32)
    images = rng.uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    labels = one_hot(np.arange(3), K)
    merged = latents
    if classes:
        merged = np.concatenate([latents, labels @ weights[0].next("class_embedding")[0]], axis=1)
    expected = generate(weights[0], merged, params)
    actual = np.asarray(generator([latents, labels] if classes else latents))
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())
    expected = discriminate(weights[1], images, params)
    if classes:
        embedded = labels @ weights[1].next("class_embedding")[0]
        expected = (expected * embedded).sum(axis=1, keepdims=True)
    actual = np.asarray(discriminator([images, labels] if classes else images))
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())
    assert all(not left for side in weights for left in side.by_kind.values())
