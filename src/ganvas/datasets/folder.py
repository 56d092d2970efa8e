"""A folder handed to a node, for what is written or read there piece by piece."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from ganvas.datasets.pictures import preview_bytes
from ganvas.figures.strip import list_snapshots


class FolderDataset(AbstractDataset[None, Path]):
    """Loads as the path of a folder, which need not exist yet; it can't be saved.

    Args:
        filepath: The folder.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """Give the folder's path."""
        return self._folder

    def save(self, data: None) -> NoReturn:
        """Refuse: the node that is given the folder writes in it."""
        raise DatasetError(f"{self._folder} is handed to nodes as a folder and can't be saved.")

    def _exists(self) -> bool:
        # It can be loaded at any time.
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class SnapshotsDataset(FolderDataset):
    """A folder of runs' snapshots, of which kedro-viz shows the newest, also in training."""

    def preview(self) -> ImagePreview:
        """Give the last grid of the run that began last.

        Raises:
            DatasetError: No run has painted a snapshot yet.
        """
        runs = sorted(each for each in self._folder.glob("*") if list_snapshots(each))
        if not runs:
            raise DatasetError(f"{self._folder} has no snapshots yet: train first.")
        return preview_bytes(list(list_snapshots(runs[-1]).values())[-1].read_bytes())
