"""Logs for TensorBoard: Keras's own of losses and scores, and the snapshots beside them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ganvas.errors import GanvasError


def make_board(folder: Path) -> keras.callbacks.TensorBoard:
    """Make Keras's callback.

    Args:
        folder: Where the logs go.

    Raises:
        GanvasError: TensorBoard is not installed.
    """
    try:
        return _Board(folder, write_graph=False, update_freq="epoch")
    except ImportError as error:
        raise GanvasError(
            "train.tensorboard needs TensorBoard, which is not installed: install it by "
            'pip install "ganvas[board]", or set train.tensorboard=false.'
        ) from error


class _Board(keras.callbacks.TensorBoard):
    """Logs the rates of both optimizers, where Keras would log that of one that it has made."""

    def _collect_learning_rate(self, logs: dict[str, Any]) -> dict[str, Any]:
        for name in ("generator", "discriminator"):
            optimizer = getattr(self.model, f"{name}_optimizer")
            logs[f"{name}_learning_rate"] = float(optimizer.learning_rate)
        return logs


def log_image(folder: Path, epoch: int, pixels: np.ndarray) -> None:
    """Log an image, uint8 of shape (H, W, 3), as the snapshot of an epoch."""
    # A writer of its own for each image: it is closed at once, so nothing is lost with a run.
    with tf.summary.create_file_writer(str(folder / "snapshots")).as_default():
        tf.summary.image("snapshot", pixels[None], step=epoch)
