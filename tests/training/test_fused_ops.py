import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.backbones.efficientnet import build_pyramid
from ganvas.training.fused_ops import (
    ConstantConvolution,
    FusedAdam,
    FusedBatchNormalization,
    with_constant_weights,
    with_fused_norms,
)

IMAGES = np.random.default_rng(0).normal(2, 3, (6, 5, 4, 3)).astype(np.float32)


def make_norm(policy: str = "float32", **options) -> tuple[keras.Model, keras.Layer]:
    """Build a network of one batch norm with weights other than the initial ones, and the norm."""
    norm = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, dtype=policy, **options)
    inputs = keras.Input((5, 4, 3))
    network = keras.Model(inputs, norm(inputs))
    if norm.scale:
        norm.gamma.assign([1.0, 2.0, -1.0])
    if norm.center:
        norm.beta.assign([0.5, 0.0, 3.0])
    return network, norm


def run_step(model: keras.Model, norm: keras.Layer) -> list[np.ndarray]:
    """Return output and gradients of a training step, the weights after it, then inference."""
    with tf.GradientTape() as tape:
        x = tf.constant(IMAGES)
        tape.watch(x)
        y = model(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    gradients = tape.gradient(loss, [x, *(variable.value for variable in norm.trainable_variables)])
    return [y, *gradients, *norm.get_weights(), model(IMAGES, training=False)]


@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, False), (False, True)])
def test_a_fused_norm_agrees_with_the_plain_one(scale, center):
    network, norm = make_norm(scale=scale, center=center)
    fused_network, start = with_fused_norms(network), norm.get_weights()
    assert any(isinstance(layer, FusedBatchNormalization) for layer in fused_network.layers)
    plain = run_step(network, norm)
    norm.set_weights(start)
    for expected, actual in zip(plain, run_step(fused_network, norm), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_fused_norm_in_mixed_precision_keeps_weights_and_statistics_in_float32(policy):
    network, norm = make_norm(policy)
    fused_network, start = with_fused_norms(network), norm.get_weights()
    plain = run_step(network, norm)
    norm.set_weights(start)
    fused = run_step(fused_network, norm)
    assert {str(weight.dtype) for weight in norm.variables} == {"float32"}
    # The same inputs, rounded to half precision, with statistics computed in float32 by both.
    for a, b in zip(plain[4:-1], fused[4:-1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    for a, b in zip(plain[:4], fused[:4], strict=True):
        a, b = (np.asarray(tf.cast(values, "float32")) for values in (a, b))
        assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(a)


def test_a_norm_that_the_kernel_does_not_support_is_not_replaced():
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    assert not any(
        isinstance(layer, FusedBatchNormalization) for layer in with_fused_norms(network).layers
    )


def test_statistics_are_not_updated_if_disabled():
    network, norm = make_norm()
    fused_network = with_fused_norms(network, update_statistics=False)
    statistics = [array.copy() for array in norm.get_weights()[2:]]
    y = fused_network(IMAGES, training=True)
    for actual, expected in zip(norm.get_weights()[2:], statistics, strict=True):
        np.testing.assert_array_equal(actual, expected)
    np.testing.assert_allclose(y, network(IMAGES, training=True), atol=2e-4)


def test_a_layer_that_is_used_in_two_networks_is_fused_in_both():
    network, norm = make_norm()
    inputs = keras.Input((5, 4, 3))
    second = keras.Model(inputs, norm(inputs))
    for model in (network, second):
        (fused,) = [x for x in with_fused_norms(model).layers if hasattr(x, "norm")]
        assert fused.norm is norm


def run_with_gradient(network: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """Return the outputs, and the gradient by the images of their sum with fixed weights."""
    rng = np.random.default_rng(5)
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        outputs = [tf.cast(y, "float32") for y in tf.nest.flatten(network(x))]
        loss = sum(tf.reduce_sum(y * rng.normal(size=y.shape).astype("f")) for y in outputs)
    return [np.asarray(y) for y in [*outputs, tape.gradient(loss, x)]]


def assert_constant_weights_change_nothing(
    network: keras.Model, images: np.ndarray, tolerance: float
) -> list[ConstantConvolution]:
    """Compare outputs and gradients, relative to their size; return the constant layers."""
    constant = with_constant_weights(network)
    run = tf.function(lambda x: constant(x))
    expected = run_with_gradient(network, images)
    in_a_graph = tf.nest.flatten(run(images))
    assert len(expected) == len(in_a_graph) + 1
    for actual in (run_with_gradient(constant, images), in_a_graph):
        for a, b in zip(actual, expected, strict=False):
            a = np.asarray(tf.cast(a, "float32"))
            assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)
    return [layer for layer in constant.layers if isinstance(layer, ConstantConvolution)]


@pytest.mark.slow
def test_the_backbone_with_constant_weights_agrees_with_itself():
    backbone = build_pyramid("lite0", (32, 32, 3))
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    constant = assert_constant_weights_change_nothing(backbone, images, 1e-4)
    plain = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    assert len(constant) == sum(isinstance(layer, plain) for layer in backbone.layers) > 40


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03), ("mixed_float16", 0.01)]
)
def test_plain_convolutions_of_any_kind_become_constant(policy, tolerance):
    options = {"padding": "same", "bias_initializer": "random_normal", "dtype": policy}
    x = inputs = keras.Input((12, 12, 3))
    chosen = [
        keras.layers.Conv2D(8, 3, activation="tanh", **options),
        keras.layers.Conv2D(6, 1, use_bias=False, **options),
        keras.layers.DepthwiseConv2D(3, strides=2, activation="tanh", **options),
        # A matrix product, of maps of at most 8×8.
        keras.layers.Conv2D(5, 1, activation="tanh", **options),
        keras.layers.DepthwiseConv2D(5, depth_multiplier=2, use_bias=False, **options),
        keras.layers.Conv2D(4, 1, strides=2, **options),
    ]
    for layer in chosen:
        x = layer(x)
    network = keras.Model(inputs, [chosen[1].output, x])
    images = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    constant = assert_constant_weights_change_nothing(network, images, tolerance)
    assert [layer.convolution for layer in constant] == chosen
    assert {layer.compute_dtype for layer in constant} == {policy.removeprefix("mixed_")}


