"""Adversarial losses: pure functions of logits, positive for real."""

from keras import KerasTensor, ops


def non_saturating_discriminator_loss(real: KerasTensor, fake: KerasTensor) -> KerasTensor:
    """-log D(x) - log(1 - D(G(z))), the mean over the batch (Goodfellow et al., arXiv 1406.2661).

    Args:
        real: Logits of real pictures, (N, 1).
        fake: Logits of generated pictures, (N, 1).
    """
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def non_saturating_generator_loss(fake: KerasTensor) -> KerasTensor:
    """-log D(G(z)), the mean over the batch, for logits (N, 1) of generated pictures."""
    return ops.mean(ops.softplus(-fake))
