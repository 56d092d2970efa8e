"""Early warnings: problems of a run that its history and samples show."""

import math
from typing import Any, NamedTuple

from ganvas.training.config import LossParams

# Real scores above and fake scores below these, for EPOCHS epochs in a row, are no passing
# advantage of the discriminator. The hinge loss saturates at .731 and .269, but healthy runs
# started with .87 and .17.
WINNING_REAL_SCORE, WINNING_FAKE_SCORE = 0.95, 0.05
# Losses after which the sigmoid of a logit measures the discriminator's confidence.
LOSSES_WITH_SCORES = ("non_saturating", "hinge")
EPOCHS = 5
# Samples count as collapsed below this share of the real images' distance from each other, if it
# has fallen below this share of its maximum; a new generator, whose samples are all alike, is
# exempt at first.
COLLAPSED, FALLEN = 0.5, 0.75
GRACE_EPOCHS, NEVER_DIVERSE = 20, 0.25
# Samples of a class count as collapsed below this share of its real images' distance from each
# other. Classes of a generator that made nearly one image of each had .38 to .54, those of a good
# one .8 and more. Of 8 real images from each of 59 classes, the worst class has .69 or more in 19
# of 20 choices.
COLLAPSED_CLASS = 0.55
# Samples of a class count as repeated below this share of the distance that its real images keep
# from the nearest other one, the mean of all classes. Of 8 samples a class, a generator that
# repeats 8 images of each had .28; the default has .50 after 640 steps and .62 after 3,000, and
# runs without classes .77 and more from the first epoch on.
REPEATED = 0.4
# Samples count as copies below this share of the validation images' distance from training images.
COPIED = 0.5
# Steps before which samples and scores say little.
GRACE_STEPS = 500
# What to try, also in the report.
COLLAPSED_CLASS_ADVICE = (
    "try more training (train.max_steps, train.epochs), a lower train.anchor.every where it is "
    "set, a larger train.batch_size or, for a discriminator without batch norm, "
    "train.loss.name=relativistic with train.penalty.r1"
)
COPIED_ADVICE = "try more images, fewer steps or, if it is off, train.augment.name=diffaugment"


class EarlyWarning(NamedTuple):
    """An early warning: its name, the measurement that triggered it, and what to try."""

    name: str
    evidence: str
    advice: str


def diagnose_run(rows: list[dict[str, Any]], steps: int, loss: LossParams) -> list[EarlyWarning]:
    """Diagnose the present state of a run: one warning, with its likely cause, or none.

    Samples that are alike are near the mean of the training images, and so nearer to these than
    validation images are, without being copies: collapse is the likelier cause of both. Where one
    network wins, that is the likelier cause of what samples show.

    Args:
        rows: The history, see the other functions.
        steps: Steps of the run up to the last row; nothing is diagnosed before `GRACE_STEPS`.
        loss: The loss.

    Example:
        >>> rows = [{"epoch": 30, "diversity": 0.1, "novelty": 0.1}]
        >>> [warning.name for warning in diagnose_run(rows, steps=900, loss=LossParams())]
        ['mode collapse']
    """
    if steps < GRACE_STEPS:
        return []
    causes = diagnose_scores(rows, loss)
    # Where all samples are alike, those of a class are.
    symptoms = (
        diagnose_diversity(rows)
        or diagnose_class_diversity(rows)
        or diagnose_repetition(rows)
        or diagnose_memorization(rows)
    )
    if not causes or not symptoms:
        return causes or symptoms
    (cause,), (symptom,) = causes, symptoms
    evidence = f"{symptom.evidence}; likely because of {cause.name}, {cause.evidence}"
    return [EarlyWarning(symptom.name, evidence, cause.advice)]


def diagnose_scores(rows: list[dict[str, Any]], loss: LossParams) -> list[EarlyWarning]:
    """Detect that one network has been winning over the last epochs.

    Args:
        rows: The history: real_score and fake_score in [0, 1], one row an epoch.
        loss: The loss; scores are diagnosed only after one of `LOSSES_WITH_SCORES`.
    """
    logit = loss.decision_threshold
    if len(rows) < EPOCHS or logit is None or loss.name not in LOSSES_WITH_SCORES:
        return []
    threshold = 1 / (1 + math.exp(-logit))
    # A discriminator that is always right outputs the labels, which may be smoothed.
    winning_real_score = WINNING_REAL_SCORE * (1 - loss.label_smoothing - loss.label_noise / 2)
    real = [row["real_score"] for row in rows[-EPOCHS:]]
    fake = [row["fake_score"] for row in rows[-EPOCHS:]]
    evidence = f"real score {real[-1]:.2f}, fake score {fake[-1]:.2f}, for {EPOCHS} epochs"
    if min(real) > winning_real_score and max(fake) < WINNING_FAKE_SCORE:
        advice = (
            "try a lower train.discriminator_learning_rate, a narrower discriminator or, if it is "
            "off, train.augment.name=diffaugment"
        )
        return [EarlyWarning("discriminator winning", evidence, advice)]
    if max(real) < threshold and min(fake) > threshold:
        advice = "try a higher train.discriminator_learning_rate or more train.discriminator_steps"
        return [EarlyWarning("discriminator losing", evidence, advice)]
    return []


