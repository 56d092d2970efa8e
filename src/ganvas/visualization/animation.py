"""The progress animation: snapshot grids one after the other, as an animated WebP."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.visualization.image_grid import read_png
from ganvas.visualization.progress_strip import choose_snapshots

FRAMES = 60
# Milliseconds a frame is shown, and the last one, at which people want to look.
SHOWN, SHOWN_LAST = 120, 2000
QUALITY = 80


def collect_frames(folder: Path) -> np.ndarray:
    """Read a run's snapshot grids, at most 60, closer together at the start.

    Args:
        folder: A run's snapshots.

    Returns:
        uint8 of shape (n, H, W, 3): of a run that went on with other rows or columns, those that
        are laid as the last one is.

    Raises:
        GanvasError: There are none.
    """
    grids = [read_png(file) for file in choose_snapshots(folder, FRAMES).values()]
    return np.stack([grid for grid in grids if grid.shape == grids[-1].shape])


def encode_webp(frames: np.ndarray, last: int = SHOWN_LAST) -> bytes:
    """Encode frames, uint8 of shape (n, H, W, 3), as an animated WebP that repeats for ever.

    Args:
        frames: In their order.
        last: Milliseconds that the last one is shown.
    """
    first, *others = [Image.fromarray(frame) for frame in frames]
    durations = [SHOWN] * len(others) + [last]
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        quality=QUALITY,
        method=4,
    )
    return buffer.getvalue()
