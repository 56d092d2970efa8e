"""Snapshots of the same latents at successive epochs, as a strip and as an animation."""

from pathlib import Path

import numpy as np

from ganvas.errors import GanvasError
from ganvas.grid_layout import divide_rows
from ganvas.visualization.curves import render
from ganvas.visualization.image_grid import FRAME_PIXELS, make_grid, read_png, split_grid
from ganvas.visualization.reduced_images import reduce_images

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


def read_snapshots(
    folder: Path, count: int, last: int | None = None, pixels: int | None = None
) -> dict[int, np.ndarray]:
    """Read at most `count` of a run's snapshot grids, chosen by `choose_epochs`.

    Where a resumed run changed the grid's rows or columns, only grids of the last one's shape.

    Args:
        folder: A run's snapshot grids.
        count: How many to read at most.
        last: The last epoch to read; None: that of the run.
        pixels: Most pixels of a grid, to which larger ones are reduced; None: no limit.

    Returns:
        Grids, uint8 of shape (H, W, 3), by epoch.

    Raises:
        GanvasError: There are no snapshots.
    """
    files = list_snapshots(folder)
    files = {epoch: file for epoch, file in files.items() if last is None or epoch <= last}
    if not files:
        raise GanvasError(
            f"There are no snapshots in {folder}, which the report needs: restore them, or train "
            "again."
        )
    grids = {}
    for epoch in choose_epochs(list(files), count):
        grid = read_png(files[epoch])
        # One by one: sixty large ones would take gigabytes.
        grids[epoch] = grid if pixels is None else reduce_images(grid[None], pixels)[0]
    shape = grids[max(grids)].shape
    return {epoch: grid for epoch, grid in grids.items() if grid.shape == shape}


def read_strip(
    folder: Path, height: int, width: int, last: int | None = None
) -> dict[int, np.ndarray]:
    """Read 4 images of each of up to 9 epochs, the same latents at each.

    The images are from different rows and columns of the snapshots, which makes them of different
    classes: in snapshots of earlier versions classes alternate within a row.

    Args:
        folder: A run's snapshot grids.
        height: H of a generated image in pixels.
        width: W of a generated image in pixels.
        last: The last epoch to read; None: that of the run.

    Returns:
        Images by epoch, uint8 of shape (n, h, w, 3), with n at most 4, reduced as on a grid.

    Raises:
        GanvasError: There are no snapshots.

    Example:
        >>> run = Path("data/07_model_output/sample/dcgan/snapshots/2026-01-31T12.00.00")
        >>> images = read_strip(run, height=64, width=64)
    """
    strip = {}
    for epoch, grid in read_snapshots(folder, COLUMNS, last).items():
        cells = split_grid(grid, height, width)
        strip[epoch] = np.stack([cells[cell] for cell in choose_cells(*cells.shape[:2])])
    return strip


def draw_strip(folder: Path, height: int, width: int, last: int | None = None) -> np.ndarray:
    """Draw the images of `read_strip`, a column for each epoch.

    Returns:
        uint8 of shape (H', W', 3).

    Raises:
        GanvasError: There are no snapshots.
    """
    # Here, not above: commands that draw nothing do without Matplotlib.
    from matplotlib.figure import Figure

    strip = read_strip(folder, height, width, last)
    # A panel has the shape of a column of images, and the area of a column of squares.
    stretch = (height / width) ** 0.5
    size = (1.22 / stretch * len(strip), 1.12 * stretch * ROWS + 0.35)
    figure = Figure(figsize=size, dpi=144, layout="constrained")
    panels = figure.subplots(1, len(strip), squeeze=False)[0]
    for axes, (epoch, images) in zip(panels, strip.items(), strict=True):
        axes.imshow(make_grid(images, columns=1), interpolation="lanczos")
        axes.set_title(f"epoch {epoch}", fontsize=9)
        axes.set_axis_off()
    return render(figure)


def choose_cells(rows: int, columns: int) -> list[tuple[int, int]]:
    """Choose at most 4 cells of a grid, in different rows and columns where it has as many.

    Returns:
        Row and column of each cell.

    Example:
        >>> choose_cells(rows=8, columns=3)
        [(0, 0), (2, 1), (4, 2), (6, 0)]
    """
    cells = [(row, i % columns) for i, row in enumerate(divide_rows(rows, ROWS).tolist())]
    return list(dict.fromkeys(cells))


def collect_frames(folder: Path, last: int | None = None) -> np.ndarray:
    """Read at most 60 of a run's snapshot grids up to an epoch: uint8 of shape (n, H, W, 3).

    Grids of more than 2¹⁹ pixels are reduced to as many.

    Raises:
        GanvasError: There are no snapshots.
    """
    return np.stack(list(read_snapshots(folder, MAX_FRAMES, last, FRAME_PIXELS).values()))
