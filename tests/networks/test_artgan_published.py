"""The improved ArtGAN against a NumPy forward pass of its authors' code, at 64 pixels.

The authors' networks for styles (github.com/cs-chan/ArtGAN) differ in batch norm's epsilon, in the
bias of the class layer, and in the statistics with which the generator and the decoder within the
discriminator normalize.
"""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks.artgan import ArtganParams, build_artgan
from ganvas.networks.sampling import one_hot
from ganvas.training.adversary import Adversary
from ganvas.training.config import TrainParams

K, WIDTH = 5, 8
PUBLISHED_EPSILON = 1e-3


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolve images (N, H, W, C) by a kernel of 3×3, padded as TensorFlow does."""
    out = -(-x.shape[1] // stride)
    total = max((out - 1) * stride + 3 - x.shape[1], 0)
    before = total // 2
    padded = np.pad(x, [(0, 0), (before, total - before), (before, total - before), (0, 0)])
    result = np.zeros((len(x), out, out, kernel.shape[3]))
    for row in range(3):
        for column in range(3):
            part = padded[
                :, row : row + out * stride : stride, column : column + out * stride : stride
            ]
            result += part[:, :out, :out] @ kernel[row, column]
    return result


def pool(x: np.ndarray) -> np.ndarray:
    """Average 3×3 pixels with stride 2; padding doesn't count."""
    side = x.shape[1]
    ends = [slice(start, min(start + 3, side)) for start in range(0, side, 2)]
    columns = [x[:, :, end].mean(axis=2) for end in ends]
    halved = np.stack(columns, axis=2)
    return np.stack([halved[:, end].mean(axis=1) for end in ends], axis=1)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def upsample(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, axis=1).repeat(2, axis=2)


def find_layers(network: keras.Model, kind: type) -> list[keras.Layer]:
    """Return the layers of a kind in the order in which they were built, which numbers them."""
    found = [layer for layer in network.layers if isinstance(layer, kind)]
    return sorted(found, key=lambda layer: (len(layer.name), layer.name))


