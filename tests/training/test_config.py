import re

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from ganvas.base_params import Params, check_params
from ganvas.errors import GanvasError
from ganvas.training.config import AugmentParams, LossParams, PenaltyParams, TrainParams
from ganvas.training.losses import make_loss


@pytest.mark.parametrize("name", ["wasserstein", "relativistic"])
def test_label_smoothing_is_refused_for_losses_without_labels(name):
    class Train(Params):
        loss: LossParams = LossParams()

    assert check_params(Train, {"loss": {"name": name, "label_smoothing": 0}}).loss.name == name
    with pytest.raises(GanvasError) as error:
        check_params(Train, {"loss": {"name": name, "label_smoothing": 0.1}})
    assert str(error.value) == (
        f"Parameter 'loss.label_smoothing' can't be 0.1: the {name} loss has no labels to change; "
        "set 0, or use non_saturating, hinge or least_squares."
    )


def test_an_unknown_loss_is_reported_without_further_errors():
    with pytest.raises(GanvasError) as error:
        check_params(LossParams, {"name": "hing", "label_smoothing": 0.1})
    assert "'name'" in str(error.value) and "smooth" not in str(error.value)


@pytest.mark.slow
def test_the_decision_threshold_is_the_best_logit_of_an_image_real_and_fake_alike():
    params = LossParams(name="non_saturating", label_smoothing=0.2, label_noise=0.1)
    loss = make_loss(params, keras.random.SeedGenerator(0)).discriminator
    logits = np.linspace(-1.5, 0.5, 201, dtype=np.float32)
    losses = [float(loss(x, x)) for logit in logits for x in [np.full((4000, 1), logit)]]
    assert params.decision_threshold == pytest.approx(logits[np.argmin(losses)], abs=0.1)
    assert params.decision_threshold == pytest.approx(np.log(0.35 / 0.65))


@pytest.mark.slow
def test_the_decision_threshold_is_the_midpoint_of_a_perfect_discriminators_logits():
    params = LossParams(name="least_squares", label_smoothing=0.2, label_noise=0.1)
    loss = make_loss(params, keras.random.SeedGenerator(0)).discriminator
    # Among constants the loss is lowest at the means of its labels: the perfect logits.
    logits = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    constants = [np.full((4000, 1), logit, np.float32) for logit in logits]
    real = logits[np.argmin([float(loss(x, np.zeros((4000, 1)))) for x in constants])]
    fake = logits[np.argmin([float(loss(np.full((4000, 1), real), x)) for x in constants])]
    assert params.decision_threshold == pytest.approx((real + fake) / 2, abs=0.03)
    assert LossParams(name="least_squares").decision_threshold == 0.5
    assert LossParams(name="hinge", label_noise=0.2).decision_threshold == 0
    assert LossParams(name="hinge", label_smoothing=0.2).decision_threshold == -0.1
    assert LossParams(name="non_saturating").decision_threshold == 0
    assert LossParams(name="relativistic").decision_threshold is None


def test_penalties_are_off_by_default_and_checked():
    params = PenaltyParams()
    assert (params.r1, params.r2, params.wgan_gp, params.lecam) == (0, 0, 0, 0)
    for invalid in ({"r1": -1}, {"interval": 0}, {"lecam_decay": 1}, {"lecam_start": -1}):
        with pytest.raises(ValidationError):
            PenaltyParams(**invalid)


def test_augmentation_has_all_operations_by_default_and_is_checked():
    assert AugmentParams().policy == ("color", "translation", "cutout")
    assert AugmentParams(policy=["cutout"]).policy == ("cutout",)
    for invalid in (
        {"policy": []},
        {"policy": ["blur"]},
        {"target": 1},
        {"speed": 0},
        {"interval": 0},
    ):
        with pytest.raises(ValidationError):
            AugmentParams(**invalid)


def test_the_probability_is_adaptive_or_constant_by_the_name():
    probabilities = {
        "none": (False, 0.0),
        "diffaugment": (False, 1.0),
        "adaptive_diffaugment": (True, 0.0),
        "ada": (True, 0.0),
    }
    for name, expected in probabilities.items():
        params = AugmentParams(name=name)
        assert (params.is_adaptive, params.initial_probability) == expected
    fixed = AugmentParams(name="ada", probability=0.2)
    assert (fixed.is_adaptive, fixed.initial_probability) == (False, 0.2)
    for name in ("none", "diffaugment", "adaptive_diffaugment"):
        with pytest.raises(GanvasError, match=f"probability=0.2 needs name=ada.*is {name}"):
            check_params(AugmentParams, {"name": name, "probability": 0.2})