def test_other_layers_are_shared():
    x = inputs = keras.Input((12, 12, 4))
    shared = [
        keras.layers.Conv2D(4, 3, padding="valid"),
        keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2),
        keras.layers.Conv2D(4, 3, padding="same", groups=2),
        keras.layers.BatchNormalization(),
        keras.layers.Conv2DTranspose(4, 3, padding="same"),
        keras.layers.SeparableConv2D(4, 3, padding="same"),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    ]
    for layer in shared:
        x = layer(x)
    network = keras.Model(inputs, x)
    constant = with_constant_weights(network)
    assert constant.layers[1:] == shared
    images = np.random.default_rng(0).normal(size=(2, 12, 12, 4)).astype(np.float32)
    shared[-1].bias.assign([1.0, -2.0])
    np.testing.assert_array_equal(constant(images), network(images))


def run_adam(optimizer: keras.Optimizer, gradients: np.ndarray, **options) -> np.ndarray:
    """Return a variable after some updates."""
    variable = keras.Variable(np.full(gradients.shape[1:], 0.3), dtype="float32")
    optimizer.build([variable])

    @tf.function(**options)
    def step(gradient):
        optimizer.apply([gradient], [variable])

    for gradient in gradients:
        step(tf.constant(gradient, "float32"))
    return variable.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_fused_adam_agrees_with_adam(compiled, scaled):
    gradients = np.random.default_rng(0).normal(size=(10, 4, 3))
    results = []
    for optimizer_class in (keras.optimizers.Adam, FusedAdam):
        optimizer = optimizer_class(0.03, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
        results.append(run_adam(optimizer, gradients, jit_compile=compiled))
    np.testing.assert_allclose(*results, rtol=1e-5)
    assert np.abs(results[0] - 0.3).max() > 0.05


def test_fused_adam_follows_a_schedule_by_its_iterations():
    gradients = np.random.default_rng(1).normal(size=(6, 4, 3))
    results = []
    for optimizer_class in (keras.optimizers.Adam, FusedAdam):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.03, 2, 0.1, staircase=True)
        optimizer = optimizer_class(schedule, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        results.append(run_adam(optimizer, gradients))
        assert int(optimizer.iterations) == 6
    np.testing.assert_allclose(*results, rtol=1e-5)
