import re

import pytest

from ganvas.training.config import LossParams, TrainParams
from ganvas.training.diagnostics import (
    EPOCHS,
    GRACE_STEPS,
    diagnose_class_diversity,
    diagnose_diversity,
    diagnose_memorization,
    diagnose_repetition,
    diagnose_run,
    diagnose_scores,
)


def score_rows(*pairs) -> list[dict]:
    return [
        {"epoch": i + 1, "real_score": real, "fake_score": fake}
        for i, (real, fake) in enumerate(pairs)
    ]


def names(warnings) -> list[str]:
    return [warning.name for warning in warnings]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(0.97, 0.02)] * 5, ["discriminator winning"]),
        ([(0.97, 0.02)] * 4, []),
        ([(0.97, 0.02)] * 4 + [(0.94, 0.02)], []),
        ([(0.97, 0.02)] * 2 + [(0.97, 0.06)] + [(0.97, 0.02)] * 2, []),
        ([(0.6, 0.4)] + [(0.97, 0.02)] * 5, ["discriminator winning"]),
        ([(0.4, 0.6)] * 5, ["discriminator losing"]),
        ([(0.55, 0.6)] * 5, []),
        ([(0.5, 0.5)] * 9, []),
    ],
)
def test_scores_of_the_last_epochs_show_a_network_that_wins(pairs, expected):
    warnings = diagnose_scores(score_rows(*pairs), LossParams(name="non_saturating"))
    assert names(warnings) == expected
    for warning in warnings:
        assert f"{pairs[-1][0]:.2f}" in warning.evidence and "train." in warning.advice


@pytest.mark.parametrize(
    ("loss", "pair", "expected"),
    [
        ({"name": "hinge"}, (0.96, 0.04), ["discriminator winning"]),
        # First epochs of a healthy run.
        ({"name": "hinge"}, (0.87, 0.17), []),
        ({"name": "hinge"}, (0.45, 0.55), ["discriminator losing"]),
        ({"label_smoothing": 0.1}, (0.89, 0.02), ["discriminator winning"]),
        ({"label_smoothing": 0.1}, (0.84, 0.02), []),
        ({"label_smoothing": 0.2}, (0.45, 0.55), []),
        ({"label_smoothing": 0.2}, (0.38, 0.42), ["discriminator losing"]),
    ],
)
def test_the_limits_of_scores_depend_on_the_loss(loss, pair, expected):
    assert names(diagnose_scores(score_rows(*[pair] * 5), LossParams(**loss))) == expected


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic", "least_squares"])
def test_scores_are_not_diagnosed_for_losses_without_probabilities(loss):
    assert diagnose_scores(score_rows(*[(0.99, 0.01)] * 9), LossParams(name=loss)) == []
    assert diagnose_scores(score_rows(*[(0.4, 0.6)] * 9), LossParams(name=loss)) == []


def diversity_rows(*values) -> list[dict]:
    rows = [{"epoch": i + 1} for i in range(len(values))]
    for row, value in zip(rows, values, strict=True):
        row |= {} if value is None else {"diversity": value}
    return rows


@pytest.mark.parametrize(
    ("values", "is_warning"),
    [
        ([0.1, 0.2], False),
        ([0.1] * 19, False),
        ([0.1] * 20, True),
        ([0.1 + 0.02 * epoch for epoch in range(20)], False),
        ([0.1, 0.9, 0.45], True),
        ([0.1, 0.9, 0.55], False),
        ([0.1, 0.55, 0.45], False),
        ([0.9, 0.4, None], True),
        ([None], False),
    ],
)
def test_lost_or_missing_diversity_is_mode_collapse(values, is_warning):
    warnings = diagnose_diversity(diversity_rows(*values))
    assert names(warnings) == ["mode collapse"] * is_warning
    if is_warning:
        last = [value for value in values if value is not None][-1]
        assert f"{last:.0%}" in warnings[0].evidence and "train." in warnings[0].advice


def class_rows(*values) -> list[dict]:
    rows = [{"epoch": i + 1} for i in range(len(values))]
    for row, value in zip(rows, values, strict=True):
        measured = {"class_diversity": value, "least_diverse_class": "Pop", "collapsed_classes": 3}
        row |= {} if value is None else measured
    return rows


