"""The verdict of the report: what the metrics of a run mean, in a few sentences.

The rules are in docs/evaluation.md, "The verdict of the report".
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ganvas.training.diagnostics import (
    COLLAPSED,
    COLLAPSED_CLASS,
    COLLAPSED_CLASS_ADVICE,
    COPIED,
    COPIED_ADVICE,
)
from ganvas.visualization.report import FINDINGS_SEPARATOR

# Images of a class count as varied from this share of the distance between its real images. Three
# default runs had .76 to .80 in the least varied class, generators that made nearly one image of
# each class .36 to .56 (below COLLAPSED_CLASS). Where half of the real images have less relative
# to the other half, as with few images of many classes, that is enough.
VARIED_CLASS = 0.75
# Images of a class count as repeated below this share of the distance that its real images keep
# from the nearest other one, in features, or in pixels without these. Generators that repeated 8
# images of each class had 0, and .15 and .03 if they varied them a little; the default .80 and .36.
REPEATED_CLASS = {"features": 0.3, "pixels": 0.1}
# Images count as sharp from this share of the real images' precision, and as unclear below that
# one. Blurred by 1 pixel, paintings of 64×64 pixels have .87 of it, by 2 pixels .31, with
# shuffled patches of 8 pixels .37; default runs .30 to .32; and a generator of blurred images .06.
SHARP, UNCLEAR = 0.7, 0.2
# Noisy images lie close together, so precision does not show what is wrong: noise of 15 gray levels
# multiplied the density of real images by 1.4, noise of 40 by 2.4.
DENSE = 1.3
# Below this share of the real images' recall, generated images look real only because they repeat a
# few kinds of images, or are of none: generators trained for 60 steps had 0 at a precision above
# that of real images; the default, after ten minutes on paintings, has .08 of it or more.
NARROW = 0.05
# Share of the class accuracy of validation images below which images are not of their class.
# Default runs had .87 to .94, generators that mixed classes .34 to .54.
RECOGNIZED = 0.8
# Images count as no copies from this share of the distance that validation images keep from
# training images, in pixels. Below COPIED, they count as copies; default runs, which sample near
# training images, had .76.
APART = 0.85

ADVICE_WHEN_GOOD = (
    "try larger images (ingest.size), or other seeds (train.seed) to see how much is chance"
)
# All is well, something is worth improving, something is wrong.
Level = Literal["good", "fair", "poor"]
LEVELS: tuple[Level, ...] = ("good", "fair", "poor")
Metrics = Mapping[str, Mapping[str, Any]]


class Verdict(NamedTuple):
    """What the metrics of a run mean.

    Attributes:
        level: The worst of all findings.
        summary: All findings in a few words.
        sentences: A sentence with evidence for each finding.
        advice: What to try next, a sentence.
    """

    level: Level
    summary: str
    sentences: list[str]
    advice: str


class _Finding(NamedTuple):
    level: Level
    summary: str
    sentence: str
    # What to try, where it is particular to this finding.
    advice: str = ""


def assess_run(metrics: Metrics, training: Mapping[str, Any]) -> Verdict:
    """Return the verdict on a run.

    Args:
        metrics: Metrics by name, as in metrics.json; those that are missing are said to be.
        training: The training summary, as in training.json: ended_by, message, classes, steps,
            epochs and seconds.

    Example:
        >>> training = {"classes": {}, "ended_by": "diverged", "message": "Training diverged."}
        >>> assess_run({}, training).summary
        'Diverged · sharpness not measured'
    """
    group = training["classes"].get("column") or "group of similar images"
    if "labels" in training["classes"]:
        group = "label value"
    longer = _advise_more(training)
    found = [
        _assess_end(training),
        _assess_variety(metrics, group, longer),
        _assess_fidelity(metrics, group, longer),
        _assess_copies(metrics),
    ]
    findings = [finding for finding in found if finding is not None]
    level = max((finding.level for finding in findings), key=LEVELS.index)
    summary = FINDINGS_SEPARATOR.join(finding.summary for finding in findings)
    # The first of the worst findings that has any.
    advice = next((x.advice for x in findings if x.level == level and x.advice), "")
    if not advice:
        advice = ADVICE_WHEN_GOOD if level == "good" else longer
    sentences = [finding.sentence for finding in findings]
    return Verdict(level, _capitalize(summary), sentences, f"{_capitalize(advice)}.")


def _assess_end(training: Mapping[str, Any]) -> _Finding | None:
    message, _, advice = training["message"].rstrip(".").partition("; ")
    if training["ended_by"] == "diverged":
        return _Finding("poor", "diverged", f"{message}.", advice or "try lower learning rates")
    if training["ended_by"] == "interrupted":
        return _Finding("fair", "interrupted", f"{message}.")
    return None


def _assess_variety(metrics: Metrics, group: str, longer: str) -> _Finding | None:
    metric = metrics.get("class_diversity_pixels")
    if metric is None:
        return _assess_pooled_variety(metrics)
    by_class = metric["by_class"]
    value, worst = metric["value"], min(by_class, key=by_class.__getitem__)
    share = f"{worst}, they differ from each other {value:.0%} as much as real images do"
    if value < COLLAPSED_CLASS:
        count = sum(x < COLLAPSED_CLASS for x in by_class.values())
        return _Finding(
            "poor",
            f"mode collapse within {_plural(group)}",
            f"Images of one {group} are too much alike: in the least varied, {share} ({count} of "
            f"{len(by_class)} are below {COLLAPSED_CLASS:.0%}).",
            COLLAPSED_CLASS_ADVICE,
        )
    if finding := _assess_repetition(metrics, group):
        return finding
    baseline = metric["real"]
    if value < (VARIED_CLASS if baseline is None else min(VARIED_CLASS, baseline)):
        return _Finding(
            "fair",
            "less varied than real images",
            f"Images vary less than real ones: in the least varied {group}, {share}.",
            longer,
        )
    return _Finding(
        "good",
        "varied",
        f"Images are varied within each {group}: in the least varied, {share}.",
    )


def _assess_repetition(metrics: Metrics, group: str) -> _Finding | None:
    """Assess whether each class has the same few images again and again."""
    # Runs of earlier versions have neither.
    space = next((x for x in REPEATED_CLASS if f"class_nearest_{x}" in metrics), None)
    if space is None:
        return None
    metric = metrics[f"class_nearest_{space}"]
    value, by_class, limit = metric["value"], metric["by_class"], REPEATED_CLASS[space]
    # A value that is not a number is not below the limit.
    if not value < limit:
        return None
    worst = min(by_class, key=by_class.__getitem__)
    count = sum(x < limit for x in by_class.values())
    return _Finding(
        "poor",
        f"repeated images within {_plural(group)}",
        f"Images of one {group} are repeated: in the worst, {worst}, the nearest other image is "
        f"{value:.0%} as far away as among real images, in {space} ({count} of {len(by_class)} are "
        f"below {limit:.0%}).",
        COLLAPSED_CLASS_ADVICE,
    )


def _assess_pooled_variety(metrics: Metrics) -> _Finding | None:
    """Assess the diversity over all classes, which runs of earlier versions have alone."""
    metric = metrics.get("diversity")
    if metric is None or not metric["real"]:
        return None
    share = metric["value"] / metric["real"]
    sentence = f"Over all classes, images differ from each other {share:.0%} as much as real ones"
    if share < COLLAPSED:
        return _Finding("poor", "mode collapse", f"{sentence}.", COLLAPSED_CLASS_ADVICE)
    return _Finding(
        "fair",
        "variety within classes not measured",
        f"{sentence}; how varied they are within classes was not measured.",
        "evaluate again: kedro run --pipelines=evaluate,report",
    )


def _assess_fidelity(metrics: Metrics, group: str, longer: str) -> _Finding | None:
    metric = metrics.get("precision")
    if metric is None or not metric["real"]:
        return _Finding(
            "fair",
            "sharpness not measured",
            "Sharpness was not measured, which takes a feature extractor (evaluate.extractor) and "
            "at least 20 training images.",
        )
    share = metric["value"] / metric["real"]
    evidence = (
        f"{metric['value']:.0%} of images look real to the feature extractor (real images: "
        f"{metric['real']:.0%})"
    )
    density, recall = metrics["density"], metrics["recall"]
    if share >= UNCLEAR and recall["real"] and recall["value"] < NARROW * recall["real"]:
        finding = _Finding(
            "poor",
            "far from most real images",
            f"Images cover next to nothing of what real images show (recall {recall['value']:.0%}, "
            f"real images: {recall['real']:.0%}), so that {evidence} means little.",
            longer,
        )
    elif density["real"] and density["value"] > DENSE * density["real"]:
        finding = _Finding(
            "fair",
            "noisy or repeated",
            f"Images lie closer together than real ones (density {density['value']:.2f}, of real "
            f"images {density['real']:.2f}), as noisy or repeated images do.",
        )
    elif share >= SHARP:
        finding = _Finding("good", "sharp", f"Details are sharp: {evidence}.")
    elif share >= UNCLEAR:
        finding = _Finding(
            "fair",
            "softer than real images",
            f"Details are softer or less regular than in real images: {evidence}.",
            longer,
        )
    else:
        finding = _Finding(
            "poor",
            "blurred or distorted",
            f"Details are blurred or distorted: only {evidence}.",
            longer,
        )
    accuracy = metrics.get("class_agreement")
    if not accuracy or accuracy["value"] >= RECOGNIZED * (accuracy["real"] or 1):
        return finding
    wrong = f"Only {accuracy['value']:.0%} are recognized as the {group} that was asked for."
    return finding._replace(
        level="poor",
        summary=FINDINGS_SEPARATOR.join([finding.summary, f"mixed {_plural(group)}"]),
        sentence=f"{finding.sentence} {wrong}",
        advice=longer,
    )


def _assess_copies(metrics: Metrics) -> _Finding | None:
    metric = metrics.get("nearest_training_distance")
    if metric is None:
        return None
    if not metric["real"]:
        return _Finding(
            "fair",
            "copies not measured",
            "Without validation images (ingest.validation_share) there is no measure of copies: "
            "look at the nearest training images.",
        )
    share = metric["value"] / metric["real"]
    evidence = f"{share:.0%} of the distance that validation images keep"
    if share < COPIED:
        return _Finding(
            "poor",
            "copies of training images",
            f"Many images are near copies of training images: in pixels they keep {evidence}.",
            COPIED_ADVICE,
        )
    if share < APART:
        return _Finding(
            "fair",
            "near training images",
            f"Images are not copies on average, but near training images: in pixels they keep "
            f"{evidence}, so look at the nearest ones.",
            "try more images, which leave less room for copies",
        )
    return _Finding(
        "good", "no copies", f"There is no sign of copies: in pixels, images keep {evidence}."
    )


def _advise_more(training: Mapping[str, Any]) -> str:
    """Return how to train for twice as long."""
    match training["ended_by"]:
        case "interrupted":
            return "run the same command again, which resumes the training"
        case "patience":
            return "try more images or another network: longer training did not help"
        case "chosen":
            return "compare the other kept epochs, or resume the training, which goes on at its end"
        case "time":
            more = f"train.max_minutes={max(round(training['seconds'] / 30), 1)}"
        case "epochs":
            more = f"train.epochs={2 * training['epochs']}"
        case _:
            # Runs of earlier versions did not count their steps.
            steps = training.get("steps")
            more = f"train.max_steps={2 * steps}" if steps else "a higher train.max_steps"
    return f"train for twice as long: set {more}, which resumes this run"


def _plural(group: str) -> str:
    return group.replace("group", "groups", 1) if group.startswith("group ") else "classes"


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
