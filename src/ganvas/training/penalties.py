"""What the discriminator pays beside its loss: pure functions of its logits and gradients.

Whoever calls them takes the gradients, so that this file needs no backend. All give float32
scalars, computed in float32 whatever they are given.
"""

import keras
from keras import KerasTensor, ops
from pydantic import Field

from ganvas.base_params import Params


class PenaltyParams(Params):
    """What the discriminator pays for being steep or far from its past; 0 is without.

    Attributes:
        r1: γ of γ/2 times the zero-centered penalty at real images (Mescheder et al., arXiv
            1801.04406).
        r2: The same at generated images.
        interval: Steps between two gradient penalties, each then times as many (lazy
            regularization: Karras et al., arXiv 1912.04958).
        wgan_gp: Weight of the one-centered penalty between real and generated images
            (WGAN-GP: Gulrajani et al., arXiv 1704.00028); 10 in the paper.
        lecam: Weight of the penalty for leaving the averages of past logits (LeCam: Tseng et
            al., arXiv 2104.03310); 0.3 in the paper's runs on small data.
        lecam_decay: Decay of these averages.
        lecam_start: Step from which LeCam's penalty counts.
    """

    r1: float = Field(0.0, ge=0)
    r2: float = Field(0.0, ge=0)
    interval: int = Field(1, ge=1)
    wgan_gp: float = Field(0.0, ge=0)
    lecam: float = Field(0.0, ge=0)
    lecam_decay: float = Field(0.99, ge=0, lt=1)
    lecam_start: int = Field(1000, ge=0)


def zero_centered_penalty(gradient: KerasTensor) -> KerasTensor:
    """E‖∇‖²: times γ/2 it is R1 at real and R2 at generated images (arXiv 1801.04406).

    Args:
        gradient: Of each image's logit by its pixels, (N, H, W, C).

    Returns:
        The sum over each image's values, the mean over images.
    """
    return ops.mean(_squared_norms(gradient))


def one_centered_penalty(gradient: KerasTensor) -> KerasTensor:
    """E(‖∇‖ - 1)², the penalty of WGAN-GP (Gulrajani et al., arXiv 1704.00028).

    Args:
        gradient: Of each interpolated image's logit by its pixels, (N, H, W, C).

    Returns:
        The mean over images; its own gradient is 0 where ∇ is.
    """
    squares = _squared_norms(gradient)
    positive = squares > 0
    # The root's slope at 0 is infinite, and infinite times 0 would spoil the weights, so the root
    # is never taken there.
    roots = ops.sqrt(ops.where(positive, squares, 1.0))
    return ops.mean(ops.square(ops.where(positive, roots, 0.0) - 1))


def interpolate(
    real: KerasTensor, fake: KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw an image between each real and generated one, for WGAN-GP (arXiv 1704.00028).

    Args:
        real: (N, H, W, C) in [-1, 1].
        fake: The same.
        seed: Of the places between them, uniform, one an image.

    Returns:
        ε real + (1 - ε) fake, (N, H, W, C) in [-1, 1], of the type of `real`.
    """
    shape = (ops.shape(real)[0], *(1 for _ in real.shape[1:]))
    share = ops.cast(keras.random.uniform(shape, dtype="float32", seed=seed), real.dtype)
    return share * real + (1 - share) * fake


def lecam_penalty(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_average: KerasTensor,
    fake_average: KerasTensor,
) -> KerasTensor:
    """E max(0, D(x) - α_F)² + E max(0, α_R - D(G(z)))² (Tseng et al., arXiv 2104.03310).

    This is the official code's form; the paper's equation has no max, so it also draws logits
    that lie beyond the averages back to them.

    Args:
        real_logits: Of real images, (N, 1).
        fake_logits: Of generated images, (N, 1).
        real_average: α_R, the moving average of the mean of `real_logits`, a scalar.
        fake_average: α_F, that of `fake_logits`.
    """
    real, fake, real_average, fake_average = (
        ops.cast(values, "float32")
        for values in (real_logits, fake_logits, real_average, fake_average)
    )
    above = ops.relu(real - ops.stop_gradient(fake_average))
    below = ops.relu(ops.stop_gradient(real_average) - fake)
    return ops.mean(ops.square(above)) + ops.mean(ops.square(below))


def move_average(average: KerasTensor, value: KerasTensor, decay: KerasTensor) -> KerasTensor:
    """Move a scalar average towards a value: decay · average + (1 - decay) · value.

    Decay 0 begins an average: it gives the value itself, so nothing of an arbitrary start stays.
    No gradient goes to the value.
    """
    average, value, decay = (ops.cast(x, "float32") for x in (average, value, decay))
    return decay * average + (1 - decay) * ops.stop_gradient(value)


def _squared_norms(gradient: KerasTensor) -> KerasTensor:
    """‖∇‖² of each image, (N,) in float32; float16 would overflow."""
    axes = tuple(range(1, len(gradient.shape)))
    return ops.sum(ops.square(ops.cast(gradient, "float32")), axis=axes)