@pytest.mark.parametrize(
    ("params", "chosen", "words"),
    [
        ({"name": "ada"}, "policy", "name=ada .what earlier versions called ada is adaptive_diff"),
        ({"name": "diffaugment"}, "set", "name=diffaugment: leave it out, or .*name=ada"),
        ({"name": "diffaugment"}, "target", "name=adaptive_diffaugment or ada"),
        ({"name": "adaptive_diffaugment"}, "set", "name=adaptive_diffaugment: leave it out"),
        ({"name": "ada", "probability": 0.3}, "speed", "probability=0.3, which is constant"),
    ],
)
def test_chosen_parameters_of_other_augmentations_are_refused(params, chosen, words):
    augment = AugmentParams(**params)
    augment.check_chosen({"train.augment.name", "train.epochs", "train.loss.name"})
    with pytest.raises(GanvasError, match=f"'train.augment.{chosen}' has no effect.*{words}"):
        augment.check_chosen({"train.augment.name", f"train.augment.{chosen}"})


def test_chosen_parameters_that_count_are_allowed():
    AugmentParams(name="ada").check_chosen({"train.augment.set", "train.augment.target"})
    AugmentParams(name="ada", probability=0).check_chosen({"train.augment.probability"})
    AugmentParams(name="adaptive_diffaugment").check_chosen({"train.augment.policy"})
    AugmentParams(name="none").check_chosen({"train.augment.policy", "train.augment.set"})


def test_ada_is_refused_for_losses_without_a_decision_threshold():
    ada = {"name": "adaptive_diffaugment", "interval": 1, "speed": 100, "policy": ["translation"]}
    with pytest.raises(ValidationError, match="which the relativistic loss does not have"):
        TrainParams(augment=ada, loss={"name": "relativistic"})
    fixed = {"name": "ada", "probability": 0.2}
    assert TrainParams(augment=fixed, loss={"name": "relativistic"}).augment.probability == 0.2


def test_resampled_latents_exclude_simultaneous_updates():
    with pytest.raises(ValueError, match="resample_latents"):
        TrainParams(resample_latents=True, simultaneous_updates=True)


def test_a_run_without_any_limit_is_refused_in_one_sentence():
    no_limit = {"epochs": None, "max_steps": None, "max_minutes": None}
    for limit in ({"epochs": 1}, {"max_steps": 1}, {"max_minutes": 0.1}):
        check_params(TrainParams, no_limit | limit)
    with pytest.raises(GanvasError) as error:
        check_params(TrainParams, no_limit)
    assert str(error.value) == (
        "Parameters don't go together: train.epochs, train.max_steps and train.max_minutes are all "
        "null, so training would never end: set one of them."
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schedule": {"beta_2": 0.99}}, "belongs to the schedule named cosine"),
        ({"schedule": {"name": "step", "ema": True}}, "belongs to the schedule named cosine"),
        (
            {"schedule": {"name": "cosine", "beta_2": 0.9}, "optimizer": {"name": "rmsprop"}},
            "is of Adam",
        ),
        ({"schedule": {"name": "cosine", "ema": True}}, "set train.ema_images"),
        (
            {
                "schedule": {"name": "cosine", "ema": True},
                "ema_decay": 0,
                "ema_images": 100,
                "ema_ramp": 0.05,
            },
            "train.ema_ramp=null",
        ),
    ],
    ids=str,
)
def test_schedules_of_more_than_learning_rates_need_what_they_change(changed, message):
    with pytest.raises(ValidationError, match=message):
        TrainParams(**changed)


def test_a_cosine_schedule_needs_a_last_step():
    by_time = {"schedule": {"name": "cosine"}, "epochs": None, "max_minutes": 5}
    with pytest.raises(GanvasError, match=r"set train\.max_steps or train\.epochs too"):
        check_params(TrainParams, by_time)
    check_params(TrainParams, by_time | {"max_steps": 10})


@pytest.mark.parametrize(
    ("epochs", "max_steps", "total"), [(5, None, 50), (5, 51, 50), (5, 49, 49), (None, 7, 7)]
)
def test_a_run_has_the_steps_of_the_limit_that_comes_first(epochs, max_steps, total):
    assert TrainParams(epochs=epochs, max_steps=max_steps).total_steps(10) == total


def test_a_run_that_only_time_limits_has_no_known_number_of_steps():
    assert TrainParams(epochs=None, max_minutes=1).total_steps(10) is None


