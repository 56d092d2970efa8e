"""Early warnings: what a history and samples tell of a run that goes wrong."""

import math
from typing import Any, NamedTuple

import numpy as np

from ganvas.training.losses import LossParams, decision_threshold

# Scores of real images above, and of generated ones below these, for so many epochs in a row, are
# no passing advantage. The hinge loss asks for .731 and .269 alone, but runs that went well began
# with .87 and .17.
SURE_REAL, SURE_FAKE = 0.95, 0.05
# Losses after which the sigmoid of a logit says how sure a discriminator is.
TELLING = ("non_saturating", "hinge")
EPOCHS = 5
# Samples are taken for collapsed below this share of the real images' distance from each other,
# that have been farther apart before; a new generator paints all alike and gets its time.
COLLAPSED, FALLEN = 0.5, 0.75
NEW, NEVER_DIVERSE = 20, 0.25
# And for copies below this share of what held-out images keep from the training images.
COPIED = 0.5


class EarlyWarning(NamedTuple):
    """An early warning.

    Attributes:
        name: Its kind.
        figure: What set it off.
        advice: What to try.
    """

    name: str
    figure: str
    advice: str


def watch_scores(rows: list[dict[str, Any]], loss: LossParams) -> list[EarlyWarning]:
    """Look whether one network has been winning over the last epochs.

    Args:
        rows: The history: real_score and fake_score in [0, 1], one row an epoch.
        loss: The loss; after others than `TELLING` scores, sigmoids of logits, say nothing.
    """
    logit = decision_threshold(loss)
    if len(rows) < EPOCHS or logit is None or loss.name not in TELLING:
        return []
    boundary = 1 / (1 + math.exp(-logit))
    # A discriminator that is always right says of real images what their labels say.
    sure_real = SURE_REAL * (1 - loss.label_smoothing - loss.label_noise / 2)
    real = [row["real_score"] for row in rows[-EPOCHS:]]
    fake = [row["fake_score"] for row in rows[-EPOCHS:]]
    figure = f"real score {real[-1]:.2f}, fake score {fake[-1]:.2f}, for {EPOCHS} epochs"
    if min(real) > sure_real and max(fake) < SURE_FAKE:
        advice = (
            "try train.augment.name=diffaugment, a lower train.discriminator_learning_rate, or a "
            "narrower discriminator"
        )
        return [EarlyWarning("discriminator winning", figure, advice)]
    if max(real) < boundary and min(fake) > boundary:
        advice = "try a higher train.discriminator_learning_rate or more train.discriminator_steps"
        return [EarlyWarning("discriminator losing", figure, advice)]
    return []


def watch_diversity(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Look whether samples resemble each other more than real images do.

    Args:
        rows: The history: diversity, the mean distance of samples from each other as a share of
            the real images' own, in those rows that have a snapshot.
    """
    shares = [row["diversity"] for row in rows if "diversity" in row]
    if not shares:
        return []
    fallen = shares[-1] < min(COLLAPSED, FALLEN * max(shares))
    never = rows[-1]["epoch"] >= NEW and shares[-1] < NEVER_DIVERSE
    if not fallen and not never:
        return []
    figure = (
        f"samples differ from each other by {shares[-1]:.0%} of what real images do, "
        f"{max(shares):.0%} at best"
    )
    advice = (
        "try a lower train.generator_learning_rate, a larger train.batch_size or "
        "train.loss.name=relativistic with train.penalty.r1"
    )
    return [EarlyWarning("mode collapse", figure, advice)]


def watch_copies(rows: list[dict[str, Any]]) -> list[EarlyWarning]:
    """Look whether samples come closer to training images than images never trained on.

    Args:
        rows: The history: novelty, the mean distance of samples to the nearest training image
            as a share of what held-out images keep, in those rows that have a snapshot.
    """
    novelty = [row["novelty"] for row in rows if "novelty" in row]
    if not novelty or novelty[-1] >= COPIED:
        return []
    figure = (
        f"samples keep {novelty[-1]:.0%} of the distance from training images that held-out "
        "images keep"
    )
    advice = "try more images, fewer epochs or train.augment.name=diffaugment"
    return [EarlyWarning("memorizing", figure, advice)]


def mean_distance(images: np.ndarray) -> float:
    """Mean over all pairs of the root mean squared difference in gray levels, 0 to 255.

    Args:
        images: uint8 of shape (n, H, W, 3), n at least 2.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    norms = (flat**2).sum(1)
    squares = norms[:, None] + norms[None] - 2 * flat @ flat.T
    pairs = squares[np.triu_indices(len(flat), 1)]
    return float(np.sqrt(pairs.clip(0) / flat.shape[1]).mean())
