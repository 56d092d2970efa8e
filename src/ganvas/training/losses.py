"""Adversarial losses: pure functions of logits, positive for real.

Each is a pair named as in its paper, both of (real_logits, fake_logits), of shape (N, 1) or any
other. They give the mean over all logits, a float32 scalar, computed in float32 whatever the
logits' type, and finite for logits of ±1e4.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import keras
from keras import KerasTensor, ops
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ganvas.base_params import Params

LossFunction = Callable[[KerasTensor, KerasTensor], KerasTensor]
Labels: TypeAlias = float | KerasTensor
SMOOTHABLE = ("non_saturating", "least_squares")


class LossParams(Params):
    """What generator and discriminator are after.

    Attributes:
        name: The loss.
        label_smoothing: How far the label of real images lies below 1, those of generated ones
            staying at 0 (Salimans et al., arXiv 1606.03498); non_saturating and least_squares
            alone have labels.
        label_noise: Each label, of real and generated images alike, is lowered by a number
            drawn from 0 to this one, as in Keras's example of a DCGAN.
        auxiliary_class_weight: Weight of the loss by which a discriminator that tells classes
            learns them, and the generator to paint them.
        reconstruction_weight: Weight of the loss of networks that paint real images again.
    """

    name: Literal["non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"] = (
        "non_saturating"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    label_noise: float = Field(0.0, ge=0, lt=0.5)
    auxiliary_class_weight: float = Field(1.0, ge=0)
    reconstruction_weight: float = Field(1.0, ge=0)

    @field_validator("label_smoothing", "label_noise")
    @classmethod
    def _refuse_without_labels(cls, value: float, info: ValidationInfo) -> float:
        name = info.data.get("name", SMOOTHABLE[0])
        if value and name not in SMOOTHABLE:
            rule = f"the {name} loss has no labels to change; take 0, or {' or '.join(SMOOTHABLE)}"
            raise PydanticCustomError("no_labels", "{rule}", {"rule": rule})
        return value


class Loss(NamedTuple):
    """What each of the two networks minimizes: functions of (real_logits, fake_logits)."""

    discriminator: LossFunction
    generator: LossFunction


def non_saturating_discriminator_loss(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_labels: Labels = 1.0,
    fake_labels: Labels = 0.0,
) -> KerasTensor:
    """-log D(x) - log(1 - D(G(z))), the mean over the batch (Goodfellow et al., arXiv 1406.2661).

    Args:
        real_logits: Logits of real images, (N, 1).
        fake_logits: Logits of generated images, (N, 1).
        real_labels: y of the first term, the cross-entropy -y log D - (1 - y) log(1 - D); one
            for all or (N, 1).
        fake_labels: y of the second one.
    """
    real, fake = _in_float32(real_logits, fake_logits)
    # The softplus of the other sign is this one less the logit.
    of_real = ops.softplus(-real) + (1 - real_labels) * real
    return ops.mean(of_real) + ops.mean(ops.softplus(fake) - fake_labels * fake)


def non_saturating_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """-log D(G(z)), the mean over the batch (Goodfellow et al., arXiv 1406.2661).

    Args:
        real_logits: Not used.
        fake_logits: Logits of generated images, (N, 1).
    """
    (fake,) = _in_float32(fake_logits)
    return ops.mean(ops.softplus(-fake))


def hinge_discriminator_loss(real_logits: KerasTensor, fake_logits: KerasTensor) -> KerasTensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))), the mean over the batch.

    From Lim and Ye (arXiv 1705.02894), as in SNGAN (Miyato et al., arXiv 1802.05957).

    Args:
        real_logits: Logits of real images, (N, 1).
        fake_logits: Logits of generated images, (N, 1).
    """
    real, fake = _in_float32(real_logits, fake_logits)
    return ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake))


def hinge_generator_loss(real_logits: KerasTensor | None, fake_logits: KerasTensor) -> KerasTensor:
    """-D(G(z)), the mean over the batch (Lim and Ye, arXiv 1705.02894).

    Args:
        real_logits: Not used.
        fake_logits: Logits of generated images, (N, 1).
    """
    (fake,) = _in_float32(fake_logits)
    return -ops.mean(fake)


def least_squares_discriminator_loss(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_labels: Labels = 1.0,
    fake_labels: Labels = 0.0,
) -> KerasTensor:
    """½(D(x) - b)² + ½(D(G(z)) - a)², the mean over the batch, with labels b = 1 and a = 0.

    From Mao et al. (arXiv 1611.04076), equations 2 and 9; D has no sigmoid here.

    Args:
        real_logits: Logits of real images, (N, 1).
        fake_logits: Logits of generated images, (N, 1).
        real_labels: b, one for all or (N, 1).
        fake_labels: a.
    """
    real, fake = _in_float32(real_logits, fake_logits)
    of_real, of_fake = ops.square(real - real_labels), ops.square(fake - fake_labels)
    return 0.5 * ops.mean(of_real) + 0.5 * ops.mean(of_fake)


