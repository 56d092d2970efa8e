"""Adversarial, auxiliary and regularization losses: pure functions, each with its source.

Adversarial losses come in pairs of functions of (real_logits, fake_logits), logits of shape (N, 1)
or (N, M), positive for real. All losses are float32 scalars, averaged over the batch, computed in
float32 whatever the inputs' dtype, and finite for logits of ±1e4.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import keras
from keras import KerasTensor, ops

from ganvas.training.config import LossParams

LossFunction = Callable[[KerasTensor, KerasTensor], KerasTensor]
Labels: TypeAlias = float | KerasTensor


class AdversarialLoss(NamedTuple):
    """The losses that the two networks minimize, functions of (real_logits, fake_logits)."""

    discriminator: LossFunction
    generator: LossFunction


# --- Adversarial losses -----------------------------------------------------------------------


def non_saturating_discriminator_loss(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_labels: Labels = 1.0,
    fake_labels: Labels = 0.0,
) -> KerasTensor:
    """Compute -log D(x) - log(1 - D(G(z))) (Goodfellow et al., arXiv 1406.2661).

    Args:
        real_logits: Logits of real images.
        fake_logits: Logits of generated images.
        real_labels: y of the first term, the cross-entropy -y log D - (1 - y) log(1 - D); a scalar
            or of the logits' shape.
        fake_labels: y of the second term.

    Example:
        >>> import numpy as np
        >>> zeros = np.zeros((4, 1))
        >>> round(float(non_saturating_discriminator_loss(zeros, zeros)), 4)  # 2 log 2
        1.3863
    """
    real, fake = _to_float32(real_logits, fake_logits)
    # softplus(x) = softplus(-x) + x turns both terms of a cross-entropy into one softplus.
    real_term = ops.softplus(-real) + (1 - real_labels) * real
    return ops.mean(real_term) + ops.mean(ops.softplus(fake) - fake_labels * fake)


def non_saturating_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """Compute -log D(G(z)) (Goodfellow et al., arXiv 1406.2661); `real_logits` are not used."""
    (fake,) = _to_float32(fake_logits)
    return ops.mean(ops.softplus(-fake))


def hinge_discriminator_loss(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_labels: Labels = 1.0,
    fake_labels: Labels = 0.0,
) -> KerasTensor:
    """Compute max(0, b - D(x)) + max(0, 1 + a + D(G(z))) with labels b = 1 and a = 0.

    From Lim and Ye (arXiv 1705.02894), as in SNGAN (Miyato et al., arXiv 1802.05957). Lower labels
    make both margins smaller, as label noise does in FastGAN's code.

    Args:
        real_logits: Logits of real images.
        fake_logits: Logits of generated images.
        real_labels: b, a scalar or of the logits' shape.
        fake_labels: a, likewise.
    """
    real, fake = _to_float32(real_logits, fake_logits)
    return ops.mean(ops.relu(real_labels - real)) + ops.mean(ops.relu(1 + fake_labels + fake))


def hinge_generator_loss(real_logits: KerasTensor | None, fake_logits: KerasTensor) -> KerasTensor:
    """Compute -D(G(z)) (Lim and Ye, arXiv 1705.02894); `real_logits` are not used."""
    (fake,) = _to_float32(fake_logits)
    return -ops.mean(fake)


def least_squares_discriminator_loss(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_labels: Labels = 1.0,
    fake_labels: Labels = 0.0,
) -> KerasTensor:
    """Compute ½(D(x) - b)² + ½(D(G(z)) - a)² with labels b = 1 and a = 0.

    From Mao et al. (arXiv 1611.04076), equations 2 and 9; D has no sigmoid here.

    Args:
        real_logits: Logits of real images.
        fake_logits: Logits of generated images.
        real_labels: b, a scalar or of the logits' shape.
        fake_labels: a, likewise.
    """
    real, fake = _to_float32(real_logits, fake_logits)
    real_term, fake_term = ops.square(real - real_labels), ops.square(fake - fake_labels)
    return 0.5 * ops.mean(real_term) + 0.5 * ops.mean(fake_term)


def least_squares_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """Compute ½(D(G(z)) - 1)² (Mao et al., arXiv 1611.04076); `real_logits` are not used."""
    (fake,) = _to_float32(fake_logits)
    return 0.5 * ops.mean(ops.square(fake - 1))


def wasserstein_discriminator_loss(
    real_logits: KerasTensor, fake_logits: KerasTensor
) -> KerasTensor:
    """Compute D(G(z)) - D(x) (Arjovsky et al., arXiv 1701.07875).

    It estimates a distance only where D is 1-Lipschitz: combine it with WGAN-GP's penalty or
    spectral normalization.

    Example:
        >>> float(wasserstein_discriminator_loss([[2.0], [4.0]], [[-1.0], [1.0]]))
        -3.0
    """
    real, fake = _to_float32(real_logits, fake_logits)
    return ops.mean(fake) - ops.mean(real)


def wasserstein_generator_loss(
    real_logits: KerasTensor | None, fake_logits: KerasTensor
) -> KerasTensor:
    """Compute -D(G(z)) (Arjovsky et al., arXiv 1701.07875); `real_logits` are not used."""
    (fake,) = _to_float32(fake_logits)
    return -ops.mean(fake)


def relativistic_discriminator_loss(
    real_logits: KerasTensor, fake_logits: KerasTensor
) -> KerasTensor:
    """Compute -log sigmoid(D(x) - D(G(z))) over pairs of a real and a generated image.

    RpGAN of Jolicoeur-Martineau (arXiv 1807.00734), as in R3GAN (Huang et al., arXiv 2501.05441).
    The number of real and of generated images must be equal.
    """
    real, fake = _to_float32(real_logits, fake_logits)
    return ops.mean(ops.softplus(fake - real))


def relativistic_generator_loss(real_logits: KerasTensor, fake_logits: KerasTensor) -> KerasTensor:
    """Compute -log sigmoid(D(G(z)) - D(x)) over pairs (RpGAN, arXiv 1807.00734)."""
    real, fake = _to_float32(real_logits, fake_logits)
    return ops.mean(ops.softplus(real - fake))


LOSSES: dict[str, AdversarialLoss] = {
    "non_saturating": AdversarialLoss(
        non_saturating_discriminator_loss, non_saturating_generator_loss
    ),
    "hinge": AdversarialLoss(hinge_discriminator_loss, hinge_generator_loss),
    "least_squares": AdversarialLoss(
        least_squares_discriminator_loss, least_squares_generator_loss
    ),
    "wasserstein": AdversarialLoss(wasserstein_discriminator_loss, wasserstein_generator_loss),
    "relativistic": AdversarialLoss(relativistic_discriminator_loss, relativistic_generator_loss),
}


def make_loss(
    params: LossParams, seed: keras.random.SeedGenerator | None = None
) -> AdversarialLoss:
    """Return the chosen adversarial loss, with smoothed or noisy discriminator labels if set.

    Args:
        params: Name of the loss, label smoothing and label noise.
        seed: Source of the label noise; required if `params.label_noise` is positive.

    Example:
        >>> loss = make_loss(LossParams(name="hinge"))
        >>> float(loss.generator(None, [[2.0]]))
        -2.0
    """
    loss = LOSSES[params.name]
    smoothing, noise = params.label_smoothing, params.label_noise
    if not smoothing and not noise:
        return loss

    def discriminator(real_logits: KerasTensor, fake_logits: KerasTensor) -> KerasTensor:
        labels = [1.0 - smoothing, 0.0]
        if noise:
            for i, logits in enumerate((real_logits, fake_logits)):
                labels[i] -= noise * keras.random.uniform(ops.shape(logits), seed=seed)
        return loss.discriminator(real_logits, fake_logits, *labels)

    return loss._replace(discriminator=discriminator)


# --- Auxiliary losses -------------------------------------------------------------------------


def softmax_class_loss(logits: KerasTensor, labels: KerasTensor) -> KerasTensor:
    """Compute the softmax cross-entropy of the target class, as in AC-GAN and improved ArtGAN.

    With the non-saturating loss on logsumexp(logits) it makes improved ArtGAN's loss (Tan et al.,
    arXiv 1708.09533); with that on the difference to another logit, the cross-entropy of K + 1
    classes.

    Args:
        logits: Class logits, (N, K).
        labels: One-hot labels or class weights, (N, K).

    Example:
        >>> import numpy as np
        >>> round(float(softmax_class_loss(np.zeros((2, 4)), np.eye(4)[:2])), 4)  # log 4
        1.3863
    """
    logits, labels = _to_float32(logits, labels)
    return -ops.mean(ops.sum(labels * ops.log_softmax(logits), axis=-1))


def sigmoid_class_loss(logits: KerasTensor, labels: KerasTensor) -> KerasTensor:
    """Compute the sum over classes of binary cross-entropies, as in ArtGAN (arXiv 1702.03410).

    Args:
        logits: Class logits, (N, K).
        labels: Labels in [0, 1], (N, K); all 0 for an image of no class.
    """
    logits, labels = _to_float32(logits, labels)
    return ops.mean(ops.sum(ops.softplus(logits) - labels * logits, axis=-1))


def reconstruction_loss(reconstructions: KerasTensor, images: KerasTensor) -> KerasTensor:
    """Compute half the mean squared error, as in improved ArtGAN (arXiv 1708.09533).

    On images in [-1, 1] it equals twice the mean squared error on the scale [0, 1] of the first
    ArtGAN.

    Args:
        reconstructions: Decoded images, (N, H, W, C).
        images: Target images, (N, H, W, C) in [-1, 1].

    Example:
        >>> import numpy as np
        >>> float(reconstruction_loss(np.ones((1, 2, 2, 3)), -np.ones((1, 2, 2, 3))))
        2.0
    """
    reconstructions, images = _to_float32(reconstructions, images)
    return ops.mean(ops.square(reconstructions - images)) / 2


# --- Regularization ---------------------------------------------------------------------------


def zero_centered_penalty(gradient: KerasTensor) -> KerasTensor:
    """Compute E‖∇‖²: times γ/2 it is R1 on real and R2 on generated images (arXiv 1801.04406).

    Args:
        gradient: Gradient of each image's logit by its pixels, (N, H, W, C).

    Example:
        >>> import numpy as np
        >>> float(zero_centered_penalty(np.ones((5, 2, 2, 3))))
        12.0
    """
    return ops.mean(_squared_norms(gradient))


def one_centered_penalty(gradient: KerasTensor) -> KerasTensor:
    """Compute E(‖∇‖ - 1)², the penalty of WGAN-GP (Gulrajani et al., arXiv 1704.00028).

    Its own gradient is 0 where ∇ is.

    Args:
        gradient: Gradient of each interpolated image's logit by its pixels, (N, H, W, C).

    Example:
        >>> import numpy as np
        >>> float(one_centered_penalty(np.zeros((5, 2, 2, 3))))
        1.0
    """
    return ops.mean(ops.square(safe_root(_squared_norms(gradient)) - 1))


def safe_root(squares: KerasTensor) -> KerasTensor:
    """Return square roots whose gradient is 0 at 0, where it would be infinite."""
    positive = squares > 0
    # Infinity times 0 would be NaN: never take the root there.
    roots = ops.sqrt(ops.where(positive, squares, 1.0))
    return ops.where(positive, roots, 0.0)


def interpolate(
    real: KerasTensor, fake: KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Return ε real + (1 - ε) fake with a uniform ε per image, for WGAN-GP (arXiv 1704.00028).

    Args:
        real: Real images, (N, H, W, C).
        fake: Generated images of the same shape.
        seed: Source of ε.
    """
    shape = (ops.shape(real)[0], *(1 for _ in real.shape[1:]))
    share = ops.cast(keras.random.uniform(shape, dtype="float32", seed=seed), real.dtype)
    return share * real + (1 - share) * fake


