"""A folder handed to a node, for what is written or read there piece by piece."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from ganvas.datasets.images import preview_bytes
from ganvas.ingestion.object_store import is_url, mirror
from ganvas.visualization.progress_strip import list_snapshots


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


class MirroredFolderDataset(FolderDataset):
    """A folder that may lie on an object store: loads as a folder of this machine all the same.

    Args:
        filepath: The folder, or a URL with any protocol of fsspec.
        path: Where a URL is mirrored to.
        credentials: What the protocol's file system takes.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(
        self,
        *,
        filepath: str,
        path: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=path if is_url(filepath) else filepath, metadata=metadata)
        self._source = filepath
        self._credentials = credentials or {}
        self._mirrored = not is_url(filepath)

    def load(self) -> Path:
        """Give the folder's path; of a URL what has changed there is fetched first, once a run.

        Raises:
            GanvasError: The store can't be read, or the mirror's folder holds other files.
        """
        if not self._mirrored:
            mirror(self._source, self._folder, self._credentials)
            # Nodes that load it later must see what the first one has listed.
            self._mirrored = True
        return self._folder

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._source, "path": str(self._folder)}
