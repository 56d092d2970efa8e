"""Logs for TensorBoard: Keras's own of losses and scores, and the snapshots beside them."""

from pathlib import Path

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
        return keras.callbacks.TensorBoard(folder, write_graph=False, update_freq="epoch")
    except ImportError as error:
        raise GanvasError(
            "train.tensorboard needs TensorBoard, which is not installed: install it by "
            'pip install "ganvas[board]", or set train.tensorboard=false.'
        ) from error


def log_picture(folder: Path, epoch: int, pixels: np.ndarray) -> None:
    """Log a picture, uint8 of shape (H, W, 3), as the snapshot of an epoch."""
    # A writer of its own for each picture: it is closed at once, so nothing is lost with a run.
    with tf.summary.create_file_writer(str(folder / "snapshots")).as_default():
        tf.summary.image("snapshot", pixels[None], step=epoch)