def least_squares_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """½(D(G(z)) - c)², the mean over the batch, with c = 1 (Mao et al., arXiv 1611.04076).

    Args:
        real_logits: Not used.
        fake_logits: Logits of generated images, (N, 1).
    """
    (fake,) = _in_float32(fake_logits)
    return 0.5 * ops.mean(ops.square(fake - 1))


def wasserstein_discriminator_loss(
    real_logits: KerasTensor, fake_logits: KerasTensor
) -> KerasTensor:
    """D(G(z)) - D(x), the mean over the batch (Arjovsky et al., arXiv 1701.07875).

    A distance only where D is 1-Lipschitz: give it the gradient penalty or spectral norm.

    Args:
        real_logits: Scores of real images, (N, 1).
        fake_logits: Scores of generated images, (N, 1).
    """
    real, fake = _in_float32(real_logits, fake_logits)
    return ops.mean(fake) - ops.mean(real)


def wasserstein_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """-D(G(z)), the mean over the batch (Arjovsky et al., arXiv 1701.07875).

    Args:
        real_logits: Not used.
        fake_logits: Scores of generated images, (N, 1).
    """
    (fake,) = _in_float32(fake_logits)
    return -ops.mean(fake)


def relativistic_discriminator_loss(
    real_logits: KerasTensor, fake_logits: KerasTensor
) -> KerasTensor:
    """-log sigmoid(D(x) - D(G(z))), the mean over pairs.

    RpGAN of Jolicoeur-Martineau (arXiv 1807.00734), as in R3GAN (Huang et al., arXiv 2501.05441).

    Args:
        real_logits: Logits of real images, (N, 1).
        fake_logits: Logits of as many generated images, each the partner of the real one at
            its place.
    """
    real, fake = _in_float32(real_logits, fake_logits)
    return ops.mean(ops.softplus(fake - real))


def relativistic_generator_loss(real_logits: KerasTensor, fake_logits: KerasTensor) -> KerasTensor:
    """-log sigmoid(D(G(z)) - D(x)), the mean over pairs (RpGAN, arXiv 1807.00734).

    Args:
        real_logits: Logits of real images, (N, 1).
        fake_logits: Logits of as many generated images, each the partner of the real one at
            its place.
    """
    real, fake = _in_float32(real_logits, fake_logits)
    return ops.mean(ops.softplus(real - fake))


LOSSES: dict[str, Loss] = {
    "non_saturating": Loss(non_saturating_discriminator_loss, non_saturating_generator_loss),
    "hinge": Loss(hinge_discriminator_loss, hinge_generator_loss),
    "least_squares": Loss(least_squares_discriminator_loss, least_squares_generator_loss),
    "wasserstein": Loss(wasserstein_discriminator_loss, wasserstein_generator_loss),
    "relativistic": Loss(relativistic_discriminator_loss, relativistic_generator_loss),
}

# Losses that are negative log-likelihoods, and so in nats.
IN_NATS = ("non_saturating", "relativistic")


def decision_threshold(params: LossParams) -> float | None:
    """Give the logit above which the discriminator takes an image for real.

    None: the loss gives only differences of logits a meaning. Of an image that might as well be
    generated the mean label lies in the middle; noise lowers both labels. Least squares has logits
    for labels, the cross-entropy their sigmoid.
    """
    middle = (1 - params.label_smoothing - params.label_noise) / 2
    if params.name == "least_squares":
        return middle
    if params.name == "non_saturating":
        return math.log(middle / (1 - middle))
    return 0.0 if params.name == "hinge" else None


def make_loss(params: LossParams, seed: keras.random.SeedGenerator | None = None) -> Loss:
    """Choose a loss, and bind its labels to the discriminator's.

    Args:
        params: Which loss.
        seed: Of the labels' noise; needed where there is some.
    """
    loss = LOSSES[params.name]
    smoothing, noise = params.label_smoothing, params.label_noise
    if not smoothing and not noise:
        return loss

    def discriminator(real_logits: KerasTensor, fake_logits: KerasTensor) -> KerasTensor:
        labels = [1.0 - smoothing, 0.0]
        if noise:
            for number, logits in enumerate((real_logits, fake_logits)):
                labels[number] -= noise * keras.random.uniform(ops.shape(logits), seed=seed)
        return loss.discriminator(real_logits, fake_logits, *labels)

    return loss._replace(discriminator=discriminator)


def _in_float32(*logits: KerasTensor) -> tuple[KerasTensor, ...]:
    return tuple(ops.cast(values, "float32") for values in logits)
