"""Which version of a versioned dataset is loaded if none is named."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import AbstractVersionedDataset, VersionNotFoundError

from ganvas.model_versions import newest_version

if TYPE_CHECKING:
    _Dataset = AbstractVersionedDataset[Any, Any]
else:
    _Dataset = object


class NewestVersion(_Dataset):
    """Mixin for Kedro's versioned datasets that finds the newest version, see `newest_version`.

    A run loads what it has saved itself, whatever the names of other versions.

    Attributes:
        summary: Dataset of training.json, which names the version of the last training.
    """

    summary: AbstractDataset[Any, Any] | None = None

    def _fetch_latest_load_version(self) -> str:
        if self._cached_load_version is None:
            versions = self.list_versions(full_path=False)
            if not versions:
                raise VersionNotFoundError(f"There is no version of {self._filepath}.")
            saved = self._version.save if self._version else None
            recorded = saved if saved in versions else self.read_recorded()
            folder = PurePosixPath(self._filepath)
            self._cached_load_version = newest_version(folder, versions, recorded)
        return self._cached_load_version

    def read_recorded(self) -> str | None:
        """Return the version that the last training has saved; None if it is not known."""
        try:
            summary = self.summary.load() if self.summary and self.summary.exists() else None
        except DatasetError:  # damaged; an error if the run loads it
            return None
        version = summary.get("version") if isinstance(summary, dict) else None
        return version if isinstance(version, str) else None
