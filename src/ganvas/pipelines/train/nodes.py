"""Nodes of training."""

import hashlib
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from ganvas.errors import Finished
from ganvas.ingestion.class_labels import Classes, label_columns, read_classes
from ganvas.ingestion.collection import Collection
from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.networks.weight_transfer import load_matching_weights
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.callbacks import make_watchers
from ganvas.training.batches import TrainingSet, count_steps
from ganvas.training.checkpoints import open_store
from ganvas.training.config import TrainParams
from ganvas.training.devices import ALONE
from ganvas.training.gathering import gather_devices
from ganvas.training.loop import NOBODY, Networks, Training, prepare, train
from ganvas.training.rehearsal import rehearse

PACKAGES = ["ganvas", "kedro", "keras", "tensorflow", "numpy", "pillow"]
# Changing one of these makes another run; changing any other goes on with the same.
IDENTITY = {
    "anchor",
    "uniform_class_sampling",
    "batch_size",
    "resample_latents",
    "loss",
    "optimizer",
    "penalty",
    "augment",
    "flip",
    "discriminator_steps",
    "gradient_accumulation_steps",
    "simultaneous_updates",
    "ema_decay",
    "precision",
    "seed",
    "weights_from",
}


def train_gan(
    collection: Collection,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
    snapshots: Path,
    checkpoints: Path,
    command: str,
) -> tuple[keras.Model, keras.Model, dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Build the networks and train them; give them with classes, history and the run's facts.

    Args:
        collection: What to learn from.
        ingest: How it was packed.
        network: What to train.
        params: How.
        snapshots: Where each run has a folder for what it shows.
        checkpoints: Where each run has a folder to go on from.
        command: What makes the run again, for the facts.

    Raises:
        Finished: It was a dry run, or this worker isn't the one that saves.
    """
    network = network.resolve_label(ingest.classes)
    devices = ALONE if params.dry_run else gather_devices(params.distribute)
    classes = read_classes(collection.index, choose_column(network, collection))
    data = gather_data(collection, classes)
    keras.utils.set_random_seed(params.seed)
    with devices.in_touch(), devices.scope():
        networks = build_networks(network, params, data)
    if params.dry_run:
        gan = prepare(networks, params, count_steps(len(data.positions), params))
        raise Finished(rehearse(gan, data, params))
    identity = _identify(collection, ingest, classes, network, params)
    with devices.in_touch():
        everything = [*networks.pair[:2], networks.averaged]
        devices.check_same(identity | {"run": params.model_dump(mode="json")}, everything)
        store = devices.share_store(
            lambda: open_store(checkpoints, identity, params.checkpoint.keep, params.resume)
        )
    watchers = make_watchers(collection, data, params, snapshots) if devices.chief else NOBODY
    run = train(networks, data, params, store, watchers, devices)
    discriminator = _in_float32(network, networks.pair.discriminator, data)
    names = {"column": classes.column, "names": classes.names}
    facts = {"classes": names, "command": command} | _tell(
        run, collection, data, ingest, network, params
    )
    return networks.averaged, discriminator, names, run.history, facts


def choose_column(network: NetworkParams, collection: Collection) -> str | None:
    """Choose the label column to paint by; None: none."""
    if network.label is None and NETWORKS[network.name].by_class:
        return next(iter(label_columns(collection.index)), None)
    return network.label


def gather_data(collection: Collection, classes: Classes) -> TrainingSet:
    """Gather the training images; with classes only those that have one."""
    positions = classes.in_split(collection.split("train"))
    if classes.column is None:
        return TrainingSet(collection.images, positions)
    return TrainingSet(collection.images, positions, classes.labels, len(classes.names))


def build_networks(network: NetworkParams, params: TrainParams, data: TrainingSet) -> Networks:
    """Build what is trained, and the float32 generator that is shown and saved."""
    shape = data.images.shape[1:]
    pair = build(network, shape, data.classes, params.precision)
    if params.weights_from is not None:
        for each in pair[:2]:
            load_matching_weights(each, Path(params.weights_from).expanduser())
    same = not params.ema_decay and params.precision == "float32"
    averaged = pair.generator if same else build(network, shape, data.classes).generator
    return Networks(pair, averaged)


def run_parameters(
    ingest: IngestParams, network: NetworkParams, params: TrainParams
) -> dict[str, Any]:
    """Give the parameters that a generator is made by, in JSON's types."""
    return {
        "ingest": ingest.model_dump(mode="json"),
        "network": network.model_dump(mode="json", include={"name", "label", network.name}),
        "train": params.model_dump(mode="json"),
    }


def _in_float32(
    network: NetworkParams, discriminator: keras.Model, data: TrainingSet
) -> keras.Model:
    """Give a discriminator whose arithmetic does not depend on how it was trained."""
    plain = build(network, data.images.shape[1:], data.classes).discriminator
    plain.set_weights(discriminator.get_weights())
    return plain


def _identify(
    collection: Collection,
    ingest: IngestParams,
    classes: Classes,
    network: NetworkParams,
    params: TrainParams,
) -> dict[str, Any]:
    """Say what makes a run another one: its images, its networks and some of how they train.

    Images are known by their content, wherever and whenever they were packed.
    """
    rows = zip(collection.index["hash"], collection.index["split"], classes.labels, strict=True)
    text = "\n".join(" ".join(map(str, row)) for row in rows).encode()
    return {
        "data": {
            "images": hashlib.blake2b(text, digest_size=16).hexdigest(),
            "size": ingest.size,
            "crop": ingest.crop,
            "align": ingest.align,
            "label": classes.column,
            "classes": classes.names,
        },
        "network": {"name": network.name} | network.chosen.model_dump(),
        "train": params.model_dump(mode="json", include=IDENTITY),
    }


def _tell(
    run: Training,
    collection: Collection,
    data: TrainingSet,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
) -> dict[str, Any]:
    return {
        "dataset": ingest.dataset_name,
        "network": network.name,
        "started": run.record.started,
        "finished": datetime.now().isoformat(" ", "seconds"),
        "ended_by": run.ended_by,
        "message": run.message,
        "warnings": run.record.warnings,
        "best": run.record.best,
        "epochs": len(run.history),
        "images": len(data.positions),
        "held_out": len(collection.split("validation")),
        "images_seen": run.images_seen,
        "seconds": run.record.seconds,
        "snapshots": run.record.started,
        "parameters": run_parameters(ingest, network, params),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
    }
