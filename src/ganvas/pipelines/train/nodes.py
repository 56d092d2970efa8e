"""Nodes of the train pipeline."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ganvas.base_params import check_params
from ganvas.command_line import quote_param, write_command
from ganvas.errors import Finished
from ganvas.file_lock import hold_lock
from ganvas.image_shape import CHANNEL_COUNTS, height_and_width
from ganvas.ingestion.class_labels import Classes, label_columns, read_classes
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.packing import LATER_PARAMS
from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable, write_class_list
from ganvas.memory_limit import read_memory_limit
from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.networks.config import ProjectedParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.params import (
    SWEEP_VALUES,
    identifying_network,
    identifying_parameters,
    run_parameters,
)
from ganvas.project_folder import resolve_path
from ganvas.recorded_command import set_params
from ganvas.training.config import TrainParams
from ganvas.training.new_run import SWEPT

if TYPE_CHECKING:
    from ganvas.networks.gan_networks import GanNetworks
    from ganvas.training.checkpoints import CheckpointStore
    from ganvas.training.dataset import TrainingSet
    from ganvas.training.distribution import Devices
    from ganvas.training.memory import MemoryEstimate
    from ganvas.training.trainer import TrainingResult

Arrays = dict[str, np.ndarray]
PACKAGES = ["ganvas", "kedro", "keras", "tensorflow", "numpy", "pillow"]

logger = logging.getLogger(__name__)


def train_gan(
    collection: Collection,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
    snapshots: Path,
    checkpoints: Path,
    command: str,
) -> tuple[Model, Model, Arrays, dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Build the networks and train them.

    Args:
        collection: The packed images.
        ingest: How they were packed.
        network: Which networks to train.
        params: Parameters of training.
        snapshots: Folder of the runs' folders for snapshots.
        checkpoints: Folder of the runs' folders for checkpoints.
        command: The command that reproduces the run, for the summary.

    Returns:
        The EMA generator, the discriminator, the arrays of `make_encoder`, the class list, the
        history and the run's summary.

    Raises:
        Finished: It was a dry run, or this worker is not the chief.
    """
    logger.info("Starting TensorFlow and building the networks.")
    # TensorFlow takes seconds to import, and Kedro imports this module for every command.
    import keras

    from ganvas.pipelines.train.callbacks import make_callbacks
    from ganvas.training.checkpoints import run_folder
    from ganvas.training.trainer import train

    # 1. Images with their classes, and the devices to train on.
    network = network.resolve_label(ingest.classes)
    params = _resolve(params, ingest)
    devices = _start_devices(network, params)
    classes = read_classes(collection.index, choose_column(network, collection))
    data = make_training_set(collection, classes)

    # 2. Networks with initial weights.
    identity = run_identity(collection, ingest, classes, network, params)
    initial = _without_lost_weights(params, checkpoints, identity)
    keras.utils.set_random_seed(params.seed)
    with devices.worker_errors_as_ganvas_errors(), devices.scope():
        networks, ema_generator = build_networks(network, initial, data)
    memory = _check_memory(networks, params, devices)
    if params.dry_run:
        folder = run_folder(checkpoints, identity)
        raise Finished(_dry_run(networks, ema_generator, data, params, memory, folder))

    # 3. Checkpoints of this run.
    models = [*networks[:2], ema_generator]
    about = {"training_images": len(data.positions)}
    store = _share_store(checkpoints, identity, about, params, models, devices, command)

    # 4. Training, and the outputs to save.
    callbacks = []
    if devices.is_chief:
        callbacks = make_callbacks(collection, data, classes.table, params, snapshots)
    result = train(networks, ema_generator, data, params, store, callbacks, devices)
    discriminator = to_float32(network, params, networks.discriminator, data)
    summary: dict[str, Any] = {"command": command, "held_out": len(collection.split("validation"))}
    summary |= summarize_run(result, data, classes, ingest, network, params)
    encoder = make_encoder(network, result, data)
    return result.generator, discriminator, encoder, summary["classes"], result.history, summary


def make_encoder(network: NetworkParams, result: TrainingResult, data: TrainingSet) -> Arrays:
    """Return what finds the latents of images, of a generator with anchors; {} of any other."""
    from ganvas.networks.image_encoder import ImageEncoder, to_arrays
    from ganvas.networks.latent_spaces import w_shape

    if result.projection is None:
        return {}
    chosen = network.chosen
    assert isinstance(chosen, ProjectedParams), "others have no anchors"
    backbone, upscale = chosen.backbone, chosen.input_upscale
    shape, latent = data.images.shape[1:], w_shape(result.generator)
    return to_arrays(ImageEncoder(backbone, upscale, shape, latent, result.projection))


