import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.fused_ops import FusedAdam, FusedBatchNormalization, with_fused_norms

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
