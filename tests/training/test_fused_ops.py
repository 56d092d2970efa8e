import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.fused_ops import FusedAdam, FusedBatchNormalization, with_fused_norms

IMAGES = np.random.default_rng(0).normal(2, 3, (6, 5, 4, 3)).astype(np.float32)


def make_norm(policy: str = "float32", **options) -> tuple[keras.Model, keras.Layer]:
    """A network of one batch norm with weights of its own, and that norm."""
    norm = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, dtype=policy, **options)
    inputs = keras.Input((5, 4, 3))
    network = keras.Model(inputs, norm(inputs))
    if norm.scale:
        norm.gamma.assign([1.0, 2.0, -1.0])
    if norm.center:
        norm.beta.assign([0.5, 0.0, 3.0])
    return network, norm


def answer(model: keras.Model, norm: keras.Layer) -> list[np.ndarray]:
    """What a step of training gives and leaves: output, gradients, weights, then inference."""
    with tf.GradientTape() as tape:
        x = tf.constant(IMAGES)
        tape.watch(x)
        y = model(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    gradients = tape.gradient(loss, [x, *(each.value for each in norm.trainable_variables)])
    return [y, *gradients, *norm.get_weights(), model(IMAGES, training=False)]


@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, False), (False, True)])
def test_a_fused_norm_does_what_the_plain_one_does(scale, center):
    network, norm = make_norm(scale=scale, center=center)
    twin, start = with_fused_norms(network), norm.get_weights()
    assert any(isinstance(layer, FusedBatchNormalization) for layer in twin.layers)
    plain = answer(network, norm)
    norm.set_weights(start)
    for one, other in zip(plain, answer(twin, norm), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_fused_norm_in_half_precision_keeps_its_weights_and_moments_in_float32(policy):
    network, norm = make_norm(policy)
    twin, start = with_fused_norms(network), norm.get_weights()
    plain = answer(network, norm)
    norm.set_weights(start)
    fused = answer(twin, norm)
    assert {str(weight.dtype) for weight in norm.variables} == {"float32"}
    # The same inputs, rounded to half precision, with moments computed in float32 by both.
    for one, other in zip(plain[4:-1], fused[4:-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    for one, other in zip(plain[:4], fused[:4], strict=True):
        one, other = (np.asarray(tf.cast(values, "float32")) for values in (one, other))
        assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(one)


def test_a_norm_that_the_kernel_cannot_do_is_left_as_it_is():
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    assert not any(
        isinstance(layer, FusedBatchNormalization) for layer in with_fused_norms(network).layers
    )


def test_averages_stay_where_they_are_if_asked():
    network, norm = make_norm()
    twin = with_fused_norms(network, averages=False)
    moments = [array.copy() for array in norm.get_weights()[2:]]
    y = twin(IMAGES, training=True)
    for one, other in zip(norm.get_weights()[2:], moments, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(y, network(IMAGES, training=True), atol=2e-4)


def test_a_network_of_a_layer_that_is_used_twice_has_a_twin_too():
    network, norm = make_norm()
    other = keras.Input((5, 4, 3))
    again = keras.Model(other, norm(other))
    for model in (network, again):
        (fused,) = [x for x in with_fused_norms(model).layers if hasattr(x, "norm")]
        assert fused.norm is norm


def run_adam(optimizer: keras.Optimizer, gradients: np.ndarray, **options) -> np.ndarray:
    variable = keras.Variable(np.full(gradients.shape[1:], 0.3), dtype="float32")
    optimizer.build([variable])

    @tf.function(**options)
    def step(gradient):
        optimizer.apply([gradient], [variable])

    for gradient in gradients:
        step(tf.constant(gradient, "float32"))
    return variable.numpy()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_fused_adam_does_what_adam_does(compiled, scaled):
    gradients = np.random.default_rng(0).normal(size=(10, 4, 3))
    ends = []
    for make in (keras.optimizers.Adam, FusedAdam):
        optimizer = make(0.03, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
        ends.append(run_adam(optimizer, gradients, jit_compile=compiled))
    np.testing.assert_allclose(*ends, rtol=1e-5)
    assert np.abs(ends[0] - 0.3).max() > 0.05


def test_fused_adam_follows_a_schedule_by_its_own_count():
    gradients = np.random.default_rng(1).normal(size=(6, 4, 3))
    ends = []
    for make in (keras.optimizers.Adam, FusedAdam):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.03, 2, 0.1, staircase=True)
        optimizer = make(schedule, beta_1=0.5, beta_2=0.99, epsilon=1e-8)
        ends.append(run_adam(optimizer, gradients))
        assert int(optimizer.iterations) == 6
    np.testing.assert_allclose(*ends, rtol=1e-5)
