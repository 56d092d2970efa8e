import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.config import LossParams
from ganvas.training.losses import (
    LOSSES,
    interpolate,
    lecam_penalty,
    make_loss,
    moving_average,
    one_centered_penalty,
    zero_centered_penalty,
)

# --- Adversarial losses -----------------------------------------------------------------------

REAL = np.array([[1.5], [-0.2], [0.7]])
FAKE = np.array([[-3.0], [0.4], [1.1]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log(x):
    return np.log(x)


FORMULAS = {
    "non_saturating": (
        lambda r, f: -log(sigmoid(r)).mean() - log(1 - sigmoid(f)).mean(),
        lambda r, f: -log(sigmoid(f)).mean(),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        lambda r, f: -log(sigmoid(r - f)).mean(),
        lambda r, f: -log(sigmoid(f - r)).mean(),
    ),
}
# By hand, for real logits 2 and 0 and fake logits 0 and -2; ln 2 = .693147,
# ln(1 + e^-2) = .126928, ln(1 + e^2) = 2.126928.
BY_HAND = {
    "non_saturating": (0.820075, 1.410038),
    "hinge": (1.0, 1.0),  # (0 + 1)/2 + (1 + 0)/2 and -(0 - 2)/2
    "least_squares": (1.5, 2.5),  # (1 + 1)/4 + (0 + 4)/4 and (1 + 9)/4
    "wasserstein": (-2.0, 1.0),  # -1 - 1
    "relativistic": (0.126928, 2.126928),  # both pairs are 2 apart
}
NETWORKS = ["discriminator", "generator"]
for_each_loss = pytest.mark.parametrize(
    ("name", "network"), [(name, network) for name in LOSSES for network in NETWORKS]
)


def float32(*arrays):
    return [np.asarray(array, np.float32) for array in arrays]


@for_each_loss
def test_a_loss_is_the_formula_of_its_paper(name, network):
    loss = getattr(LOSSES[name], network)(*float32(REAL, FAKE))
    expected = FORMULAS[name][NETWORKS.index(network)](REAL, FAKE)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@for_each_loss
def test_a_loss_has_the_precomputed_value(name, network):
    loss = getattr(LOSSES[name], network)(*float32([[2], [0]], [[0], [-2]]))
    assert float(loss) == pytest.approx(BY_HAND[name][NETWORKS.index(network)], abs=1e-5)


@for_each_loss
def test_gradients_agree_with_finite_differences(name, network):
    formula, step = FORMULAS[name][NETWORKS.index(network)], 1e-6
    logits = [tf.constant(x, "float32") for x in (REAL, FAKE)]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = getattr(LOSSES[name], network)(*logits)
    gradients = tape.gradient(loss, logits, unconnected_gradients="zero")
    for argument, gradient in enumerate(gradients):
        for index in np.ndindex(REAL.shape):
            above, below = [[REAL.copy(), FAKE.copy()] for _ in range(2)]
            above[argument][index] += step
            below[argument][index] -= step
            expected = (formula(*above) - formula(*below)) / (2 * step)
            assert float(gradient[index]) == pytest.approx(expected, abs=1e-5)


@for_each_loss
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_logits_have_finite_losses_and_gradients(name, network, sign):
    logits = [tf.constant([[1e4 * sign]]), tf.constant([[-1e4 * sign]])]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = getattr(LOSSES[name], network)(*logits)
    gradients = tape.gradient(loss, logits, unconnected_gradients="zero")
    assert np.isfinite(loss) and np.isfinite(gradients).all()


def test_losses_of_extreme_logits_are_exact():
    extreme = np.array([[1e4]], np.float32)
    assert float(LOSSES["non_saturating"].generator(extreme, -extreme)) == 1e4
    assert float(LOSSES["non_saturating"].discriminator(extreme, -extreme)) == 0
    assert float(LOSSES["relativistic"].discriminator(-extreme, extreme)) == 2e4
    assert float(LOSSES["relativistic"].generator(-extreme, extreme)) == 0


@for_each_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_of_half_precision_logits_are_computed_in_float32(name, network, dtype):
    # 300² and a sum of 400 such logits are beyond float16; 300.25 is beyond bfloat16's precision.
    real, fake = (keras.ops.full((400, 1), x, dtype) for x in (2.5, 300))
    loss = getattr(LOSSES[name], network)(real, fake)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    expected = getattr(LOSSES[name], network)(*(keras.ops.cast(x, "float32") for x in (real, fake)))
    assert np.isfinite(float(loss)) and float(loss) == float(expected)


def test_logits_may_have_any_shape():
    rng = np.random.default_rng(0)
    real, fake = float32(*rng.normal(size=(2, 4, 3, 3, 1)))
    for name, loss in LOSSES.items():
        for network, formula in zip(NETWORKS, FORMULAS[name], strict=True):
            assert float(getattr(loss, network)(real, fake)) == pytest.approx(
                formula(real, fake), rel=1e-5
            )


def test_label_smoothing_changes_the_labels_of_real_images_only():
    s = 0.1
    cross_entropy = -(1 - s) * log(sigmoid(REAL)) - s * log(1 - sigmoid(REAL))
    expected = cross_entropy.mean() - log(1 - sigmoid(FAKE)).mean()
    loss = make_loss(LossParams(label_smoothing=s))
    assert float(loss.discriminator(*float32(REAL, FAKE))) == pytest.approx(expected, rel=1e-6)
    expected = ((REAL - 0.9) ** 2).mean() / 2 + (FAKE**2).mean() / 2
    loss = make_loss(LossParams(name="least_squares", label_smoothing=s))
    assert float(loss.discriminator(*float32(REAL, FAKE))) == pytest.approx(expected, rel=1e-6)
    assert loss.generator is LOSSES["least_squares"].generator


def test_lower_labels_make_the_margins_of_the_hinge_loss_smaller():
    labels = np.array([0.8, 0.9]), np.array([-0.2, 0.0])
    real, fake = np.array([0.85, -3.0]), np.array([-0.7, 2.0])
    loss = float(LOSSES["hinge"].discriminator(*float32(real, fake, *labels)))
    assert loss == pytest.approx((0.0 + 3.9) / 2 + (0.1 + 3.0) / 2, rel=1e-6)


def test_label_noise_lowers_each_label_independently():
    zeros = np.zeros((20_000, 1), np.float32)
    labels = []

    def record_labels(real, fake, real_labels, fake_labels):
        labels.extend([real_labels, fake_labels])
        return 0.0

    params = LossParams(label_noise=0.2, label_smoothing=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            LOSSES, params.name, LOSSES[params.name]._replace(discriminator=record_labels)
        )
        make_loss(params, keras.random.SeedGenerator(5)).discriminator(zeros, zeros)
    for values, highest in zip(map(np.asarray, labels), (0.9, 0.0), strict=True):
        assert values.shape == zeros.shape
        assert values.max() == pytest.approx(highest, abs=1e-3)
        assert values.min() == pytest.approx(highest - 0.2, abs=1e-3)
        assert values.mean() == pytest.approx(highest - 0.1, abs=2e-3)
    assert (np.asarray(labels[0]) - 0.9 != np.asarray(labels[1])).mean() > 0.99


def test_labels_may_differ_interpolated_logits():
    labels = np.linspace(0.7, 1.1, len(REAL))[:, None]
    real, fake = np.reshape(REAL, (-1, 1)), np.reshape(FAKE, (-1, 1))
    cross_entropy = -labels * log(sigmoid(real)) - (1 - labels) * log(1 - sigmoid(real))
    expected = cross_entropy.mean() - log(1 - sigmoid(fake)).mean()
    loss = LOSSES["non_saturating"].discriminator(*float32(real, fake, labels))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_make_loss_returns_the_loss_of_that_name(name):
    assert make_loss(LossParams(name=name)) == LOSSES[name]


# --- Regularization ---------------------------------------------------------------------------

SHAPE = (4, 3, 2, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, SHAPE).astype(np.float32)
GRADIENT = RNG.normal(size=SHAPE[1:]).astype(np.float32)


def gradient_of(discriminator, images):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(discriminator(x))
    return tape.gradient(total, x)


def linear(x):
    """D(x) = <GRADIENT, x>: the gradient is GRADIENT at every image."""
    return tf.reduce_sum(x * GRADIENT, axis=(1, 2, 3))


def quadratic(x):
    """D(x) = ‖x‖²: the gradient is 2x."""
    return tf.reduce_sum(x**2, axis=(1, 2, 3))


def test_zero_centered_penalty_of_discriminators_with_known_gradients():
    squared = (GRADIENT.astype(float) ** 2).sum()
    assert float(zero_centered_penalty(gradient_of(linear, IMAGES))) == pytest.approx(squared)
    expected = np.mean([4 * (image.astype(float) ** 2).sum() for image in IMAGES])
    assert float(zero_centered_penalty(gradient_of(quadratic, IMAGES))) == pytest.approx(expected)


def test_one_centered_penalty_of_discriminators_with_known_gradients():
    expected = (np.linalg.norm(GRADIENT.ravel().astype(float)) - 1) ** 2
    assert float(one_centered_penalty(gradient_of(linear, IMAGES))) == pytest.approx(expected)
    norms = [2 * np.linalg.norm(image.ravel().astype(float)) for image in IMAGES]
    expected = np.mean([(norm - 1) ** 2 for norm in norms])
    assert float(one_centered_penalty(gradient_of(quadratic, IMAGES))) == pytest.approx(expected)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("penalty", [zero_centered_penalty, one_centered_penalty])
def test_a_penalty_has_a_finite_gradient_where_the_discriminator_is_constant(penalty, compiled):
    # Compiled too: TensorFlow's own kernel takes 0 · infinity for 0 where XLA does not.
    @tf.function(jit_compile=compiled)
    def differentiate(gradient):
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            value = penalty(gradient)
        return value, tape.gradient(value, gradient)

    value, gradient = differentiate(
        tf.constant(np.stack([np.zeros(SHAPE[1:], np.float32), GRADIENT]))
    )
    norm = np.linalg.norm(GRADIENT)
    if penalty is zero_centered_penalty:
        expected, expected_gradient = (0 + norm**2) / 2, GRADIENT
    else:
        expected, expected_gradient = (1 + (norm - 1) ** 2) / 2, (1 - 1 / norm) * GRADIENT
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(gradient[0], 0)
    np.testing.assert_allclose(gradient[1], expected_gradient, rtol=1e-5)


@pytest.mark.parametrize("penalty", [zero_centered_penalty, one_centered_penalty])
def test_penalties_of_half_precision_gradients_are_computed_in_float32(penalty):
    gradient = np.full((2, 4, 4, 3), 300, np.float16)
    value = penalty(keras.ops.convert_to_tensor(gradient))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == pytest.approx(float(penalty(gradient.astype(np.float32))))


def test_interpolated_images_lie_between_their_pairs():
    real, fake = np.ones((500, 2, 2, 3), np.float32), np.full((500, 2, 2, 3), -1, np.float32)
    interpolated = np.asarray(interpolate(real, fake, keras.random.SeedGenerator(1)))
    assert interpolated.dtype == np.float32
    # One share for all values of an image, uniform over images.
    assert (interpolated == interpolated[:, :1, :1, :1]).all()
    shares = (interpolated[:, 0, 0, 0] + 1) / 2
    assert shares.min() >= 0 and shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.std() == pytest.approx(12**-0.5, abs=0.03)
    repeated = interpolate(real, fake, keras.random.SeedGenerator(1))
    np.testing.assert_array_equal(repeated, interpolated)


def test_interpolation_keeps_equal_images_and_the_dtype():
    images = keras.ops.cast(IMAGES, "bfloat16")
    interpolated = interpolate(images, images, keras.random.SeedGenerator(0))
    assert keras.backend.standardize_dtype(interpolated.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(interpolated, "float32"), IMAGES, atol=0.02)


def test_interpolation_takes_batches_of_unknown_size():
    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE[1:]))])
    def interpolate_with_itself(images):
        return interpolate(images, images, seed)

    seed = keras.random.SeedGenerator(0)
    np.testing.assert_allclose(interpolate_with_itself(IMAGES), IMAGES, atol=1e-6)