def _resolve(params: TrainParams, ingest: IngestParams) -> TrainParams:
    """Return the parameters with a number for train.penalty.r1, and log it if it was auto."""
    resolved = params.resolve(*ingest.image_shape[:2])
    if resolved.penalty != params.penalty:
        logger.info(
            "train.penalty.r1=auto is %.4g for images of %d×%d pixels in batches of %d.",
            *(resolved.penalty.r1, *ingest.image_shape[:2], params.batch_size),
        )
    return resolved


def _start_devices(network: NetworkParams, params: TrainParams) -> Devices:
    """Start TensorFlow's threads, and return the devices to train on; one for a dry run."""
    from ganvas.training.cpu_threads import run_branches_in_parallel
    from ganvas.training.distribution import SINGLE_DEVICE, select_devices

    if params.anchor.every and NETWORKS[network.name].anchored:
        # Before TensorFlow starts, and so before there are networks that could be checked.
        run_branches_in_parallel()
    return SINGLE_DEVICE if params.dry_run else select_devices(params.distribute)


def _check_memory(networks: GanNetworks, params: TrainParams, devices: Devices) -> MemoryEstimate:
    """Estimate the memory of training; refuse what doesn't fit into that of the device."""
    from ganvas.training.gpu import has_gpu, read_gpu_memory
    from ganvas.training.memory import check_memory

    gpu = has_gpu()
    limit = read_gpu_memory() if gpu else read_memory_limit()
    return check_memory(networks, params, limit, devices.replicas, gpu)


def _dry_run(
    networks: GanNetworks,
    ema_generator: Model,
    data: TrainingSet,
    params: TrainParams,
    memory: MemoryEstimate,
    folder: Path,
) -> str:
    """Run a few steps and return an estimate of what the run would take."""
    from ganvas.training.checkpoints import CheckpointStore
    from ganvas.training.dataset import count_steps
    from ganvas.training.dry_run import dry_run
    from ganvas.training.trainer import build_gan

    steps = count_steps(len(data.positions), params)
    gan = build_gan(networks, ema_generator, data, params, steps)
    store = CheckpointStore(folder, params.checkpoint.keep, params.checkpoint.keep_every)
    return dry_run(gan, data, params, memory, store)


def _share_store(
    checkpoints: Path,
    identity: dict[str, Any],
    about: dict[str, Any],
    params: TrainParams,
    models: list[Model],
    devices: Devices,
    command: str,
) -> CheckpointStore:
    """Open the run's checkpoints, the same on all workers, which must have equal parameters."""
    from ganvas.training.checkpoints import open_store, run_folder

    def open_alone() -> CheckpointStore:
        folder = run_folder(checkpoints, identity)
        task = f"trains with the same parameters, which is the run of {folder}"
        # Until the whole pipeline ends, so that the same command is refused meanwhile.
        hold_lock(folder, task, "set another train.seed")
        return open_store(
            checkpoints,
            identity,
            params.checkpoint.keep,
            params.resume,
            params.checkpoint.keep_every,
            about,
            partial(_command_from, command),
        )

    with devices.worker_errors_as_ganvas_errors():
        devices.check_same(identity | {"run": params.model_dump(mode="json")}, models)
        return devices.share_store(open_alone)


def _command_from(command: str, run: Path) -> str:
    """Return the present command, in the user's form, that starts from the weights of a run."""
    project = resolve_path("").resolve()
    path = run.resolve()
    path = path.relative_to(project) if path.is_relative_to(project) else path
    changed = set_params(command, {"train.weights_from": quote_param(path.as_posix())})
    words = shlex.split(changed)
    # The recorded command is Kedro's also where the user types that of make.
    return write_command("run", *words[2:]) if words[:2] == ["kedro", "run"] else changed


def choose_column(network: NetworkParams, collection: Collection) -> str | list[str] | None:
    """Return the label column whose values are the classes, or several; None for none."""
    if network.label is None and NETWORKS[network.name].always_conditional:
        return next(iter(label_columns(collection.index)), None)
    return network.label


def make_training_set(collection: Collection, classes: Classes) -> TrainingSet:
    """Return the training images; with classes, only labeled ones."""
    from ganvas.training.dataset import TrainingSet

    positions = classes.in_split(collection.split("train"))
    table = classes.table
    if not table.columns:
        return TrainingSet(collection.images, positions)
    data = TrainingSet(collection.images, positions, classes.labels, table.num_weights)
    if len(table.columns) == 1:
        return data
    # Combinations of training images come first, and others are never drawn.
    count = int(classes.labels[positions].max()) + 1
    logger.info(
        "The %d label columns have %d values; training images have %d of their combinations.",
        len(table.columns),
        table.num_weights,
        count,
    )
    return data._replace(rows=table.weigh(np.arange(count)))


def _without_lost_weights(
    params: TrainParams, checkpoints: Path, identity: dict[str, Any]
) -> TrainParams:
    """Return parameters without `weights_from`, if that is gone and the run resumes without it."""
    from ganvas.training.checkpoint_weights import has_checkpoints
    from ganvas.training.checkpoints import run_folder

    if params.weights_from is None or resolve_path(params.weights_from).exists():
        return params
    resumes = params.resume and has_checkpoints(run_folder(checkpoints, identity))
    return params.model_copy(update={"weights_from": None}) if resumes else params


