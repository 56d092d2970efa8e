"""The node of the select pipeline."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ganvas.base_params import flatten
from ganvas.command_line import quote_param, write_command
from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import read_classes
from ganvas.ingestion.collection import Collection
from ganvas.keras_types import Model
from ganvas.networks import NetworkParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.select.params import SelectParams
from ganvas.pipelines.train.nodes import (
    Arrays,
    build_networks,
    choose_column,
    make_encoder,
    make_training_set,
    run_identity,
    summarize_run,
    to_float32,
)
from ganvas.recorded_command import set_params
from ganvas.training.checkpoint_contents import UNREADABLE, read_checkpoint
from ganvas.training.checkpoints import run_folder
from ganvas.training.config import TrainParams
from ganvas.training.kept_epochs import (
    ChosenEpoch,
    KeptRun,
    choose_epoch,
    find_swept,
    has_trained_with,
    read_kept,
)
from ganvas.training.new_run import IDENTITY_FILE, SWEPT, describe_other_run, read_record

if TYPE_CHECKING:
    from ganvas.training.checkpoint_contents import Checkpoint

logger = logging.getLogger(__name__)


def select_epoch(
    collection: Collection,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
    select: SelectParams,
    checkpoints: Path,
    command: str,
) -> tuple[Model, Model, Arrays, dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Make the models of a kept epoch of the run that these parameters identify.

    Nothing is trained, and no checkpoint changes: the same training resumes from its last one.

    Args:
        collection: The packed images.
        ingest: How they were packed.
        network: Which networks were trained.
        params: Parameters of training.
        select: Which epoch.
        checkpoints: Folder of the runs' folders for checkpoints.
        command: This command, for the summary.

    Returns:
        What training returns if it ends with this epoch: the EMA generator, the discriminator, the
        encoder's arrays, the class list, the history up to the epoch, and the summary. Of an
        earlier epoch, this has `chosen_epoch`.

    Raises:
        GanvasError: The run has no checkpoints, or not of this epoch.
    """
    # 1. The checkpoint, before TensorFlow starts.
    run = find_run(collection, ingest, network, params, checkpoints)
    chosen = choose_epoch(run, select.epoch, select.by)
    checkpoint = _read(chosen)
    message = _describe(run, chosen)
    logger.info("Starting TensorFlow and building the networks of epoch %d.", checkpoint.epoch)
    import keras

    from ganvas.training.trainer import restore_checkpoint

    # 2. The networks with its weights.
    params = params.resolve(*ingest.image_shape[:2])
    network = network.resolve_label(ingest.classes)
    classes = read_classes(collection.index, choose_column(network, collection))
    data = make_training_set(collection, classes)
    params, changed = _as_trained(params, checkpoint, chosen.epoch)
    keras.utils.set_random_seed(params.seed)
    # The weights to start from are replaced, and may be gone.
    unloaded = params.model_copy(update={"weights_from": None})
    networks, ema_generator = build_networks(network, unloaded, data)
    result = restore_checkpoint(networks, ema_generator, data, params, checkpoint, message)
    discriminator = to_float32(network, params, networks.discriminator, data)

    # 3. The summary.
    changed |= dict.fromkeys(("select.epoch", "select.by"))
    summary: dict[str, Any] = {"command": set_params(command, changed)}
    summary["held_out"] = len(collection.split("validation"))
    summary |= summarize_run(result, data, classes, ingest, network, params)
    if chosen.epoch is not None:
        summary |= {"chosen_epoch": chosen.epoch, "of_epochs": len(run.rows)}
    logger.info("%s", result.message)
    if not message and chosen.reason:
        logger.info("The last epoch is %s.", chosen.reason)
    encoder = make_encoder(network, result, data)
    return result.generator, discriminator, encoder, summary["classes"], result.history, summary


def find_run(
    collection: Collection,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
    checkpoints: Path,
) -> KeptRun:
    """Find the checkpoints of the run that parameters identify, as training does.

    A run of a sweep over learning rates and the like is found by its values, too, unless the run
    that training would resume was trained with them.

    Raises:
        GanvasError: It has none.
    """
    network, params = network.resolve_label(ingest.classes), params.resolve(*ingest.image_shape[:2])
    classes = read_classes(collection.index, choose_column(network, collection))
    identity = run_identity(collection, ingest, classes, network, params)
    folder = run_folder(checkpoints, identity)
    run = read_kept(folder, params.checkpoint.keep)
    if SWEPT not in identity:
        run = _prefer_swept(run, checkpoints, identity, params)
    if run:
        return run
    other = None if folder.exists() else describe_other_run(checkpoints, identity)
    differs = f" (the most similar run there has others: {other})" if other else ""
    raise GanvasError(
        f"There are no checkpoints of a run with these parameters in {checkpoints}{differs}: set "
        f"those of a run that has some, or train it by `{write_command('run')}`."
    )


def _prefer_swept(
    run: KeptRun | None, checkpoints: Path, identity: dict[str, Any], params: TrainParams
) -> KeptRun | None:
    """Return the run of a sweep that has these parameters, if the one that is known has not."""
    train = params.model_dump(mode="json")
    swept = {
        folder: other
        for folder in find_swept(checkpoints, identity, train)
        if (other := read_kept(folder, params.checkpoint.keep))
    }
    if not swept:
        return run
    keys = {key for folder in swept for key in (read_record(folder / IDENTITY_FILE) or {})[SWEPT]}
    first, *others = swept.values()
    if run is not None and has_trained_with(run, train, keys):
        first, others = run, [first, *others]
    if others:
        folders = ", ".join(str(other.folder) for other in others)
        logger.warning(
            "Several runs, of sweeps or not, have these parameters: using that in %s, not in %s.",
            first.folder,
            folders,
        )
    return first


def _read(chosen: ChosenEpoch) -> Checkpoint:
    try:
        return read_checkpoint(chosen.file)
    except UNREADABLE as error:
        raise GanvasError(
            f"{chosen.file} can't be used ({error}): choose another epoch by select.epoch."
        ) from error


def _describe(run: KeptRun, chosen: ChosenEpoch) -> str:
    """Return which earlier epoch was chosen and why, in a sentence; empty: it is the last one."""
    if chosen.epoch is None:
        return ""
    return f"Epoch {chosen.epoch} of {len(run.rows)} was chosen, {chosen.reason}."


def _as_trained(
    params: TrainParams, checkpoint: Checkpoint, epoch: int | None
) -> tuple[TrainParams, dict[str, str | None]]:
    """Return the parameters that the epoch was trained with, and those to set in a command.

    Learning rates and the like identify no run, so they may not be those of this command. Of an
    earlier epoch, training ends with it.
    """
    parts = checkpoint.run_state.get("parts") or [{"parameters": {}}]
    trained = {
        key: value
        for key, value in parts[-1]["parameters"].items()
        if key in TrainParams.model_fields and key != "kid_validation"
    }
    given = params.model_dump(mode="json")
    # The models are those of this epoch, not of the best one that a run would end with.
    trained["kid_validation"] = given["kid_validation"] | {"keep": "last"}
    if epoch is not None:
        trained["epochs"] = epoch
    flat = flatten({"train": given})
    changed: dict[str, str | None] = {
        key: quote_param(value)
        for key, value in flatten({"train": trained}).items()
        if flat.get(key) != value
    }
    return TrainParams.model_validate(given | trained), changed
