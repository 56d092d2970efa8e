"""Nodes of training."""

import functools
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ganvas.figures.grid import lay_grid, write_png
from ganvas.figures.strip import snapshot_file
from ganvas.networks import NetworkParams, build
from ganvas.sources import IngestParams
from ganvas.sources.collection import Collection
from ganvas.training.loop import TrainParams, train

PACKAGES = ["ganvas", "kedro", "keras", "tensorflow", "numpy", "pillow"]


def train_gan(
    collection: Collection,
    ingest: IngestParams,
    network: NetworkParams,
    params: TrainParams,
    snapshots: Path,
) -> tuple[keras.Model, keras.Model, pd.DataFrame, dict[str, Any]]:
    """Build the networks and train them; give them with the history and the run's facts."""
    keras.utils.set_random_seed(params.seed)
    started = datetime.now()
    folder = snapshots / started.strftime("%Y-%m-%dT%H.%M.%S")
    generator, discriminator = build(network, collection.images.shape[1:])
    positions = collection.split("train")
    save = functools.partial(_save_snapshot, folder, params.snapshot_columns)
    run = train(generator, discriminator, collection.images, positions, params, save)
    facts = {
        "dataset": ingest.dataset_name,
        "network": network.name,
        "started": started.isoformat(" ", "seconds"),
        "finished": datetime.now().isoformat(" ", "seconds"),
        "ended_by": run.ended_by,
        "message": run.message,
        "epochs": len(run.history),
        "pictures": len(positions),
        "held_out": len(collection.split("validation")),
        "images_seen": run.images_seen,
        "seconds": run.seconds,
        "snapshots": folder.name,
        "parameters": {
            "ingest": ingest.model_dump(),
            "network": network.model_dump(),
            "train": params.model_dump(),
        },
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
    }
    return generator, discriminator, run.history, facts


def _save_snapshot(folder: Path, columns: int, epoch: int, pictures: np.ndarray) -> None:
    write_png(snapshot_file(folder, epoch), lay_grid(pictures, columns))
