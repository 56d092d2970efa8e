import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.base_params import Params, check_params
from ganvas.errors import GanvasError
from ganvas.training.losses import LOSSES, LossParams, decision_threshold, make_loss

REAL = np.array([[1.5], [-0.2], [0.7]])
FAKE = np.array([[-3.0], [0.4], [1.1]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log(x):
    return np.log(x)


PAPERS = {
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
# By hand, for real logits 2 and 0 and generated ones 0 and -2; ln 2 = .693147,
# ln(1 + e^-2) = .126928, ln(1 + e^2) = 2.126928.
BY_HAND = {
    "non_saturating": (0.820075, 1.410038),
    "hinge": (1.0, 1.0),  # (0 + 1)/2 + (1 + 0)/2 and -(0 - 2)/2
    "least_squares": (1.5, 2.5),  # (1 + 1)/4 + (0 + 4)/4 and (1 + 9)/4
    "wasserstein": (-2.0, 1.0),  # -1 - 1
    "relativistic": (0.126928, 2.126928),  # both pairs lie 2 apart
}
SIDES = ["discriminator", "generator"]
EACH = pytest.mark.parametrize(("name", "side"), [(n, s) for n in LOSSES for s in SIDES])


def float32(*arrays):
    return [np.asarray(array, np.float32) for array in arrays]


@EACH
def test_a_loss_is_the_closed_form_of_its_paper(name, side):
    loss = getattr(LOSSES[name], side)(*float32(REAL, FAKE))
    assert float(loss) == pytest.approx(PAPERS[name][SIDES.index(side)](REAL, FAKE), rel=1e-6)


@EACH
def test_a_loss_has_the_value_worked_out_by_hand(name, side):
    loss = getattr(LOSSES[name], side)(*float32([[2], [0]], [[0], [-2]]))
    assert float(loss) == pytest.approx(BY_HAND[name][SIDES.index(side)], abs=1e-5)


@EACH
def test_gradients_agree_with_finite_differences(name, side):
    paper, step = PAPERS[name][SIDES.index(side)], 1e-6
    logits = [tf.constant(x, "float32") for x in (REAL, FAKE)]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = getattr(LOSSES[name], side)(*logits)
    gradients = tape.gradient(loss, logits, unconnected_gradients="zero")
    for number, gradient in enumerate(gradients):
        for place in np.ndindex(REAL.shape):
            pair = [[REAL.copy(), FAKE.copy()] for _ in range(2)]
            pair[0][number][place] += step
            pair[1][number][place] -= step
            expected = (paper(*pair[0]) - paper(*pair[1])) / (2 * step)
            assert float(gradient[place]) == pytest.approx(expected, abs=1e-5)


@EACH
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_logits_have_finite_losses_and_gradients(name, side, sign):
    logits = [tf.constant([[1e4 * sign]]), tf.constant([[-1e4 * sign]])]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = getattr(LOSSES[name], side)(*logits)
    gradients = tape.gradient(loss, logits, unconnected_gradients="zero")
    assert np.isfinite(loss) and np.isfinite(gradients).all()


def test_extreme_logits_cost_what_they_should():
    far = np.array([[1e4]], np.float32)
    assert float(LOSSES["non_saturating"].generator(far, -far)) == 1e4
    assert float(LOSSES["non_saturating"].discriminator(far, -far)) == 0
    assert float(LOSSES["relativistic"].discriminator(-far, far)) == 2e4
    assert float(LOSSES["relativistic"].generator(-far, far)) == 0


@EACH
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_logits_are_computed_in_float32(name, side, dtype):
    # 300² and a sum of 400 such logits are beyond float16; 300.25 is beyond bfloat16's precision.
    real, fake = (keras.ops.full((400, 1), x, dtype) for x in (2.5, 300))
    loss = getattr(LOSSES[name], side)(real, fake)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    long = getattr(LOSSES[name], side)(*(keras.ops.cast(x, "float32") for x in (real, fake)))
    assert np.isfinite(float(loss)) and float(loss) == float(long)


def test_logits_may_have_any_shape():
    rng = np.random.default_rng(0)
    real, fake = float32(*rng.normal(size=(2, 4, 3, 3, 1)))
    for name, loss in LOSSES.items():
        for side, paper in zip(SIDES, PAPERS[name], strict=True):
            assert float(getattr(loss, side)(real, fake)) == pytest.approx(
                paper(real, fake), rel=1e-5
            )


def test_smoothing_moves_the_label_of_real_images_alone():
    s = 0.1
    cross_entropy = -(1 - s) * log(sigmoid(REAL)) - s * log(1 - sigmoid(REAL))
    expected = cross_entropy.mean() - log(1 - sigmoid(FAKE)).mean()
    loss = make_loss(LossParams(label_smoothing=s))
    assert float(loss.discriminator(*float32(REAL, FAKE))) == pytest.approx(expected, rel=1e-6)
    expected = ((REAL - 0.9) ** 2).mean() / 2 + (FAKE**2).mean() / 2
    loss = make_loss(LossParams(name="least_squares", label_smoothing=s))
    assert float(loss.discriminator(*float32(REAL, FAKE))) == pytest.approx(expected, rel=1e-6)
    assert loss.generator is LOSSES["least_squares"].generator


def test_noise_lowers_every_label_by_an_amount_of_its_own():
    zeros = np.zeros((20_000, 1), np.float32)
    drawn = []

    def note(real, fake, real_labels, fake_labels):
        drawn.extend([real_labels, fake_labels])
        return 0.0

    params = LossParams(label_noise=0.2, label_smoothing=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOSSES, params.name, LOSSES[params.name]._replace(discriminator=note))
        make_loss(params, keras.random.SeedGenerator(5)).discriminator(zeros, zeros)
    for labels, top in zip(map(np.asarray, drawn), (0.9, 0.0), strict=True):
        assert labels.shape == zeros.shape
        assert labels.max() == pytest.approx(top, abs=1e-3)
        assert labels.min() == pytest.approx(top - 0.2, abs=1e-3)
        assert labels.mean() == pytest.approx(top - 0.1, abs=2e-3)
    assert (np.asarray(drawn[0]) - 0.9 != np.asarray(drawn[1])).mean() > 0.99


def test_labels_of_their_own_weigh_each_logit():
    labels = np.linspace(0.7, 1.1, len(REAL))[:, None]
    real, fake = np.reshape(REAL, (-1, 1)), np.reshape(FAKE, (-1, 1))
    cross = -labels * log(sigmoid(real)) - (1 - labels) * log(1 - sigmoid(real))
    expected = cross.mean() - log(1 - sigmoid(fake)).mean()
    given = LOSSES["non_saturating"].discriminator(*float32(real, fake, labels))
    assert float(given) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_can_be_chosen_by_name(name):
    assert make_loss(LossParams(name=name)) == LOSSES[name]


@pytest.mark.parametrize("name", ["hinge", "wasserstein", "relativistic"])
def test_smoothing_is_refused_where_there_are_no_labels(name):
    class Train(Params):
        loss: LossParams = LossParams()

    assert check_params(Train, {"loss": {"name": name, "label_smoothing": 0}}).loss.name == name
    with pytest.raises(GanvasError) as caught:
        check_params(Train, {"loss": {"name": name, "label_smoothing": 0.1}})
    assert str(caught.value) == (
        f"Parameter 'loss.label_smoothing' can't be 0.1: the {name} loss has no labels to change; "
        "take 0, or non_saturating or least_squares."
    )


def test_an_unknown_loss_is_the_only_complaint():
    with pytest.raises(GanvasError) as caught:
        check_params(LossParams, {"name": "hing", "label_smoothing": 0.1})
    assert "'name'" in str(caught.value) and "smooth" not in str(caught.value)


def test_what_might_be_either_lies_at_the_boundary():
    params = LossParams(name="non_saturating", label_smoothing=0.2, label_noise=0.1)
    loss = make_loss(params, keras.random.SeedGenerator(0)).discriminator
    logits = np.linspace(-1.5, 0.5, 201, dtype=np.float32)
    # Of an image that is as often real as generated one logit is the best.
    paid = [float(loss(both, both)) for each in logits for both in [np.full((4000, 1), each)]]
    assert decision_threshold(params) == pytest.approx(logits[np.argmin(paid)], abs=0.1)
    assert decision_threshold(params) == pytest.approx(np.log(0.35 / 0.65))


def test_a_perfect_discriminator_is_right_on_both_sides_of_the_boundary():
    params = LossParams(name="least_squares", label_smoothing=0.2, label_noise=0.1)
    loss = make_loss(params, keras.random.SeedGenerator(0)).discriminator
    # Of constants the loss is lowest at the means of its labels: what perfect logits are.
    logits = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    many = [np.full((4000, 1), each, np.float32) for each in logits]
    real = logits[np.argmin([float(loss(each, np.zeros((4000, 1)))) for each in many])]
    fake = logits[np.argmin([float(loss(np.full((4000, 1), real), each)) for each in many])]
    assert decision_threshold(params) == pytest.approx((real + fake) / 2, abs=0.03)
    assert decision_threshold(LossParams(name="least_squares")) == 0.5
    assert {decision_threshold(LossParams(name=name)) for name in ("hinge", "non_saturating")} == {
        0
    }
    assert decision_threshold(LossParams(name="relativistic")) is None
