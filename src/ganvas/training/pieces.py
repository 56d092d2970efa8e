"""A step's batch, cut into pieces that go through the networks at once, and what comes of them."""

from typing import NamedTuple

from keras import KerasTensor, ops


class Piece(NamedTuple):
    """A part of a batch.

    Attributes:
        real: Real images (N, H, W, 3), float32 in [-1, 1].
        latents: (N, Z).
        shown: Rows of the classes that the real images show, (N, K); None: no classes.
        asked: Rows of the classes that the generator is asked for.
    """

    real: KerasTensor
    latents: KerasTensor
    shown: KerasTensor | None = None
    asked: KerasTensor | None = None


class Verdict(NamedTuple):
    """What the discriminator says of a batch: losses without penalties, logits (N, 1)."""

    loss_d: KerasTensor
    loss_g: KerasTensor
    real: KerasTensor
    fake: KerasTensor


def cut(piece: Piece, count: int) -> list[Piece]:
    """Cut a batch into equal pieces."""
    parts = [None if each is None else ops.split(each, count) for each in piece]
    return [
        Piece(*(None if each is None else each[number] for each in parts))
        for number in range(count)
    ]


def join(verdicts: list[Verdict]) -> Verdict:
    """Join what was said of equal pieces: the means of their losses, and all logits."""
    if len(verdicts) == 1:
        return verdicts[0]
    losses_d, losses_g, real, fake = zip(*verdicts, strict=True)
    loss_d, loss_g = (ops.mean(ops.stack(losses)) for losses in (losses_d, losses_g))
    return Verdict(loss_d, loss_g, ops.concatenate(real), ops.concatenate(fake))
