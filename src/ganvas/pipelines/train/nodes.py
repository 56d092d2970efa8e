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
from ganvas.networks import NetworkParams, build
from ganvas.networks.transfer import take_weights
from ganvas.pipelines.train.watchers import make_watchers
from ganvas.sources import IngestParams
from ganvas.sources.collection import Collection
from ganvas.training.checkpoints import open_store
from ganvas.training.devices import ALONE
from ganvas.training.gathering import gather_devices
from ganvas.training.loop import NOBODY, Networks, Training, count_steps, prepare, train
from ganvas.training.params import TrainParams
from ganvas.training.rehearsal import rehearse

PACKAGES = ["ganvas", "kedro", "keras", "tensorflow", "numpy", "pillow"]
# Changing one of these makes another run; changing any other goes on with the same.
IDENTITY = {
    "batch_size",
    "loss",
    "penalty",
    "augment",
    "flip",
    "discriminator_steps",
    "accumulate",
    "simultaneous",
    "average",
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
) -> tuple[keras.Model, keras.Model, pd.DataFrame, dict[str, Any]]:
    """Build the networks and train them; give them with the history and the run's facts.

    Raises:
        Finished: It was a dry run, or this worker isn't the one that saves.
    """
    devices = ALONE if params.dry_run else gather_devices(params.distribute)
    keras.utils.set_random_seed(params.seed)
    with devices.in_touch(), devices.scope():
        networks = build_networks(network, params, collection.images.shape[1:])
    positions = collection.split("train")
    if params.dry_run:
        gan = prepare(networks, params, count_steps(len(positions), params))
        raise Finished(rehearse(gan, collection.images, positions, params))
    identity = {
        "data": _identify(collection, ingest),
        "network": {"name": network.name} | getattr(network, network.name).model_dump(),
        "train": params.model_dump(mode="json", include=IDENTITY),
    }
    with devices.in_touch():
        devices.check_same(identity | {"run": params.model_dump(mode="json")}, networks)
        store = devices.share_store(
            lambda: open_store(checkpoints, identity, params.checkpoint.keep, params.resume)
        )
    watchers = make_watchers(collection, params, snapshots) if devices.chief else NOBODY
    run = train(networks, collection.images, positions, params, store, watchers, devices)
    discriminator = _in_float32(network, networks.discriminator, collection.images.shape[1:])
    facts = _tell(run, collection, ingest, network, params)
    return networks.averaged, discriminator, run.history, facts


def build_networks(
    network: NetworkParams, params: TrainParams, image_shape: tuple[int, int, int]
) -> Networks:
    """Build what is trained, and the float32 generator that is shown and saved."""
    generator, discriminator = build(network, image_shape, params.precision)
    if params.weights_from is not None:
        for each in (generator, discriminator):
            take_weights(each, Path(params.weights_from).expanduser())
    same = not params.average and params.precision == "float32"
    averaged = generator if same else build(network, image_shape)[0]
    return Networks(generator, discriminator, averaged)


def _in_float32(
    network: NetworkParams, discriminator: keras.Model, image_shape: tuple[int, int, int]
) -> keras.Model:
    """Give a discriminator whose arithmetic does not depend on how it was trained."""
    plain = build(network, image_shape)[1]
    plain.set_weights(discriminator.get_weights())
    return plain


def _identify(collection: Collection, ingest: IngestParams) -> dict[str, Any]:
    """Say which pictures they are, by their content, wherever and whenever they were packed."""
    content = collection.index["hash"].str.cat(collection.index["split"], sep=" ")
    text = "\n".join(content).encode()
    how = {"size": ingest.size, "crop": ingest.crop, "align": ingest.align}
    return {"pictures": hashlib.blake2b(text, digest_size=16).hexdigest(), **how}


def _tell(
    run: Training,
    collection: Collection,
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
        "pictures": len(collection.split("train")),
        "held_out": len(collection.split("validation")),
        "images_seen": run.images_seen,
        "seconds": run.record.seconds,
        "snapshots": run.record.started,
        "parameters": {
            "ingest": ingest.model_dump(),
            "network": network.model_dump(),
            "train": params.model_dump(mode="json"),
        },
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
    }
