"""Animated WebP files, such as the training progress animation."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.visualization.image_grid import read_png
from ganvas.visualization.progress_strip import choose_snapshots

MAX_FRAMES = 60
# Durations of a frame and of the last one, in milliseconds.
SHOWN, LAST_FRAME_MS = 120, 2000
QUALITY = 80


def collect_frames(folder: Path) -> np.ndarray:
    """Read at most 60 snapshot grids of a run, more closely spaced at the start.

    Args:
        folder: The run's snapshots.

    Returns:
        uint8 of shape (n, H, W, 3). Where a resumed run changed the grid's rows or columns, only
        grids of the last one's shape.

    Raises:
        GanvasError: There are no snapshots.
    """
    grids = [read_png(file) for file in choose_snapshots(folder, MAX_FRAMES).values()]
    return np.stack([grid for grid in grids if grid.shape == grids[-1].shape])


def encode_webp(frames: np.ndarray, last: int = LAST_FRAME_MS) -> bytes:
    """Encode frames as an animated WebP that loops forever.

    Args:
        frames: uint8 of shape (n, H, W, 3).
        last: Duration of the last frame in milliseconds.
    """
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[SHOWN] * len(others) + [last],
        loop=0,
        quality=QUALITY,
        method=4,
    )
    return buffer.getvalue()
