"""A folder handed to a node, for what is written or read there piece by piece."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError


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