def diagnose_diversity(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Detect that samples are much more alike than real images.

    Args:
        rows: The history: diversity, the samples' mean distance from each other relative to that
            of real images, in rows with a snapshot.

    Example:
        >>> rows = [{"epoch": 1, "diversity": 1.0}, {"epoch": 2, "diversity": 0.1}]
        >>> diagnose_diversity(rows)[0].name
        'mode collapse'
    """
    diversity = [row["diversity"] for row in rows if "diversity" in row]
    if not diversity:
        return []
    last, best = diversity[-1], max(diversity)
    has_fallen = last < min(COLLAPSED, FALLEN * best)
    never_diverse = rows[-1]["epoch"] >= GRACE_EPOCHS and last < NEVER_DIVERSE
    if not has_fallen and not never_diverse:
        return []
    evidence = (
        f"samples differ from each other by {last:.0%} of what real images do, {best:.0%} at best"
    )
    advice = (
        "try a lower train.generator_learning_rate, a larger train.batch_size or, for a "
        "discriminator without batch norm, train.loss.name=relativistic with train.penalty.r1"
    )
    return [EarlyWarning("mode collapse", evidence, advice)]


def diagnose_class_diversity(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Detect that samples of a class are much more alike than its real images.

    Args:
        rows: The history, in rows with a snapshot: class_diversity, the lowest of all classes' mean
            distances between samples relative to that of real images; least_diverse_class, the
            name of that class; and collapsed_classes, the number below `COLLAPSED_CLASS`.

    Example:
        >>> values = {"least_diverse_class": "Pop", "collapsed_classes": 3}
        >>> rows = [{"epoch": 1, "class_diversity": 0.9}, {"epoch": 2, "class_diversity": 0.4}]
        >>> diagnose_class_diversity([rows[0], rows[1] | values])[0].name
        'mode collapse within classes'
    """
    measured = [row for row in rows if "class_diversity" in row]
    if not measured:
        return []
    last, best = measured[-1], max(row["class_diversity"] for row in measured)
    has_fallen = last["class_diversity"] < FALLEN * best
    if not has_fallen and rows[-1]["epoch"] < GRACE_EPOCHS:
        return []
    return warn_of_collapsed_classes(
        last["class_diversity"], last["least_diverse_class"], last["collapsed_classes"]
    )


def warn_of_collapsed_classes(lowest: float, name: str, count: int) -> list[EarlyWarning]:
    """Return a warning if the least diverse class is below `COLLAPSED_CLASS`.

    Args:
        lowest: Its images' mean distance from each other relative to that of its real images.
        name: Its name.
        count: Number of classes below `COLLAPSED_CLASS`.
    """
    if lowest >= COLLAPSED_CLASS:
        return []
    evidence = (
        f"images of {name} differ from each other by {lowest:.0%} of what real ones do; "
        f"below {COLLAPSED_CLASS:.0%}: {count}"
    )
    return [EarlyWarning("mode collapse within classes", evidence, COLLAPSED_CLASS_ADVICE)]


def diagnose_repetition(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Detect that the samples of a class are the same few images again and again.

    Eight images of each class have seven eighths of the diversity within it, which looks healthy.

    Args:
        rows: The history: class_nearest, the samples' mean distance to the nearest other sample of
            their class relative to that of real images, in rows with a snapshot.

    Example:
        >>> rows = [{"epoch": 1, "class_nearest": 0.8}, {"epoch": 2, "class_nearest": 0.2}]
        >>> diagnose_repetition(rows)[0].name
        'repeated images within classes'
    """
    nearest = [row["class_nearest"] for row in rows if "class_nearest" in row]
    if not nearest:
        return []
    last, best = nearest[-1], max(nearest)
    has_fallen = last < FALLEN * best
    if last >= REPEATED or (not has_fallen and rows[-1]["epoch"] < GRACE_EPOCHS):
        return []
    evidence = (
        f"the nearest other image of the same class or cluster is {last:.0%} as far away as among "
        "real images"
    )
    return [EarlyWarning("repeated images within classes", evidence, COLLAPSED_CLASS_ADVICE)]


def diagnose_memorization(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Detect that samples are much closer to training images than validation images are.

    Args:
        rows: The history: novelty, the samples' mean distance to the nearest training image
            relative to that of validation images, in rows with a snapshot.
    """
    novelty = [row["novelty"] for row in rows if "novelty" in row]
    if not novelty or novelty[-1] >= COPIED:
        return []
    evidence = (
        f"samples keep {novelty[-1]:.0%} of the distance that validation images keep from training "
        "images"
    )
    return [EarlyWarning("memorization", evidence, COPIED_ADVICE)]