def build_networks(
    network: NetworkParams, params: TrainParams, data: TrainingSet
) -> tuple[GanNetworks, Model]:
    """Build the networks to train, and the float32 generator that is evaluated and saved."""
    shape = data.images.shape[1:]
    networks = build(network, shape, data.num_classes, params.precision)
    if params.weights_from is not None:
        _load_weights(networks, resolve_path(params.weights_from), params.precision)
    same = not params.has_ema and params.precision == "float32"
    return networks, networks.generator if same else _build_float32(network, params, data).generator


def _build_float32(network: NetworkParams, params: TrainParams, data: TrainingSet) -> GanNetworks:
    """Build networks in float32 that compute what those of training do in its precision."""
    limited = network.limit_values(params.precision)
    return build(limited, data.images.shape[1:], data.num_classes)


def _load_weights(networks: GanNetworks, path: Path, precision: str) -> None:
    """Set initial weights from the saved models or the checkpoints of another run."""
    from ganvas.networks.weight_transfer import load_matching_weights
    from ganvas.training.checkpoint_weights import has_checkpoints, load_checkpoint_weights

    if has_checkpoints(path):
        load_checkpoint_weights(networks[:2], path, _rebuild_networks, precision)
        return
    for model in networks[:2]:
        load_matching_weights(model, path)


def _rebuild_networks(identity: dict[str, Any]) -> GanNetworks:
    """Build the networks that the identity of another run describes; see `run_identity`."""
    name, data = identity["network"]["name"], identity["data"]
    chosen = {key: value for key, value in identity["network"].items() if key != "name"}
    network = check_params(NetworkParams, {"name": name, name: chosen})
    channels = CHANNEL_COUNTS[data.get("channels", "rgb")]
    shape = (*height_and_width(data["size"]), channels)
    precision = identity.get("train", {}).get("precision", "float32")
    return build(network, shape, len(data["classes"]), precision)


def to_float32(
    network: NetworkParams, params: TrainParams, discriminator: Model, data: TrainingSet
) -> Model:
    """Return a copy of the discriminator that computes in float32, however it was trained."""
    from ganvas.networks.gan_networks import copy_weights

    copy = _build_float32(network, params, data).discriminator
    copy_weights(discriminator, copy)
    return copy


def run_identity(
    collection: Collection,
    ingest: IngestParams,
    classes: Classes,
    network: NetworkParams,
    params: TrainParams,
) -> dict[str, Any]:
    """Return the identity of a run: its images, networks and identifying parameters.

    Images are identified by their content, wherever and whenever they were packed.
    """
    table, labels = classes.table, classes.labels
    numbers: Iterable[Any] = labels
    if len(table.columns) > 1:
        numbers = (",".join(map(str, row)) for row in table.value_positions(labels).tolist())
    rows = zip(collection.index["hash"], collection.index["split"], numbers, strict=True)
    text = "\n".join(" ".join(map(str, row)) for row in rows).encode()
    swept = os.environ.get(SWEEP_VALUES)
    return ({SWEPT: json.loads(swept)} if swept else {}) | {
        "data": {
            "images": hashlib.blake2b(text, digest_size=16).hexdigest(),
            "size": ingest.model_dump(mode="json")["size"],
            "crop": ingest.crop,
            "align": ingest.align,
            "label": _write_columns(table),
            # Of several columns all values, as many as the networks have weights.
            "classes": table.value_names,
        }
        # Later than the others: runs of earlier versions keep their identity, and are resumed.
        | ingest.model_dump(mode="json", include=LATER_PARAMS, exclude_defaults=True),
        "network": identifying_network(network),
        "train": identifying_parameters(params),
    }


def _write_columns(table: ClassTable) -> str | list[str] | None:
    """Return the label column, or the list of several, as `network.label` has it."""
    columns = [column.column for column in table.columns]
    return columns if len(columns) > 1 else table.column


def summarize_run(
    result: TrainingResult,
    data: TrainingSet,
    classes: Classes,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
) -> dict[str, Any]:
    """Return what training.json records of a run's result, but for `command` and `held_out`."""
    return {
        "classes": write_class_list(classes.table),
        "dataset": ingest.dataset_name,
        "network": network.name,
        "started": result.run_state.started,
        "finished": datetime.now(UTC).isoformat(" ", "seconds"),
        "ended_by": result.stop_reason,
        "message": result.message,
        "warnings": result.run_state.warnings,
        "best": result.run_state.best,
        "parts": result.run_state.parts,
        "epochs": len(result.history),
        "images": len(data.positions),
        "steps": result.steps,
        "images_seen": result.images_seen,
        "seconds": result.run_state.seconds,
        "snapshots": result.run_state.started,
        "parameters": run_parameters(ingest, network, params),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
    }
