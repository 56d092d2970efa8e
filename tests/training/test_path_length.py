"""Path lengths against closed forms and against numbers of StyleGAN2's own code."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.training import path_length
from ganvas.training.path_length import path_length_penalty, path_lengths
from ganvas.training.styled_generator import StyledImages


def wave(shape: tuple[int, ...], phase: float) -> np.ndarray:
    """Fill an array by a formula that needs no random numbers."""
    return np.sin(0.7 * np.arange(np.prod(shape)) + phase).reshape(shape).astype(np.float32)


@pytest.fixture
def noise(monkeypatch):
    """Replace the random noise by a formula's."""

    def draw(shape, seed):
        return tf.constant(wave(tuple(int(side) for side in shape), 1))

    monkeypatch.setattr(path_length.keras.random, "normal", draw)


def test_lengths_and_their_penalty_have_the_gradient_of_the_formula(noise):
    # Images are linear in styles of 2 layers and 3 elements: image[n] = Σ styles[n, l, w] A[l, w].
    a = tf.Variable(wave((2, 3, 4, 2, 1), 0.3))
    styles = tf.Variable(wave((5, 2, 3), 0.1))

    def generate():
        return StyledImages(tf.einsum("nlw,lwijc->nijc", styles, a), None, styles)

    with tf.GradientTape() as tape:
        lengths = path_lengths(generate, seed=None)
        penalty, mean = path_length_penalty(lengths, 0.4, decay=0.1)
    # The textbook's, in float64: the gradient of image n by style l, w is A[l, w] · noise / √8.
    weights, random = a.numpy().astype(float), wave((5, 4, 2, 1), 1) / np.sqrt(8)
    by_style = np.einsum("lwijc,nijc->nlw", weights, random)
    expected = np.sqrt(np.mean(np.sum(by_style**2, axis=2), axis=1))
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)
    target = 0.9 * 0.4 + 0.1 * expected.mean()
    difference = expected - target
    np.testing.assert_allclose(penalty, np.mean(difference**2), rtol=1e-5)
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)
    # d length / dA[l, w] is by_style[l, w] · noise / (2 layers · length); the target moves too.
    by_length = 2 / 5 * (difference - 0.1 * difference.mean())
    expected = np.einsum("n,nlw,nijc->lwijc", by_length / (2 * expected), by_style, random)
    np.testing.assert_allclose(tape.gradient(penalty, a), expected, rtol=1e-4, atol=1e-7)


def test_images_that_styles_do_not_change_have_no_gradient_and_no_nan(noise):
    scale = tf.Variable(0.0)
    styles = tf.Variable(wave((2, 1, 3), 0))

    def generate():
        images = scale * tf.reduce_sum(styles, axis=(1, 2))[:, None, None, None]
        return StyledImages(images * tf.ones((2, 4, 4, 1)), None, styles)

    with tf.GradientTape() as tape:
        lengths = path_lengths(generate, seed=None)
        penalty, _ = path_length_penalty(lengths, 0.0, decay=0.01)
    np.testing.assert_array_equal(lengths, [0, 0])
    assert float(tape.gradient(penalty, scale)) == 0


def test_the_penalty_of_stylegan2_is_that_of_the_authors_code(noise):
    # The numbers are those of NVlabs/stylegan2-ada-pytorch on the same weights, latents and noise,
    # without noise in the network: weights by `wave`, each with the phase of its place by name.
    params = Stylegan2Params(channel_base=64, max_width=4, latent=6, style=5, mapping_layers=2)
    generator = build_stylegan2(params, (8, 8, 3)).generator
    mapping, synthesis = generator.get_layer("mapping"), generator.get_layer("synthesis")
    kernels = {
        layer.name: layer.kernel
        for model in (mapping, synthesis)
        for layer in model.layers
        if isinstance(layer, layers.EinsumDense)
    }
    for place, (name, kernel) in enumerate(sorted(kernels.items())):
        scale = 100 if name.startswith("fc") and name.endswith("weight") else 1
        scale = 0 if name.endswith("noise_strength") else scale
        kernel.assign(scale * wave(kernel.shape, place))

    def generate():
        w = mapping(wave((3, 6), 0))
        styles = tf.repeat(w[:, None], 4, axis=1)
        zeros = [tf.zeros((1, *x.shape[1:])) for x in synthesis.inputs[1:]]
        return StyledImages(synthesis([styles, *zeros]), w, styles)

    with tf.GradientTape() as tape:
        lengths = path_lengths(generate, seed=None)
        penalty, mean = path_length_penalty(lengths, 0.5, decay=0.01)
        # Weight 2, every fourth step.
        loss = 2 * 4 * penalty
    assert float(0.99 * 0.5 + 0.01 * mean) == pytest.approx(0.49548453, rel=1e-6)
    assert float(penalty) == pytest.approx(np.mean([0.18089652, 0.19230595, 0.22776769]), rel=1e-5)
    expected = {
        "fc1_weight": [9.3789968e-06, -6.6581920e-06, 3.1857428e-06, 1.4898575e-05],
        "b4_const": [0.01415941, -0.02244516, 0.0168321, 0.121904485],
        "b4_conv1_weight": [-0.02868914, 0.0029007, 0.00079285, 0.128583],
        "b8_conv0_affine_bias": [-1.6309321e-05, 3.9064912e-03, -1.3673259e-03, 0.008349344],
        "b8_torgb_weight": [0.00298764, 0.0361784, 0.05235389, 0.22275583],
    }
    gradients = tape.gradient(loss, [kernels[name] for name in expected])
    for (name, (*first, norm)), gradient in zip(expected.items(), gradients, strict=True):
        values = np.ravel(keras.ops.convert_to_numpy(gradient))
        np.testing.assert_allclose(values[:3], first, rtol=2e-3, atol=2e-4 * norm, err_msg=name)
        assert np.linalg.norm(values) == pytest.approx(norm, rel=1e-3), name