class Published:
    """The weights of a Keras network, in the order in which its layers were built, and a mode.

    Args:
        network: The network.
        epsilon: Of batch norm.
        batch_statistics: Whether batch norm takes those of the batch, not moving averages.
    """

    def __init__(self, network: keras.Model, epsilon: float, batch_statistics: bool) -> None:
        self.epsilon, self.batch_statistics = epsilon, batch_statistics
        self.kernels, self.dense = (
            iter([np.asarray(layer.kernel, np.float64) for layer in find_layers(network, kind)])
            for kind in (layers.Conv2D, layers.Dense)
        )
        norms = find_layers(network, layers.BatchNormalization)
        self.norms = iter([np.asarray(layer.get_weights(), np.float64) for layer in norms])

    def norm(self, x: np.ndarray) -> np.ndarray:
        gamma, beta, mean, variance = next(self.norms)
        if self.batch_statistics:
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axis=axes), x.var(axis=axes)
        return gamma * (x - mean) / np.sqrt(variance + self.epsilon) + beta

    def block(self, x: np.ndarray, stride: int = 1) -> np.ndarray:
        return leaky(self.norm(convolve(x, next(self.kernels), stride)))

    def generate(self, inputs: np.ndarray) -> np.ndarray:
        x = leaky(self.norm(inputs @ next(self.dense))).reshape(len(inputs), 4, 4, -1)
        for _ in range(4):
            x = self.block(upsample(x))
        x = self.block(x)
        x = self.block(upsample(x))
        return pool(np.tanh(convolve(x, next(self.kernels))))

    def discriminate(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return class logits, without a bias, and reconstructions."""
        x = leaky(convolve(images, next(self.kernels), 2))
        x = self.block(self.block(x, 2), 2)
        x = self.block(self.block(x), 2)
        logits = x.reshape(len(x), -1) @ next(self.dense)
        x = self.block(x)
        for _ in range(4):
            x = self.block(upsample(x))
        return logits, np.tanh(convolve(x, next(self.kernels)))


@pytest.fixture
def networks():
    keras.utils.set_random_seed(0)
    params = ArtganParams(variant="improved", width=WIDTH, latent=6, noise=0.0, dropout=0.0)
    networks = build_artgan(params, (64, 64, 3), K)
    rng = np.random.default_rng(0)
    for network in (networks.generator, networks.discriminator):
        for layer in network.layers:
            # As after training: weights that are neither all 1 nor tiny, and a bias.
            if isinstance(layer, layers.Conv2D):
                layer.kernel.assign(4 * layer.kernel)
            if isinstance(layer, layers.BatchNormalization):
                count = layer.gamma.shape[0]
                layer.set_weights(
                    [rng.uniform(0.5, 1.5, count).astype(np.float32) for _ in range(4)]
                )
            if isinstance(layer, layers.Dense) and layer.use_bias:
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, rng.normal(size=bias.shape).astype(np.float32)])
    return networks


def make_inputs(count: int = 4):
    """Return latents, labels, and what the first layer sees: uniform numbers beside labels."""
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((count, 6), dtype=np.float32)
    labels = one_hot(np.arange(count) % K, K)
    uniform = np.asarray(keras.ops.erf(latents * 2**-0.5), np.float64)
    images = rng.uniform(-1, 1, (count, 64, 64, 3)).astype(np.float32)
    return [latents, labels], np.concatenate([uniform, labels], axis=1), images


def set_epsilon(network: keras.Model) -> None:
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.epsilon = PUBLISHED_EPSILON


def test_the_networks_are_the_published_ones_with_three_differences(networks):
    generator, discriminator, *_ = networks
    inputs, merged, images = make_inputs()
    expected = Published(generator, 1e-5, batch_statistics=False).generate(merged)
    np.testing.assert_allclose(generator(inputs), expected, atol=1e-5)
    assert expected.std() > 0.01
    logits, reconstruction = Published(discriminator, 1e-5, False).discriminate(images)
    outputs = discriminator(images)
    (dense,) = [x for x in discriminator.layers if isinstance(x, layers.Dense)]
    # The class layer's bias is ours.
    np.testing.assert_allclose(outputs["softmax_classes"], logits + dense.bias, atol=1e-4)
    np.testing.assert_allclose(outputs["reconstruction"], reconstruction, atol=1e-5)


def test_without_these_differences_they_equal_the_published_ones(networks):
    generator, discriminator, *_ = networks
    inputs, merged, images = make_inputs()
    expected = Published(generator, PUBLISHED_EPSILON, batch_statistics=True).generate(merged)
    set_epsilon(generator)
    np.testing.assert_allclose(generator(inputs, training=True), expected, atol=1e-4)
    # So published images depend on the others of their batch, and ours don't.
    fewer = Published(generator, PUBLISHED_EPSILON, batch_statistics=True).generate(merged[:2])
    assert np.abs(fewer - expected[:2]).mean() > 0.01
    two = [x[:2] for x in inputs]
    np.testing.assert_allclose(generator(two), np.asarray(generator(inputs))[:2], atol=1e-5)

    logits, reconstruction = Published(discriminator, PUBLISHED_EPSILON, True).discriminate(images)
    set_epsilon(discriminator)
    (dense,) = [x for x in discriminator.layers if isinstance(x, layers.Dense)]
    dense.bias.assign(np.zeros(K))
    outputs = discriminator(images, training=True)
    np.testing.assert_allclose(outputs["softmax_classes"], logits, atol=1e-3)
    np.testing.assert_allclose(outputs["reconstruction"], reconstruction, atol=1e-3)


def test_dropout_is_active_in_the_update_of_either_network():
    keras.utils.set_random_seed(0)
    params = ArtganParams(variant="improved", width=WIDTH, latent=6, noise=0.0, dropout=0.5)
    adversary = Adversary(build_artgan(params, (64, 64, 3), K).discriminator, TrainParams())
    (_, labels), _, images = make_inputs()
    first, second = (adversary.forward(images, labels).logits for _ in range(2))
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 1e-4
