"""One training run: networks and pictures in, trained networks and their history out."""

import logging
import time
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.errors import GanvasError
from ganvas.networks.sampling import draw_latents
from ganvas.params import Params
from ganvas.training.batches import draw_batches
from ganvas.training.callbacks import (
    Diverged,
    EpochReport,
    EpochTable,
    LastGoodEpoch,
    SaveSnapshot,
    Snapshots,
    TimeLimit,
)
from ganvas.training.gan import GAN, FusedAdam, stream

logger = logging.getLogger(__name__)


class TrainParams(Params):
    """Parameters of training.

    Attributes:
        epochs: Times that every training picture is seen, at most.
        max_minutes: Minutes after which training ends, complete epoch or not; None for no limit.
        batch_size: Pictures a step.
        generator_learning_rate: Adam's step size for the generator.
        discriminator_learning_rate: Adam's step size for the discriminator.
        beta_1: Adam's decay of the gradients' mean.
        beta_2: Adam's decay of the gradients' variance.
        seed: Of the initial weights, the order of the pictures and the latents.
        snapshot_every: Epochs between two snapshot grids.
        snapshot_rows: Rows of a snapshot grid.
        snapshot_columns: Columns of a snapshot grid.
    """

    epochs: int = Field(100, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(64, ge=2)
    generator_learning_rate: float = Field(2e-4, gt=0, le=1)
    discriminator_learning_rate: float = Field(2e-4, gt=0, le=1)
    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**31)
    snapshot_every: int = Field(1, ge=1)
    snapshot_rows: int = Field(4, ge=1, le=32)
    snapshot_columns: int = Field(8, ge=1, le=32)


EndedBy = Literal["epochs", "time", "interrupted", "diverged"]


class Training(NamedTuple):
    """What a run leaves beside the trained networks.

    Attributes:
        history: One row an epoch: epoch, loss_g, loss_d, real_score, fake_score (means over the
            epoch; scores are sigmoid outputs in [0, 1]), seconds, images_per_second.
        ended_by: What ended it; after a divergence the networks are those of the last good epoch.
        message: The same in a sentence.
        images_seen: Real pictures shown to the discriminator.
        seconds: The whole run's duration.
    """

    history: pd.DataFrame
    ended_by: EndedBy
    message: str
    images_seen: int
    seconds: float


def train(
    generator: keras.Model,
    discriminator: keras.Model,
    images: np.ndarray,
    positions: np.ndarray,
    params: TrainParams,
    save_snapshot: SaveSnapshot,
) -> Training:
    """Train a generator and a discriminator against each other, in place.

    Ctrl-C ends the run with the weights of the last complete epoch, and so does a loss that is no
    longer a number.

    Args:
        generator: Latent (N, Z) to pictures (N, H, W, 3) in [-1, 1].
        discriminator: Such pictures to logits (N, 1).
        images: uint8 of shape (N, H, W, 3).
        positions: Which of them to train on, int64 of shape (n,).
        params: How to train.
        save_snapshot: Takes an epoch, from 1 on, and what the generator paints after it from
            latents that stay the same, uint8 of shape (n, H, W, 3).

    Raises:
        GanvasError: There are fewer pictures than a batch takes, or the run was interrupted or
            diverged before its first epoch was complete.
    """
    if len(positions) < params.batch_size:
        raise GanvasError(
            f"There are {len(positions)} pictures to train on, fewer than a batch: set "
            f"train.batch_size (now {params.batch_size}) to at most {len(positions)}."
        )
    gan = GAN(generator, discriminator, seed=params.seed)
    gan.compile(
        generator_optimizer=_adam(params, params.generator_learning_rate),
        discriminator_optimizer=_adam(params, params.discriminator_learning_rate),
    )
    batches = draw_batches(images, positions, params.batch_size, params.seed)
    dataset = stream(batches, (params.batch_size, *images.shape[1:]))
    return _fit(gan, dataset, len(positions) // params.batch_size, params, save_snapshot)


def _adam(params: TrainParams, learning_rate: float) -> keras.Optimizer:
    return FusedAdam(learning_rate, beta_1=params.beta_1, beta_2=params.beta_2, epsilon=1e-8)


def _fit(
    gan: GAN, dataset: Any, steps: int, params: TrainParams, save_snapshot: SaveSnapshot
) -> Training:
    count = params.snapshot_rows * params.snapshot_columns
    latents = draw_latents(gan.generator, count, params.seed)
    last_good, clock = LastGoodEpoch(), TimeLimit(params.max_minutes)
    table = EpochTable(params.batch_size)
    report = EpochReport(params.epochs, steps, params.max_minutes)
    painter = Snapshots(latents, params.snapshot_every, save_snapshot)
    start = time.monotonic()
    ended_by: EndedBy = "epochs"
    cause = ""
    try:
        gan.fit(
            dataset,
            epochs=params.epochs,
            steps_per_epoch=steps,
            verbose=0,
            shuffle=False,
            callbacks=[last_good, clock, table, painter, report],
        )
        ended_by = "time" if clock.reached else "epochs"
    except (KeyboardInterrupt, Diverged) as error:
        ended_by = "diverged" if isinstance(error, Diverged) else "interrupted"
        cause = str(error) or "interrupted"
        last_good.restore(cause)
    finally:
        report.close()
    message = _tell_end(ended_by, cause, last_good.epochs, params)
    logger.log(logging.WARNING if cause else logging.INFO, message)
    history = pd.DataFrame(table.rows[: last_good.epochs])
    return Training(history, ended_by, message, table.images_seen, time.monotonic() - start)


def _tell_end(ended_by: EndedBy, cause: str, epochs: int, params: TrainParams) -> str:
    match ended_by:
        case "epochs":
            return f"Training is complete after {epochs} epochs."
        case "time":
            return f"Training ended after {params.max_minutes:g} minutes, in epoch {epochs}."
        case "interrupted":
            return f"Training was interrupted: the model of epoch {epochs} is kept."
        case "diverged":
            return (
                f"Training diverged, {cause}: the model of epoch {epochs} is kept; try lower "
                "train.generator_learning_rate and train.discriminator_learning_rate."
            )
