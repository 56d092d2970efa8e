"""Start networks from the weights in a checkpoint of another run."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.weight_transfer import copy_matching_weights
from ganvas.training.checkpoint_contents import (
    UNREADABLE,
    Checkpoint,
    read_checkpoint,
    write_variables,
)
from ganvas.training.checkpoints import CHECKPOINT_FILES, CheckpointStore
from ganvas.training.new_run import IDENTITY_FILE, read_record

logger = logging.getLogger(__name__)


def has_checkpoints(path: Path) -> bool:
    """Return whether a path is that of a checkpoint, or of a run's folder of checkpoints."""
    return path.suffix == ".npz" or (path.is_dir() and any(path.glob(CHECKPOINT_FILES)))


def load_checkpoint_weights(
    networks: Sequence[keras.Model],
    path: Path,
    rebuild: Callable[[dict[str, Any]], Sequence[keras.Model]],
    precision: str = "float32",
) -> None:
    """Set the weights of generator and discriminator to those of a checkpoint.

    They are the weights that training had reached, not the generator's EMA: both networks go on
    from the same step. If shapes differ, layers are matched as by
    `ganvas.networks.weight_transfer.load_matching_weights`.

    Args:
        networks: Generator and discriminator.
        path: A checkpoint, or a run's folder of checkpoints, whose last one is read.
        rebuild: Takes the identity of the checkpoint's run; returns its generator and
            discriminator. It may raise any error.
        precision: Name of the dtype policy of the networks.

    Raises:
        GanvasError: The checkpoint can't be read, or nothing of it fits.
    """
    checkpoint = _read(path)
    where = f"epoch {checkpoint.epoch}"
    where += f" and {checkpoint.step} steps" if checkpoint.step else ""
    rebuilt: Sequence[keras.Model] | None = None
    # Keras orders the weights of a style-based network by its precision, too.
    same_order = not is_style_based(networks[0]) or _read_precision(path, precision) == precision
    for position, network in enumerate(networks):
        arrays = {k: v for k, v in checkpoint.arrays.items() if k.startswith(f"{network.name}/")}
        try:
            if not same_order:
                raise ValueError("its weights have another order")
            write_variables({network.name: network.variables}, arrays)
            logger.info("The %s starts from its weights after %s in %s.", network.name, where, path)
        except ValueError:
            rebuilt = rebuilt or _rebuild(path, rebuild)
            _write_rebuilt(rebuilt[position], arrays, path)
            copy_matching_weights(network, rebuilt[position], f"{path}, after {where}")


def _read_precision(path: Path, default: str) -> str:
    """Return the precision of a checkpoint's run, or the default if it isn't recorded."""
    folder = path if path.is_dir() else path.parent
    recorded = (read_record(folder / IDENTITY_FILE) or {}).get("train")
    return str(recorded.get("precision", default)) if isinstance(recorded, dict) else default


def _read(path: Path) -> Checkpoint:
    if path.is_dir():
        checkpoint = CheckpointStore(path, keep=1).load_latest()
        if checkpoint is None:
            raise GanvasError(
                f"No checkpoint in {path} can be read: set train.weights_from to another run."
            )
        return checkpoint
    try:
        return read_checkpoint(path)
    except UNREADABLE as error:
        raise GanvasError(
            f"The checkpoint {path} can't be read ({str(error)[:200]}): set train.weights_from to "
            "another one, or to its folder, whose last one that is readable is used."
        ) from error


def _rebuild(
    path: Path, rebuild: Callable[[dict[str, Any]], Sequence[keras.Model]]
) -> Sequence[keras.Model]:
    folder = path if path.is_dir() else path.parent
    try:
        return rebuild(read_record(folder / IDENTITY_FILE) or {})
    # Whatever a file that may be damaged, or of an earlier version, describes.
    except Exception as error:
        raise GanvasError(
            f"The networks in {path} have other shapes, and {folder / IDENTITY_FILE} doesn't "
            f"describe them as this version does ({str(error)[:200]}): set train.weights_from to "
            "a run of the same network and size."
        ) from error


def _write_rebuilt(network: keras.Model, arrays: dict[str, np.ndarray], path: Path) -> None:
    try:
        write_variables({network.name: network.variables}, arrays)
    except ValueError as error:
        raise GanvasError(
            f"The {network.name} in {path} is not the one that its {IDENTITY_FILE} describes "
            f"({error}): set train.weights_from to another run."
        ) from error
