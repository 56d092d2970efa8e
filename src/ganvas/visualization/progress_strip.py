"""The progress strip: the same latents at successive epochs."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ganvas.errors import GanvasError
from ganvas.visualization.curves import render
from ganvas.visualization.image_grid import make_grid, read_png, split_grid

COLUMNS, ROWS = 9, 4


def snapshot_file(folder: Path, epoch: int) -> Path:
    """Name the file of an epoch's snapshot grid."""
    return folder / f"epoch_{epoch:05d}.png"


def list_snapshots(folder: Path) -> dict[int, Path]:
    """Find a run's snapshot grids by their epochs, in order."""
    return {int(file.stem.removeprefix("epoch_")): file for file in sorted(folder.glob("epoch_*"))}


def choose_epochs(epochs: list[int], count: int) -> list[int]:
    """Choose at most `count` epochs, first and last among them, closer together at the start.

    Images change most in the first epochs, so steps grow evenly.
    """
    steps = np.linspace(np.sqrt(epochs[0]), np.sqrt(epochs[-1]), count) ** 2
    return sorted({min(epochs, key=lambda epoch: abs(epoch - step)) for step in steps})


def choose_snapshots(folder: Path, count: int) -> dict[int, Path]:
    """Choose at most `count` of a run's snapshot grids by `choose_epochs`.

    Raises:
        GanvasError: There are none.
    """
    files = list_snapshots(folder)
    if not files:
        raise GanvasError(
            f"There are no snapshots in {folder}, which the report shows: put them back, or train "
            "anew."
        )
    return {epoch: files[epoch] for epoch in choose_epochs(list(files), count)}


def draw_strip(folder: Path, height: int, width: int) -> np.ndarray:
    """Draw a column of images for each chosen epoch.

    Args:
        folder: A run's snapshot grids.
        height: H of one image in pixels.
        width: W of one image in pixels.

    Returns:
        uint8 of shape (H', W', 3).

    Raises:
        GanvasError: There are no grids.
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