@pytest.mark.parametrize(
    ("values", "is_warning"),
    [
        ([0.38], False),
        ([0.1] * 19, False),
        ([0.38] * 20, True),
        ([0.1] * 19 + [0.6], False),
        ([0.8, 0.54], True),
        ([0.8, 0.56], False),
        # It has not fallen far.
        ([0.6, 0.54], False),
        ([0.9, 0.4, None], True),
        ([None], False),
    ],
)
def test_a_class_whose_samples_are_alike_is_mode_collapse_within_classes(values, is_warning):
    warnings = diagnose_class_diversity(class_rows(*values))
    assert names(warnings) == ["mode collapse within classes"] * is_warning
    if is_warning:
        last = [value for value in values if value is not None][-1]
        assert f"images of Pop differ from each other by {last:.0%}" in warnings[0].evidence
        assert warnings[0].evidence.endswith("; below 55%: 3")


@pytest.mark.parametrize(
    ("values", "is_warning"),
    [
        ([0.3], False),
        ([0.3] * 19, False),
        ([0.3] * 20, True),
        ([0.3] * 19 + [0.45], False),
        ([0.8, 0.39], True),
        ([0.8, 0.41], False),
        # It has not fallen far.
        ([0.5, 0.39], False),
        ([0.9, 0.3, None], True),
        ([None], False),
    ],
)
def test_samples_with_a_near_copy_in_their_class_are_repetition(values, is_warning):
    rows = [{"epoch": i + 1} for i in range(len(values))]
    for row, value in zip(rows, values, strict=True):
        row |= {} if value is None else {"class_nearest": value}
    warnings = diagnose_repetition(rows)
    assert names(warnings) == ["repeated images within classes"] * is_warning
    if is_warning:
        last = [value for value in values if value is not None][-1]
        assert f"is {last:.0%} as far away as among real images" in warnings[0].evidence


def test_the_advice_on_classes_names_parameters_that_exist():
    (warning,) = diagnose_class_diversity(class_rows(0.9, 0.1))
    named = re.findall(r"train\.([\w.]+)", warning.advice)
    assert len(named) == 6
    for name in named:
        params = TrainParams()
        for key in name.split("."):
            params = getattr(params, key)


def test_samples_close_to_training_images_are_memorization():
    (warning,) = diagnose_memorization([{"epoch": 1, "novelty": 0.3}])
    assert warning.name == "memorization" and "30%" in warning.evidence
    assert diagnose_memorization([{"epoch": 1, "novelty": 0.6}]) == []
    # The last snapshot counts until the next one.
    assert len(diagnose_memorization([{"epoch": 1, "novelty": 0.3}, {"epoch": 2}])) == 1
    assert diagnose_memorization([{"epoch": 1}]) == []


def run_rows(**values) -> list[dict]:
    """Rows of 30 epochs; the last snapshot has these values."""
    rows = [{"epoch": i + 1, "real_score": 0.6, "fake_score": 0.4} for i in range(30)]
    for row in rows[-EPOCHS:]:
        row |= {key: value for key, value in values.items() if key.endswith("_score")}
    rows[-1] |= values
    return rows


ALIKE, COPIES = {"diversity": 0.1}, {"novelty": 0.1}
CLASS_ALIKE = {"class_diversity": 0.2, "least_diverse_class": "Pop", "collapsed_classes": 3}
REPEATED = {"class_nearest": 0.1, "diversity": 0.9}
WINNING = {"real_score": 0.99, "fake_score": 0.01}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        (COPIES | {"diversity": 0.9}, ["memorization"]),
        # Samples that are alike are near the mean of all images, and copies of none.
        (COPIES | ALIKE, ["mode collapse"]),
        (COPIES | ALIKE | CLASS_ALIKE, ["mode collapse"]),
        (COPIES | CLASS_ALIKE | {"diversity": 0.9}, ["mode collapse within classes"]),
        (COPIES | REPEATED, ["repeated images within classes"]),
        (CLASS_ALIKE | REPEATED, ["mode collapse within classes"]),
        (WINNING, ["discriminator winning"]),
        (WINNING | ALIKE | COPIES, ["mode collapse"]),
        (WINNING | COPIES | {"diversity": 0.9}, ["memorization"]),
    ],
)
def test_a_run_has_one_warning_of_the_likelier_cause_and_none_at_first(values, expected):
    loss = LossParams(name="hinge")
    assert diagnose_run(run_rows(**values), GRACE_STEPS - 1, loss) == []
    warnings = diagnose_run(run_rows(**values), GRACE_STEPS, loss)
    assert names(warnings) == expected
    if values.items() > WINNING.items():
        assert "; likely because of discriminator winning, real score 0.99" in warnings[0].evidence
        assert "train.discriminator_learning_rate" in warnings[0].advice
