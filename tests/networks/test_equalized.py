"""Layers with an equalized learning rate, against loops over pixels."""

import keras
import numpy as np
import pytest

from ganvas.networks import equalized

RNG = np.random.default_rng(0)
LOW_PASS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def correlate(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """Correlate an image (H, W, C) with a kernel (h, w, C, D) where it fits."""
    rows, columns = (x.shape[i] - kernel.shape[i] for i in (0, 1))
    return np.array(
        [
            [
                np.tensordot(x[i : i + kernel.shape[0], j : j + kernel.shape[1]], kernel, 3)
                for j in range(0, columns + 1, stride)
            ]
            for i in range(0, rows + 1, stride)
        ]
    )


def pad(x: np.ndarray, count: int) -> np.ndarray:
    return np.pad(x, ((count, count), (count, count), (0, 0)))


def low_pass(x: np.ndarray, padding: int, stride: int = 1) -> np.ndarray:
    kernel = LOW_PASS[:, :, None, None] * np.eye(x.shape[-1])
    return correlate(pad(x, padding), kernel, stride)


def insert_zeros_and_convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Spread each pixel over 3×3 by a kernel, two pixels apart."""
    height, width = x.shape[:2]
    y = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            y[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.tensordot(x[i, j], kernel, (0, 2))
    return y


def leaky(x: np.ndarray) -> np.ndarray:
    return np.sqrt(2) * np.where(x > 0, x, 0.2 * x)


def build(layer, *shapes: tuple[int, ...]) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """Build a model of a layer, and return it with its weights, random ones, by their names."""
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer(equalized.make_one(inputs[0]), *inputs))
    weights = {}
    for part in model.layers:
        if part.weights:
            part.kernel.assign(normal(*part.kernel.shape))
            weights[part.name.removeprefix("x_")] = np.asarray(part.kernel)[0]
    return model, weights


def test_dense_layers_scale_their_weights():
    model, w = build(lambda one, x: equalized.dense(one, x, 5, "x", 0.01, activate=True), (7,))
    x = normal(3, 7)
    expected = leaky(0.01 * (x @ w["weight"] / np.sqrt(7) + w["bias"]))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kernel", "halve"), [(1, False), (3, False), (1, True), (3, True)])
def test_convolutions_filter_before_they_halve(kernel, halve):
    model, w = build(
        lambda one, x: equalized.convolution(
            one, x, 4, kernel, "x", gain=0.5, halve=halve, clamp=1.0
        ),
        (6, 8, 3),
    )
    x = normal(2, 6, 8, 3)
    scaled = w["weight"] / np.sqrt(kernel**2 * 3)
    for image, actual in zip(x, np.asarray(model(x)), strict=True):
        if not halve:
            y = correlate(pad(image, kernel // 2), scaled)
        else:
            y = correlate(low_pass(image, kernel // 2 + 1), scaled, stride=2)
        expected = 0.5 * np.clip(leaky(y + w["bias"]), -1, 1)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_styles_scale_the_kernel_for_each_image(double):
    sides = (8, 12) if double else (4, 6)
    model, w = build(
        lambda one, x, style, noise: equalized.modulated_convolution(
            one, x, style, 5, "x", noise, double=double
        ),
        *((4, 6, 3), (7,), (*sides, 1)),
    )
    x, style, noise = normal(2, 4, 6, 3), normal(2, 7), normal(2, *sides, 1)
    scales = style @ w["affine_weight"] / np.sqrt(7) + w["affine_bias"]
    for n, actual in enumerate(np.asarray(model([x, style, noise]))):
        kernel = w["weight"] * scales[n][:, None]
        kernel = kernel / np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
        if double:
            y = 4 * low_pass(insert_zeros_and_convolve(x[n], kernel), 1)
        else:
            y = correlate(pad(x[n], 1), kernel)
        expected = leaky(y + w["noise_strength"] * noise[n] + w["bias"])
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_images_are_modulated_without_demodulation():
    model, w = build(
        lambda one, x, style: equalized.to_image(one, x, style, 3, "x", clamp=2.0), (4, 6, 5), (7,)
    )
    x, style = normal(2, 4, 6, 5), normal(2, 7)
    scales = style @ w["affine_weight"] / np.sqrt(7) + w["affine_bias"]
    y = (x * scales[:, None, None] / np.sqrt(5)) @ w["weight"][0, 0] + w["bias"]
    np.testing.assert_allclose(model([x, style]), np.clip(y, -2, 2), rtol=1e-5, atol=1e-5)


def test_images_are_doubled_by_zeros_and_a_filter():
    x = normal(2, 3, 5, 4)
    for image, actual in zip(x, np.asarray(equalized.double_image(x)), strict=True):
        spread = np.zeros((6, 10, 4))
        spread[::2, ::2] = image
        # Two pixels before the first and one after the last.
        expected = 4 * low_pass(np.pad(spread, ((1, 0), (1, 0), (0, 0))), 1)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 2), (3, 4), (1, 4)])
def test_deviation_is_that_of_images_a_number_of_groups_apart(count, group):
    x = normal(count, 2, 3, 4)
    result = np.asarray(equalized.append_group_deviation(x, group))
    groups = max(count // group, 1)
    for n in range(count):
        same = x[n % groups :: groups]
        deviation = np.sqrt(same.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(result[n, ..., 4], deviation, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[..., :4], x)


def test_groups_are_larger_where_the_batch_is_no_multiple():
    x = normal(7, 2, 2, 1)
    result = np.asarray(equalized.append_group_deviation(x, 3))[..., 1]
    for first, members in ((0, x[[0, 2, 4, 6]]), (1, x[[1, 3, 5]])):
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(result[first::2], expected, rtol=1e-5)


def test_vectors_are_scaled_to_a_mean_square_of_1():
    x = 5 * normal(3, 7)
    expected = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(equalized.normalize(x), expected, rtol=1e-5)