def test_lecam_penalty_agrees_with_numpy():
    real, fake = RNG.normal(size=(2, 6, 1))
    real_ema, fake_ema = 0.5, -0.3
    expected = np.mean([max(0.0, float(x) - fake_ema) ** 2 for x in real[:, 0]])
    expected += np.mean([max(0.0, real_ema - float(x)) ** 2 for x in fake[:, 0]])
    value = lecam_penalty(*(np.float32(x) for x in (real, fake, real_ema, fake_ema)))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_lecam_penalty_lowers_real_logits_and_raises_fake_ones():
    logits = [tf.constant([[2.0]]), tf.constant([[-2.0]])]
    emas = [tf.constant(1.0), tf.constant(-1.0)]
    with tf.GradientTape() as tape:
        tape.watch(logits + emas)
        value = lecam_penalty(*logits, *emas)
    real, fake, *ema_gradients = tape.gradient(value, logits + emas)
    assert float(value) == 18 and float(real[0, 0]) == 6 and float(fake[0, 0]) == -6
    assert ema_gradients == [None, None]
    assert float(lecam_penalty([[-2.0]], [[2.0]], 1.0, -1.0)) == 0


def test_a_moving_average_follows_its_decay_without_a_gradient():
    assert float(moving_average(2.0, 4.0, 0.75)) == pytest.approx(0.75 * 2 + 0.25 * 4)
    assert float(moving_average(1e30, 4.0, 0.0)) == 4
    value = tf.constant(4.0)
    with tf.GradientTape() as tape:
        tape.watch(value)
        average = moving_average(2.0, value, 0.5)
    assert tape.gradient(average, value) is None
