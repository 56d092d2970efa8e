"""Folders as catalog entries, for nodes that read or write many files."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from ganvas.datasets.images import preview_bytes
from ganvas.datasets.preview import NothingToShowError, empty_until_made
from ganvas.ingestion.archives import UNPACKED, find_images, is_archive, unpack, was_unpacked
from ganvas.ingestion.object_store import is_url, mirror
from ganvas.redaction import redact
from ganvas.visualization.progress_strip import list_snapshots


class FolderDataset(AbstractDataset[None, Path]):
    """The path of a folder, which need not exist yet; nodes write to the folder themselves.

    Args:
        filepath: The folder.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """Return the path."""
        return self._folder

    def save(self, data: None) -> NoReturn:
        """Raise a DatasetError."""
        raise DatasetError(f"{self._folder} is handed to nodes as a folder and can't be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class SnapshotsDataset(FolderDataset):
    """A folder of training snapshots; Kedro-Viz shows the newest, also during training."""

    @empty_until_made
    def preview(self) -> ImagePreview:
        """Return the last snapshot of the latest run."""
        runs = [run for run in self._folder.glob("*") if list_snapshots(run)]
        if not runs:
            raise NothingToShowError(f"{self._folder} has no snapshots yet: train first.")
        # Not by their names, which are times of a clock that may have been ahead.
        newest = max(runs, key=lambda run: run.stat().st_mtime_ns)
        return preview_bytes(list(list_snapshots(newest).values())[-1].read_bytes())


class MirroredFolderDataset(FolderDataset):
    """A local folder or archive, or a folder on an object store that is mirrored to a local one.

    Args:
        filepath: Folder or archive, or a URL with any protocol of fsspec.
        path: Folder to which a URL is mirrored. Archives are unpacked beside it.
        credentials: Arguments of the protocol's file system.
        metadata: For plugins such as Kedro-Viz.
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
        self._cache = Path(path).parent / UNPACKED
        self._credentials = credentials or {}
        self._mirrored = not is_url(filepath)

    def load(self) -> Path:
        """Return the local folder; a URL is mirrored and an archive unpacked first, once per run.

        Raises:
            GanvasError: The store or the archive can't be read, or the folder of the mirror holds
                other files.
        """
        if not self._mirrored:
            mirror(self._source, self._folder, self._credentials)
            # Later nodes must see the same files as the first one.
            self._mirrored = True
        elif is_archive(self._folder) or (
            not self._folder.exists() and was_unpacked(self._folder, self._cache)
        ):
            self._folder = find_images(unpack(self._folder, self._cache))
        return self._folder

    def _describe(self) -> dict[str, Any]:
        return {"filepath": redact(self._source), "path": str(self._folder)}
