"""Snapshots of the same latents at successive epochs, as a strip and as an animation."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ganvas.errors import GanvasError
from ganvas.visualization.curves import render
from ganvas.visualization.image_grid import make_grid, read_png, split_grid

COLUMNS, ROWS = 9, 4
MAX_FRAMES = 60


def snapshot_file(folder: Path, epoch: int) -> Path:
    """Return the path of an epoch's snapshot grid."""
    return folder / f"epoch_{epoch:05d}.png"


def list_snapshots(folder: Path) -> dict[int, Path]:
    """Return a run's snapshot grids by epoch, in order."""
    return {int(file.stem.removeprefix("epoch_")): file for file in sorted(folder.glob("epoch_*"))}


def choose_epochs(epochs: list[int], count: int) -> list[int]:
    """Choose at most `count` epochs, including the first and the last.

    Images change most in early epochs, so the distance between chosen epochs grows linearly.

    Example:
        >>> choose_epochs(list(range(1, 101)), 5)
        [1, 11, 30, 60, 100]
    """
    steps = np.linspace(np.sqrt(epochs[0]), np.sqrt(epochs[-1]), count) ** 2
    return sorted({min(epochs, key=lambda epoch: abs(epoch - step)) for step in steps})


def choose_snapshots(folder: Path, count: int) -> dict[int, Path]:
    """Choose at most `count` of a run's snapshot grids by `choose_epochs`.

    Raises:
        GanvasError: There are no snapshots.
    """
    files = list_snapshots(folder)
    if not files:
        raise GanvasError(
            f"There are no snapshots in {folder}, which the report needs: restore them, or train "
            "again."
        )
    return {epoch: files[epoch] for epoch in choose_epochs(list(files), count)}


def draw_strip(folder: Path, height: int, width: int) -> np.ndarray:
    """Draw a column of images for each of up to 9 epochs.

    Args:
        folder: A run's snapshot grids.
        height: H of a generated image in pixels.
        width: W of a generated image in pixels.

    Returns:
        uint8 of shape (H', W', 3).

    Raises:
        GanvasError: There are no snapshots.

    Example:
        >>> run = Path("data/07_model_output/sample/dcgan/snapshots/2026-01-31T12.00.00")
        >>> strip = draw_strip(run, height=64, width=64)
    """
    files = choose_snapshots(folder, COLUMNS)
    figure = Figure(figsize=(1.22 * len(files), 1.12 * ROWS + 0.35), dpi=144, layout="constrained")
    panels = figure.subplots(1, len(files), squeeze=False)[0]
    for axes, (epoch, file) in zip(panels, files.items(), strict=True):
        images = split_grid(read_png(file), height, width)[:ROWS]
        axes.imshow(make_grid(images, columns=1), interpolation="lanczos")
        axes.set_title(f"epoch {epoch}", fontsize=9)
        axes.set_axis_off()
    return render(figure)


def collect_frames(folder: Path) -> np.ndarray:
    """Read at most 60 of a run's snapshot grids: uint8 of shape (n, H, W, 3).

    Where a resumed run changed the grid's rows or columns, only grids of the last one's shape.

    Raises:
        GanvasError: There are no snapshots.
    """
    grids = [read_png(file) for file in choose_snapshots(folder, MAX_FRAMES).values()]
    return np.stack([grid for grid in grids if grid.shape == grids[-1].shape])
