"""How the end of a run is told."""

from typing import Literal

from ganvas.training.checkpoints import Checkpoint
from ganvas.training.config import TrainParams
from ganvas.training.record import Record

EndedBy = Literal["epochs", "time", "patience", "interrupted", "diverged"]


def tell_end(
    ended_by: EndedBy,
    cause: str,
    epochs: int,
    params: TrainParams,
    record: Record,
    best: Checkpoint | None,
) -> str:
    """Tell in one sentence, or two, what ended a run and whose weights it leaves.

    Args:
        ended_by: What ended it.
        cause: Why it was broken off, if it was.
        epochs: How many rows its history has.
        params: Of training.
        record: Of the run.
        best: The checkpoint whose weights were taken instead of the last ones.
    """
    match ended_by:
        case "epochs":
            told = f"Training is complete after {epochs} epochs."
        case "time":
            told = f"Training ended after {params.max_minutes:g} minutes, in epoch {epochs}."
        case "patience":
            assert record.best, "patience begins with a best epoch"
            told = (
                f"Training ended in epoch {epochs}: no better one since epoch "
                f"{record.best['epoch']}."
            )
        case "interrupted":
            told = f"Training was interrupted: the model of epoch {epochs} is kept."
        case "diverged":
            told = (
                f"Training diverged, {cause}: the model of epoch {epochs} is kept; try lower "
                "train.generator_learning_rate and train.discriminator_learning_rate."
            )
    return f"{told} The best epoch, {best.epoch}, is taken." if best else told