@pytest.mark.parametrize("kid_validation", [{"keep": "best"}, {"patience": 3}], ids=str)
def test_kid_validation_needs_an_interval(kid_validation):
    with pytest.raises(ValidationError, match=r"need train\.kid_validation\.interval"):
        TrainParams(kid_validation=kid_validation)
    valid = TrainParams(kid_validation=kid_validation | {"interval": 5})
    assert valid.kid_validation.interval == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"simultaneous_updates": False}, "needs train.simultaneous_updates=true"),
        ({"batch_size": 9}, "train.anchor.every to 1, 3 or 9 or null, or .* a multiple of 2"),
        (
            {"batch_size": 12, "gradient_accumulation_steps": 4},
            "train.anchor.every to 1 or 3 or null, or .* a multiple of 8",
        ),
    ],
)
def test_anchors_need_simultaneous_updates_and_divisible_micro_batches(params, message):
    valid = {"batch_size": 8, "simultaneous_updates": True, "anchor": {"every": 2}}
    TrainParams(**valid).check_anchors()
    with pytest.raises(ValueError, match=message):
        TrainParams(**(valid | params)).check_anchors()


def test_a_batch_that_is_not_divisible_into_micro_batches_is_refused_with_what_divides_it():
    with pytest.raises(ValidationError, match=r"into 4 micro-batches: set .* to 1, 3 or 9"):
        TrainParams(batch_size=9, gradient_accumulation_steps=4)


@pytest.mark.parametrize(
    "params",
    [{"jit_compile": True}, {"steps_per_execution": 2}, {"precision": "mixed_float16"}],
    ids=str,
)
def test_what_several_devices_can_not_do_is_refused_at_once_where_there_are_several(params):
    assert TrainParams(**params).distribute == "auto"
    with pytest.raises(ValidationError, match=r"everal devices .* or train\.distribute=none"):
        TrainParams(distribute="mirrored", **params)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"epochs": 5}, None),
        ({"epochs": None, "max_minutes": 2}, None),
        (
            {"epochs": 1000, "max_steps": 3000},
            "after 3,000 steps (train.max_steps=3000), before train.epochs=1000.",
        ),
        ({"epochs": 2, "max_steps": 3000}, "after 20 steps (train.epochs=2), before train.max_s"),
        ({"epochs": 5, "max_steps": 50}, "after 50 steps (train.epochs=5)."),
        ({"epochs": 5, "max_minutes": 2}, "(train.epochs=5), or earlier by train.max_minutes=2."),
    ],
)
def test_of_several_limits_the_one_that_ends_the_run_is_named(params, text):
    described = TrainParams(**params).describe_limits(steps_per_epoch=10)
    assert described is None if text is None else text in described


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"kid_validation": {"interval": 6}}, "interval=6 epochs, but .* set it to at most 5"),
        ({"kid_validation": {"interval": 1}, "max_steps": 9}, "train for an epoch or longer"),
        ({"schedule": {"name": "step", "interval": 5}}, "learning rates stay constant"),
        ({"penalty": {"lecam": 0.3, "lecam_start": 50}}, "from step 50 on .* it never counts"),
    ],
    ids=str,
)
def test_what_counts_only_after_the_end_is_reported(params, text):
    (sentence,) = TrainParams(**({"epochs": 5} | params)).find_unused(steps_per_epoch=10)
    assert re.search(text, sentence) and sentence.endswith(".")
    # In a longer run all of it counts.
    longer = TrainParams(**(params | {"epochs": 6, "max_steps": None}))
    assert longer.find_unused(steps_per_epoch=10) == []


# As train.py of NVlabs/stylegan2-ada-pytorch computes gamma: resolution, batch size, gamma.
@pytest.mark.parametrize(("side", "batch", "gamma"), [(256, 32, 0.4096), (1024, 32, 6.5536)])
def test_r1_auto_is_the_rule_of_stylegan2_ada(side, batch, gamma):
    params = TrainParams(batch_size=batch, penalty={"r1": "auto", "interval": 16})
    assert params.resolve(side, side).penalty.r1 == pytest.approx(gamma)
    # A wide image counts by its pixels; a number stays.
    assert params.resolve(side // 2, side * 2).penalty.r1 == pytest.approx(gamma)
    assert TrainParams(penalty={"r1": 3.0}).resolve(side, side).penalty.r1 == 3
    with pytest.raises(GanvasError, match="it must be a number from 0 or auto"):
        check_params(TrainParams, {"penalty": {"r1": "automatic"}})


def test_the_ema_is_by_decay_or_by_images():
    assert TrainParams(ema_images=1000).has_ema and TrainParams(ema_decay=0.9).has_ema
    assert not TrainParams().has_ema
    with pytest.raises(GanvasError, match=r"set train\.ema_decay=0, or train\.ema_images=null"):
        check_params(TrainParams, {"ema_images": 1000, "ema_decay": 0.9})
    with pytest.raises(GanvasError, match=r"set train\.ema_images, or train\.ema_ramp=null"):
        check_params(TrainParams, {"ema_ramp": 0.05})