def lecam_penalty(
    real_logits: KerasTensor,
    fake_logits: KerasTensor,
    real_ema: KerasTensor,
    fake_ema: KerasTensor,
) -> KerasTensor:
    """Compute E max(0, D(x) - α_F)² + E max(0, α_R - D(G(z)))² (Tseng et al., arXiv 2104.03310).

    This is the form of the official code; the paper's equation has no max, so that it also pulls
    back logits beyond the averages.

    Args:
        real_logits: Logits of real images.
        fake_logits: Logits of generated images.
        real_ema: α_R, the moving average of the mean of `real_logits`, a scalar.
        fake_ema: α_F, that of `fake_logits`.
    """
    real, fake, real_ema, fake_ema = _to_float32(real_logits, fake_logits, real_ema, fake_ema)
    above = ops.relu(real - ops.stop_gradient(fake_ema))
    below = ops.relu(ops.stop_gradient(real_ema) - fake)
    return ops.mean(ops.square(above)) + ops.mean(ops.square(below))


def moving_average(average: KerasTensor, value: KerasTensor, decay: KerasTensor) -> KerasTensor:
    """Return decay · average + (1 - decay) · value in float32, without a gradient to the value.

    With decay 0 the result is the value, whatever the initial average.
    """
    average, value, decay = _to_float32(average, value, decay)
    return decay * average + (1 - decay) * ops.stop_gradient(value)


def _squared_norms(gradient: KerasTensor) -> KerasTensor:
    """Return ‖∇‖² of each image, (N,), in float32: float16 would overflow."""
    axes = tuple(range(1, len(gradient.shape)))
    return ops.sum(ops.square(ops.cast(gradient, "float32")), axis=axes)


def _to_float32(*values: KerasTensor) -> tuple[KerasTensor, ...]:
    return tuple(ops.cast(value, "float32") for value in values)
